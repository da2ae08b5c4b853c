#!/bin/bash
# SPDX-License-Identifier: MIT
# A program that registers where no ring can be had - no daemon yet, or one that hangs, and no place for a file of its own - is recorded
# from the moment when there is one. What came before is counted.
. tests/daemon/lib.sh

# waiter NAME: a program that can't make a ring itself, neither as root nor as anybody
waiter() {
	FLIGHTREC_STATE_DIR=/dev/null/nowhere spawn "$1" wait
	ready "$1"
	grep -qx 'registered -[0-9]*' "$scratch/$1" || fail "$1: $(cat "$scratch/$1")"
}

# attached NAME PID: it has a ring by now; what it recorded there, and what it missed
attached() {
	until_true grep -q '^attached' "$scratch/$1" || fail "$1 is not recorded: $(cat "$scratch/$1")"
	read -r _ early recorded slow < <(grep '^attached' "$scratch/$1")
	kill -KILL "$2"
	until_true segment_of "$2" reason=died vouched=1 "events=$recorded" "lost=$early" || fail "want $recorded events, $early lost: $(heads)"
}

waiter early
sleep 0.3
start_daemon --no-bpf
attached early "$child"
((early > 0)) || fail "nothing came too early"
holds "a program that starts before the daemon is recorded once it runs; the $early events before are counted as lost"

kill -STOP "$daemon"
waiter patient
sleep 2
kill -CONT "$daemon"
attached patient "$child"
((slow * 10 < early)) || fail "$slow of $early events waited for a daemon that hangs"
holds "so is one that meets a daemon that hangs; of its $early events meanwhile $slow waited for it"
