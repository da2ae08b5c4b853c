/* SPDX-License-Identifier: MIT */
/*
 * resume.h - where the sources of the own ring go on, so that a restart loses nothing and records nothing twice.
 *
 * The kernel's log numbers its lines: the last number recorded is enough. A sample of eBPF leaves its ring buffer only
 * after it was recorded; killed between the two, exactly that sample comes again, and is known by its stamp.
 *
 * Both are read from the own rings that earlier daemons of this boot left behind, and from STATE/resume, which is written
 * before such a ring may be released:
 *	1. read STATE/resume and the rings	2. write STATE/resume	3. salvage the rings
 * and in order, at the end: 1. write STATE/resume, 2. salvage the own ring.
 */
#ifndef RECORDER_DAEMON_RESUME_H
#define RECORDER_DAEMON_RESUME_H

#include <stdbool.h>
#include <stdint.h>

struct resume {
	bool log_known;
	uint64_t log_seq;	 /* last line of the kernel's log that was recorded */
	uint64_t kernel_time_ns; /* stamp of the last sample recorded; 0: none */
	uint32_t kernel_tid;
	uint16_t kernel_cpu;
	bool first_in_boot;	/* no daemon of this boot has been here */
	bool previous_stopped;	/* the last one of the boot before ended in order */
	char previous_boot[37]; /* "": not known */
};

struct daemon;

void resume_find(struct daemon *daemon); /* blocking; judges rings in a worker */
void resume_store(struct daemon *daemon, bool stopped);

#endif
