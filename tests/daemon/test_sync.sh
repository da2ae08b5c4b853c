#!/bin/bash
# SPDX-License-Identifier: MIT
# Rings are written to the disk by a process beside the daemon: what is written to is, what is quiet is left alone, each process that
# dies is replaced, none outlives its daemon, and what lies in the rings' directory can't stop it. That a power cut then takes no more
# than that is tests/vm/test_power_loss.sh's.
. tests/daemon/lib.sh

if [[ $(stat -f -c %T "$scratch") == tmpfs ]]; then
	echo "$scratch is in memory: there is no disk to write to"
	exit 77
fi

# sync_of KEY: the number in the status's "sync"
sync_of() { status | grep -o '"sync":{[^}]*}' | grep -o "\"$1\":[0-9]*" | cut -d : -f 2; }
# syncs_beyond N
syncs_beyond() { (($(sync_of syncs) > $1)); }
# syncs_stand_still: none during a second
syncs_stand_still() {
	local before
	before=$(sync_of syncs)
	sleep 1
	[[ $(sync_of syncs) == "$before" ]]
}

another_helper() { [[ $(sync_of pid) && $(sync_of pid) != "$helper" ]]; }
rings_beyond() { (($(sync_of rings) > $1)); }
held_beyond() { (($(sync_of held) > $1)); }
nobody_syncs() { status | grep -q '"sync":null'; }
helper_is_gone() { ! kill -0 "$helper" 2>/dev/null; }

start_daemon --no-bpf
until_true syncs_beyond 0 || fail "the daemon's own ring is never written: $(status)"
helper=$(sync_of pid)
[[ $(ps -o ppid= -p "$helper") -eq $daemon ]] || fail "process $helper is none of the daemon's"
holds "a process of the daemon's writes rings to the disk"

before=$(sync_of syncs)
spawn writer write "$scratch/witness"
writer=$child
until_true syncs_beyond $((before + 20)) || fail "a program records, and its ring is not written again and again: $(status)"
holds "while a program records, its ring is written again and again"
window() { status | sed -n 's/.*"window_ns":\([0-9]*\),.*"worst_window_ns":\([0-9]*\),.*/\1 \2/p'; }
read -r window worst < <(window)
((window > 0 && worst >= window)) || fail "the window is not measured: $(status)"
"$build/flightrec" status | grep -q 'a power cut takes the last' || fail "flightrec status doesn't say what a power cut takes"
holds "what a power cut would take is measured, and flightrec status says it"

kill -STOP "$writer"
until_true syncs_stand_still || fail "nobody records, and the disk is written to"
holds "while nobody records, nothing is written"
kill -CONT "$writer"

kill -KILL "$helper"
until_true another_helper || fail "no other process after one was killed"
helper=$(sync_of pid)
before=$(sync_of syncs)
until_true syncs_beyond "$before" || fail "the other process writes nothing"
grep -q 'writes rings to the disk' "$log" || fail "its end is not said"
holds "one that is killed is replaced, and that is said"

# what somebody could put there
rings=$state/rings
mkfifo "$rings/1-00000000000000000000000000000001.ring"
ln -s /dev/zero "$rings/1-00000000000000000000000000000002.ring"
mkdir "$rings/1-00000000000000000000000000000003.ring"
head -c 100000 /dev/urandom >"$rings/1-00000000000000000000000000000004.ring"
: >"$rings/1-00000000000000000000000000000005.ring"
before=$(sync_of syncs)
until_true syncs_beyond $((before + 10)) || fail "it stands still before what is no ring"
spawn cutter cut
ready cutter
spawn scribbler scribble
ready scribbler
before=$(sync_of syncs)
until_true syncs_beyond $((before + 10)) || fail "it stands still before rings that were cut and spoiled"
[[ $(sync_of pid) == "$helper" ]] || fail "it died of what it found: $(tail -n 3 "$log")"
holds "a pipe, a link, a folder, noise, and rings that were cut and spoiled don't disturb it"

printf '[store]\nsync_rate = 64K\n' >"$FLIGHTREC_CONFIG"
kill -HUP "$daemon"
until_true held_beyond 5 || fail "the rate holds nothing back"
holds "a ring that takes more than sync_rate is held back, and counted"

printf '[store]\nsync_interval = 1h\n' >"$FLIGHTREC_CONFIG"
kill -HUP "$daemon"
until_true syncs_stand_still || fail "sync_interval = 1h is not in force"
before=$(sync_of rings)
spawn late write "$scratch/late"
until_true rings_beyond "$before" || fail "a new ring's name waits for the interval"
holds "with a long sync_interval, new rings are seen all the same: their names go to the disk for the sake of critical events"

printf '[store]\nsync_interval = 0s\n' >"$FLIGHTREC_CONFIG"
kill -HUP "$daemon"
until_true nobody_syncs || fail "sync_interval = 0s is not in force"
"$build/flightrec" status | grep -q 'nobody syncs' || fail "flightrec status doesn't say that nobody syncs"
holds "with sync_interval = 0s it is left to the kernel, and flightrec status says so"

kill_daemon
until_true helper_is_gone || fail "the process outlives its daemon"
holds "it goes with its daemon"
