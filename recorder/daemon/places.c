/* SPDX-License-Identifier: MIT */
/* places.c - see places.h. */
#include "recorder/daemon/places.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "recorder/daemon/daemon.h"

#define LOCK_WAIT_MS 1000 /* for a daemon that is on its way out */

static int make_directory(const char *path, mode_t mode)
{
	int error = fr_path_make(path, mode);

	if (error < 0)
		log_line(
			LOG_PRIO_ERROR,
			"directory %s can't be made: %s. Make it, or name another (--state, --runtime, [store] ring_dir)",
			path, strerror(-error));
	return error;
}

bool places_measure_dax(const char *dir)
{
#ifdef MAP_SYNC
	char path[FR_PATH_MAX];
	void *page = MAP_FAILED;
	int fd;

	if (snprintf(path, sizeof(path), "%s/.dax-%d", dir, (int)getpid()) >= (int)sizeof(path))
		return false;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	if (ftruncate(fd, FRM_PAGE) == 0)
		page = mmap(NULL, FRM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC,
			    fd, 0);
	if (page != MAP_FAILED)
		munmap(page, FRM_PAGE);
	close(fd);
	unlink(path);
	return page != MAP_FAILED;
#else
	(void)dir;
	return false;
#endif
}

int places_make(struct daemon *daemon)
{
	char path[FR_PATH_MAX];
	mode_t mode =
		geteuid() == 0
			? 0755
			: 0700; /* who may look into rings and spool is said by their own modes */
	int error = make_directory(daemon->state, mode);

	if (error == 0)
		error = make_directory(daemon->runtime, mode);
	if (*daemon->config.ring_dir)
		snprintf(daemon->ring_dir, sizeof(daemon->ring_dir), "%s", daemon->config.ring_dir);
	else if (snprintf(daemon->ring_dir, sizeof(daemon->ring_dir), "%s/rings", daemon->state) >=
		 (int)sizeof(daemon->ring_dir))
		return -ENAMETOOLONG;
	if (error == 0)
		error = make_directory(daemon->ring_dir, mode & 0750);
	if (error == 0 &&
	    snprintf(path, sizeof(path), "%s/vouched", daemon->state) < (int)sizeof(path))
		error = make_directory(path, 0700);
	return error;
}

/* A lock of this process alone: workers don't inherit it, so that a killed daemon's last one can't keep the next out. */
int places_lock(struct daemon *daemon)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct timespec nap = { .tv_nsec = 20000000 };
	char path[FR_PATH_MAX];
	int tries = LOCK_WAIT_MS / 20;

	if (snprintf(path, sizeof(path), "%s/daemon.lock", daemon->state) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	daemon->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	while (daemon->lock < 0 || fcntl(daemon->lock, F_SETLK, &lock) < 0) {
		int error = -errno;
		bool held = daemon->lock >= 0 && (error == -EACCES || error == -EAGAIN);

		if (held && tries-- > 0) { /* killed a moment ago, it may take another to be gone */
			nanosleep(&nap, NULL);
			continue;
		}
		log_line(
			LOG_PRIO_ERROR, "%s can't be locked: %s", path,
			held ? "another flightrecd runs on this state directory; stop it, or give this one its own (--state)"
			     : strerror(-error));
		return error;
	}
	return 0;
}

unsigned places_raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1024;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	return limit.rlim_cur < 65536 ? (unsigned)limit.rlim_cur : 65536;
}
