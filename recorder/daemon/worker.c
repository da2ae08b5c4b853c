/* SPDX-License-Identifier: MIT */
/* worker.c - see worker.h. */
#include "recorder/daemon/worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "recorder/core/testpoint.h"
#include "recorder/daemon/log.h"

/* What goes through the pipe. */
struct answer {
	int32_t error;
	_Alignas(8) unsigned char result[WORKER_RESULT_MAX];
};

static void too_long(void *ctx)
{
	struct worker *worker = ctx;

	log_line(
		LOG_PRIO_WARNING,
		"worker %d has run for %d s and is killed; what it worked on is tried once more later",
		(int)worker->pid, WORKER_TIME_MS / 1000);
	kill(worker->pid, SIGKILL);
}

/* First the error, then the result: less than PIPE_BUF, so it is in the pipe whole or not at all. */
static void run(worker_job *job, void *ctx, int pipe)
{
	struct answer answer = { 0 };
	ssize_t put;

	answer.error = job(ctx, answer.result);
	put = write(pipe, &answer, sizeof(answer));
	_exit(put == (ssize_t)sizeof(answer) ? 0 : 1);
}

/* A large ring needs memory for a moment: when there is none, the worker goes, and the daemon stays. */
static void offer_to_oom_killer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	ssize_t put = fd >= 0 ? write(fd, "500", 3) : 0;

	(void)put;
	if (fd >= 0)
		close(fd);
}

int worker_keep_only(int fd)
{
	int kept = dup2(fd, 3);
	DIR *dir;
	struct dirent *entry;

#ifdef SYS_close_range
	if (syscall(SYS_close_range, 4u, ~0u, 0u) == 0)
		return kept;
#endif
	dir = opendir("/proc/self/fd");
	while (dir && (entry = readdir(dir))) {
		int other = atoi(entry->d_name);

		if (other > 3 && other != dirfd(dir))
			close(other);
	}
	if (dir)
		closedir(dir);
	return kept;
}

int worker_start(struct worker *worker, struct loop *loop, worker_job *job,
		 void (*done)(void *ctx, const struct worker_end *end), void *ctx)
{
	pid_t pid;
	int ends[2];

	if (worker->pid > 0)
		return -EBUSY;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		int error = -errno;

		close(ends[0]);
		close(ends[1]);
		return error;
	}
	if (pid == 0) {
		prctl(PR_SET_NAME, "flightrecd-work");
		offer_to_oom_killer();
		loop_child(loop);
		alarm(WORKER_TIME_MS / 1000 + 1);
		run(job, ctx, worker_keep_only(ends[1]));
	}
	close(ends[1]);
	worker->loop = loop;
	worker->pid = pid;
	worker->pipe = ends[0];
	worker->done = done;
	worker->ctx = ctx;
	worker->limit.fire = too_long;
	worker->limit.ctx = worker;
	loop_timer_set(loop, &worker->limit, WORKER_TIME_MS);
	FR_TESTPOINT("worker-started");
	return 0;
}

static void finish(struct worker *worker, int status)
{
	struct answer answer = { 0 };
	struct worker_end end = { .pid = worker->pid, .error = -ECANCELED };
	ssize_t got = read(worker->pipe, &answer, sizeof(answer));

	close(worker->pipe);
	loop_timer_stop(worker->loop, &worker->limit);
	worker->pid = 0;
	if (WIFSIGNALED(status))
		end.signal = WTERMSIG(status);
	if (got == (ssize_t)sizeof(answer)) { /* it had said so before whatever ended it */
		end.error = answer.error;
		end.signal = 0;
		end.result = answer.result;
		end.result_size = sizeof(answer.result);
	}
	worker->done(worker->ctx, &end);
}

void worker_reap(struct worker *worker, unsigned wait_ms)
{
	struct timespec nap = { .tv_nsec = 2000000 };
	int status;

	while (worker->pid > 0) {
		pid_t got = waitpid(worker->pid, &status, WNOHANG);

		if (got == worker->pid || (got < 0 && errno == ECHILD)) {
			finish(worker, got < 0 ? 0 : status);
			return;
		}
		if (wait_ms < 2)
			return;
		wait_ms -= 2;
		nanosleep(&nap, NULL);
	}
}
