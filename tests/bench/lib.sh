# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# lib.sh - a flightrecd of one's own to measure, in a scratch directory; sourced from the tree's top folder.
export LC_ALL=C
O=$(realpath "${O:-build}")
scratch=$(mktemp -d "${TMPDIR:-/tmp}/fr-bench.XXXXXX") || exit 1
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

start_daemon() {
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
}

# resident_kib PID: what is resident and no ring: rings are mapped from files below the state directory
resident_kib() {
	awk -v state="$FLIGHTREC_STATE_DIR" '/^[0-9a-f]+-[0-9a-f]+ / { ring = index($0, state "/") } /^Rss:/ && !ring { kib += $2 }
		END { print kib + 0 }' "/proc/$1/smaps"
}
