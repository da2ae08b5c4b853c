# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# latency.sh - how long single events take: percentiles, by size of payload, caches hot and cold, one thread and two.

bench_latency() {
	local threads bytes cache line name
	[[ -x $bench/bench_latency ]] || return
	for threads in 1 2; do
		for cache in hot cold; do
			for bytes in 8 64 256 1024 4096; do
				[[ $threads == 1 || $bytes == 64 ]] || continue
				local -A v=()
				for ((i = 0; i < (runs + 2) / 3; i++)); do
					line=$("$bench/bench_latency" $threads $bytes $cache) || exit 1
					for p in p50 p99 p999; do
						v[$p]+=" $(value_of $p "$line")"
					done
				done
				name="$bytes bytes, caches $cache, $threads thread$([[ $threads == 1 ]] || echo s)"
				for p in p50 p99 p999; do
					# shellcheck disable=SC2086
					figure "event ${p/999/99.9}, $name" ns "bench_latency $threads $bytes $cache" '' ${v[$p]}
				done
			done
		done
	done
}
