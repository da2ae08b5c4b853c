/* SPDX-License-Identifier: MIT */
/*
 * kernel_types.h - the members of kernel structs that our eBPF programs read, and no others.
 *
 * Owns: the only place where kernel structs are spelled out. Offsets here mean nothing: each access
 * is relocated when the program is loaded (CO-RE), by the names alone. A name after ___ is a
 * flavour: the same struct in other kernels.
 */
#ifndef BPF_KERNEL_TYPES_H
#define BPF_KERNEL_TYPES_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	long counter;
} atomic_long_t;

typedef struct {
	unsigned int val;
} kuid_t;

struct cred {
	kuid_t uid;
};

struct percpu_counter {
	long long count;
};

struct mm_struct {
	unsigned long arg_start, arg_end;
	unsigned long total_vm;
	atomic_long_t pgtables_bytes;
};

/* 6.2 and later */
struct mm_struct___percpu {
	struct percpu_counter rss_stat[4];
};

/* before */
struct mm_rss_stat {
	atomic_long_t count[4];
};
struct mm_struct___atomic {
	struct mm_rss_stat rss_stat;
};

struct signal_struct {
	atomic_t live;
	unsigned int flags;
	int group_exit_code;
	unsigned long maxrss;
	short oom_score_adj;
};

struct sigaction {
	void *sa_handler;
};

struct k_sigaction {
	struct sigaction sa;
};

struct sighand_struct {
	struct k_sigaction action[64];
};

union __sifields {
	struct {
		void *_addr;
	} _sigfault;
};

struct kernel_siginfo {
	int si_signo;
	int si_errno;
	int si_code;
	union __sifields _sifields;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct task_struct {
	unsigned int flags;
	int exit_code;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	unsigned long long start_boottime;
	const struct cred *cred;
	char comm[16];
	struct signal_struct *signal;
	struct sighand_struct *sighand;
	struct mm_struct *mm;
	struct css_set *cgroups;
};

/* before 5.5 */
struct task_struct___real_start {
	unsigned long long real_start_time;
};

struct linux_binprm {
	const char *filename;
};

struct gendisk {
	int major;
	int first_minor;
};

struct request_queue {
	struct gendisk *disk;
};

struct request {
	struct request_queue *q;
	unsigned int cmd_flags;
	unsigned long long __sector;
};

/* before 5.17 */
struct request___rq_disk {
	struct gendisk *rq_disk;
};

enum req_flag_bits {
	__REQ_SYNC,
	__REQ_META,
	__REQ_PREFLUSH,
	__REQ_FUA,
	__REQ_RAHEAD,
};

/* What a kernel's tracepoint passes shows in the record it would write into the trace. */
struct trace_event_raw_sched_process_exit {
	_Bool group_dead; /* 6.16 and later: second argument */
};
struct trace_event_raw_mark_victim {
	unsigned long total_vm; /* then the first argument is a task, else a pid */
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long ip;
	unsigned long sp;
};
#define FR_REGS_IP ip
#define FR_REGS_SP sp
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	unsigned long long sp;
	unsigned long long pc;
};
#define FR_REGS_IP pc
#define FR_REGS_SP sp
#endif

#pragma clang attribute pop

#endif
