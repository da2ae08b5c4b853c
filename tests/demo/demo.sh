#!/bin/bash
# SPDX-License-Identifier: MIT
# demo.sh - the whole road on real input, in a scratch directory: record, crash, recover, index, show, upload, verdict.
#
# Nothing of it is staged: the deaths are kills and a fault, the deaths' causes come from the kernel, and the verdict holds
# what came back against a witness outside the rings. Exit 1: an event is missing that was committed and lies
# inside the horizon, or did not reach the receiver. Without root it plays without eBPF and says so.
#
# O names the build directory. KEEP=1 keeps the scratch directory.
set -euo pipefail

bin=${O:?O names the build directory}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/flightrec-demo.XXXXXX")
export FLIGHTREC_STATE_DIR=$scratch/state FLIGHTREC_RUNTIME_DIR=$scratch/run FLIGHTREC_CONFIG=$scratch/flightrec.conf
export FLIGHTREC_RING_SIZE=256K FLIGHTREC_PSTORE_DIR='' FLIGHTREC_PSTORE_ARCHIVE=''
unset FLIGHTREC_RING_DIR FLIGHTREC_LEVEL FLIGHTREC_LANES FLIGHTREC_POLICY
started=()

finish() {
	local pid
	for pid in "${started[@]}"; do kill -CONT "$pid" 2>/dev/null && kill "$pid" 2>/dev/null; done || true
	wait 2>/dev/null || true
	"$bin/flightrecd" --unload >/dev/null 2>&1 || true
	if [[ ${KEEP:-} ]]; then echo "kept: $scratch"; else rm -rf "$scratch"; fi
}
trap finish EXIT

bold=; plain=; dim=
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then bold=$'\e[1m'; plain=$'\e[0m'; dim=$'\e[2m'; fi
say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
run() { printf '%s$ %s%s\n' "$dim" "$*" "$plain"; "$bin/$1" "${@:2}"; }
die() { echo "demo: $*" >&2; exit 1; }
wait_for() { # SECONDS FILE: until it is there
	local n
	for ((n = $1 * 20; n > 0; n--)); do [[ ! -e $2 ]] || return 0; sleep 0.05; done
	die "waited $1 s for $2 in vain; see $scratch (KEEP=1 keeps it)"
}
daemon() { # starts flightrecd, which answers on its socket when it is ready
	rm -f "$FLIGHTREC_RUNTIME_DIR/socket"
	"$bin/flightrecd" --config "$FLIGHTREC_CONFIG" 2>>"$scratch/flightrecd.log" &
	daemon=$!
	started+=("$daemon")
	wait_for 20 "$FLIGHTREC_RUNTIME_DIR/socket"
}
fell() { { kill -KILL "$1" && wait "$1"; } 2>/dev/null || true; } # PID: and the shell does not remark on it
value() { sed -n "s/.*\b$1=\([0-9]*\).*/\1/p" <<<"$2"; } # NAME TEXT: the number after NAME=

mkdir -p "$scratch/run"
printf '[store]\n' >"$FLIGHTREC_CONFIG"
truncate -s 4096 "$scratch/witness"

say "The daemon starts$([[ $EUID -eq 0 ]] || echo '; without root, so without eBPF')"
daemon
cat "$scratch/flightrecd.log"

say "Four tills open, three threads each; all record through libflightrec"
shop() { "$bin/tests/demo/shop" "$scratch/witness" "$@" & started+=($!); }
shop 0 closes; closing=$!
shop 1 crashes; crashing=$!
shop 2 torn "$scratch/reserved"; torn=$!
shop 3 killed; killed=$!
echo "pids $closing closes in order, $crashing will follow a bad pointer, $torn and $killed will be killed"

say "Deaths: one by SIGSEGV, one by SIGKILL between reserve and commit"
wait "$crashing" 2>/dev/null || true
wait_for 20 "$scratch/reserved"
fell "$torn"
echo "$crashing has crashed, $torn was killed inside a record"

say "The daemon is killed, too; a till dies at a random instant while nobody watches; the daemon comes back"
fell "$daemon"
sleep "0.$((RANDOM % 300 + 100))"
fell "$killed"
wait "$closing" || die "the till that closes in order failed"
: >"$scratch/flightrecd.log"
daemon
sleep 1
cat "$scratch/flightrecd.log"

say "The daemon is killed for good, and recovery takes what it left"
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null || true
run flightrec recover || [[ $? -eq 4 ]] || die "recover failed"
run flightrec index

say "Who died, and of what"
run flightrec incidents

say "The last moments of each till, kernel and applications in one order"
for till in "$crashing" "$torn" "$killed"; do
	id=$("$bin/flightrec" index --sql "SELECT id FROM incidents WHERE comm = 'shop' AND pid = $till" | tail -n 1)
	run flightrec show --around "${id:0:12}:0.001" -n 14
done

say "Upload to a receiver on loopback, over TLS"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=127.0.0.1 \
	-addext subjectAltName=IP:127.0.0.1 -keyout "$scratch/key.pem" -out "$scratch/cert.pem" 2>/dev/null
head -c 24 /dev/urandom | base64 >"$scratch/token"
"$bin/flightrec-collector" --listen 127.0.0.1:0 --db "$scratch/fleet.db" --cert "$scratch/cert.pem" --key "$scratch/key.pem" \
	--token-file "$scratch/token" --port-file "$scratch/port" 2>"$scratch/collector.log" &
started+=($!)
wait_for 10 "$scratch/port"
run flightrec upload --endpoint "https://127.0.0.1:$(<"$scratch/port")" --ca-file "$scratch/cert.pem" \
	--token-file "$scratch/token" --database 7d9f9a3e-3c1d-4a52-8a43-6f0b1f5c2e10

say "Verdict: what came back, against what was witnessed outside the rings"
good=yes
verdict=$("$bin/tests/demo/verdict" "$scratch/witness" "$FLIGHTREC_STATE_DIR/spool") || good=
sed '$d' <<<"$verdict"
totals=$(tail -n 1 <<<"$verdict")
indexed=$("$bin/flightrec" index --sql 'SELECT count(*) AS n FROM events' | tail -n 1)
acknowledged=$(awk '{ n += $7 } END { print n + 0 }' "$FLIGHTREC_STATE_DIR/spool/acks.log")
received=$("$bin/flightrec-collector" --db "$scratch/fleet.db" --stats | sed 's/.*"unique":\([0-9]*\).*/\1/')
cat <<TABLE

  orders    committed $(value committed "$totals"), recovered $(value recovered "$totals"), lost:$(sed 's/.*events=[0-9]*//; s/ lost_/ /g; s/\([a-z]*\)=\([0-9]*\)/\2 \1/g' <<<"$totals")
  events    indexed $indexed, uploaded and acknowledged $acknowledged, kept by the receiver $received
TABLE
[[ $indexed == "$acknowledged" && $indexed == "$received" ]] || good=
[[ $good ]] || { echo; echo "demo: FAILED: something is missing that should be there" >&2; exit 1; }
echo
echo "  every order that was committed and lies inside the horizon is back, once, and reached the receiver"
