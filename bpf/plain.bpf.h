/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * plain.bpf.h - what classic tracepoints hand to a program: records as
 * /sys/kernel/tracing/events/.../format has them.
 *
 * Nothing here is relocated, so the loader compares each member that is used with the kernel's
 * format file (PLAIN_MEMBERS) and leaves a tracepoint alone that looks different. Shared by both
 * worlds.
 */
#ifndef BPF_PLAIN_BPF_H
#define BPF_PLAIN_BPF_H

#include <stdint.h>

struct plain_sched_process_exec {
	uint64_t common;
	uint32_t filename; /* __data_loc: low half is where, from the start of the record */
	int32_t pid;
	int32_t old_pid;
};

struct plain_sched_process_exit {
	uint64_t common;
	char comm[16];
	int32_t pid;
};

struct plain_signal_generate {
	uint64_t common;
	int32_t sig;
	int32_t error;
	int32_t code;
	char comm[16];
	int32_t pid;
	int32_t group;
	int32_t result;
};

struct plain_signal_deliver {
	uint64_t common;
	int32_t sig;
	int32_t error;
	int32_t code;
	uint32_t padding;
	uint64_t sa_handler;
};

struct plain_mark_victim {
	uint64_t common;
	int32_t pid;
};

struct plain_block_rq_error {
	uint64_t common;
	uint32_t dev;
	uint32_t padding;
	uint64_t sector;
	uint32_t nr_sector;
	int32_t error;
};

#define PLAIN_MEMBERS(M)                             \
	M(sched, sched_process_exec, filename)       \
	M(sched, sched_process_exec, old_pid)        \
	M(sched, sched_process_exit, pid)            \
	M(signal, signal_generate, sig)              \
	M(signal, signal_generate, code)             \
	M(signal, signal_generate, comm)             \
	M(signal, signal_generate, pid)              \
	M(signal, signal_generate, group)            \
	M(signal, signal_generate, result)           \
	M(signal, signal_deliver, sig)               \
	M(signal, signal_deliver, code)              \
	M(signal, signal_deliver, sa_handler)        \
	M(oom, mark_victim, pid)                     \
	M(block, block_rq_error, dev)                \
	M(block, block_rq_error, sector)             \
	M(block, block_rq_error, nr_sector)          \
	M(block, block_rq_error, error)

#endif
