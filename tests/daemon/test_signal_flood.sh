#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 120
# A flood of kernel events doesn't fill the disk: the spool gets 64 MiB of it and no more at once, the rest goes round in the ring, and
# each event has a number there or was told as lost.
. tests/daemon/lib.sh

[[ $(id -u) == 0 ]] || { echo "eBPF needs root"; exit 77; }
start_daemon --foreground
grep -q 'eBPF: [1-9][0-9]* probes on' "$log" || { echo "eBPF can't be had here: $(grep eBPF "$log" | head -n 1)"; exit 77; }
# look_at: what the daemon says at one instant, in $records, $sent and $told
look_at() {
	status >"$scratch/status"
	records=$(grep -o '"name":"kernel","records":[0-9]*' "$scratch/status" | cut -d : -f 3)
	sent=$(grep -o '"emitted":[0-9]*' "$scratch/status" | awk -F : '{ n += $2 } END { print n }')
	told=$(grep -o '"kernel buffer full":[0-9]*' "$scratch/status" | cut -d : -f 2)
}
all_recorded() {
	look_at
	((records - records_before >= sent - sent_before && sent - sent_before + told - told_before >= count))
}

count=800000
look_at
records_before=$records sent_before=$sent told_before=$told
"$client" signals $count
until_true all_recorded ||
	fail "$count signals: $((sent - sent_before)) left the kernel's buffer, $((told - told_before)) told as lost, $((records - records_before)) recorded"
stop_daemon
kept=$(du -sk --apparent-size "$state/spool" | cut -f 1)
bound=$(((68 << 10) + SECONDS * 256)) # a lane more at the end, and what time earns
((kept < bound)) || fail "the flood put $((kept >> 10)) MiB into the spool, of $((bound >> 10))"
holds "$count signals: $((records - records_before)) events recorded, $((told - told_before)) told as lost before that; the spool has $((kept >> 10)) MiB"
