#!/bin/bash
# SPDX-License-Identifier: MIT
# daemon_idle.sh [SECONDS] - what flightrecd costs while nothing is asked of it, with whatever eBPF the machine allows: share of one
# CPU over 20 s, and resident memory besides its rings (anonymous and file pages, less what it maps of ring files). One JSON object.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/bench/lib.sh
. tests/bench/lib.sh
seconds=${1:-20}

start_daemon
sleep 2 # what it does at its start is not idling

ticks() { # of the daemon, of the workers it has waited for, and of the process that writes rings to the disk
	local pid files=("/proc/$daemon/stat")
	for pid in $(pgrep -P "$daemon" -x flightrecd-sync); do files+=("/proc/$pid/stat"); done
	awk '{ sub(/.*\) /, ""); sum += $12 + $13 + $14 + $15 } END { print sum }' "${files[@]}"
}
before=$(ticks)
sleep "$seconds"
after=$(ticks)
rss=$(resident_kib "$daemon")
awk -v t=$((after - before)) -v hz="$(getconf CLK_TCK)" -v s="$seconds" -v kib="$rss" -v bpf="$(grep -c 'eBPF' "$scratch/log")" \
	'BEGIN { printf "{\"name\":\"daemon idle\",\"cpu_percent\":%.3f,\"rss_mib\":%.1f,\"seconds\":%d,\"ebpf_lines\":%d}\n",
		100 * t / hz / s, kib / 1024, s, bpf }'
