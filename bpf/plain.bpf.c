/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * plain.bpf.c - the programs for kernels without BTF: classic tracepoints, nothing relocated.
 *
 * They know less: no parent, no start time, of an exit neither code nor signal. What they don't
 * know is zero, and FR_KEVENT_NO_BTF is set.
 */
#include "bpf/emit.bpf.h"
#include "bpf/plain.bpf.h"

#define BIT(sig)	     (1ull << ((sig) - 1))
#define TRACE_SIGNAL_IGNORED 1

static __always_inline void identify(struct fr_kevent *head)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();

	head->pid = (__u32)(pid_tgid >> 32);
	head->tid = (__u32)pid_tgid;
	head->uid = (__u32)bpf_get_current_uid_gid();
	head->cgroup = bpf_get_current_cgroup_id();
	bpf_get_current_comm(head->comm, sizeof(head->comm));
}

SEC("tp/sched/sched_process_exec") int proc_exec__tp(struct plain_sched_process_exec *ctx)
{
	struct fr_kevent_proc_exec *e = FR_RESERVE(PROC_EXEC, proc_exec, FR_KEVENT_NO_BTF);

	if (!e)
		return 0;
	identify(&e->head);
	e->old_pid = (__u32)ctx->old_pid;
	bpf_probe_read_kernel_str(e->filename, sizeof(e->filename),
				  (char *)ctx + (ctx->filename & 0xffff));
	submit(e, 0);
	return 0;
}

/* Whether other threads live on is not to be seen: the leader's end stands for the process's. */
SEC("tp/sched/sched_process_exit") int proc_exit__tp(struct plain_sched_process_exit *ctx)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	struct fr_kevent_proc_exit *e;

	(void)ctx;
	if ((__u32)(pid_tgid >> 32) != (__u32)pid_tgid)
		return 0;
	e = FR_RESERVE(PROC_EXIT, proc_exit, FR_KEVENT_NO_BTF);
	if (!e)
		return 0;
	identify(&e->head);
	submit(e, 0);
	return 0;
}

/* Whether the target handles it is not to be seen: only those that end most programs. */
SEC("tp/signal/signal_generate") int sig_generate__tp(struct plain_signal_generate *ctx)
{
	__u32 sig = (__u32)ctx->sig;
	struct fr_kevent_sig_generate *e;

	if (sig < 1 || sig > 64 || !(knobs.signals_always & BIT(sig)) ||
	    ctx->result == TRACE_SIGNAL_IGNORED)
		return 0;
	e = FR_RESERVE(SIG_GENERATE, sig_generate, FR_KEVENT_NO_BTF);
	if (!e)
		return 0;
	identify(&e->head);
	e->sig = sig;
	e->code = ctx->code;
	e->group = ctx->group != 0;
	e->result = (__u8)ctx->result;
	e->target_tid = (__u32)ctx->pid;
	__builtin_memcpy(e->target_comm, ctx->comm, sizeof(e->target_comm));
	submit(e, 1);
	return 0;
}

SEC("tp/signal/signal_deliver") int sig_deliver__tp(struct plain_signal_deliver *ctx)
{
	__u32 sig = (__u32)ctx->sig;
	struct fr_kevent_sig_deliver *e;

	if (sig < 1 || sig > 64 || !(knobs.signals_fault & BIT(sig)) || ctx->code <= 0)
		return 0;
	e = FR_RESERVE(SIG_DELIVER, sig_deliver, FR_KEVENT_NO_BTF);
	if (!e)
		return 0;
	identify(&e->head);
	e->sig = sig;
	e->code = ctx->code;
	e->handler = ctx->sa_handler;
	submit(e, 1);
	return 0;
}

SEC("tp/oom/mark_victim") int mem_oom_kill__tp(struct plain_mark_victim *ctx)
{
	struct fr_kevent_mem_oom_kill *e = FR_RESERVE(MEM_OOM_KILL, mem_oom_kill, FR_KEVENT_NO_BTF);

	if (!e)
		return 0;
	identify(&e->head);
	e->victim_pid = (__u32)ctx->pid;
	submit(e, 1);
	return 0;
}

SEC("tp/block/block_rq_error") int blk_error__tp(struct plain_block_rq_error *ctx)
{
	struct fr_kevent_blk_error *e =
		FR_RESERVE(BLK_ERROR, blk_error, FR_KEVENT_NO_BTF | FR_KEVENT_NOBODY);

	if (!e)
		return 0;
	e->dev_major = ctx->dev >> 20; /* the kernel's own dev_t */
	e->dev_minor = ctx->dev & 0xfffff;
	e->sector = ctx->sector;
	e->sector_count = ctx->nr_sector;
	e->error = ctx->error;
	submit(e, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
