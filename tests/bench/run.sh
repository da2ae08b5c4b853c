#!/bin/bash
# SPDX-License-Identifier: MIT
# run.sh [FIGURE...] - measures, prints one JSON object a line and a table at the end; the lines also go to $O/bench.jsonl.
# FIGURE: event (ours, the floor and the peer, in turns), index, daemon; default all that is built. BENCH_RUNS: 9.
# Ends with 1 when a figure misses its bar.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C
O=${O:-build}
runs=${BENCH_RUNS:-9}
bench=$O/tests/bench

# root's session daemon of LTTng would share /run/lttng with the machine's: a mount of our own keeps them apart
if ((EUID == 0)) && [[ -z ${BENCH_ALONE:-} ]] && mkdir -p /run/lttng && unshare --mount true 2>/dev/null; then
	BENCH_ALONE=1 exec unshare --mount -- "$0" "$@"
fi
[[ -z ${BENCH_ALONE:-} ]] || mount -t tmpfs none /run/lttng

# on the disk of the build: page cache of a real file system, as a user has it
scratch=$(mktemp -d "$O/bench.XXXXXX") || exit 1
scratch=$(realpath "$scratch")
sessiond=
# shellcheck disable=SC2317 # the trap calls it
finish() {
	if [[ -n $sessiond ]]; then
		lttng destroy flightrec-bench >/dev/null 2>&1
		kill "$sessiond" 2>/dev/null
		wait "$sessiond" 2>/dev/null
	fi
	rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM
export FLIGHTREC_STATE_DIR=$scratch/state FLIGHTREC_RUNTIME_DIR=$scratch/run LTTNG_HOME=$scratch/lttng
mkdir -p "$FLIGHTREC_STATE_DIR" "$FLIGHTREC_RUNTIME_DIR" "$LTTNG_HOME"
unset FLIGHTREC_RING_SIZE FLIGHTREC_LANES FLIGHTREC_POLICY FLIGHTREC_LEVEL
: >"$O/bench.jsonl"

json() { # text -> as a JSON string
	local text=${1//\\/\\\\}
	text=${text//\"/\\\"}
	printf '"%s"' "$text"
}

# figure NAME UNIT COMMAND BAR VALUE... - BAR is "<= 25", ">= 4" or "" (no bar)
figure() {
	local name=$1 unit=$2 command=$3 bar=$4 median min max met=null
	shift 4
	(($#)) || return
	read -r median min max < <(printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 }
		END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2, v[1], v[NR] }')
	if [[ -n $bar ]]; then
		met=$(awk -v m="$median" -v op="${bar% *}" -v b="${bar#* }" \
			'BEGIN { print (op == "<=" ? m <= b : op == "<" ? m < b : m >= b) ? "true" : "false" }')
	fi
	printf '{"name":%s,"unit":%s,"median":%s,"min":%s,"max":%s,"runs":%d,"command":%s,"bar":%s,"met":%s}\n' \
		"$(json "$name")" "$(json "$unit")" "$median" "$min" "$max" $# "$(json "$command")" \
		"$([[ -n $bar ]] && json "$bar" || echo null)" "$met" | tee -a "$O/bench.jsonl"
}

start_lttng() {
	if [[ ! -x $bench/bench_lttng ]] || ! command -v lttng-sessiond >/dev/null; then
		echo "bench: no LTTng here (lttng-tools, liblttng-ust-dev): its figures are left out" >&2
		return 1
	fi
	lttng-sessiond --no-kernel >"$scratch/sessiond.log" 2>&1 &
	sessiond=$!
	for ((i = 0; i < 50; i++)); do
		lttng --no-sessiond list >/dev/null 2>&1 && break
		sleep 0.1
	done
	for step in "${lttng_setup[@]}"; do
		# shellcheck disable=SC2086
		$step >>"$scratch/lttng.log" 2>&1 || {
			echo "bench: '$step' failed: LTTng's figures are left out; $(tail -n 1 "$scratch/lttng.log")" >&2
			return 1
		}
	done
}

ratios() { # a b -> a[i]/b[i]
	paste <(tr ' ' '\n' <<<"$1") <(tr ' ' '\n' <<<"$2") | awk '$2 > 0 { print $1 / $2 }'
}
differences() {
	paste <(tr ' ' '\n' <<<"$1") <(tr ' ' '\n' <<<"$2") | awk '{ print $1 - $2 }'
}

bench_event() {
	local -A v=()
	local what count with_lttng=1
	lttng_setup=(
		"lttng --no-sessiond create flightrec-bench --snapshot --shm-path=$scratch/shm"
		"lttng --no-sessiond enable-channel --userspace --overwrite --subbuf-size=1M --num-subbuf=4 bench"
		"lttng --no-sessiond enable-event --userspace --channel=bench fr_bench:*"
		"lttng --no-sessiond start"
	)
	set -f # the * of the last but one is LTTng's
	start_lttng || with_lttng=
	set +f
	for ((i = 0; i < runs; i++)); do
		for what in 'floor one' 'event one' ${with_lttng:+'lttng one'} 'floor two' 'event two' ${with_lttng:+'lttng two'} \
			'event off' 'event empty'; do
			count=2000000
			[[ $what != *off && $what != *empty ]] || count=20000000
			# shellcheck disable=SC2086
			value=$("$bench"/bench_$what $count) || exit 1
			v[$what]+="${v[$what]:+ }$value"
		done
	done
	local lttng
	lttng=$(printf '; %s' "${lttng_setup[@]//$scratch/DIR}")
	# shellcheck disable=SC2046,SC2086
	{
		figure 'floor, one thread' ns/event 'bench_floor one' '' ${v[floor one]}
		figure 'floor, two threads' ns/event 'bench_floor two' '' ${v[floor two]}
		figure 'event, one thread' ns/event 'bench_event one' '<= 25' ${v[event one]}
		figure 'event, two threads' ns/event 'bench_event two' '' ${v[event two]}
		[[ -z $with_lttng ]] || figure 'LTTng-UST, one thread' ns/event "bench_lttng one$lttng" '' ${v[lttng one]}
		[[ -z $with_lttng ]] || figure 'LTTng-UST, two threads' ns/event "bench_lttng two$lttng" '' ${v[lttng two]}
		[[ -z $with_lttng ]] || figure 'LTTng-UST / event, one thread' times 'from the above' '>= 4' \
			$(ratios "${v[lttng one]}" "${v[event one]}")
		figure 'event, two threads / one' times 'from the above' '<= 1.2' $(ratios "${v[event two]}" "${v[event one]}")
		figure 'event, off' ns/event 'bench_event off; minus: bench_event empty' '<= 0.5' \
			$(differences "${v[event off]}" "${v[event empty]}")
	}
}

value_of() { # key, line
	sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p" <<<"$2"
}

bench_index() {
	local line last=() minute=() rate=() command_last=()
	while read -r line; do
		case $line in
		*'"recover+index"'*) rate+=("$(value_of events_per_s "$line")") ;;
		*'"last 1,000'*) last+=("$(value_of ms "$line")") ;;
		*'"one minute'*) minute+=("$(value_of ms "$line")") ;;
		*'"command, last 1,000'*) command_last+=("$(value_of ms "$line")") ;;
		esac
	done < <(for ((i = 0; i < 3; i++)); do "$bench/index_bench" "$scratch/index" recover; done
		"$bench/index_bench" "$scratch/index" show "$O/flightrec")
	figure 'recover + index, 1 M events' events/s 'index_bench DIR recover' '>= 250000' "${rate[@]}"
	figure 'show the last 1,000 of 10 M' ms 'index_bench DIR show' '<= 100' "${last[@]}"
	figure 'show one minute of 10 M over 24 h' ms 'index_bench DIR show' '<= 100' "${minute[@]}"
	figure 'flightrec show -n 1000, of 10 M' ms 'flightrec show -n 1000' '<= 100' "${command_last[@]}"
}

