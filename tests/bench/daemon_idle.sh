#!/bin/bash
# SPDX-License-Identifier: MIT
# daemon_idle.sh [SECONDS] - what flightrecd costs while nothing is asked of it, with whatever eBPF the machine allows: share of one
# CPU over 20 s, and resident memory besides its rings (anonymous and file pages, less what it maps of ring files). One JSON object.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C
O=$(realpath "${O:-build}")
seconds=${1:-20}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/fr-idle.XXXXXX") || exit 1
daemon=
# shellcheck disable=SC2317 # the trap calls it
finish() {
	if [[ -n $daemon ]]; then
		kill "$daemon" 2>/dev/null
		wait "$daemon" 2>/dev/null
	fi
	"$O/flightrecd" --unload >/dev/null 2>&1
	rm -rf "$scratch"
}
trap finish EXIT
export FLIGHTREC_STATE_DIR=$scratch/state FLIGHTREC_RUNTIME_DIR=$scratch/run FLIGHTREC_CONFIG=$scratch/flightrec.conf
: >"$FLIGHTREC_CONFIG"
: >"$scratch/log"

"$O/flightrecd" 2>>"$scratch/log" </dev/null &
daemon=$!
for ((i = 0; i < 100; i++)); do
	grep -q ' ready: ' "$scratch/log" && break
	sleep 0.1
done
grep -q ' ready: ' "$scratch/log" || {
	echo "flightrecd is not ready after 10 s: $(tail -n 1 "$scratch/log")"
	exit 1
}
[[ -z ${V:-} ]] || cat "$scratch/log" >&2
sleep 2 # what it does at its start is not idling

ticks() { # of the daemon and of the workers it has waited for
	awk '{ sub(/.*\) /, ""); print $12 + $13 + $14 + $15 }' "/proc/$daemon/stat"
}
before=$(ticks)
sleep "$seconds"
after=$(ticks)
# what is resident and no ring: rings are mapped from files below the state directory
rss=$(awk -v state="$FLIGHTREC_STATE_DIR" '/^[0-9a-f]+-[0-9a-f]+ / { ring = index($0, state "/") } /^Rss:/ && !ring { kib += $2 }
	END { print kib }' "/proc/$daemon/smaps")
awk -v t=$((after - before)) -v hz="$(getconf CLK_TCK)" -v s="$seconds" -v kib="$rss" -v bpf="$(grep -c 'eBPF' "$scratch/log")" \
	'BEGIN { printf "{\"name\":\"daemon idle\",\"cpu_percent\":%.3f,\"rss_mib\":%.1f,\"seconds\":%d,\"ebpf_lines\":%d}\n",
		100 * t / hz / s, kib / 1024, s, bpf }'
