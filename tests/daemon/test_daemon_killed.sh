#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 180
# The daemon is killed by SIGKILL and started again while programs record. They don't notice; their rings are found again;
# what was committed is in segments, each event once.
. tests/daemon/lib.sh

committed() { od -An -t u8 -N 8 "$scratch/witness.$1" | tr -d ' '; }

start_daemon --no-bpf
writers=()
for i in 1 2 3; do
	spawn "writer$i" write "$scratch/witness.$i"
	writers+=("$child")
done
for i in 1 2 3; do ready "writer$i"; done

grown() { (($(committed 1) > before)); }
for round in 1 2 3; do
	kill_daemon
	before=$(committed 1)
	until_true grown || fail "writer 1 stands still while no daemon runs"
	start_daemon --no-bpf
	grep -q 'found 3 rings of running programs' <(tail -n 5 "$log") || fail "round $round: rings are not found again"
done
holds "three writers go on recording through three kills of the daemon, and are watched again each time"

# one dies while no daemon is there, one under the new daemon
kill_daemon
kill -KILL "${writers[0]}"
wait "${writers[0]}" 2>/dev/null
start_daemon --no-bpf
until_true segment_of "${writers[0]}" reason=died vouched=1 || fail "who died without a daemon is not salvaged: $(heads)"
kill -KILL "${writers[1]}"
wait "${writers[1]}" 2>/dev/null
until_true segment_of "${writers[1]}" reason=died vouched=1 || fail "who died under the new daemon is not salvaged: $(heads)"
kill -KILL "${writers[2]}"
wait "${writers[2]}" 2>/dev/null
until_true segment_of "${writers[2]}" reason=died || fail "the third is not salvaged"
holds "a death while no daemon ran, and deaths after it came back, end in segments"

for i in 1 2 3; do
	mapfile -t files < <(heads | grep " pid=${writers[i - 1]} " | cut -d ' ' -f 1)
	"$look" events "${files[@]}" | sed -n 's/.* counted number=//p' | sort -n >"$scratch/numbers"
	[[ -z $(uniq -d "$scratch/numbers") ]] || fail "writer $i: events twice: $(uniq -d "$scratch/numbers" | head -n 3)"
	last=$(tail -n 1 "$scratch/numbers")
	first=$(head -n 1 "$scratch/numbers")
	(($(wc -l <"$scratch/numbers") == last - first + 1)) || fail "writer $i: events are missing between $first and $last"
	((last + 1 >= $(committed "$i"))) || fail "writer $i: $(committed "$i") committed, the last recovered is number $last"
	holds "writer $i: $(committed "$i") events committed, recovered from number $first to $last without a gap, each once"
done

# the daemon's own rings of all its lives
stop_daemon
all_events
starts=$(grep -c ' fr.start ' "$scratch/events")
((starts == 5)) || fail "$starts of 5 starts are recorded"
[[ -z $(cut -d ' ' -f 1-3 "$scratch/events" | sort | uniq -d) ]] || fail "an event is in two segments"
if grep -q kernel.log "$scratch/events"; then
	[[ -z $(sed -n 's/.* kernel.log seq=\([0-9]*\) .*/\1/p' "$scratch/events" | sort | uniq -d) ]] || fail "lines of the kernel's log twice"
	holds "lines of the kernel's log are recorded once by five daemons"
fi
holds "the events of all five daemons are in the spool, each once"
