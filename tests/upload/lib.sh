# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# lib.sh - what the tests of upload share: a scratch state, the collector, the hostile server, and what must hold at the end.
set -euo pipefail

: "${FR_BUILD:?run it by make check}"
scratch=$(mktemp -d "${TMPDIR:-/tmp}/upload.XXXXXX")
flightrec=$FR_BUILD/flightrec
bin=$FR_BUILD/tests/upload
database=6f1f3f0e-8a51-4f0e-b3f5-5b9d6a4d6d10
collector_pid='' hostile_pid=''
export FLIGHTREC_CONFIG=/dev/null
unset FLIGHTREC_TESTPOINT http_proxy https_proxy

stop() {
	[[ -z $1 ]] || { kill "$1" && wait "$1"; } 2>/dev/null || true
}
trap 'stop "$collector_pid"; stop "$hostile_pid"; rm -rf "$scratch"' EXIT

fail() {
	echo "FAILED: $*" >&2
	[[ ! -f $scratch/out ]] || sed 's/^/  out: /' "$scratch/out" >&2
	[[ ! -f $scratch/err ]] || sed 's/^/  err: /' "$scratch/err" >&2
	exit 1
}

wait_for_file() {
	local i
	for ((i = 0; i < 3000; i++)); do
		[[ ! -e $1 ]] || return 0
		sleep 0.02
	done
	fail "$1 did not appear"
}

# shellcheck disable=SC2120
# start_collector [OPTION...] -> $port
start_collector() {
	stop "$collector_pid"
	rm -f "$scratch/port"
	"$FR_BUILD/flightrec-collector" --listen 127.0.0.1:0 --db "$scratch/fleet.db" --port-file "$scratch/port" "$@" \
		2>>"$scratch/collector.log" &
	collector_pid=$!
	wait_for_file "$scratch/port"
	port=$(<"$scratch/port")
}

# start_hostile DEED... -> $hostile, in front of the collector
start_hostile() {
	stop "$hostile_pid"
	rm -f "$scratch/hostile.port" "$scratch/hostile.log"
	"$bin/hostile" "$scratch/hostile.port" "$scratch/hostile.log" "$port" "$@" &
	hostile_pid=$!
	wait_for_file "$scratch/hostile.port"
	hostile=$(<"$scratch/hostile.port")
}

# a new machine and a new collector: begin SENTENCE
begin() {
	echo "- $*"
	stop "$collector_pid"
	stop "$hostile_pid"
	collector_pid='' hostile_pid=''
	rm -rf "${scratch:?}"/*
	export FLIGHTREC_STATE_DIR=$scratch/state
	# shellcheck disable=SC2119
	start_collector
}

# fill BOOT LANES COUNT [TEXT]
fill() {
	"$bin/fill" "$scratch/state" "$@" >/dev/null || fail "fill $*"
}

# upload PORT [OPTION...]: exit code in $code, words in $scratch/out and err
upload() {
	local to=$1
	shift
	code=0
	"$flightrec" upload --endpoint "http://127.0.0.1:$to" --database "$database" -o retry_base=5ms -o retry_cap=50ms \
		-o timeout=60s -o give_up=20s "$@" >"$scratch/out" 2>"$scratch/err" || code=$?
}

expect_code() {
	[[ $code == "$1" ]] || fail "exit code $code, want $1"
}

expect_said() {
	grep -qF -- "$1" "$scratch/out" "$scratch/err" || fail "does not say: $1"
}

stat_of() {
	"$FR_BUILD/flightrec-collector" --db "$scratch/fleet.db" --stats | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"
}

# The collector holds so many events, each came in one accepted batch, and nothing waits on the machine.
expect_exactly_once() {
	[[ $(stat_of unique) == "$1" ]] || fail "the collector has $(stat_of unique) events, want $1"
	[[ $(stat_of events) == "$1" ]] || fail "its batches hold $(stat_of events) events, want $1: some came twice"
	expect_waiting 0
	upload "$port"
	expect_code 4
}

expect_waiting() {
	local files=("$scratch"/state/outbox/*.frb)
	[[ -e ${files[0]} ]] || files=()
	((${#files[@]} == $1)) || fail "${#files[@]} batches wait in the outbox, want $1"
}

expect_rejected() {
	local files=("$scratch"/state/outbox/rejected/*.frb)
	[[ -e ${files[0]} ]] || files=()
	((${#files[@]} == $1)) || fail "${#files[@]} batches are set aside, want $1"
}

# All requests that the hostile server saw were so many different batches, and each was the same bytes every time.
expect_batches_seen() {
	local ids bodies
	ids=$(cut -d ' ' -f 3 "$scratch/hostile.log" | sort -u | wc -l)
	bodies=$(cut -d ' ' -f 3,4 "$scratch/hostile.log" | sort -u | wc -l)
	((ids == $1)) || fail "$ids batch ids were sent, want $1"
	((bodies == ids)) || fail "a batch was not sent again byte for byte"
}