bench_daemon() {
	local line
	line=$(O=$O tests/bench/daemon_idle.sh) || { echo "bench: the daemon's figures are left out: $line" >&2; return; }
	figure 'daemon idle' '% of one CPU' 'tests/bench/daemon_idle.sh' '< 0.5' "$(value_of cpu_percent "$line")"
	figure 'daemon idle, memory besides rings' MiB 'tests/bench/daemon_idle.sh' '<= 16' "$(value_of rss_mib "$line")"
}

(($#)) || set -- event index daemon
for what; do
	case $what in
	event) [[ ! -x $bench/bench_event ]] || bench_event ;;
	index) [[ ! -x $bench/index_bench ]] || bench_index ;;
	daemon) [[ ! -x $O/flightrecd ]] || bench_daemon ;;
	*) echo "bench: no figure '$what'" >&2; exit 2 ;;
	esac
done

printf '\n%-36s %12s  %-14s %-10s %s\n' figure median unit bar ''
missed=0
while read -r line; do
	bar=$(sed -n 's/.*"bar":"\([^"]*\)".*/\1/p' <<<"$line")
	met=$(sed -n 's/.*"met":\([a-z]*\)}.*/\1/p' <<<"$line")
	printf '%-36s %12.6g  %-14s %-10s %s\n' "$(sed -n 's/{"name":"\([^"]*\)".*/\1/p' <<<"$line")" "$(value_of median "$line")" \
		"$(sed -n 's/.*"unit":"\([^"]*\)".*/\1/p' <<<"$line")" "$bar" "$(case $met in true) echo met ;; false) echo MISSED ;; esac)"
	[[ $met != false ]] || missed=1
done <"$O/bench.jsonl"
printf '%s, %s, %s\n' "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" "$(nproc) CPUs" "Linux $(uname -r)"
exit $missed
