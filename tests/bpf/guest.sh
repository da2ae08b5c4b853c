#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 900
# The same tests on the release's own kernel: types, tracepoints and arguments differ from kernel to kernel, and what
# is chosen for one is never run on another.
set -uo pipefail
# shellcheck source=tests/vm/guest.sh
. "$(dirname "$0")/../vm/guest.sh"

vm_begin
vm_program "$FR_BUILD"/tests/bpf/test_{events,machine,pins}
vm_modules loop
vm_script <<'GUEST'
load loop
mkdir -p /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup && echo +memory >/sys/fs/cgroup/cgroup.subtree_control
export TMPDIR=/tmp
# an emulated processor can't bracket an event within a microsecond
export FR_TEST_CLOCK_BOUND_NS=200000
for test in test_events test_machine test_pins; do
	# as it goes: of a guest that hangs, the report shows where
	{
		$test 2>&1
		echo $? >/tmp/status
	} | report $test
	report $test-status </tmp/status
done
GUEST
# without cmpxchg16b: as QEMU 7.2 emulates it, Linux 6.12 dies in its memory allocator in most of such runs
vm_seconds=${VM_SECONDS:-800} vm_run '' -cpu Haswell-v4,-cx16
for test in test_events test_machine test_pins; do
	vm_report $test | grep -vE '\[ +(RUN|OK) '
	vm_expect "$test passes" test "$(vm_report $test-status)" = 0
done
