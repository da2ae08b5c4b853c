#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 120
# eBPF goes on in the kernel while the daemon is dead: no start of a program is missed, none is recorded twice.
. tests/daemon/lib.sh

[[ $(id -u) == 0 ]] || { echo "eBPF needs root"; exit 77; }
start_daemon --foreground
grep -q 'eBPF: [1-9][0-9]* probes on' "$log" || { echo "eBPF can't be had here: $(grep eBPF "$log" | head -n 1)"; exit 77; }

mark=$(printf '%s' "$scratch" | tail -c 6)
for round in 1 2 3 4 5; do
	for i in 1 2 3 4 5 6 7 8 9 10; do env true "$mark-$round-$i"; done &
	looper=$!
	sleep 0.01
	kill_daemon
	wait "$looper"
	env true "$mark-$round-alone"
	start_daemon --foreground
done
grep -q 'found running from before' "$log" || fail "the programs were not found in the kernel"
stop_daemon
all_events
for round in 1 2 3 4 5; do
	for i in 1 2 3 4 5 6 7 8 9 10 alone; do
		# env and true are each one exec; env shows its own arguments first
		count=$(grep -c "proc.exec .*argv=\"\\?true $mark-$round-$i\"\\?\$" "$scratch/events")
		((count == 1)) || fail "start $round-$i of true was recorded $count times: $(grep -- "$mark-$round-$i" "$scratch/events")"
	done
done
holds "55 starts of a program, some while the daemon was dead, are each recorded once"
"$flightrecd" --unload || fail "--unload fails"
start_daemon --foreground
tail -n 3 "$log" | grep -q 'found running' && fail "programs are still in the kernel after --unload"
holds "flightrecd --unload takes them out of the kernel"
stop_daemon
