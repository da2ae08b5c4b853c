#!/bin/bash
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2153
# faults.sh SCENARIO PHASE - what test_faults lets fail, in the directory $D, with the programs in $B:
#	prepare		what the scenario begins with; once
#	run		becomes the program that is to fail, by `fallible PROGRAM ARGUMENT...`
#	during		what others do meanwhile, where that is a server
#	after		does the same again, without a fault, and prints what must be the same, whatever had failed; $CODE is
#			the exit code of `run`
set -euo pipefail

export FLIGHTREC_STATE_DIR=$D/state FLIGHTREC_RUNTIME_DIR=$D/run FLIGHTREC_CONFIG=$D/flightrec.conf
export FLIGHTREC_PSTORE_DIR=$D/pstore FLIGHTREC_PSTORE_ARCHIVE=
export LC_ALL=C TZ=UTC
unset FLIGHTREC_RING_SIZE FLIGHTREC_LEVEL FLIGHTREC_TESTPOINT
flightrec=$B/flightrec
database=6f1f3f0e-8a51-4f0e-b3f5-5b9d6a4d6d10

fallible() {
	LD_PRELOAD=$B/tests/torture/fault.so exec "$@"
}

# quietly COMMAND...: exit codes of what was done are good, what failed is not
quietly() {
	local code=0
	"$@" >/dev/null || code=$?
	((code == 0 || code == 3 || code == 4))
}

# Brings the index up to date, and prints all that it knows.
contents() {
	"$flightrec" index --keep --json --sql "
		SELECT 'event' AS what, json_array(ring, lane, seq, boot, time_ns, event, provider, level, pid, tid, comm, hex(payload)) AS it FROM events
		UNION ALL SELECT 'loss', json_array(ring, lane, cause, first_seq, count) FROM losses
		UNION ALL SELECT 'incident', json_array(id, kind, boot, pid, comm, cause, evidence, ring) FROM incidents
		UNION ALL SELECT 'session', json_array(ring, pid, name, guid) FROM sessions
		ORDER BY what, it" || (($? == 4))
}

# rings that are left, and whatever is unfinished (vouched/ and rings without a name are swept by and by)
leftovers() {
	# where nothing could be removed, half an index stays until it is made again; a damaged one is kept and said
	[[ -z ${FAULT_ONWARD:-} ]] || rm -f "$FLIGHTREC_STATE_DIR"/index.db.new*
	(cd "$D" && find state -path '*/rings/*.ring' -o -path '*/spool/*.tmp' -o -name '*.db.new*' -o -path '*/quarantine/*' | sort)
}

prepare_rings() {
	: >"$FLIGHTREC_CONFIG"
	mkdir -p "$D/pstore" "$D/run" "$FLIGHTREC_STATE_DIR"
	"$B/tests/cli/make_rings" "$FLIGHTREC_STATE_DIR" >/dev/null
	printf 'Panic#1 Part1\n<0>[   12.345678] Kernel panic - not syncing: sysrq triggered crash\n<4>[   12.345700] Call Trace:\n' >"$D/pstore/dmesg-ramoops-0"
}
prepare_spool() { prepare_rings && quietly "$flightrec" recover; }
prepare_index() { prepare_spool && quietly "$flightrec" index; }

# upload_config LINE: the endpoint is the collector on $D/port
upload_config() {
	printf '[upload]\nendpoint = http://127.0.0.1:%s\ndatabase = %s\nbatch_events = 70\nretry_base = 2ms\nretry_cap = 10ms\ntimeout = 5s\n%s\n' \
		"$(<"$D/port")" $database "$1" >"$FLIGHTREC_CONFIG"
}
# what the receiver has - each event once - and what waits to be sent
received() {
	"$B/flightrec-collector" --db "$D/fleet.db" --stats | grep -o '"unique":[0-9]*\|"events":[0-9]*'
	"$flightrec" upload >/dev/null || echo "code $?"
	(cd "$FLIGHTREC_STATE_DIR" && find outbox -type f -name '*.frb' | sort)
	stop_collector
}
start_collector() {
	"$B/flightrec-collector" --listen 127.0.0.1:0 --db "$D/fleet.db" --port-file "$D/port" 2>"$D/collector.log" &
	echo $! >"$D/collector.pid"
	while [[ ! -e $D/port ]]; do sleep 0.002; done
}
stop_collector() {
	kill "$(<"$D/collector.pid")"
}

