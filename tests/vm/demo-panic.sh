#!/bin/bash
# SPDX-License-Identifier: MIT
# demo-panic.sh - `make demo-panic`: a kernel panics while an application records, and the next boot tells the story.
set -uo pipefail
# shellcheck source=tests/vm/guest.sh
. "$(dirname "$0")/guest.sh"
# shellcheck source=tests/vm/panic.sh
. "$(dirname "$0")/panic.sh"

bold() { printf '\n%s%s%s\n' "${on:-}" "$*" "${off:-}"; }
[[ -t 1 ]] && on=$'\e[1m' off=$'\e[0m'
show() { sed 's/^/    /'; }

bold "A guest boots Debian's own kernel. Its application records into a ring on a DAX mount of 64 MiB of reserved RAM,"
echo "and tells the serial line after each event that it has committed. Nothing is ever synced. Then the kernel panics,"
echo "the machine resets, and the next boot recovers. (One guest, software emulation, about 15 seconds.)"

# shellcheck disable=SC2016
panic_story 20000 '
flightrec incidents --json 2>&1 | report incidents-json
flightrec incidents 2>&1 | report incidents
id=$(flightrec incidents --json | sed -n "s/.*\"id\":\"\([0-9a-f]*\)\".*\"kind\":\"kernel\".*/\1/p")
echo "$id" | report id
flightrec show --around "$id:2" 2>&1 | report timeline
flightrec show --json | report events
'

bold "What the serial line got last before the panic"
grep -a '^paid' "$vm/report" | tail -n 4 | show
bold "What the console saw of it"
grep -aE 'sysrq: |Kernel panic - |Rebooting in' "$vm/console" | show
bold "Next boot: flightrec recover"
vm_report recover | show
bold "flightrec incidents"
vm_report incidents | show
bold "flightrec show --around $(vm_report id), where the application's last events meet the panic"
vm_report timeline | grep -B 12 -A 3 'Kernel panic - not syncing' | cut -c 1-150 | show

vm_report events >"$vm/events"
bold "Verdict"
failed=0
for till in 1 2; do
	witnessed=$(panic_witness $till)
	recovered=$(sed -n "s/.*\"order_paid\".*\"till\":$till,\"number\":\([0-9]*\).*/\1/p" "$vm/events" | sort -n | tail -n 1)
	echo "    till $till: committed $witnessed (said outside the ring), recovered up to ${recovered:-nothing}"
	((${recovered:-0} >= ${witnessed:-1})) || failed=1
done
panic=$(grep -c 'sysrq triggered crash' "$vm/events")
incidents=$(vm_report incidents-json | wc -l)
echo "    the kernel's own panic message: $([[ $panic -gt 0 ]] && echo recovered || echo MISSING)"
echo "    incidents: $incidents"
((failed == 0 && panic > 0 && incidents == 1)) || vm_fail "something that was committed is missing"
echo "    Nothing committed was lost."
