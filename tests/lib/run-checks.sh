#!/bin/bash
# SPDX-License-Identifier: MIT
# run-checks.sh CHECK... - runs programs and scripts one after the other. A check passes with 0, is skipped with 77
# (its last line of output says why), and fails with anything else or when its time is up: 600 s, or what a line
# `# check-timeout: SECONDS` in a script says. Output is shown when a check fails, or always with V=1.
#
# A check runs in the source's top folder, in a session of its own that is killed when it ends, with
#	FR_BUILD	where things were built (absolute); CC and SAN say how
#	TMPDIR		a folder of its own, removed afterwards
#	FLIGHTREC_STATE_DIR, FLIGHTREC_RUNTIME_DIR, FLIGHTREC_CONFIG	below TMPDIR, the last an empty file: the
#			machine's own are never touched
#	FLIGHTREC_PSTORE_DIR, FLIGHTREC_PSTORE_ARCHIVE	below TMPDIR, not there
# In the file FR_REPORT, if that is set, a JSON line says how each one ended.
# The last line on standard output is always "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

FR_BUILD=$(realpath -m "${O:-build}")
export FR_BUILD LC_ALL=C CC=${CC:-cc} SAN=${SAN:-}
verbose=${V:-0}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/flightrec-check.XXXXXX") || exit 1
chmod 711 "$scratch" # tests that turn into another user have to get to theirs
child=
trap '[[ -z $child ]] || kill -KILL -- "-$child" 2>/dev/null; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

# ended NAME RESULT SECONDS
ended() {
	[[ -z ${FR_REPORT:-} ]] || printf '{"check":"%s","result":"%s","seconds":%s}\n' "$@" >>"$FR_REPORT"
}

time_limit() {
	local own
	own=$(head -c 2000 "$1" | LC_ALL=C sed -n 's/^.*check-timeout: \([0-9][0-9]*\).*$/\1/p' | head -n 1)
	echo "${own:-${CHECK_TIMEOUT:-600}}"
}

passed=0 failed=0 skipped=0 failures=()
for check; do
	name=${check#"${O:-build}"/}
	name=${name#tests/}
	path=$(realpath -m "$check")
	limit=$(time_limit "$path" 2>/dev/null)
	log=$scratch/log
	mkdir "$scratch/tmp"
	: >"$scratch/tmp/flightrec.conf"

	started=$(date +%s%N)
	TMPDIR=$scratch/tmp FLIGHTREC_STATE_DIR=$scratch/tmp/state FLIGHTREC_RUNTIME_DIR=$scratch/tmp/run \
		FLIGHTREC_CONFIG=$scratch/tmp/flightrec.conf \
		FLIGHTREC_PSTORE_DIR=$scratch/tmp/pstore FLIGHTREC_PSTORE_ARCHIVE=$scratch/tmp/archive \
		setsid timeout -k 5 "$limit" "$path" >"$log" 2>&1 </dev/null &
	child=$!
	wait "$child"
	result=$?
	kill -KILL -- "-$child" 2>/dev/null
	child=
	seconds=$(printf '%d.%01d' $((($(date +%s%N) - started) / 1000000000)) \
		$((($(date +%s%N) - started) / 100000000 % 10)))

	case $result in
	0)
		passed=$((passed + 1))
		echo "ok    $name ($seconds s)"
		ended "$name" passed "$seconds"
		;;
	77)
		skipped=$((skipped + 1))
		echo "skip  $name: $(grep -a . "$log" | tail -n 1)"
		ended "$name" skipped "$seconds"
		;;
	*)
		failed=$((failed + 1))
		failures+=("$name")
		ended "$name" failed "$seconds"
		case $result in
		124 | 137) echo "FAIL  $name: not done after $limit s" ;;
		*) echo "FAIL  $name (exit $result, $seconds s)" ;;
		esac
		;;
	esac
	if [[ $verbose == 1 || ($result != 0 && $result != 77) ]]; then
		tail -c 20000 "$log" | sed 's/^/      | /'
	fi
	chmod -R u+rwX "$scratch/tmp" 2>/dev/null
	rm -rf "$scratch/tmp"
done

((failed)) && printf 'failed: %s\n' "${failures[*]}"
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
