#!/bin/bash
# SPDX-License-Identifier: MIT
# SIGHUP reads the configuration again. One that does not hold changes nothing, and it is said once what is wrong and where.
. tests/daemon/lib.sh

value() { status | grep -o "\"$1\":\"[^\"]*\"" | cut -d '"' -f 4; }
reload() {
	local lines
	lines=$(grep -c 'configuration \(not \)\?reloaded' "$log")
	kill -HUP "$daemon"
	until_true reloaded "$lines" || fail "nothing said of the reload"
}
reloaded() { (($(grep -c 'configuration \(not \)\?reloaded' "$log") > $1)); }

printf '[store]\nring_size = 128K\n' >"$FLIGHTREC_CONFIG"
start_daemon --no-bpf
[[ $(value store.ring_size) == 131072 ]] || fail "the configuration is not in force: $(value store.ring_size)"

printf '[store]\nring_size = 256K\n' >"$FLIGHTREC_CONFIG"
mkdir "$FLIGHTREC_CONFIG.d"
printf '[store]\nuser_rings_max = 7\n' >"$FLIGHTREC_CONFIG.d/50-local.conf"
reload
[[ $(value store.ring_size) == 262144 && $(value store.user_rings_max) == 7 ]] || fail "reload changed nothing"
holds "SIGHUP puts a changed file and its drop-ins in force"

printf '[store]\nring_size = 512K\nrings_max = many\n' >"$FLIGHTREC_CONFIG"
reload
[[ $(value store.ring_size) == 262144 ]] || fail "half of a broken configuration is in force: $(value store.ring_size)"
(($(grep -c "flightrec.conf:3: .*rings_max" "$log") == 1)) || fail "it does not say once where: $(tail -n 3 "$log")"
holds "a broken configuration changes nothing; the line says file, line and key"

printf '[store]\nring_size = 512K\nring_dir = /tmp\n[stroe]\nx = 1\n' >"$FLIGHTREC_CONFIG"
reload
[[ $(value store.ring_size) == 524288 ]] || fail "a good one after a broken one is not in force"
grep -q 'ring_dir stays .* restart' "$log" || fail "it does not say that ring_dir needs a restart"
[[ -z $(value store.ring_dir) ]] || fail "ring_dir changed while running"
grep -q 'stroe' "$log" || fail "a mistyped section goes unnoticed"
holds "what a reload can't change is said and kept; a mistyped section is a warning"
stop_daemon

printf '[server]\nsocket_mode = 888\n' >"$FLIGHTREC_CONFIG"
"$flightrecd" --no-bpf 2>"$scratch/out" && fail "it starts with a broken configuration"
grep -q 'flightrec.conf:2: .*octal' "$scratch/out" || fail "no word of why: $(cat "$scratch/out")"
holds "with a broken configuration it does not start, and says why"

"$flightrecd" --bogus >"$scratch/out" 2>&1
[[ $? == 2 ]] || fail "a wrong option is not exit 2"
"$flightrecd" --help | grep -q -- '--unload' || fail "no help"
[[ $("$flightrecd" --version) == "flightrecd "* ]] || fail "no version"
holds "options: help, version, and 2 for what is wrong"

: >"$FLIGHTREC_CONFIG"
start_daemon --no-bpf
"$flightrecd" --no-bpf 2>"$scratch/out" && fail "two daemons on one state directory"
grep -q 'another flightrecd runs' "$scratch/out" || fail "no word of the other: $(cat "$scratch/out")"
holds "a second daemon on the same state directory is turned away"
stop_daemon
