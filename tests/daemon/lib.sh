# SPDX-License-Identifier: MIT
# lib.sh - what the daemon's tests share: a scratch directory, the daemon in it, waiting, saying what went wrong.
# Sourced; the test then runs in the tree's top folder.
# shellcheck shell=bash
set -uo pipefail

build=${FR_BUILD:-$PWD/build}
client=$build/tests/daemon/client
look=$build/tests/daemon/look
flightrecd=$build/flightrecd
# public=1: other users have to get there
scratch=$(mktemp -d "$([[ ${public:-} ]] && echo /tmp || echo "${TMPDIR:-/tmp}")/fr-daemon.XXXXXX") || exit 1
chmod 755 "$scratch"
export FLIGHTREC_STATE_DIR=$scratch/state FLIGHTREC_RUNTIME_DIR=$scratch/run FLIGHTREC_CONFIG=$scratch/flightrec.conf
unset FLIGHTREC_TESTPOINT FLIGHTREC_LEVEL FLIGHTREC_RING_SIZE
state=$FLIGHTREC_STATE_DIR
log=$scratch/log
daemon=
children=()
: >"$FLIGHTREC_CONFIG"
: >"$log"

# what the test leaves running ends with it, and no program stays in the kernel
finish() {
	local status=$?
	[[ -z $daemon ]] || kill -KILL "$daemon" 2>/dev/null
	((${#children[@]})) && kill -KILL "${children[@]}" 2>/dev/null
	wait 2>/dev/null
	"$flightrecd" --unload 2>/dev/null
	((status == 0 || status == 77)) || { echo "--- the daemon said:"; cat "$log"; }
	rm -rf "$scratch"
	exit $status
}
trap finish EXIT

fail() {
	echo "FAILED: $*"
	exit 1
}

# sentence: prints what was shown to hold
holds() { echo "ok: $*"; }

# until_true COMMAND...: waits until it is; false after a time that no machine needs, however busy
until_true() {
	local end=$((SECONDS + 200))
	until "$@" 2>/dev/null; do
		((SECONDS < end)) || return 1
		sleep 0.02
	done
}

# start_daemon [OPTION...]: returns when it is ready; $binary may name another one
start_daemon() {
	local lines
	lines=$(grep -c ' ready: ' "$log")
	"${binary:-$flightrecd}" "$@" 2>>"$log" </dev/null &
	daemon=$!
	until_true daemon_ready "$lines" || fail "the daemon does not get ready"
}
daemon_ready() { (($(grep -c ' ready: ' "$log") > $1)); }

stop_daemon() {
	kill -TERM "$daemon"
	wait "$daemon" || fail "the daemon ended with $?"
	daemon=
}

kill_daemon() {
	kill -KILL "$daemon"
	wait "$daemon" 2>/dev/null
	daemon=
}

# spawn NAME ARGUMENT...: a client in the background; its output in $scratch/NAME, its pid in $child
spawn() {
	local name=$1
	shift
	"$client" "$@" >"$scratch/$name" &
	child=$!
	children+=("$child")
}
# ready NAME: waits for the client's first line
ready() { until_true test -s "$scratch/$1" || fail "client $1 is not ready"; }

segments() { find "$state/spool" -maxdepth 1 -name '*.frs' 2>/dev/null | sort; }
# heads: what all segments say of themselves
heads() { segments | xargs -r "$look" head; }
# all_events: what all segments hold, a line each, in $scratch/events
all_events() {
	local files
	mapfile -t files < <(segments)
	"$look" events "${files[@]}" >"$scratch/events"
}
# segment_of PID WORDS...: there is a segment of that process, and its line has all the words
segment_of() {
	local line word
	line=$(heads | grep " pid=$1 ") || return 1
	shift
	for word; do
		[[ " $line " == *" $word "* ]] || return 1
	done
}
# salvaged_whole PID COMMITTED: the end of that process's ring is there, vouched for, and each event it had committed is in it or
# counted as overwritten. One more was on its way when it was killed: committed but not yet said, or half written and counted as lost.
salvaged_whole() {
	local events lost overwritten
	segment_of "$1" reason=died vouched=1 || return
	read -r events lost overwritten < <(heads |
		sed -n "s/.* reason=died pid=$1 .* events=\([0-9]*\) lost=\([0-9]*\) overwritten=\([0-9]*\)$/\1 \2 \3/p")
	((events + overwritten == $2 && lost <= 1 || events + overwritten == $2 + 1 && lost == 0))
}
status() { "$client" status; }
