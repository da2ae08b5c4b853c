/* SPDX-License-Identifier: MIT */
/*
 * names.c - words for what the loader reports; the same in a build without libbpf.
 */
#include "bpf/loader.h"

const char *fr_bpf_missing_text(enum fr_bpf_missing bit)
{
	switch (bit) {
	case FR_BPF_NO_BUILD:
		return "built without libbpf: no kernel events; applications are recorded as usual "
		       "(build with WITH_BPF=yes)";
	case FR_BPF_NO_SYSCALL:
		return "the kernel has no bpf(): no kernel events; applications are recorded as "
		       "usual";
	case FR_BPF_NO_PRIVILEGE:
		return "no privilege for eBPF: no kernel events; applications are recorded as "
		       "usual "
		       "(run as root, or with CAP_BPF and CAP_PERFMON)";
	case FR_BPF_NO_RINGBUF:
		return "the kernel has no BPF ring buffer (Linux 5.8): no kernel events; "
		       "applications are recorded as usual";
	case FR_BPF_IN_USE:
		return "another recorder holds the pinned eBPF programs: no kernel events here "
		       "(stop it, or give this one a pin directory of its own)";
	case FR_BPF_NO_BTF:
		return "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF): kernel events come without "
		       "parent, start time and exit code";
	case FR_BPF_NO_TRACEFS:
		return "neither BTF nor tracefs: no kernel events (mount -t tracefs tracefs "
		       "/sys/kernel/tracing)";
	case FR_BPF_NO_BPFFS:
		return "no bpffs: kernel events are recorded, but not while the recorder is down "
		       "(mount -t bpf bpf /sys/fs/bpf)";
	case FR_BPF_NO_BOOT_CLOCK:
		return "eBPF has no boot clock here: times of kernel events may be off after a "
		       "suspend";
	}
	return "";
}

const char *fr_bpf_state_name(enum fr_bpf_state state)
{
	static const char *const name[] = { "off", "attached", "resumed", "failed" };

	return state <= FR_BPF_FAILED ? name[state] : "";
}

const char *fr_bpf_variant_name(enum fr_bpf_variant variant)
{
	static const char *const name[] = { "", "tp_btf", "raw_tp", "tracepoint" };

	return variant <= FR_BPF_TRACEPOINT ? name[variant] : "";
}
