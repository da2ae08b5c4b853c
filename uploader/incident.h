/* SPDX-License-Identifier: MIT */
/*
 * incident.h - one row per death: a process that did not leave in order, or a kernel.
 *
 * Owns: which evidence makes an incident, and the order in which causes are believed: what the kernel said of the
 * process (proc.exit, sig.generate, mem.oom_kill through eBPF), else what the daemon saw (fr.process_died), else what its
 * ring proves (fr.crash), else "vanished". Of a signal that others name, fr.crash still adds address and sender.
 */
#ifndef UPLOADER_INCIDENT_H
#define UPLOADER_INCIDENT_H

#include "uploader/index.h"

struct fr_incident {
	char id[16];		/* 12 hexadecimal digits, the same after a rebuild; any unambiguous prefix names it */
	bool kernel;		/* else a process */
	uint8_t boot_id[16];
	uint64_t boot_seq;
	uint64_t time_ns;	/* CLOCK_BOOTTIME of the death, or of the last sign of life; 0 unknown */
	uint64_t real_ns;	/* 0 unknown */
	uint32_t pid;		/* 0 for the kernel */
	uint64_t start_time_ns;
	uint8_t ring_id[16];	/* zero: it had no ring */
	const char *comm;
	const char *exe;
	const char *cause;	/* "killed by SIGKILL from pid 812 (bash)", "SIGSEGV at 0x10", "vanished" ... */
	const char *evidence;	/* "ebpf", "daemon", "ring", "pstore", "none": joined by "+" */
	uint64_t recovered;	/* events of its rings that the index holds, or held */
	uint64_t lost[FRM_LOSS_COUNT];
};

struct fr_incidents;

/* Oldest first. `boot` as in struct fr_query, `id` a prefix; both may be NULL. */
int fr_incidents_open(struct fr_index *index, const char *boot, const char *id, struct fr_incidents **ret_list);
/* 1 an incident, 0 no more, or a negative errno; strings stay good until the next call. */
int fr_incidents_next(struct fr_incidents *list, struct fr_incident *ret_incident);
void fr_incidents_close(struct fr_incidents *list);

#endif
