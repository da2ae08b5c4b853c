#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 120
# A burst of kernel events goes many times round the daemon's own ring. It is copied to the spool in time, and the sources wait
# in the kernel meanwhile: each event is there once, or told as lost.
. tests/daemon/lib.sh

[[ $(id -u) == 0 ]] || { echo "eBPF needs root"; exit 77; }
printf '[system]\nring_size = 256K\n' >"$FLIGHTREC_CONFIG"
start_daemon --foreground
grep -q 'eBPF: [1-9][0-9]* probes on' "$log" || { echo "eBPF can't be had here: $(grep eBPF "$log" | head -n 1)"; exit 77; }
count=1500
for ((i = 1; i <= count; i++)); do /bin/true "burst-$i"; done
status >"$scratch/status"
rss=$(grep -o '"rss_bytes":[0-9]*' "$scratch/status" | cut -d : -f 2)
records=$(grep -o '"name":"kernel","records":[0-9]*' "$scratch/status" | cut -d : -f 3)
lane=$(grep -o '"name":"kernel".*' "$scratch/status" | grep -o '"bytes":[0-9]*' | head -n 1 | cut -d : -f 2)
stop_daemon
((records * 150 > 2 * lane)) || fail "$records events don't go round a lane of $lane bytes twice"
all_events || fail "a segment can't be read"
sed -n 's/.* proc.exec .*argv="\/bin\/true burst-\([0-9]*\)"$/\1/p' "$scratch/events" | sort -n >"$scratch/found"
[[ -z $(uniq -d "$scratch/found") ]] || fail "twice: $(uniq -d "$scratch/found" | head -n 3)"
missing=$((count - $(wc -l <"$scratch/found")))
told=$(sed -n 's/.* fr.loss count=\([0-9]*\) class="\?kernel buffer.*what=proc.exec.*/\1/p' "$scratch/events" | paste -sd +)
((missing == 0 || missing <= ${told:-0})) || fail "$missing of $count events are missing, ${told:-0} were told as lost: $(heads | grep -v 'lost=0 overwritten=0')"
lost=$(heads | grep 'kind=2' | grep -vc 'lost=0')
holds "$count starts of a program in a burst, in a lane that holds $((lane / 1024)) KiB: $missing missing, ${told:-0} told as lost in $lost parts"
[[ $(ldd "$flightrecd") == *lib[at]san* ]] && exit 0 # a sanitizer's memory is no measure
((rss <= 16 << 20)) || fail "the daemon has grown to $rss bytes"
holds "the daemon has $((rss >> 10)) KiB after that"