case $1-$2 in
recover-prepare) prepare_rings ;;
recover-run) fallible "$flightrec" recover --json ;;
recover-after) quietly "$flightrec" recover && contents && leftovers ;;

# a ring whose writer lives is left to it
alive-prepare) mkdir -p "$D/run" && : >"$FLIGHTREC_CONFIG" ;;
alive-run)
	"$B/tests/daemon/client" hold 5 >"$D/living" &
	echo $! >"$D/living.pid"
	while [[ ! -s $D/living ]]; do sleep 0.002; done
	fallible "$flightrec" recover
	;;
alive-after)
	find "$FLIGHTREC_STATE_DIR/rings" -name '*.ring' | wc -l
	kill -KILL "$(<"$D/living.pid")"
	while kill -0 "$(<"$D/living.pid")" 2>/dev/null && [[ $(ps -o stat= -p "$(<"$D/living.pid")") != Z* ]]; do sleep 0.002; done
	quietly "$flightrec" recover
	"$flightrec" index --keep --sql "SELECT event, count(*) FROM events GROUP BY event" || (($? == 4))
	leftovers
	;;

index-prepare) prepare_spool ;;
index-run) fallible "$flightrec" index --json ;;
index-after | rebuild-after) contents && leftovers ;;

rebuild-prepare) prepare_index ;;
rebuild-run) fallible "$flightrec" index --rebuild --json ;;

retention-prepare)
	mkdir -p "$D/run" && : >"$FLIGHTREC_CONFIG"
	for boot in 1 2 3 4; do "$B/tests/upload/fill" "$FLIGHTREC_STATE_DIR" $boot 2 700 >/dev/null; done
	quietly "$flightrec" index --keep
	;;
retention-run) fallible "$flightrec" index --json --max-size 1M ;;
retention-after) quietly "$flightrec" index --max-size 1M && contents && leftovers ;;

show-prepare) prepare_index && "$B/tests/cli/make_rings" --many 50 "$FLIGHTREC_STATE_DIR" >/dev/null ;;
show-run) fallible "$flightrec" show --json ;;
show-after) contents ;;

