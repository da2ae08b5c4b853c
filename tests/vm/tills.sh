# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# tills.sh - holds what came back of a ring file against what witness.c said on the serial line; to be sourced.
#
# expect_tills REPORT: in REPORT, the guest said "paid TILL NUMBER" after each commit and "sync begins" before a sync.
# All that was committed before the sync is there after the restart, and nothing that was never recorded; what was
# recorded later may be lost. $vm/events holds the events that came back, a JSON object a line.

# last_paid TILL: the highest number in what is read
last_paid() {
	grep -a "^paid $1 [0-9]*\$" | tail -n 1 | cut -d ' ' -f 3
}

# shellcheck disable=SC2154 # $vm is guest.sh's
expect_tills() {
	local report=$1 till synced witnessed last below
	vm_report events >"$vm/events"
	for till in 1 2; do
		synced=$(sed '/^sync begins/q' "$report" | last_paid "$till")
		witnessed=$(last_paid "$till" <"$report")
		sed -n "s/.*\"order_paid\".*\"till\":$till,\"number\":\([0-9]*\).*/\1/p" "$vm/events" | sort -n >"$vm/numbers"
		last=$(tail -n 1 "$vm/numbers")
		below=$(awk -v limit="${synced:-0}" '$1 <= limit' "$vm/numbers" | wc -l)
		vm_expect "till $till recorded before the sync (${synced:-0})" test "${synced:-0}" -gt 0
		vm_expect "and after it ($witnessed in all)" test "${witnessed:-0}" -gt "${synced:-0}"
		vm_expect "all $synced that were committed before the sync came back" test "$below" -eq "${synced:-0}"
		vm_expect "and nothing that it never recorded (the last is $last)" test "${last:-0}" -le $((witnessed + 1))
	done
}
