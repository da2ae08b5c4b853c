#!/bin/bash
# SPDX-License-Identifier: MIT
# bpf_drain.sh [RATE [SECONDS]] - two tasks on two CPUs cause RATE (550000) kernel events a second for SECONDS (30) while flightrecd
# records; how many came, and were any lost on the way into the daemon's ring? That ring forgets the oldest, as it should: what
# is compared are the numbers that eBPF gave, the kernel's buffer refused and the ring's lane counted. One JSON object.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C
O=$(realpath "${O:-build}")
rate=${1:-550000} seconds=${2:-30}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/fr-drain.XXXXXX") || exit 1
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
grep -q 'eBPF: [1-9]' "$scratch/log" || {
	echo "no eBPF here: $(tail -n 1 "$scratch/log")"
	exit 1
}

look() { # -> emitted dropped records cpu_ns, and runs and nanoseconds of the programs
	"$O/flightrec" status --json >"$scratch/status" || exit 1
	jq -r '[([.daemon.probes[]?.emitted] | add), ([.daemon.probes[]?.dropped] | add),
		(.daemon.own_ring.lanes[] | select(.name == "kernel").records), .daemon.cost.cpu_ns,
		.daemon.cost.bpf_run_count, .daemon.cost.bpf_run_time_ns] | @tsv' "$scratch/status"
}
read -r emitted dropped records cpu runs run_ns < <(look)
load=$("$O/tests/bench/bpf_bench" load "$rate" "$seconds") || exit 1
sleep 1
read -r emitted_now dropped_now records_now cpu_now runs_now run_ns_now < <(look)
caused=$(jq .events <<<"$load")
jq -cn --argjson caused "$caused" --argjson seconds "$(jq .seconds <<<"$load")" --argjson emitted $((emitted_now - emitted)) \
	--argjson dropped $((dropped_now - dropped)) --argjson recorded $((records_now - records)) --argjson cpu $((cpu_now - cpu)) \
	--argjson runs $((runs_now - runs)) --argjson run_ns $((run_ns_now - run_ns)) \
	--argjson spool "$(du -sk "$FLIGHTREC_STATE_DIR/spool" | cut -f 1)" \
	'{name: "ebpf drain", events_per_s: ($caused / $seconds | floor), caused: $caused, emitted: $emitted, lost: $dropped,
	  recorded: $recorded, seconds: $seconds, program_ns: ($run_ns / $runs | floor), daemon_cpu_percent: ($cpu / $seconds / 1e7 | floor), spool_kib: $spool}'
[[ -z ${V:-} ]] || cat "$scratch/log" >&2
((dropped_now == dropped && emitted_now - emitted >= caused && records_now - records == emitted_now - emitted))