files-prepare) prepare_rings ;;
files-run) fallible "$flightrec" show --losses "$FLIGHTREC_STATE_DIR/rings" ;;
files-after | verify-after) (cd "$FLIGHTREC_STATE_DIR" && cksum rings/*) ;;

incidents-prepare) prepare_spool ;;
incidents-run) fallible "$flightrec" incidents --json ;;
incidents-after) contents ;;

verify-prepare) prepare_rings ;;
verify-run) fallible "$flightrec" verify "$FLIGHTREC_STATE_DIR"/rings/{shop,damaged}.ring ;;

status-prepare) prepare_index && "$B/tests/cli/make_rings" --many 50 "$FLIGHTREC_STATE_DIR" >/dev/null ;;
status-run) fallible "$flightrec" status ;;
status-after) contents ;;

emit-prepare) mkdir -p "$D/run" && : >"$FLIGHTREC_CONFIG" ;;
emit-run) fallible "$flightrec" emit --session trial -p acme.backup -e finished files=12 where=here ;;
emit-after)
	"$flightrec" emit again
	quietly "$flightrec" recover
	# recorded, or said that it is not
	"$flightrec" show -n 0 >"$D/shown"
	grep -c again "$D/shown"
	((CODE != 0)) || grep -q 'finished #1:trial files=12 where=here' "$D/shown" || echo "it is not there"
	;;

upload-prepare)
	mkdir -p "$D/run" && : >"$FLIGHTREC_CONFIG"
	"$B/tests/upload/fill" "$FLIGHTREC_STATE_DIR" 1 2 60 >/dev/null
	"$B/tests/upload/fill" "$FLIGHTREC_STATE_DIR" 2 1 40 >/dev/null
	quietly "$flightrec" index
	;;
upload-run)
	start_collector
	upload_config "give_up = 5s"
	fallible "$flightrec" upload --json
	;;
upload-after)
	upload_config "give_up = 100s"
	quietly "$flightrec" upload
	received
	;;

app-prepare) mkdir -p "$D/run" && : >"$FLIGHTREC_CONFIG" ;;
app-run) fallible "$B/tests/torture/fault_app" ;;
app-after)
	quietly "$flightrec" recover
	"$flightrec" show -n 0 --json >"$D/shown" || (($? == 4))
	# each event that the library took is there
	jq -r '"\(.pid) \(.fields.number // .fields.text // .fields.json)"' "$D/shown" | sort >"$D/there"
	sort "$D/run.out" | comm -23 - "$D/there"
	leftovers
	;;

# programs that die and programs that leave, a gate, a reload, a look; then it is told to stop
daemon-prepare | bpf-prepare)
	mkdir -p "$D/run" && : >"$FLIGHTREC_CONFIG"
	[[ $1 != bpf || ($EUID == 0 && -w /sys/fs/bpf) ]] || exit 77
	;;
daemon-run) fallible "$B/flightrecd" --no-bpf ;;
bpf-run) fallible "$B/flightrecd" ;;
daemon-during | bpf-during)
	for ((i = 0; i < 6000; i++)); do
		! grep -q ' ready: ' "$D/run.err" || break
		((i < 50)) || pgrep -f "^$B/flightrecd" >/dev/null || break
		sleep 0.01
	done
	: >"$D/victim" # or it may not be there yet when it is looked at
	"$B/tests/daemon/client" hold 9 >"$D/victim" &
	victim=$!
	for ((i = 0; i < 24000 && $(wc -c <"$D/victim") == 0; i++)); do sleep 0.005; done
	"$B/tests/daemon/client" exit 7 >"$D/leaver" || true
	"$B/tests/daemon/client" set acme.shop 5 >/dev/null 2>&1 || true
	"$B/tests/daemon/client" status >/dev/null 2>&1 || true
	kill -KILL $victim
	wait $victim 2>/dev/null || true
	for ((i = 0; i < 40 && $(find "$FLIGHTREC_STATE_DIR/rings" -name "$victim-*.ring" | wc -l) > 0; i++)); do sleep 0.01; done
	;;
daemon-after | bpf-after)
	quietly "$flightrec" recover
	"$flightrec" index --keep --sql "SELECT event, count(*), count(DISTINCT pid) FROM events WHERE event = 'counted' GROUP BY event" || (($? == 4))
	leftovers
	[[ $1 == daemon ]] || "$B/flightrecd" --unload
	;;

collector-prepare)
	mkdir -p "$D/run" && : >"$FLIGHTREC_CONFIG"
	"$B/tests/upload/fill" "$FLIGHTREC_STATE_DIR" 1 2 60 >/dev/null
	quietly "$flightrec" index
	;;
collector-run) fallible "$B/flightrec-collector" --listen 127.0.0.1:0 --db "$D/fleet.db" --port-file "$D/port" ;;
collector-during)
	for ((i = 0; i < 6000; i++)); do
		[[ ! -e $D/port ]] || break
		((i < 50)) || pgrep -f "^$B/flightrec-collector" >/dev/null || break
		sleep 0.01
	done
	[[ ! -e $D/port ]] || upload_config "give_up = 200ms"
	[[ ! -e $D/port ]] || "$flightrec" upload >/dev/null 2>&1 || true
	;;
collector-after)
	rm -f "$D/port"
	start_collector
	upload_config "give_up = 100s"
	quietly "$flightrec" upload
	received
	;;
esac
