#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 300
# The daemon and its workers are killed after each of their side effects. Started again, it ends where it would have: the events
# of a program that died are in segments once, no ring of the dead stays, identities are the kernel's. A program that is killed
# while it asks the daemon for a ring leaves nothing. `make check` takes every fourth testpoint.
. tests/daemon/lib.sh
. tests/lib/torture.sh

[[ -x $build/tests/daemon/flightrecd-testpoints ]] || { echo "no build with testpoints"; exit 77; }

# Killed at by tests/crash/pstore/test_recover_killed.c only: where reading a ring is under way, each worker would die, and the
# ring be set aside as poison, as it should.
elsewhere=' ring-judged '
mapfile -t points < <({
	tests/lib/testpoints.sh daemon
	grep -hoE 'FR_TESTPOINT\("[a-z-]+"\)' pstore/salvage*.c recorder/core/segment.c | grep -oE '"[a-z-]+"' | tr -d '"'
} | sort -u)
((${#points[@]} >= 20)) || fail "only ${#points[@]} testpoints found"

scenario() {
	spawn victim hold 9
	victim=$child
	until_true test -s "$scratch/victim" || fail "$1: the program does not record"
	"$client" set acme.shop 5 >/dev/null 2>&1 # while it lives
	kill -KILL "$victim" 2>/dev/null
	wait "$victim" 2>/dev/null
	kill -HUP "$daemon" 2>/dev/null
	"$client" set acme.shop 4 >/dev/null 2>&1
	sleep 0.3
	kill -TERM "$daemon" 2>/dev/null
}

judge() {
	until_true segment_of "$victim" events=9 || fail "killed at $1: $(heads); $(ls "$state/rings")"
	stop_daemon
	[[ -z $(ls -A "$state/rings") ]] || fail "killed at $1: left $(ls -A "$state/rings")"
	[[ -z $(ls -A "$state/vouched") ]] || fail "killed at $1: left vouched/$(ls -A "$state/vouched")"
	all_events || fail "killed at $1: a segment can't be read"
	[[ -z $(cut -d ' ' -f 1-3 "$scratch/events" | sort | uniq -d) ]] || fail "killed at $1: an event twice"
	numbers=$(grep ' counted ' "$scratch/events" | sed 's/.*number=//' | sort -n | tr '\n' ' ')
	[[ $numbers == "0 1 2 3 4 5 6 7 8 " ]] || fail "killed at $1: recovered $numbers"
	[[ -z $(sed -n 's/.* kernel.log seq=\([0-9]*\) .*/\1/p' "$scratch/events" | sort | uniq -d) ]] ||
		fail "killed at $1: lines of the kernel's log twice"
}

ready_or_gone() { daemon_ready 0 || ! kill -0 "$daemon"; }
runs=0
for ((i = 0; i < ${#points[@]}; i += $(torture_count 4 1))); do
	point=${points[i]}
	[[ $elsewhere != *" $point "* ]] || continue
	rm -rf "$state" "$scratch/victim" "$scratch/reached"
	: >"$log"
	FLIGHTREC_TESTPOINT=$point FLIGHTREC_TESTPOINT_NOTE=$scratch/reached \
		"$build/tests/daemon/flightrecd-testpoints" --no-bpf 2>>"$log" </dev/null &
	daemon=$!
	until_true ready_or_gone
	scenario "$point"
	wait "$daemon" 2>/dev/null
	daemon=
	[[ -e $scratch/reached ]] || fail "$point is never reached"
	: >"$log"
	start_daemon --no-bpf
	judge "$point"
	runs=$((runs + 1))
done

# a program, while it asks
for point in daemon-asked daemon-answered; do
	rm -rf "$state" "$scratch/victim"
	: >"$log"
	start_daemon --no-bpf
	code=0
	FLIGHTREC_TESTPOINT=$point "$build/tests/daemon/client-testpoints" hold 9 >/dev/null 2>&1 || code=$?
	((code == 137)) || fail "$point is never reached: $code"
	spawn victim hold 9
	victim=$child
	ready victim
	kill -KILL "$victim"
	wait "$victim" 2>/dev/null
	judge "$point"
	runs=$((runs + 1))
done
torture_row "kill at every testpoint: daemon" $runs runs "in the daemon, its workers, and a program that asks it: nothing lost, nothing twice, nothing left"
