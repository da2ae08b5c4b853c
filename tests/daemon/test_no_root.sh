#!/bin/bash
# SPDX-License-Identifier: MIT
# Without root: state in one's own directory, one clear line for each thing that is missing, everything else works.
public=1
. tests/daemon/lib.sh

command -v setpriv >/dev/null || { echo "setpriv is not here"; exit 77; }
cp "$flightrecd" "$client" "$scratch"
if [[ $(id -u) == 0 ]]; then
	mkdir "$state" "$FLIGHTREC_RUNTIME_DIR"
	chown -R 65534:65534 "$scratch"
	as=(setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all --inh-caps=-all)
else
	as=()
fi
"${as[@]}" "$scratch/flightrecd" 2>>"$log" </dev/null &
daemon=$!
until_true daemon_ready 0 || fail "it does not start without root"
(($(grep -c '^flightrecd: eBPF:' "$log") == 1)) || fail "eBPF: want one line: $(cat "$log")"
"${as[@]}" "$scratch/client" hold 4 >"$scratch/holder" &
child=$!
children+=("$child")
ready holder
kill -KILL "$child"
until_true segment_of "$child" reason=died events=4 || fail "no salvage without root: $(heads)"
status | grep -q '"missing":\[{"feature":"' || fail "status does not say what is missing"
holds "a user's own daemon hands out rings and salvages; it says in one line that eBPF needs more: $(grep 'eBPF' "$log")"
stop_daemon
