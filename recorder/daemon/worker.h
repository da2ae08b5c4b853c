/* SPDX-License-Identifier: MIT */
/*
 * worker.h - jobs in forked children: what parses rings does it where a hostile image can crash or bloat nobody.
 *
 * Owns: how long a job may run, and what becomes of its result. A worker outlives a daemon that is killed and ends its job:
 * cut off in the middle of a ring twice, it would have that ring taken for poison. Jobs are safe to be done by two.
 */
#ifndef RECORDER_DAEMON_WORKER_H
#define RECORDER_DAEMON_WORKER_H

#include <stdint.h>
#include <sys/types.h>

#include "recorder/daemon/loop.h"

#define WORKER_RESULT_MAX 512
#define WORKER_TIME_MS	  120000 /* after that it is killed: a ring of 1 GiB takes seconds */

struct worker_end {
	pid_t pid;
	int signal;	    /* what ended it, 0: it returned */
	int error;	    /* what the job returned; -ECANCELED after a signal */
	const void *result; /* what the job put there */
	uint32_t result_size;
};

struct worker {
	struct loop *loop;
	pid_t pid; /* 0: idle */
	int pipe;
	struct loop_timer limit;
	void (*done)(void *ctx, const struct worker_end *end);
	void *ctx;
};

/* Runs in the child. Up to WORKER_RESULT_MAX bytes of `result` (zeroed) reach done() when it returns >= 0. */
typedef int worker_job(void *ctx, void *result);

/* -EBUSY: it has a job already; or what fork says. done() is called from worker_reap(). */
int worker_start(struct worker *worker, struct loop *loop, worker_job *job,
		 void (*done)(void *ctx, const struct worker_end *end), void *ctx);
/* After SIGCHLD. Waits up to wait_ms for it to end, 0: looks only. */
void worker_reap(struct worker *worker, unsigned wait_ms);

/*
 * In a forked child: nothing of the daemon's stays open in it but standard input, output, error
 * and `fd` - no client's socket, no pidfd, no lock that would outlive the daemon. Returns the
 * descriptor that `fd` has now.
 */
int worker_keep_only(int fd);

#endif
