#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 240
# The daemon is killed after each of its side effects. Started again, it ends where it would have: the events of a program that
# died are in segments once, no ring of the dead stays, identities are the kernel's.
. tests/daemon/lib.sh

[[ -x $build/tests/daemon/flightrecd-testpoints ]] || { echo "no build with testpoints"; exit 77; }
# where reading a ring is under way (ring-judged) each worker would die, and the ring be set aside as poison, as it should
mapfile -t points < <(grep -rhoE 'FR_TESTPOINT\("[a-z-]+"\)' recorder/daemon/*.c pstore/salvage*.c recorder/core/segment.c |
	grep -oE '[a-z-]+' | grep -vx ring-judged | sort -u)
((${#points[@]} >= 15)) || fail "only ${#points[@]} testpoints found"

scenario() {
	spawn victim hold 9
	victim=$child
	until_true 5 test -s "$scratch/victim" || fail "$1: the program does not record"
	kill -KILL "$victim" 2>/dev/null
	wait "$victim" 2>/dev/null
	kill -HUP "$daemon" 2>/dev/null
	"$client" set acme.shop 5 >/dev/null 2>&1
	sleep 0.3
	kill -TERM "$daemon" 2>/dev/null
}

died=0
for point in "${points[@]}"; do
	rm -rf "$state" "$scratch/victim"
	: >"$log"
	FLIGHTREC_TESTPOINT=$point "$build/tests/daemon/flightrecd-testpoints" --no-bpf 2>>"$log" </dev/null &
	daemon=$!
	until_true 2 daemon_ready 0
	scenario "$point"
	wait "$daemon" 2>/dev/null
	[[ $? == 137 ]] && died=$((died + 1))
	daemon=

	: >"$log"
	start_daemon --no-bpf
	until_true 10 segment_of "$victim" events=9 || fail "killed at $point: $(heads); $(ls "$state/rings")"
	stop_daemon
	[[ -z $(ls -A "$state/rings") ]] || fail "killed at $point: left $(ls -A "$state/rings")"
	[[ -z $(ls -A "$state/vouched") ]] || fail "killed at $point: left vouched/$(ls -A "$state/vouched")"
	all_events || fail "killed at $point: a segment can't be read"
	[[ -z $(cut -d ' ' -f 1-3 "$scratch/events" | sort | uniq -d) ]] || fail "killed at $point: an event twice"
	numbers=$(grep ' counted ' "$scratch/events" | sed 's/.*number=//' | sort -n | tr '\n' ' ')
	[[ $numbers == "0 1 2 3 4 5 6 7 8 " ]] || fail "killed at $point: recovered $numbers"
	[[ -z $(sed -n 's/.* kernel.log seq=\([0-9]*\) .*/\1/p' "$scratch/events" | sort | uniq -d) ]] ||
		fail "killed at $point: lines of the kernel's log twice"
done
((died >= ${#points[@]} * 2 / 3)) || fail "only $died of ${#points[@]} testpoints were reached"
holds "killed at $died of ${#points[@]} testpoints (in the daemon or its workers): nothing lost, nothing twice, nothing left"
