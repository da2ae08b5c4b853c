# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# daemon.sh - what flightrecd costs while nothing happens, and while so many programs record.

bench_daemon() {
	local line
	[[ -x $O/flightrecd ]] || return
	line=$(O=$O tests/bench/daemon_idle.sh) || { echo "bench: the daemon's figures are left out: $line" >&2; return; }
	figure 'daemon idle' '% of one CPU' 'tests/bench/daemon_idle.sh' '< 0.5' "$(value_of cpu_percent "$line")"
	figure 'daemon idle, memory besides rings' MiB 'tests/bench/daemon_idle.sh' '<= 16' "$(value_of rss_mib "$line")"
	O=$O tests/bench/daemon_memory.sh | grep rss_kib >"$scratch/memory"
	while read -r line; do
		figure "daemon, memory with $(value_of clients "$line") programs" KiB 'tests/bench/daemon_memory.sh' '' "$(value_of rss_kib "$line")"
	done <"$scratch/memory"
}
