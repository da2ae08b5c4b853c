#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 900
# A panic meets an application that records, without any sync, into a ring on a DAX mount. After the warm reset every
# event that it had committed is there up to the last one, beside the kernel's own panic message, as one incident.
set -uo pipefail
# shellcheck source=tests/vm/guest.sh
. "$(dirname "$0")/guest.sh"
# shellcheck source=tests/vm/panic.sh
. "$(dirname "$0")/panic.sh"

panic_story 0 '
flightrec show --json | report events
flightrec incidents --json | report incidents
flightrec recover --ring-dir /ram/rings 2>&1 | report again
flightrec index >/dev/null 2>&1
flightrec show --json | wc -l | report lines-again
ls /ram/rings | report rings-left
ls /sys/fs/pstore | report pstore-left
'

vm_report events >"$vm/events"
vm_report recover
for till in 1 2; do
	witnessed=$(panic_witness $till)
	vm_expect "till $till had committed events when the kernel panicked" test "${witnessed:-0}" -gt 0
	sed -n "s/.*\"order_paid\".*\"till\":$till,\"number\":\([0-9]*\).*/\1/p" "$vm/events" | sort -n >"$vm/numbers"
	first=$(head -n 1 "$vm/numbers")
	last=$(tail -n 1 "$vm/numbers")
	vm_expect "its last one, number $witnessed, came back (found $first to $last)" test "${last:-0}" -ge "$witnessed"
	vm_expect "and nothing that it never recorded" test "${last:-0}" -le $((witnessed + 1))
	vm_expect "no number between is missing" test "$(wc -l <"$vm/numbers")" -eq $((last - first + 1))
done

panics() { vm_report incidents | grep -c '"kernel"'; }
vm_expect "the kernel's panic message is among the events" grep -q 'sysrq triggered crash' "$vm/events"
vm_expect "there is one incident, the kernel's" test "$(panics)/$(vm_report incidents | wc -l)" = 1/1
vm_expect "recovering again adds nothing" test "$(vm_report lines-again)" -eq "$(wc -l <"$vm/events")"
vm_expect "sources are released: no ring is left" test -z "$(vm_report rings-left)"
vm_expect "and no record in pstore" test -z "$(vm_report pstore-left)"
