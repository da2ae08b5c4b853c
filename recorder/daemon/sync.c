/* SPDX-License-Identifier: MIT */
/* sync.c - see sync.h. */
#include "recorder/daemon/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/core/testpoint.h"
#include "recorder/daemon/daemon.h"

#define AGAIN_MS 1000

static void begin(void *ctx)
{
	struct sync *sync = ctx;
	struct daemon *daemon = sync->daemon;
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		int dir;

		prctl(PR_SET_NAME, "flightrecd-sync");
		loop_child(&daemon->loop);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		dir = open(daemon->ring_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			_exit(1);
		syncer_run(worker_keep_only(dir), daemon->ring_dir, sync->page);
	}
	if (pid < 0)
		loop_timer_set(&daemon->loop, &sync->again, AGAIN_MS);
	sync->pid = pid > 0 ? pid : 0;
	FR_TESTPOINT("sync-started");
}

void sync_start(struct daemon *daemon)
{
	struct sync *sync = &daemon->sync;

	sync->daemon = daemon;
	sync->deaths.about = "ends of the process that writes rings to the disk";
	sync->again = (struct loop_timer){ .fire = begin, .ctx = sync };
	if (daemon->ring_dir_dax)
		return;
	sync->page = mmap(NULL, sizeof(*sync->page), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sync->page == MAP_FAILED) {
		sync->page = NULL;
		daemon_missing(
			daemon, "sync",
			"out of memory: a power cut takes what the kernel had not written back by itself");
		return;
	}
	sync_configure(daemon);
	begin(sync);
}

void sync_configure(struct daemon *daemon)
{
	if (!daemon->sync.page)
		return;
	fr_store_relaxed(&daemon->sync.page->interval_ms, daemon->config.sync_interval_ms);
	fr_store_relaxed(&daemon->sync.page->rate, daemon->config.sync_rate);
}

void sync_reap(struct sync *sync)
{
	int status;

	if (sync->pid <= 0 || waitpid(sync->pid, &status, WNOHANG) != sync->pid)
		return;
	if (log_allowed(&sync->deaths))
		log_line(
			LOG_PRIO_WARNING,
			"the process that writes rings to the disk (%d) ended with %s %d; another one is started",
			(int)sync->pid, WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	sync->pid = 0;
	loop_timer_set(&sync->daemon->loop, &sync->again, AGAIN_MS);
}

void sync_stop(struct sync *sync)
{
	if (sync->pid > 0 && kill(sync->pid, SIGKILL) == 0)
		waitpid(sync->pid, NULL, 0); /* one that can't be killed ends with us */
	sync->pid = 0;
}
