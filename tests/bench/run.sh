#!/bin/bash
# SPDX-License-Identifier: MIT
# run.sh [GROUP...] - measures, prints one JSON object a line and a table at the end; the lines also go to $O/bench.jsonl.
# Ends with 1 when a figure misses its bar. BENCH_RUNS: 9.
#
# GROUP is a file of figures/, default all of them. It defines bench_GROUP, which calls figure() for each figure that can be measured
# here, and may use: $bench (the built programs), $O, $scratch (a directory on the disk of the build), $runs, at_end, value_of, ratios,
# differences. Peer and floor of a figure are measured in the same run. What a program prints goes through a file: in a run as long as
# this, bash has been seen to lose a process substitution, and with it the figure, without an error.
# shellcheck disable=SC2034,SC2317 # what is defined here is used by figures/
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

(($#)) || {
	set -- tests/bench/figures/*.sh
	set -- "${@##*/}"
	set -- "${@%.sh}"
}
for group; do
	[[ -f tests/bench/figures/$group.sh ]] || {
		echo "bench: no figures '$group'" >&2
		exit 2
	}
done

# on the disk of the build: page cache of a real file system, as a user has it
scratch=$(mktemp -d "$O/bench.XXXXXX") || exit 1
scratch=$(realpath "$scratch")
endings=()
# at_end COMMAND: run when the benchmark ends, however it does
at_end() {
	endings+=("$1")
}
finish() {
	for ending in "${endings[@]}"; do
		$ending
	done
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

# figure NAME UNIT COMMAND BAR VALUE... - BAR is "<= 25", ">= 4" or "" (no bar); nothing measured misses any bar
figure() {
	local name=$1 unit=$2 command=$3 bar=$4 median min max met=null value
	shift 4
	for value; do
		[[ $value =~ ^-?[0-9.]+(e[-+]?[0-9]+)?$ ]] && continue
		printf '{"name":%s,"unit":%s,"median":null,"command":%s,"bar":%s,"met":%s}\n' "$(json "$name")" "$(json "$unit")" \
			"$(json "$command")" "$([[ -n $bar ]] && json "$bar" || echo null)" "$([[ -n $bar ]] && echo false || echo null)" |
			tee -a "$O/bench.jsonl"
		return
	done
	(($#)) || return
	read -r median min max <<<"$(printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 }
		END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2, v[1], v[NR] }')"
	if [[ -n $bar ]]; then
		met=$(awk -v m="$median" -v op="${bar% *}" -v b="${bar#* }" \
			'BEGIN { print (op == "<=" ? m <= b : op == "<" ? m < b : m >= b) ? "true" : "false" }')
	fi
	printf '{"name":%s,"unit":%s,"median":%s,"min":%s,"max":%s,"runs":%d,"command":%s,"bar":%s,"met":%s}\n' \
		"$(json "$name")" "$(json "$unit")" "$median" "$min" "$max" $# "$(json "$command")" \
		"$([[ -n $bar ]] && json "$bar" || echo null)" "$met" | tee -a "$O/bench.jsonl"
}

ratios() { # a b -> a[i]/b[i]
	paste <(tr ' ' '\n' <<<"$1") <(tr ' ' '\n' <<<"$2") | awk '$2 > 0 { print $1 / $2 }'
}
differences() {
	paste <(tr ' ' '\n' <<<"$1") <(tr ' ' '\n' <<<"$2") | awk '{ print $1 - $2 }'
}
value_of() { # key, line of JSON
	sed -n "s/.*\"$1\":\([-0-9.]*\).*/\1/p" <<<"$2"
}

for group; do
	# shellcheck source=/dev/null
	. "tests/bench/figures/$group.sh"
	"bench_$group"
done

printf '\n%-44s %12s  %-14s %-10s %s\n' figure median unit bar ''
missed=0
while read -r line; do
	bar=$(sed -n 's/.*"bar":"\([^"]*\)".*/\1/p' <<<"$line")
	met=$(sed -n 's/.*"met":\([a-z]*\)}.*/\1/p' <<<"$line")
	printf '%-44s %12.6g  %-14s %-10s %s\n' "$(sed -n 's/{"name":"\([^"]*\)".*/\1/p' <<<"$line")" "$(value_of median "$line")" \
		"$(sed -n 's/.*"unit":"\([^"]*\)".*/\1/p' <<<"$line")" "$bar" "$(case $met in true) echo met ;; false) echo MISSED ;; esac)"
	[[ $met != false ]] || missed=1
done <"$O/bench.jsonl"
if command -v gnuplot >/dev/null && command -v jq >/dev/null; then
	tests/bench/plot.sh "$O/bench.jsonl" "$O/bench.svg" && echo "plotted to $O/bench.svg"
fi
printf '%s, %s, %s\n' "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" "$(nproc) CPUs" "Linux $(uname -r)"
exit $missed
