/* SPDX-License-Identifier: MIT */
/* death.c - see death.h. */
#include "recorder/daemon/death.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/core/host.h"

/* linux/pidfd.h of 6.15; older headers don't have it, and older kernels refuse it. */
struct pidfd_status {
	uint64_t mask;
	uint64_t cgroup;
	uint32_t pid, tgid, ppid, ids[8];
	int32_t exit_code;
};
#define PIDFD_STATUS_EXIT 0x8ull
#define PIDFD_STATUS_GET  _IOWR(0xff, 11, struct pidfd_status)

static int from_pidfd(int pidfd, int *ret_status)
{
	struct pidfd_status status = { .mask = PIDFD_STATUS_EXIT };

	if (pidfd < 0 || ioctl(pidfd, PIDFD_STATUS_GET, &status) < 0 ||
	    !(status.mask & PIDFD_STATUS_EXIT))
		return -1;
	*ret_status = status.exit_code;
	return 0;
}

static bool may_know(uint32_t pid)
{
	struct stat st;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%u", pid);
	return !geteuid() || (!stat(path, &st) && st.st_uid == geteuid());
}

/* Field 52 of /proc/PID/stat, which is 0 for those who may not know. */
static int from_zombie(uint32_t pid, uint64_t start_time_ns, int *ret_status)
{
	char path[64], text[1024], *at;
	int fd, status = 0, fields = 0;
	ssize_t got;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (got <= 0 || fr_host_start_time_ns((pid_t)pid) != start_time_ns)
		return -1;
	text[got] = 0;
	at = strrchr(text, ')');
	if (!at || (at[2] != 'Z' && at[2] != 'X'))
		return -1;
	for (at += 2; (at = strchr(at, ' ')); at++) {
		if (++fields == 49) { /* the state is field 3, this follows field 51 */
			if (sscanf(at, "%d", &status) != 1)
				return -1;
			*ret_status = status;
			return status || may_know(pid) ? 0 : -1;
		}
	}
	return -1;
}

void death_how(uint32_t pid, uint64_t start_time_ns, int pidfd, char *how, size_t size)
{
	int status;

	/* the parent may ask at any moment, also between these: then the pidfd has it */
	if (from_pidfd(pidfd, &status) < 0 && from_zombie(pid, start_time_ns, &status) < 0 &&
	    from_pidfd(pidfd, &status) < 0) {
		snprintf(how, size, "vanished");
	} else if (WIFSIGNALED(status)) {
		const char *name = NULL;
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 32)
		name = sigabbrev_np(WTERMSIG(status));
#endif
		snprintf(how, size, "signal %d%s%s%s%s", WTERMSIG(status), name ? " (" : "",
			 name ? name : "", name ? ")" : "",
			 WCOREDUMP(status) ? ", core dumped" : "");
	} else {
		snprintf(how, size, "exit code %d", WEXITSTATUS(status));
	}
}
