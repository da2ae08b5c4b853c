/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * memory.bpf.h - mem.oom_kill.
 */
#include "bpf/identity.bpf.h"

enum { FILE_PAGES, ANON_PAGES, SWAP_ENTRIES, SHMEM_PAGES }; /* MM_*, linux/mm_types_task.h */

/*
 * Approximate on kernels that count by CPU, as the kernel's own report is. Elements are stepped
 * over by hand: with an index that is not spelled out as a number the compiler would step by the
 * size of our short struct.
 */
static __always_inline __u64 resident_kib(struct mm_struct *mm, const int which)
{
	struct mm_struct___percpu *percpu = (void *)mm;
	struct mm_struct___atomic *atomic = (void *)mm;
	long long pages = 0;
	void *at;

	if (bpf_core_field_exists(percpu->rss_stat[0].count)) {
		at = __builtin_preserve_access_index(&percpu->rss_stat);
		at += which * bpf_core_type_size(struct percpu_counter);
		at += bpf_core_field_offset(struct percpu_counter, count);
	} else {
		at = __builtin_preserve_access_index(&atomic->rss_stat.count);
		at += which * sizeof(long);
	}
	bpf_probe_read_kernel(&pages, sizeof(pages), at);
	return pages > 0 ? (__u64)pages * knobs.page_kib : 0;
}

/* args: struct task_struct *victim, uid_t uid; before 6.8, where it wasn't carried back: int pid */
FR_PROBE(mem_oom_kill, mark_victim)
{
	struct fr_kevent_mem_oom_kill *e = FR_RESERVE(MEM_OOM_KILL, mem_oom_kill, 0);
	struct task_struct *victim;
	struct mm_struct *mm;

	if (!e)
		return 0;
	identify_current(&e->head, typed);
	if (!bpf_core_field_exists(((struct trace_event_raw_mark_victim *)0)->total_vm)) {
		e->victim_pid = (__u32)ctx[0];
		submit(e, 1);
		return 0;
	}

	victim = (struct task_struct *)ctx[0];
	e->victim_pid = (__u32)BPF_CORE_READ(victim, tgid);
	e->victim_uid = BPF_CORE_READ(victim, cred, uid.val);
	e->victim_start_time_ns = start_time_ns(victim, 0);
	e->oom_score_adj = BPF_CORE_READ(victim, signal, oom_score_adj);
	BPF_CORE_READ_STR_INTO(&e->victim_comm, victim, comm);
	mm = BPF_CORE_READ(victim, mm);
	if (mm) {
		e->total_vm_kib = BPF_CORE_READ(mm, total_vm) * knobs.page_kib;
		e->anon_rss_kib = resident_kib(mm, ANON_PAGES);
		e->file_rss_kib = resident_kib(mm, FILE_PAGES);
		e->shmem_rss_kib = resident_kib(mm, SHMEM_PAGES);
		e->pgtables_kib = (__u64)BPF_CORE_READ(mm, pgtables_bytes.counter) >> 10;
	}
	submit(e, 1);
	return 0;
}
