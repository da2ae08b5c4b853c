#!/bin/bash
# SPDX-License-Identifier: MIT
# check-config.sh - the example configuration tells the truth: with every '#key = default' taken seriously, daemon and
# commands read it without a complaint, and each section's keys are described in flightrec.conf(5).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
tmp=${TMPDIR:?}
fail() {
	echo "FAILED: $*"
	exit 1
}
for program in flightrec flightrecd; do
	[[ -x $FR_BUILD/$program ]] || {
		echo "the program $program is not built"
		exit 77
	}
done

# keys without a default stay commented out: an empty value means the default anyway
sed -E 's/^#([a-zA-Z0-9_.*-]+ =.*)$/\1/' systemd/flightrec.conf >"$tmp/all.conf"
[[ $(grep -c '^[a-z]' "$tmp/all.conf") -gt 20 ]] || fail "flightrec.conf shows hardly any key"

"$FR_BUILD/flightrecd" --config "$tmp/all.conf" --state "$tmp/state" --runtime "$tmp/run" --no-bpf >"$tmp/daemon" 2>&1 &
daemon=$!
for ((i = 0; i < 1200; i++)); do
	grep -q ready "$tmp/daemon" && break
	sleep 0.05
done
kill -TERM $daemon
wait $daemon
grep -q ready "$tmp/daemon" || fail "flightrecd doesn't start with it: $(cat "$tmp/daemon")"
complaints=$(grep -F all.conf: "$tmp/daemon")
[[ -z $complaints ]] || fail "flightrecd says $complaints"

export FLIGHTREC_CONFIG=$tmp/all.conf FLIGHTREC_STATE_DIR=$tmp/state
for command in "index" "upload"; do
	"$FR_BUILD/flightrec" $command >"$tmp/said" 2>&1
	complaints=$(grep -F all.conf: "$tmp/said")
	[[ -z $complaints ]] || fail "flightrec $command says $complaints"
done

page=systemd/flightrec.conf.5
if [[ -e $page ]]; then
	sed 's/\\-/-/g; s/\\&//g' "$page" >"$tmp/page"
	while read -r key; do
		grep -qF -- "$key" "$tmp/page" || fail "$page doesn't speak of $key"
	done < <(sed -n '/^\[events\]/,/^\[/!s/^#\([a-z_]*\) =.*/\1/p' systemd/flightrec.conf)
fi
# and none is left out
while read -r key; do
	grep -qE "^#$key =" systemd/flightrec.conf || fail "systemd/flightrec.conf doesn't show $key"
done < <(sed -nE 's/^\t\{ "[a-z]+", "([a-z_]+)", [A-Z]+, AT.*/\1/p' recorder/daemon/config.c
	sed -nE 's/^\tKEY\("([a-z_]+)",.*/\1/p' uploader/upload_config.c)
echo "$(grep -c '^[a-z]' "$tmp/all.conf") keys"
