#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 900
# The kernel panics on a machine that has ramoops and no application that records: the next boot makes an incident
# out of the kernel's own words alone, keeps them whole, and releases the record only after that.
set -uo pipefail
# shellcheck source=tests/vm/guest.sh
. "$(dirname "$0")/guest.sh"

vm_begin
vm_program "$FR_BUILD/flightrec"
vm_modules ramoops
# shellcheck disable=SC2016
vm_script <<'GUEST'
mount -t pstore pstore /sys/fs/pstore
load ramoops mem_address=0x8000000 mem_size=0x100000 record_size=0x8000 ecc=1
export FLIGHTREC_STATE_DIR=/run/state FLIGHTREC_RUNTIME_DIR=/run/flightrec
if [ -f /sys/fs/pstore/dmesg-ramoops-0 ]; then
	grep -ac . /sys/fs/pstore/dmesg-ramoops-0 | report lines
	flightrec recover 2>&1 | report recover
	echo $? | report recover-exit
	flightrec index 2>&1 | report index
	flightrec show --json | report events
	flightrec incidents --json | report incidents
	ls /sys/fs/pstore | report pstore-left
	flightrec recover 2>&1 | report again
	flightrec index 2>&1 | report index-again
	flightrec show --json | wc -l | report lines-again
	bye
fi
echo "last words of a driver" >/dev/kmsg
panic
GUEST
vm_run "memmap=1M\$0x8000000"

vm_report recover
vm_report events >"$vm/events"
vm_expect "the panic came back with its reason" grep -q 'sysrq triggered crash' "$vm/events"
vm_expect "so did what the log said before it" grep -q 'last words of a driver' "$vm/events"
vm_expect "it is one incident, the kernel's" test \
	"$(vm_report incidents | grep -c '"kernel"')/$(vm_report incidents | wc -l)" = 1/1
vm_expect "the record was released" test -z "$(vm_report pstore-left)"
vm_expect "recovering again adds nothing" test "$(vm_report lines-again)" -eq "$(wc -l <"$vm/events")"
