/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * core.bpf.c - the programs for kernels with BTF: relocated when they are loaded (CO-RE), on typed
 * or raw tracepoints.
 */
#include "bpf/process.bpf.h"
#include "bpf/signal.bpf.h"
#include "bpf/memory.bpf.h"
#include "bpf/block.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";
