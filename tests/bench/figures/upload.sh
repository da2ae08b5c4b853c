# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# upload.sh - bytes and time of an upload. What is sent is `make demo`'s life of a machine - applications, kernel events, a few hundred
# ordinary processes - and, for the rate, a million events of an application.

life=
# machine_life: -> $life, a state directory with an index of which nothing was sent
machine_life() {
	local demo
	demo=$(
		for ((i = 0; i < 400; i++)); do
			ls -l "/proc/self/fd" >/dev/null
			sh -c 'date >/dev/null; exit 3'
		done &
		KEEP=1 O=$(realpath "$O") tests/demo/demo.sh 2>&1
		wait
	)
	life=$(sed -n 's/^kept: //p' <<<"$demo")
	[[ -d $life ]] || return
	at_end remove_life
	rm -rf "$life/state/outbox" "$life/state/spool/acks.log"
	FLIGHTREC_STATE_DIR=$life/state FLIGHTREC_CONFIG=/dev/null "$O/flightrec" index --rebuild >/dev/null
}
remove_life() {
	rm -rf "$life"
}

# upload_of STATE -> a line of JSON: events, bytes, seconds; to a new collector on loopback
upload_of() {
	local port_file=$scratch/port collector begun ended said
	rm -f "$port_file" "$scratch"/fleet.db*
	"$O/flightrec-collector" --listen 127.0.0.1:0 --db "$scratch/fleet.db" --port-file "$port_file" 2>/dev/null &
	collector=$!
	for ((i = 0; i < 100; i++)); do
		[[ ! -s $port_file ]] || break
		sleep 0.1
	done
	begun=$(date +%s%N)
	FLIGHTREC_STATE_DIR=$1 FLIGHTREC_CONFIG=/dev/null "$O/flightrec" upload --endpoint "http://127.0.0.1:$(<"$port_file")" \
		--database 7d9f9a3e-3c1d-4a52-8a43-6f0b1f5c2e10 -o budget_bytes_per_day=0 --json >"$scratch/uploaded" 2>&1
	ended=$(date +%s%N)
	kill "$collector"
	wait "$collector" 2>/dev/null
	said=$(tail -n 1 "$scratch/uploaded")
	printf '{"events":%d,"bytes":%d,"seconds":%s}\n' "$(value_of events_acked "$said")" "$(value_of bytes_sent "$said")" \
		"$(awk -v ns=$((ended - begun)) 'BEGIN { printf "%.3f", ns / 1e9 }')"
}

bench_upload() {
	local line
	[[ -x $bench/upload_bench && -x $O/flightrec-collector ]] || return
	machine_life || { echo 'bench: no demo here: the upload is left out' >&2; return; }
	"$bench/upload_bench" "$life/state" >"$scratch/levels"
	while read -r line; do
		case $line in
		*'"level":1,'* | *'"level":3,'* | *'"level":6,'* | *'"level":9,'* | *'"level":12,'* | *'"level":16,'* | *'"level":19,'*)
			figure "upload, zstd level $(value_of level "$line")" B/event "upload_bench STATE" '' "$(value_of bytes_per_event "$line")"
			figure "its compression, of CPU time" events/s "upload_bench STATE" '' "$(value_of events_per_s "$line")"
			;;
		*'"error"'*) ;;
		*'"dictionary"'*)
			figure "batches of $(value_of batch_events "$line")" B/event 'upload_bench STATE' '' "$(value_of plain_bytes_per_event "$line")"
			figure "the same, with a dictionary" B/event 'upload_bench STATE' '' "$(value_of bytes_per_event "$line")"
			;;
		esac
	done <"$scratch/levels"
	line=$(upload_of "$life/state")
	figure "upload of a machine's life" B/event 'flightrec upload' '<= 12' "$(awk -v b="$(value_of bytes "$line")" -v e="$(value_of events "$line")" \
		'BEGIN { if (e) print b / e }')"

	"$bench/index_bench" "$scratch/made" made >/dev/null || return
	line=$(upload_of "$scratch/made")
	figure 'upload 1 M events, on loopback' events/s 'index_bench DIR made; flightrec upload' '' "$(awk -v s="$(value_of seconds "$line")" \
		-v e="$(value_of events "$line")" 'BEGIN { if (s > 0) print int(e / s) }')"
	figure 'upload 1 M events, bytes' B/event 'index_bench DIR made; flightrec upload' '' "$(awk -v b="$(value_of bytes "$line")" \
		-v e="$(value_of events "$line")" 'BEGIN { if (e) print b / e }')"
	rm -rf "$scratch/made"
}
