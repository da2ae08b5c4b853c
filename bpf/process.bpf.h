/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * process.bpf.h - proc.exec and proc.exit.
 */
#include "bpf/identity.bpf.h"

/* args: struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm */
FR_PROBE(proc_exec, sched_process_exec)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	struct linux_binprm *bprm = (struct linux_binprm *)ctx[2];
	struct fr_kevent_proc_exec *e = FR_RESERVE(PROC_EXEC, proc_exec, 0);
	struct mm_struct *mm;
	__u64 start;
	__u32 size;

	if (!e)
		return 0;
	identify_current(&e->head, typed);
	e->old_pid = (__u32)ctx[1];
	bpf_probe_read_kernel_str(e->filename, sizeof(e->filename), BPF_CORE_READ(bprm, filename));

	/* the new stack was written a moment ago, its pages are there */
	mm = BPF_CORE_READ(task, mm);
	start = BPF_CORE_READ(mm, arg_start);
	e->argv_bytes = (__u32)(BPF_CORE_READ(mm, arg_end) - start);
	size = e->argv_bytes;
	if (size >= sizeof(e->argv)) {
		if (bpf_probe_read_user(e->argv, sizeof(e->argv), (void *)start) == 0)
			e->argv_size = sizeof(e->argv);
	} else {
		barrier_var(size); /* or a compiler that knows size drops what the verifier needs */
		size &= sizeof(e->argv) - 1;
		if (size && bpf_probe_read_user(e->argv, size, (void *)start) == 0)
			e->argv_size = size;
	}
	submit(e, 0);
	return 0;
}

#define SIGNAL_GROUP_EXIT 0x4 /* linux/sched/signal.h, the same since 2.6 */

/*
 * args: struct task_struct *task, and since 6.16 bool group_dead
 *
 * Before, two last threads that leave together may both find that nobody lives: the loader drops
 * the second.
 */
FR_PROBE(proc_exit, sched_process_exit)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	struct fr_kevent_proc_exit *e;
	struct task_struct *leader;
	int group_dead, status;

	if (bpf_core_field_exists(((struct trace_event_raw_sched_process_exit *)0)->group_dead))
		group_dead = ctx[1] & 1;
	else
		group_dead = BPF_CORE_READ(signal, live.counter) == 0;
	if (!group_dead)
		return 0;

	e = FR_RESERVE(PROC_EXIT, proc_exit, 0);
	if (!e)
		return 0;
	identify_current(&e->head, typed);
	/* it is the process that ends: its name, not that of the thread that happens to be the last
	 */
	leader = BPF_CORE_READ(task, group_leader);
	BPF_CORE_READ_STR_INTO(&e->head.comm, leader, comm);

	/* what wait() will say */
	if (BPF_CORE_READ(signal, flags) & SIGNAL_GROUP_EXIT)
		status = BPF_CORE_READ(signal, group_exit_code);
	else
		status = BPF_CORE_READ(leader, exit_code);
	e->exit_code = (status >> 8) & 0xff;
	e->signal = status & 0x7f;
	e->core = (status & 0x80) != 0;
	e->group_dead = 1;
	e->known = 1;
	e->rss_peak_kib = BPF_CORE_READ(signal, maxrss) * knobs.page_kib;
	submit(e, e->signal != 0);
	return 0;
}
