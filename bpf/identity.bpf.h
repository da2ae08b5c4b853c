/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * identity.bpf.h - who it was: the common fields of kernel events, read from a task.
 */
#ifndef BPF_IDENTITY_BPF_H
#define BPF_IDENTITY_BPF_H

#include "bpf/emit.bpf.h"
#include "bpf/kernel_types.h"

/* Start of the task's process, as in /proc/PID/stat but in nanoseconds. */
static __always_inline __u64 start_time_ns(struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	if (bpf_core_field_exists(leader->start_boottime))
		return BPF_CORE_READ(leader, start_boottime);
	return BPF_CORE_READ((struct task_struct___real_start *)leader, real_start_time);
}

/* The running task. */
static __always_inline void identify_current(struct fr_kevent *head)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u64 pid_tgid = bpf_get_current_pid_tgid();

	head->pid = (__u32)(pid_tgid >> 32);
	head->tid = (__u32)pid_tgid;
	head->uid = (__u32)bpf_get_current_uid_gid();
	head->cgroup = bpf_get_current_cgroup_id();
	head->ppid = (__u32)BPF_CORE_READ(task, real_parent, tgid);
	head->start_time_ns = start_time_ns(task);
	bpf_get_current_comm(head->comm, sizeof(head->comm));
}

#endif
