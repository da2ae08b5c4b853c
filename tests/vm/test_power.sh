#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 900
# The power goes while an application records into a ring file on an ordinary disk: the guest is killed, nothing is
# flushed. What had been synced is there at the next start, nothing is there that was never recorded, and what is missing
# between is counted with a cause.
set -uo pipefail
# shellcheck source=tests/vm/guest.sh
. "$(dirname "$0")/guest.sh"
# shellcheck source=tests/vm/tills.sh
. "$(dirname "$0")/tills.sh"

vm_begin
vm_program "$FR_BUILD/flightrec" "$FR_BUILD/tests/vm/witness"
vm_disk "$vm/disk"
vm_script <<'GUEST'
state_on_disk
if [ -e /state/first-boot-is-over ]; then
	flightrec recover 2>&1 | report recover
	flightrec index 2>&1 | report index
	flightrec incidents 2>&1 | report incidents
	flightrec show --json | report events
	ls /state/flightrec/rings | report rings-left
	bye
fi
touch /state/first-boot-is-over
witness /dev/ttyS1 1000 &
until ls /state/flightrec/rings/*.ring >/dev/null 2>&1; do sleep 0.1; done
sleep 2
echo "sync begins" >&3
sync
echo "sync is over" >&3
sleep 1000
GUEST
disk=(-drive "file=$vm/disk,if=virtio,format=raw,cache=unsafe")
vm_cut_power "sync is over" '' "${disk[@]}"
cp "$vm/report" "$vm/report.first"
vm_run '' "${disk[@]}"

vm_report recover
vm_report incidents
expect_tills "$vm/report.first"
vm_expect "the source is released" test -z "$(vm_report rings-left)"
