/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * identity.bpf.h - who it was: the common fields of kernel events, read from a task.
 */
#ifndef BPF_IDENTITY_BPF_H
#define BPF_IDENTITY_BPF_H

#include "bpf/emit.bpf.h"
#include "bpf/kernel_types.h"

/* Start of the task's process, as in /proc/PID/stat but in nanoseconds. */
static __always_inline __u64 start_time_ns(struct task_struct *task, const int typed)
{
	struct task_struct *leader = FR_READ(typed, task, group_leader);

	if (bpf_core_field_exists(leader->start_boottime))
		return FR_READ(typed, leader, start_boottime);
	return BPF_CORE_READ((struct task_struct___real_start *)leader, real_start_time);
}

/* 16 bytes, padded with NUL by whoever set it. */
static __always_inline void task_comm(char *comm, struct task_struct *task, const int typed)
{
	if (typed) {
		((__u64 *)comm)[0] = ((__u64 *)task->comm)[0];
		((__u64 *)comm)[1] = ((__u64 *)task->comm)[1];
	} else {
		bpf_core_read_str(comm, sizeof(task->comm), &task->comm);
	}
}

static __always_inline void identify(struct fr_kevent *head, struct task_struct *task,
				     const int typed)
{
	struct task_struct *parent = FR_READ(typed, task, real_parent);

	head->pid = (__u32)FR_READ(typed, task, tgid);
	head->tid = (__u32)FR_READ(typed, task, pid);
	if (typed) {
		head->uid = task->cred->uid.val;
		head->cgroup = task->cgroups->dfl_cgrp->kn->id;
	} else {
		head->uid = (__u32)bpf_get_current_uid_gid();
		head->cgroup = bpf_get_current_cgroup_id();
	}
	head->ppid = (__u32)FR_READ(typed, parent, tgid);
	head->start_time_ns = start_time_ns(task, typed);
	task_comm(head->comm, task, typed);
}

/* The running task. */
static __always_inline void identify_current(struct fr_kevent *head, const int typed)
{
	if (typed && bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf))
		identify(head, bpf_get_current_task_btf(), 1);
	else
		identify(head, (struct task_struct *)bpf_get_current_task(), 0);
}

#endif
