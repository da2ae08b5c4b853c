#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 900
# On the release's kernel every eBPF event attaches, with the capabilities of the daemon's unit and no others; who started, what killed it and who sent the signal is recorded. A
# daemon that is killed loses nothing of what happens until the next one takes over: programs and buffers stay pinned.
# At last the kernel runs out of memory for a cgroup, and a block device fails a request.
set -uo pipefail
# shellcheck source=tests/vm/guest.sh
. "$(dirname "$0")/guest.sh"

vm_begin
vm_program "$FR_BUILD/flightrec" "$FR_BUILD/flightrecd" "$FR_BUILD/tests/vm/witness" "$(command -v setpriv)"
capabilities=$(sed -n 's/^CapabilityBoundingSet=//p' "$vm_here/../../systemd/flightrecd.service" | tr "[:upper:]" "[:lower:]" | sed 's/ *cap_/,+/g')
vm_expect "the unit names the daemon's capabilities" test -n "$capabilities"
echo "capabilities=-all$capabilities" >"$vm/root/capabilities"
vm_disk "$vm/disk"
truncate -s 64M "$vm/bad"
# errors on the second disk from sector 2048 on
printf '[inject-error]\nevent = "read_aio"\nerrno = "5"\nsector = "2048"\n' >"$vm/blkdebug"
vm_script <<'GUEST'
state_on_disk
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mkdir -p /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /run/flightrec
echo 3 >/proc/sys/kernel/perf_event_paranoid
. /capabilities

start() {
	/usr/bin/setpriv --no-new-privs --bounding-set "$capabilities" flightrecd >>/tmp/daemon.log 2>&1 &
	daemon=$!
	wait_for /run/flightrec/socket
	tries=0
	until flightrec status --json >/tmp/status 2>&1 || [ $tries -ge 600 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
}
start
flightrec status --json 2>&1 | report status
flightrec status 2>&1 | report status-text

# a witness, killed by SIGSEGV from this shell
witness /tmp/paid 1000 &
victim=$!
until [ -s /tmp/paid ]; do sleep 0.1; done
sleep 1
kill -SEGV $victim
wait $victim 2>/dev/null
echo $victim | report victim
echo $$ | report shell
tail -n 4 /tmp/paid | report paid

# the daemon dies; what happens meanwhile is not lost
kill -KILL $daemon
wait $daemon 2>/dev/null
sleep 0.2
cat /etc/nobody-is-looking 2>/dev/null
start

# out of memory in a cgroup
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/small
echo 4M >/sys/fs/cgroup/small/memory.max
sh -c 'echo 0 >/sys/fs/cgroup/small/cgroup.procs; exec tail -c 16m /dev/zero' 2>/dev/null

# a disk that fails
dd if=/dev/vdb of=/dev/null bs=4096 skip=256 count=1 iflag=direct 2>/dev/null
sleep 1

kill -TERM $daemon
wait $daemon
echo $? | report daemon-exit
flightrec recover 2>&1 | report recover
flightrec index 2>&1 | report index
flightrec show --json | report events
flightrec incidents --json | report incidents
cat /tmp/daemon.log | report daemon
GUEST
vm_run '' -drive file="$vm/disk",if=virtio,format=raw,cache=unsafe \
	-drive file="blkdebug:$vm/blkdebug:$vm/bad",if=virtio,format=raw,cache=none

vm_report status-text
vm_expect "all probes record" grep -qE 'eBPF +([0-9]+) of \1 probes record' <(vm_report status-text)
vm_report daemon | head -n 20
vm_report events >"$vm/events"
victim=$(vm_report victim)
found() { grep -qE "$1" "$vm/events"; }
vm_expect "the start of the victim, with its arguments" \
	found "\"pid\":$victim,.*\"event\":\"proc.exec\".*witness /tmp/paid 1000"
vm_expect "who sent it the signal" \
	found "\"pid\":$(vm_report shell),.*\"event\":\"sig.generate\".*\"sig\":11,.*\"target_pid\":$victim,"
vm_expect "its end by this signal" found "\"pid\":$victim,.*\"event\":\"proc.exit\".*\"signal\":11,"
last=$(vm_report paid | awk '$2 == 1 { last = $3 } END { print last }')
vm_expect "the last event that it committed itself ($last)" found "\"event\":\"order_paid\".*\"till\":1,\"number\":$last,"
vm_expect "an incident with its cause" test "$(vm_report incidents | grep -c "\"pid\":$victim,")" -ge 1
vm_expect "what happened while no daemon ran" found '"event":"proc.exec".*cat /etc/nobody-is-looking'
vm_expect "who ran out of memory" found '"event":"mem.oom_kill".*"victim_comm":"tail"'
vm_expect "the disk's failure" found '"event":"blk.error".*"sector":2048,'
vm_expect "the daemon left in order" test "$(vm_report daemon-exit)" = 0
