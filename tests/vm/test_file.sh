#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 900
# A panic meets an application that records into a ring file on an ordinary disk. What had been written back is there
# after the reset, nothing is there that was never recorded, and what is missing between is counted with a cause.
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
	flightrec verify /state/flightrec/rings/*.ring 2>&1 | report verify
	flightrec recover 2>&1 | report recover
	flightrec index 2>&1 | report index
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
sleep 2
panic
GUEST
vm_run '' -drive file="$vm/disk",if=virtio,format=raw,cache=unsafe

vm_report verify | tail -n 5
vm_report recover
expect_tills "$vm/report"
vm_expect "the source is released" test -z "$(vm_report rings-left)"
