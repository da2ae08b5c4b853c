/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * signal.bpf.h - sig.generate and sig.deliver.
 *
 * A signal is worth a record when it can end its target: no handler and a default that kills, or
 * one of those that people and supervisors end processes with (knobs.signals_always). Delivery is
 * recorded for faults alone, because only there does it tell more than generation: where the thread
 * was.
 */
#include "bpf/identity.bpf.h"

#define SEND_SIG_NOINFO 0 /* instead of a pointer: a user sent it */
#define SEND_SIG_PRIV	1 /* the kernel */
#define SI_USER		0
#define SI_KERNEL	0x80
#define SIG_IGN		1

#define BIT(sig) (1ull << ((sig) - 1))
/* ignored by default: CHLD CONT URG WINCH; they stop: STOP TSTP TTIN TTOU */
#define DEFAULT_HARMLESS                                                                           \
	(BIT(17) | BIT(18) | BIT(23) | BIT(28) | BIT(19) | BIT(20) | BIT(21) | BIT(22))

#define TRACE_SIGNAL_DELIVERED 0
#define TRACE_SIGNAL_IGNORED   1

static __always_inline int signal_code(struct kernel_siginfo *info, const int typed)
{
	if ((unsigned long)info == SEND_SIG_NOINFO)
		return SI_USER;
	if ((unsigned long)info == SEND_SIG_PRIV)
		return SI_KERNEL;
	return FR_READ(typed, info, si_code);
}

#define EIGHT_FROM(first, X)                                                                          \
	X(first) X((first) + 1) X((first) + 2) X((first) + 3)                                          \
	X((first) + 4) X((first) + 5) X((first) + 6) X((first) + 7)
#define HANDLER(number)                                                                            \
	case number:                                                                               \
		return (__u64)sighand->action[(number) - 1].sa.sa_handler;

/*
 * What the target does on the signal: 0 default, 1 ignore, else a function. A plain load needs an
 * index that is spelled out as a number.
 */
static __always_inline __u64 signal_handler(struct task_struct *task, __u32 sig, const int typed)
{
	struct sighand_struct *sighand = FR_READ(typed, task, sighand);
	void *at = __builtin_preserve_access_index(&sighand->action);
	__u64 handler = 0, index = sig - 1;

	if (!sighand)
		return 0;
	if (typed) {
		switch (sig) {
			EIGHT_FROM(1, HANDLER)
			EIGHT_FROM(9, HANDLER)
			EIGHT_FROM(17, HANDLER)
			EIGHT_FROM(25, HANDLER)
		}
	}
	barrier_var(index); /* or the compiler drops the mask, which Linux 6.1 needs to see that it is no -1 */
	index &= 63;
	at += index * bpf_core_type_size(struct k_sigaction);
	at += bpf_core_field_offset(struct k_sigaction, sa) +
	      bpf_core_field_offset(struct sigaction, sa_handler);
	bpf_probe_read_kernel(&handler, sizeof(handler), at);
	barrier_var(handler); /* or it is loaded together with those above: the verifier wants one kind of pointer */
	return handler;
}

/* args: int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result */
FR_PROBE(sig_generate, signal_generate)
{
	__u32 sig = (__u32)ctx[0];
	struct task_struct *task = (struct task_struct *)ctx[2];
	struct fr_kevent_sig_generate *e;
	__u64 handler;
	int always;

	if (sig < 1 || sig > 64 || (int)ctx[4] == TRACE_SIGNAL_IGNORED)
		return 0;
	always = (knobs.signals_always & BIT(sig)) != 0;
	if (!always && DEFAULT_HARMLESS & BIT(sig)) /* SIGCHLD, the commonest, is looked at no further */
		return 0;
	handler = signal_handler(task, sig, typed);
	if (!always && handler)
		return 0;

	e = FR_RESERVE(SIG_GENERATE, sig_generate, 0);
	if (!e)
		return 0;
	identify_current(&e->head, typed);
	e->sig = sig;
	e->handler = handler;
	e->code = signal_code((struct kernel_siginfo *)ctx[1], typed);
	e->group = ctx[3] != 0;
	e->result = (__u8)ctx[4];
	e->target_pid = (__u32)FR_READ(typed, task, tgid);
	e->target_tid = (__u32)FR_READ(typed, task, pid);
	e->target_start_time_ns = start_time_ns(task, typed);
	task_comm(e->target_comm, task, typed);
	submit(e, e->result == TRACE_SIGNAL_DELIVERED);
	return 0;
}

static __always_inline void user_registers(struct fr_kevent_sig_deliver *e)
{
	struct pt_regs *regs;

	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return;
	regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	e->ip = BPF_CORE_READ(regs, FR_REGS_IP);
	e->sp = BPF_CORE_READ(regs, FR_REGS_SP);
}

/* args: int sig, struct kernel_siginfo *info, struct k_sigaction *ka */
FR_PROBE(sig_deliver, signal_deliver)
{
	__u32 sig = (__u32)ctx[0];
	struct kernel_siginfo *info = (struct kernel_siginfo *)ctx[1];
	struct k_sigaction *action = (struct k_sigaction *)ctx[2];
	struct fr_kevent_sig_deliver *e;
	int code;

	if (sig < 1 || sig > 64 || !(knobs.signals_fault & BIT(sig)) ||
	    (unsigned long)info <= SEND_SIG_PRIV)
		return 0;
	code = BPF_CORE_READ(info, si_code);
	if (code <= 0) /* somebody sent it: there was no fault */
		return 0;

	e = FR_RESERVE(SIG_DELIVER, sig_deliver, 0);
	if (!e)
		return 0;
	identify_current(&e->head, typed);
	e->sig = sig;
	e->code = code;
	e->error = BPF_CORE_READ(info, si_errno);
	e->fault_addr = (__u64)BPF_CORE_READ(info, _sifields._sigfault._addr);
	e->handler = (__u64)BPF_CORE_READ(action, sa.sa_handler);
	user_registers(e);
	submit(e, 1);
	return 0;
}
