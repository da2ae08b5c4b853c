/* SPDX-License-Identifier: MIT */
/*
 * sync.h - bounds what a power cut takes: rings in ring_dir are written to the disk some fifty
 * milliseconds after they were written to.
 *
 * Owns: a process of its own, because a disk may keep whoever waits for it, and the daemon's loop
 * waits for nobody. It is told nothing and shares nothing but one page of numbers: it looks through
 * ring_dir itself, so that rings of the daemon, of its clients and of programs that found no daemon
 * are alike. When it dies the daemon starts another; when the daemon dies it does, too, and the
 * kernel's own write-back is what remains.
 *
 * WHAT IS DIRTY is asked of the kernel. A page that was written back is write-protected; the next
 * store to it faults, and the fault dates the file. So a ring whose date stands still holds nothing
 * new, and looking costs one fstat a ring. Dates are coarse (a tick, up to 10 ms), and a fault
 * dates the file before it lets the store go on: therefore a ring that was found changed is written
 * once more at the next look, whatever its date says then.
 *
 * THE BOUND. What was stored before a look began is on the disk when the sync that follows it has
 * ended. So at any instant a power cut takes at most what was stored since the last such look:
 * interval, and twice the time the disk takes. This window is measured for each ring and each sync.
 */
#ifndef RECORDER_DAEMON_SYNC_H
#define RECORDER_DAEMON_SYNC_H

#include <stdint.h>
#include <sys/types.h>

#include "recorder/core/atomic.h"
#include "recorder/daemon/log.h"
#include "recorder/daemon/loop.h"

struct daemon;

/* The page that both see. Each number has one writer. */
struct sync_page {
	/* the daemon's */
	uint64_t interval_ms; /* 0: only names of new rings are synced */
	uint64_t rate;	      /* bytes a second for one ring; 0: no limit */
	/* the process's */
	uint64_t rings; /* it looks at */
	uint64_t syncs; /* of rings */
	uint64_t bytes; /* written for that, about */
	uint64_t held;	/* syncs put off by the rate */
	uint64_t window_ns; /* what a cut would have cost at the last sync */
	uint64_t worst_ns;  /* and at the worst */
	uint64_t errors;
	uint64_t last_error; /* positive errno; 0: the last one went well */
	uint64_t cpu_ns;
};

struct sync {
	struct daemon *daemon;
	struct sync_page *page; /* NULL: nothing to do here, or no memory */
	pid_t pid;		/* 0: none */
	struct loop_timer again;
	struct log_limit deaths;
};

/* Not on a DAX mount, where a store needs no sync. Whatever is missing is said once. */
void sync_start(struct daemon *daemon);
void sync_configure(struct daemon *daemon); /* after a reload */
void sync_reap(struct sync *sync);	    /* after SIGCHLD */
void sync_stop(struct sync *sync);

/* syncer.c: what the process does, in the directory of that descriptor and path. Doesn't return. */
void syncer_run(int dir, const char *path, struct sync_page *page) __attribute__((noreturn));

#endif
