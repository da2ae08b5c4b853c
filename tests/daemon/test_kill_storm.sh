#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 180
# Writers come and die without end while the daemon is killed at random instants. When all is over, each event that a writer had
# committed and that its ring held is in a segment, once; nobody's ring was set aside, none is left.
. tests/daemon/lib.sh

rounds=${ROUNDS:-25}
writers=0
declare -A committed=() # by pid: on a busy machine two writers may have had the same

start_daemon --no-bpf
for ((round = 1; round <= rounds; round++)); do
	for i in 1 2; do
		spawn "victim$round.$i" hold $((round + i))
		committed[$child]=$((${committed[$child]:-0} + round + i))
		writers=$((writers + 1))
	done
	until_true test -s "$scratch/victim$round.1" -a -s "$scratch/victim$round.2" || fail "round $round: writers don't record"
	kill -KILL "${children[@]: -2}" 2>/dev/null
	sleep "0.0$((RANDOM % 60 + 10))"
	kill_daemon
	start_daemon --no-bpf
done
no_rings_of_clients() { [[ -z $(find "$state/rings" -name '*.ring' ! -name "$daemon-*") ]]; }
until_true no_rings_of_clients || fail "rings are left: $(ls "$state/rings")"
stop_daemon

heads >"$scratch/heads"
for pid in "${!committed[@]}"; do
	events=${committed[$pid]}
	found=$(grep " pid=$pid " "$scratch/heads" | grep -o 'events=[0-9]*' | cut -d = -f 2 | paste -sd +)
	((${found:-0} == events)) || fail "writer $pid committed $events events, ${found:-0} are in segments: $(grep " pid=$pid " "$scratch/heads")"
done
holds "$writers writers killed and the daemon killed $rounds times: all $(grep -c 'kind=1' "$scratch/heads") segments hold what was committed"
[[ -z $(find "$state/spool/quarantine" -type f) ]] || fail "set aside: $(ls "$state/spool/quarantine")"
all_events || fail "a segment can't be read"
[[ -z $(cut -d ' ' -f 1-3 "$scratch/events" | sort | uniq -d) ]] || fail "an event is in two segments"
[[ -z $(sed -n 's/.* kernel.log seq=\([0-9]*\) .*/\1/p' "$scratch/events" | sort | uniq -d) ]] || fail "lines of the kernel's log twice"
(($(grep -c ' fr.start ' "$scratch/events") == rounds + 1)) || fail "$(grep -c ' fr.start ' "$scratch/events") of $((rounds + 1)) starts recorded"
holds "nothing twice, nothing set aside, and all $((rounds + 1)) starts of the daemon are recorded"
