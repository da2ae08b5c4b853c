#!/bin/bash
# SPDX-License-Identifier: MIT
# Where the kernel has no pidfd, deaths are seen by looking, still within a second; a pid that came again is no life.
. tests/daemon/lib.sh

binary=$build/tests/daemon/flightrecd-testpoints
[[ -x $binary ]] || { echo "no build with testpoints"; exit 77; }
export FLIGHTREC_TEST_NO_PIDFD=1
start_daemon --no-bpf
spawn victim hold 12
victim=$child
ready victim
status | grep -q '"pidfd":false' || fail "a pidfd is used"
started=$(date +%s%N)
kill -KILL "$victim"
until_true segment_of "$victim" reason=died events=12 || fail "the death is not seen: $(heads)"
took=$((($(date +%s%N) - started) / 1000000))
holds "without pidfd, 12 events of the dead are in a segment after $took ms"
kill_daemon
spawn second hold 3
second=$child
ready second
start_daemon --no-bpf
kill -KILL "$second"
until_true segment_of "$second" reason=died events=3 || fail "the death of who was found again is not seen"
holds "the same for a writer that a new daemon found"
stop_daemon

# few descriptors: most writers are looked at, and the socket still answers
unset FLIGHTREC_TEST_NO_PIDFD binary
ulimit -n 200
start_daemon --no-bpf
pids=()
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
	spawn "few$i" hold "$i"
	pids+=("$child")
done
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do ready "few$i"; done
status >"$scratch/status" || fail "no status with few descriptors"
[[ $(grep -o '"pidfd":true' "$scratch/status" | wc -l) == 8 ]] || fail "not 8 of 14 by pidfd: $(grep -o '"pidfd":true' "$scratch/status" | wc -l)"
kill -KILL "${pids[@]}"
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
	until_true segment_of "${pids[i - 1]}" reason=died "events=$i" || fail "writer $i of 14 is not salvaged: $(heads)"
done
holds "with descriptors for 8 of 14 writers, all 14 deaths are seen"
stop_daemon
