/* SPDX-License-Identifier: MIT */
/* writers_scan.c - rings that we did not make, or not in this life: found at start, and as they appear. See writers.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pstore/vouch.h"
#include "recorder/core/check.h"
#include "recorder/core/host.h"
#include "recorder/daemon/daemon.h"
#include "recorder/daemon/writers.h"

/* Opened first and looked at then: the start time says whether the pid is still the same process. */
static int open_pidfd(const struct frm_super *super)
{
#ifdef SYS_pidfd_open
	int fd = (int)syscall(SYS_pidfd_open, (pid_t)super->pid, 0);

	if (fd >= 0 && !fr_host_writer_alive(super)) {
		close(fd);
		return -1;
	}
	return fd;
#else
	(void)super;
	return -1;
#endif
}

/* A superblock that can't be believed: the name is all there is. Dead or alive is its pid's. */
static bool super_from_name(const char *name, struct frm_super *super)
{
	char hex[33] = "";
	unsigned pid;

	memset(super, 0, sizeof(*super));
	if (sscanf(name, "%u-%32[0-9a-f].ring", &pid, hex) != 2 ||
	    fr_unhex(super->ring_id, 16, hex) < 0)
		return false;
	super->pid = pid;
	return true;
}

static bool read_super(struct daemon *daemon, const char *name, struct frm_super *super,
		       bool *ret_vouched)
{
	char path[FR_PATH_MAX];
	struct frm_super named;
	struct stat st;
	int fd;
	bool ok;

	if (!super_from_name(name, &named))
		return false;
	if (snprintf(path, sizeof(path), "%s/%s", daemon->ring_dir, name) >= (int)sizeof(path) ||
	    lstat(path, &st) < 0 || !S_ISREG(st.st_mode)) /* whatever it is, it is no ring */
		return false;
	*ret_vouched = fr_vouch_read(daemon->state, name, super) == 0;
	if (*ret_vouched)
		return true;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = pread(fd, super, sizeof(*super), 0) == (ssize_t)sizeof(*super) &&
	     fr_super_check(super) == 0 && memcmp(super->ring_id, named.ring_id, 16) == 0;
	close(fd);
	if (!ok) {
		*super = named; /* this boot or another: salvage will say */
		memcpy(super->boot_id, daemon->boot_id, 16);
		super->start_time_ns = fr_host_start_time_ns((pid_t)named.pid);
	}
	return true;
}

/* A ring file that we did not make, or not in this life. */
static void adopt(struct daemon *daemon, const char *name)
{
	size_t length = strlen(name), suffix = strlen(FR_RING_SUFFIX);
	struct frm_super super;
	struct writer *writer;
	bool vouched;

	if (length <= suffix || length >= FR_RING_NAME_MAX ||
	    strcmp(name + length - suffix, FR_RING_SUFFIX) != 0 || name[0] == '.' ||
	    writers_find(daemon, name) || strcmp(name, daemon->own.name) == 0)
		return;
	if (!read_super(daemon, name, &super, &vouched))
		return;
	if (fr_host_writer_alive(&super)) {
		writer = writers_add(daemon, name, &super, open_pidfd(&super), vouched);
		if (writer)
			policy_apply(daemon, writer);
		return;
	}
	writer = writers_enter(daemon, name, &super);
	if (writer)
		writer->vouched = vouched;
}

/* Made under a temporary name by somebody who died before the rename: nobody has it. */
static void sweep(int dir, const char *name)
{
	size_t length = strlen(name);
	unsigned pid;

	if (length > 4 && sscanf(name, ".%u-", &pid) == 1 &&
	    strcmp(name + length - 4, ".new") == 0 && fr_host_gone((pid_t)pid))
		unlinkat(dir, name, 0);
}

void writers_scan(struct daemon *daemon, bool at_start)
{
	DIR *dir = opendir(daemon->ring_dir);
	struct dirent *entry;
	unsigned living = daemon->writers.living, count = daemon->writers.count, dead;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (at_start)
			sweep(dirfd(dir), entry->d_name);
		adopt(daemon, entry->d_name);
	}
	closedir(dir);
	living = daemon->writers.living - living;
	dead = daemon->writers.count - count - living;
	if (at_start && (living || dead))
		log_line(
			LOG_PRIO_INFO,
			"start: found %u rings of running programs, watched again, and %u that are left, to be salvaged",
			living, dead);
	if (dead)
		salvage_queue_run(&daemon->queue);
}

static void appeared(void *ctx, uint32_t events)
{
	struct daemon *daemon = ctx;
	_Alignas(struct inotify_event) char buffer[4096];
	ssize_t got = read(daemon->writers.watch, buffer, sizeof(buffer));

	(void)events;
	for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= got;) {
		const struct inotify_event *event = (const struct inotify_event *)(buffer + at);
		struct writer *writer;

		at += (ssize_t)(sizeof(*event) + event->len);
		if (event->mask & IN_Q_OVERFLOW) {
			writers_scan(daemon, false);
			return;
		}
		if (event->len == 0)
			continue;
		writer = writers_find(daemon, event->name);
		if (event->mask & IN_MOVED_TO)
			adopt(daemon, event->name);
		else if (writer &&
			 writer != daemon->queue.current) /* `flightrec recover` took it */
			salvage_queue_forget(writer);
	}
	salvage_queue_run(&daemon->queue);
}

void writers_watch(struct daemon *daemon)
{
	struct writers *writers = &daemon->writers;

	writers->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (writers->watch < 0 ||
	    inotify_add_watch(writers->watch, daemon->ring_dir,
			      IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM) < 0 ||
	    loop_add(&daemon->loop, writers->watch, EPOLLIN, appeared, daemon, NULL) < 0)
		daemon_missing(
			daemon, "watch of rings",
			"%s can't be watched (inotify: %s): rings that programs make while no daemon answers "
			"are only found at the next start. Raise fs.inotify.max_user_instances",
			daemon->ring_dir, strerror(errno));
}
