#!/bin/bash
# SPDX-License-Identifier: MIT
# daemon_memory.sh [CLIENTS...] - what flightrecd takes in memory while so many programs record (default 10, 100 and 1000), each with
# a ring that it watches: resident memory besides its own ring, and descriptors. One JSON object for each number.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C
O=$(realpath "${O:-build}")
(($#)) || set -- 10 100 1000
scratch=$(mktemp -d "${TMPDIR:-/tmp}/fr-memory.XXXXXX") || exit 1
daemon=
clients=()
# shellcheck disable=SC2317 # the trap calls it
finish() {
	((${#clients[@]})) && kill -KILL "${clients[@]}" 2>/dev/null
	[[ -z $daemon ]] || kill "$daemon" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$scratch"
}
trap finish EXIT
export FLIGHTREC_STATE_DIR=$scratch/state FLIGHTREC_RUNTIME_DIR=$scratch/run FLIGHTREC_CONFIG=$scratch/flightrec.conf
: >"$FLIGHTREC_CONFIG"
: >"$scratch/log"

# until COMMAND...: within 60 s
until_true() {
	for ((try = 0; try < 600; try++)); do
		"$@" && return
		sleep 0.1
	done
	echo "flightrecd: not so after 60 s: $*: $(tail -n 1 "$scratch/log")"
	exit 1
}
is_ready() { grep -q ' ready: ' "$scratch/log"; }
all_ready() { (($(cat "$scratch"/client.* | grep -c '^ready ') == ${#clients[@]})); }
# by a pidfd each
all_watched() { (($(descriptors) >= idle + ${#clients[@]})); }
descriptors() { find "/proc/$daemon/fd" -type l | wc -l; }

"$O/flightrecd" --no-bpf 2>>"$scratch/log" </dev/null &
daemon=$!
until_true is_ready
idle=$(descriptors)
for number; do
	while ((${#clients[@]} < number)); do
		# small rings: what they take on disk is not the question
		FLIGHTREC_RING_SIZE=64K "$O/tests/daemon/client" hold 5 >"$scratch/client.${#clients[@]}" &
		clients+=("$!")
	done
	until_true all_ready
	until_true all_watched
	kib=$(awk -v state="$FLIGHTREC_STATE_DIR" '/^[0-9a-f]+-[0-9a-f]+ / { ring = index($0, state "/") } /^Rss:/ && !ring { kib += $2 }
		END { print kib }' "/proc/$daemon/smaps")
	anon=$(awk '/^RssAnon:/ { print $2 }' "/proc/$daemon/status")
	printf '{"name":"daemon memory","clients":%d,"rss_kib":%d,"anon_kib":%d,"descriptors":%d}\n' "$number" "$kib" "$anon" "$(descriptors)"
done
