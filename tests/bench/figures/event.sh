# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# event.sh - what an event costs an application: ours, the floor and the peer (LTTng-UST), in turns.

lttng_setup=(
	"lttng --no-sessiond create flightrec-bench --snapshot --shm-path=$scratch/shm"
	"lttng --no-sessiond enable-channel --userspace --overwrite --subbuf-size=1M --num-subbuf=4 bench"
	"lttng --no-sessiond enable-event --userspace --channel=bench fr_bench:*"
	"lttng --no-sessiond start"
)
lttng_sessiond=

start_lttng() {
	if [[ ! -x $bench/bench_lttng ]] || ! command -v lttng-sessiond >/dev/null; then
		echo "bench: no LTTng here (lttng-tools, liblttng-ust-dev): its figures are left out" >&2
		return 1
	fi
	lttng-sessiond --no-kernel >"$scratch/sessiond.log" 2>&1 &
	lttng_sessiond=$!
	at_end stop_lttng
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

stop_lttng() {
	lttng destroy flightrec-bench >/dev/null 2>&1
	kill "$lttng_sessiond" 2>/dev/null
	wait "$lttng_sessiond" 2>/dev/null
}

bench_event() {
	local -A v=()
	local what count with_lttng=1 lttng
	[[ -x $bench/bench_event ]] || return
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
	lttng=$(printf '; %s' "${lttng_setup[@]//$scratch/DIR}")
	# shellcheck disable=SC2046,SC2086
	{
		figure 'floor, one thread' ns/event 'bench_floor one' '' ${v[floor one]}
		figure 'floor, two threads' ns/event 'bench_floor two' '' ${v[floor two]}
		figure 'event, one thread' ns/event 'bench_event one' '<= 20' ${v[event one]}
		figure 'event, two threads' ns/event 'bench_event two' '' ${v[event two]}
		figure 'event / floor, one thread' times 'from the above' '<= 2.2' $(ratios "${v[event one]}" "${v[floor one]}")
		[[ -z $with_lttng ]] || figure 'LTTng-UST, one thread' ns/event "bench_lttng one$lttng" '' ${v[lttng one]}
		[[ -z $with_lttng ]] || figure 'LTTng-UST, two threads' ns/event "bench_lttng two$lttng" '' ${v[lttng two]}
		[[ -z $with_lttng ]] || figure 'LTTng-UST / event, one thread' times 'from the above' '>= 5' \
			$(ratios "${v[lttng one]}" "${v[event one]}")
		figure 'event, two threads / one' times 'from the above' '<= 1.2' $(ratios "${v[event two]}" "${v[event one]}")
		figure 'event, off' ns/event 'bench_event off; minus: bench_event empty' '<= 0.5' \
			$(differences "${v[event off]}" "${v[event empty]}")
	}
}
