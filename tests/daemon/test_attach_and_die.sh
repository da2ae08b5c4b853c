#!/bin/bash
# SPDX-License-Identifier: MIT
# A program gets its ring from the daemon; its death is noticed, and what it recorded is in a segment.
. tests/daemon/lib.sh

start_daemon --no-bpf

spawn victim hold 25
victim=$child
ready victim
read -r _ ring pid from_daemon <"$scratch/victim"
[[ $from_daemon == 1 && $pid == "$victim" ]] || fail "the ring is not from the daemon: $(cat "$scratch/victim")"
[[ -f $state/rings/$victim-$ring.ring ]] || fail "no ring file $victim-$ring.ring"
holds "a program gets its ring from the daemon, named after it"

status | grep -q "\"pid\":$victim,\"comm\":\"client\".*\"providers\":\\[\"acme.shop\"\\]" || fail "status does not know it: $(status)"
status | grep -q "\"records\":25," || fail "status does not count its records: $(status)"
holds "status names the writer, its provider and its 25 records"

started=$(date +%s%N)
kill -KILL "$victim"
until_true segment_of "$victim" reason=died events=25 || fail "no segment of the dead: $(heads)"
took=$((($(date +%s%N) - started) / 1000000))
holds "25 events of a program killed by SIGKILL are in a segment after $took ms"
segment_of "$victim" vouched=1 "uid=$(id -u)" kind=1 || fail "its identity is not vouched for: $(heads)"
until_true test ! -e "$state/rings/$victim-$ring.ring" || fail "the ring is still there"
until_true test ! -e "$state/vouched/$victim-$ring.ring" || fail "its remembered identity is still there"
holds "the ring is released after its copy is safe"

"$client" exit 7 >"$scratch/leaver"
read -r _ _ leaver _ <"$scratch/leaver"
until_true segment_of "$leaver" reason=closed events=7 || fail "no segment of who left: $(heads)"
holds "a program that leaves in order is salvaged as closed"

spawn changer exec
changer=$child
ready changer
until_true segment_of "$changer" events=10 || fail "the ring from before exec stays: $(heads)"
holds "a ring that exec left behind is salvaged when the new program asks for its own"
kill -KILL "$changer"

# several at once
pids=()
for i in 1 2 3 4 5 6 7 8; do
	spawn "many$i" hold "$i"
	pids+=("$child")
done
for i in 1 2 3 4 5 6 7 8; do ready "many$i"; done
kill -KILL "${pids[@]}"
for i in 1 2 3 4 5 6 7 8; do
	until_true segment_of "${pids[i - 1]}" reason=died "events=$i" || fail "no segment of writer $i: $(heads)"
done
holds "eight that die together are all salvaged"

stop_daemon
all_events || fail "a segment can't be read"
grep -q "fr.process_died .*pid=$victim .*how=\"\\?signal 9" "$scratch/events" || fail "how it died is not recorded: $(grep process_died "$scratch/events")"
grep -q ' fr.start ' "$scratch/events" || fail "no fr.start"
grep -q ' fr.stop ' "$scratch/events" || fail "no fr.stop"
if "$build/flightrec" index --keep >/dev/null 2>&1; then
	said=$("$build/flightrec" index --sql "SELECT pid, cause, evidence FROM incidents WHERE pid IN ($victim, $leaver)" --json)
	[[ $said == "{\"pid\":$victim,\"cause\":\"killed by SIGKILL\",\"evidence\":\"daemon\"}" ]] || fail "the index says: $said"
	holds "the index believes the daemon, where the kernel says nothing"
fi
[[ -z $(ls -A "$state/rings") ]] || fail "rings are left: $(ls "$state/rings")"
holds "the daemon's own events are in the spool after it stopped: start, deaths with their cause, stop"
