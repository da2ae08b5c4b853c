#!/bin/bash
# SPDX-License-Identifier: MIT
# bpf_drain.sh [RATE [SECONDS]] - two tasks on two CPUs cause RATE (520000) kernel events a second for SECONDS (30) while flightrecd
# records; how many came, and were any lost on the way into the daemon's ring? That ring forgets the oldest, as it should: what
# is compared are the numbers that eBPF gave, the kernel's buffer refused and the ring's lane counted. One JSON object.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/bench/lib.sh
. tests/bench/lib.sh
rate=${1:-520000} seconds=${2:-30}

start_daemon
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
((dropped_now == dropped && emitted_now - emitted >= caused && records_now - records == emitted_now - emitted))
