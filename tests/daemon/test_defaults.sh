#!/bin/bash
# SPDX-License-Identifier: MIT
# flightrec.conf shows each key of the daemon behind a '#', with its default: reading it with the '#' taken away changes nothing.
. tests/daemon/lib.sh

values() { status | grep -o '"config":{[^}]*}' | tr ',' '\n' | grep -v '"file":'; }

start_daemon --no-bpf
values >"$scratch/before"
# examples of gates are no defaults; a key without a value has none
sed -e '/^#acme/d' -e 's/^#\([a-z][a-z._]* *=\)/\1/' systemd/flightrec.conf >"$FLIGHTREC_CONFIG"
kill -HUP "$daemon"
until_true grep -q 'configuration \(not \)\?reloaded' "$log" || fail "nothing said of the reload"
grep -q 'configuration reloaded' "$log" || fail "the example does not hold: $(tail -n 1 "$log")"
! grep -E 'unknown|not known|stays' "$log" || fail "the example has keys that the daemon doesn't"
values >"$scratch/after"
diff "$scratch/before" "$scratch/after" || fail "defaults differ from the example"
holds "$(wc -l <"$scratch/after") keys: the example configuration shows what the daemon does"

while read -r key; do
	section=${key%%.*} name=${key#*.}
	awk -v section="[$section]" -v name="#$name" '/^\[/ { here = $1 == section } here && $1 == name { found = 1 } END { exit !found }' \
		systemd/flightrec.conf || fail "[$section] $name is not in the example"
done < <(grep -o '"[a-z_]*\.[a-z_]*":' "$scratch/after" | tr -d '":')
holds "no key is missing in the example"
stop_daemon
