#!/bin/bash
# SPDX-License-Identifier: MIT
# A worker that reads a ring: what stops the service does not cut it off, and when it crashes, the ring is set aside, not the daemon.
. tests/daemon/lib.sh

binary=$build/tests/daemon/flightrecd-testpoints
[[ -x $binary ]] || { echo "no build with testpoints"; exit 77; }
# in_ring PID: the worker that stands still in that process's ring, in $at; others (the own ring's) are let go on
in_ring() {
	local pid
	for pid in $(pgrep -P "$daemon"); do
		[[ $(ps -o stat= -p "$pid") == T* ]] || continue
		at=$pid
		find "/proc/$pid/fd" -lname "*/rings/$1-*" | grep -q . && return 0
		kill -CONT "$pid"
	done
	return 1
}
# held NAME: a program of that name dies, and the worker stops in the middle of its ring
held() {
	spawn "$1" hold 7
	ready "$1"
	kill -KILL "$child"
	until_true in_ring "$child" || fail "no worker stops in the ring"
	children+=("$at")
}

export FLIGHTREC_TESTPOINT=ring-judged:stop
start_daemon --no-bpf
held first
first=$child
kill -TERM "$at"
kill -INT "$at"
kill -HUP "$at"
kill -CONT "$at"
until_true segment_of "$first" reason=died events=7 || fail "a worker was cut off by the end of the service: $(heads)"
holds "signals that stop a service don't cut a worker off"

held second
second=$child
status >/dev/null || fail "the daemon waits for its worker"
holds "the daemon answers while a worker stands still"
kill -ABRT "$at"
kill -CONT "$at" 2>/dev/null
set_aside() {
	in_ring "$second" # lets the own ring's worker go on
	[[ -n $(find "$state/spool/quarantine" -name "*$second-*.ring") ]]
}
until_true set_aside || fail "a ring that crashes its reader is not set aside: $(ls "$state/rings" "$state/spool/quarantine")"
grep -q "was ended by signal 6; tried once more, then set aside" "$log" || fail "nothing said of the crash"
kill -0 "$daemon" || fail "the daemon is dead"
holds "a ring that crashed its reader is set aside at the second try; the daemon lives"

# killed in the middle with its daemon: the next one goes on
held third
third=$child
kill_daemon
unset FLIGHTREC_TESTPOINT binary
start_daemon --no-bpf
kill -CONT "$at"
until_true segment_of "$third" reason=died events=7 || fail "the worker of a killed daemon and the next daemon are in each other's way: $(heads)"
until_true test ! -e "$state/rings/$third-"* || fail "its ring stays"
holds "a worker that outlives its daemon ends its job, and the next daemon finds nothing left to do"
stop_daemon
all_events
[[ -z $(cut -d ' ' -f 1-3 "$scratch/events" | sort | uniq -d) ]] || fail "an event is in two segments"
holds "nothing twice"
