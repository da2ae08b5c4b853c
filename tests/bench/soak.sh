#!/bin/bash
# SPDX-License-Identifier: MIT
# soak.sh - does anything grow with time? A machine's life in small for SOAK_SECONDS (3600), in a scratch directory: programs come,
# record and die, in order and killed; the daemon reloads, is stopped and is killed, and comes back; its ring and the dead's are
# salvaged, indexed, uploaded to a collector and dropped by retention under a small cap.
#
# A figure is looked at once in SOAK_SAMPLE (5) seconds. It grows when the median of the last quarter is above that of the second by
# more than a tolerance: over the whole run, and, for what starts anew with the daemon, within each of its lives. A JSON object a
# figure, also in $O/soak.jsonl; samples in $O/soak.tsv. Ends with 1 when something grows or a step fails.
set -uo pipefail
export LC_ALL=C
O=$(realpath "${O:-build}")
seconds=${SOAK_SECONDS:-3600}
every=${SOAK_SAMPLE:-5}
lives=4 # of the daemon, in equal parts; between two of them it comes and goes a few times more
client=$O/tests/daemon/client
scratch=$(mktemp -d "${TMPDIR:-/tmp}/fr-soak.XXXXXX") || exit 1
export FLIGHTREC_STATE_DIR=$scratch/state FLIGHTREC_RUNTIME_DIR=$scratch/run FLIGHTREC_CONFIG=$scratch/flightrec.conf
export FLIGHTREC_RING_SIZE=128K FLIGHTREC_PSTORE_DIR='' FLIGHTREC_PSTORE_ARCHIVE=''
unset FLIGHTREC_LANES FLIGHTREC_POLICY FLIGHTREC_LEVEL FLIGHTREC_TESTPOINT
daemon='' collector='' failures=0 life=0
samples=$O/soak.tsv
log=$scratch/log
: >"$log"

