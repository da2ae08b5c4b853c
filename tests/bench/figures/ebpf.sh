# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# ebpf.sh - what a kernel event costs the task that causes it, and how many a second reach the daemon's ring without loss.

bench_ebpf() {
	local line none=() empty=() quiet=() urgent=() dropped=0
	[[ -x $bench/bpf_bench ]] || return
	((EUID == 0)) || { echo "bench: eBPF needs root: its figures are left out" >&2; return; }
	"$bench/bpf_bench" cost >"$scratch/cost"
	while read -r line; do
		none+=("$(value_of none_ns "$line")")
		empty+=("$(value_of empty_ns "$line")")
		quiet+=("$(value_of quiet_ns "$line")")
		urgent+=("$(value_of urgent_ns "$line")")
		dropped=$((dropped + $(value_of dropped "$line")))
	done <"$scratch/cost"
	((${#quiet[@]} && dropped == 0)) || { echo "bench: eBPF's cost is left out: $dropped events were dropped" >&2; return; }
	figure 'kill(), no eBPF' ns/call 'bpf_bench cost' '' "${none[@]}"
	figure 'kill(), empty eBPF program' ns/call 'bpf_bench cost' '' "${empty[@]}"
	figure 'eBPF event, above an empty program' ns/event 'bpf_bench cost' '<= 250' "${quiet[@]}"
	figure 'eBPF event that wakes the reader' ns/event 'bpf_bench cost' '' "${urgent[@]}"

	line=$(O=$O tests/bench/bpf_drain.sh 520000 30) || echo "bench: not every kernel event was recorded: $line" >&2
	figure 'eBPF events drained for 30 s' events/s 'tests/bench/bpf_drain.sh 520000 30' '>= 500000' "$(value_of events_per_s "$line")"
	figure 'eBPF events lost meanwhile' events 'tests/bench/bpf_drain.sh 520000 30' '<= 0' "$(value_of lost "$line")"
	figure 'their program, as the kernel counts' ns/run 'tests/bench/bpf_drain.sh 520000 30' '' "$(value_of program_ns "$line")"
	figure 'daemon meanwhile' '% of one CPU' 'tests/bench/bpf_drain.sh 520000 30' '' "$(value_of daemon_cpu_percent "$line")"
}