# shellcheck disable=SC2317 # the trap calls it
finish() {
	[[ -z $daemon ]] || kill "$daemon" 2>/dev/null
	[[ -z $collector ]] || kill "$collector" 2>/dev/null
	[[ -z $daemon ]] || wait "$daemon" 2>/dev/null
	"$O/flightrecd" --unload >/dev/null 2>&1
	rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM

failed() {
	echo "soak: at $SECONDS s: $*" >&2
	((++failures < 20)) || exit 1
}

start_daemon() {
	local before
	before=$(grep -c ' ready: ' "$log")
	"$O/flightrecd" 2>>"$log" </dev/null &
	daemon=$!
	for ((i = 0; i < 300; i++)); do
		(($(grep -c ' ready: ' "$log") == before)) || return
		sleep 0.1
	done
	failed "flightrecd is not ready after 30 s: $(tail -n 1 "$log")"
}
end_daemon() { # SIGNAL
	kill -"$1" "$daemon"
	wait "$daemon" 2>/dev/null
	daemon=
	tail -n 1000 "$log" >"$log.tail" && cat "$log.tail" >"$log" # the log is ours to bound
}

step() { # COMMAND...: 4 is "nothing there"
	local code=0
	"$O/flightrec" "$@" >"$scratch/out" 2>&1 || code=$?
	((code == 0 || code == 4)) || failed "flightrec $* ended with $code: $(tail -n 2 "$scratch/out")"
}

# one program that ends in order, one that is killed with its ring full, and one that is killed while it records
writers() {
	local held writing
	"$client" exit 300 >/dev/null
	{
		: >"$scratch/held"
		"$client" hold 1000 >"$scratch/held" &
		held=$!
		"$client" write "$scratch/witness" >/dev/null &
		writing=$!
		for ((i = 0; i < 100; i++)); do
			[[ ! -s $scratch/held ]] || break
			sleep 0.1
		done
		((i < 100)) || failed 'no client came up in 10 s'
		kill -KILL "$held" "$writing"
		wait "$held" "$writing"
	} 2>/dev/null
}

resident() { # PID: KiB, besides what it maps of rings
	awk -v state="$FLIGHTREC_STATE_DIR" '/^[0-9a-f]+-[0-9a-f]+ / { ring = index($0, state "/") } /^Rss:/ && !ring { kib += $2 }
		END { print kib + 0 }' "/proc/$1/smaps"
}

sample() {
	local fds files bytes
	fds=("/proc/$daemon/fd/"*)
	files=$(find "$FLIGHTREC_STATE_DIR" "$FLIGHTREC_RUNTIME_DIR" | wc -l)
	bytes=$(find "$FLIGHTREC_STATE_DIR/spool" "$FLIGHTREC_STATE_DIR/outbox" "$FLIGHTREC_STATE_DIR"/index.db* -type f -printf '%s\n' \
		2>/dev/null | awk '{ n += $1 } END { print n + 0 }')
	printf '%d\t%d\t%d\t%d\t%d\t%d\t%d\n' "$SECONDS" "$life" "$(resident "$daemon")" "${#fds[@]}" "$files" $((bytes >> 10)) \
		"$(resident "$collector")" >>"$samples"
}

# judge NAME UNIT COLUMN TOLERANCE PERCENT [1: within each life, too] -> a JSON object; 1: it grows
judge() {
	sort -n "$samples" | awk -F '\t' -v name="$1" -v unit="$2" -v column="$3" -v tolerance="$4" -v percent="$5" -v by_life="${6:-0}" \
		-v seconds="$seconds" '
	function median(v, from, to,	n, i, j, t, w) {
		for (i = from; i < to; i++) {
			t = v[i]
			for (j = n++; j > 0 && w[j - 1] > t; j--)
				w[j] = w[j - 1]
			w[j] = t
		}
		return w[int((n - 1) / 2)]
	}
	function compare(v, n,	second, last) {
		second = median(v, int(n / 4), int(n / 2))
		last = median(v, int(n * 3 / 4), n)
		if (last - second > worst || worst == "") {
			worst = last - second
			worst_second = second
			worst_last = last
		}
		if (last > second + tolerance + second * percent / 100)
			grows = 1
	}
	{ all[n++] = $column; of[$2, lived[$2]++] = $column; most = $column > most ? $column : most }
	END {
		if (n < 16) { print "soak: too few samples" >"/dev/stderr"; exit 2 }
		compare(all, n)
		for (l = 0; by_life && l in lived; l++) {
			for (i = 0; i < lived[l]; i++)
				one[i] = of[l, i]
			if (lived[l] >= 16)
				compare(one, lived[l])
		}
		printf "{\"name\":\"soak: %s\",\"unit\":\"%s\",\"second_quarter\":%d,\"last_quarter\":%d,\"most\":%d,\"tolerance\":\"%s + %s %%\"," \
			"\"samples\":%d,\"seconds\":%d,\"grows\":%s}\n", name, unit, worst_second, worst_last, most, tolerance, percent, n,
			seconds, grows ? "true" : "false"
		exit grows
	}' | tee -a "$O/soak.jsonl"
}

: >"$samples"
: >"$O/soak.jsonl"
cat >"$FLIGHTREC_CONFIG" <<-CONF
	[system]
	drain_interval = 20s
	[retention]
	max_size = 4M
CONF
"$O/flightrec-collector" --listen 127.0.0.1:0 --db "$scratch/fleet.db" --port-file "$scratch/port" 2>"$scratch/collector.log" &
collector=$!
for ((i = 0; i < 100; i++)); do
	[[ -s $scratch/port ]] && break
	sleep 0.1
done
printf '[upload]\nendpoint = http://127.0.0.1:%s\ndatabase = 7d9f9a3e-3c1d-4a52-8a43-6f0b1f5c2e10\nbudget_bytes_per_day = 0\n' \
	"$(<"$scratch/port")" >>"$FLIGHTREC_CONFIG"

start_daemon
SECONDS=0
sampled=0
for ((beat = 1; SECONDS < seconds; beat++)); do
	if ((SECONDS * lives / seconds > life)); then
		for signal in TERM KILL KILL TERM; do
			end_daemon $signal
			writers # and nobody watches
			[[ $signal == TERM ]] || step recover
			start_daemon
		done
		((life++))
	fi
	writers
	((beat % 5)) || step index
	((beat % 10)) || step upload
	((beat % 15)) || kill -HUP "$daemon"
	((beat % 20)) || step show -n 100
	((beat % 20)) || step set acme.shop info
	((beat % 20)) || step status
	[[ -e /proc/$daemon/exe ]] || { failed "flightrecd is gone: $(tail -n 2 "$log")"; start_daemon; }
	if ((SECONDS >= sampled + every)); then
		sampled=$SECONDS
		sample
	fi
	sleep 0.5
done

grows=0
judge 'memory of the daemon besides rings' KiB 3 256 5 1 || grows=1
judge 'descriptors of the daemon' descriptors 4 2 0 1 || grows=1
judge 'files of state and runtime' files 5 20 10 || grows=1
judge 'spool, outbox and index' KiB 6 512 10 || grows=1
judge 'memory of the collector' KiB 7 512 5 || grows=1
printf '{"name":"soak: steps that failed","unit":"steps","count":%d,"beats":%d,"seconds":%d}\n' $failures $((beat - 1)) "$seconds" |
	tee -a "$O/soak.jsonl"
((grows == 0 && failures == 0))
