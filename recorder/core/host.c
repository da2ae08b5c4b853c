/* SPDX-License-Identifier: MIT */
/*
 * host.c - see host.h. Reads /proc by system calls and stack buffers only: the library calls this in a
 * process it knows nothing about, possibly just after fork.
 */
#include "recorder/core/host.h"
#include "recorder/core/paths.h"
#include "recorder/core/testpoint.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TRIES    100
#define LOCK_PAUSE_NS 5000000

/* Reads up to size - 1 bytes of a small file and terminates them. Returns the count or -errno. */
static ssize_t read_small(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t got = 0;

	if (fd < 0)
		return -errno;
	while (got < size - 1) {
		ssize_t n = read(fd, buf + got, size - 1 - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			n = -errno;
			close(fd);
			return n;
		}
		if (n == 0)
			break;
		got += (size_t)n;
	}
	close(fd);
	buf[got] = '\0';
	return (ssize_t)got;
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t fr_clock_boot_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

uint64_t fr_clock_real_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

uint64_t fr_clock_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* An id file: hex digits with or without dashes, and a newline. */
static int read_id(const char *path, uint8_t id[16])
{
	char buf[64];
	ssize_t n = read_small(path, buf, sizeof(buf));

	if (n < 0)
		return (int)n;
	buf[strcspn(buf, "\n")] = '\0';
	return fr_uuid_parse(id, buf);
}

int fr_host_boot_id(uint8_t boot_id[16])
{
	return read_id("/proc/sys/kernel/random/boot_id", boot_id);
}

int fr_host_machine_id(uint8_t machine_id[16])
{
	int r;

	memset(machine_id, 0, 16);
	r = read_id("/etc/machine-id", machine_id);
	return r == -EINVAL || r == -EACCES ? -ENOENT : r;
}

/*
 * Looks for a boot in the text of STATE/boots; counts the highest number of whole lines on the way:
 * one cut short named no boot, and a power cut may leave anything in a line.
 */
static uint64_t find_boot(const char *text, const char *end, const char *hex, uint64_t *highest)
{
	uint64_t found = 0;

	while (text < end) {
		const char *line_end = memchr(text, '\n', (size_t)(end - text));
		char *word;
		unsigned long long number = strtoull(text, &word, 10);

		if (word != text && *word == ' ' && strspn(word + 1, "0123456789abcdef") == 32) {
			if (number > *highest)
				*highest = number;
			if (!strncmp(word + 1, hex, 32))
				found = number;
		}
		text = line_end ? line_end + 1 : end;
	}
	return found;
}

bool fr_host_lock(int fd)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_NS };

	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (i == LOCK_TRIES || (errno != EWOULDBLOCK && errno != EINTR))
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

/* Locked, or on a file system without locks, where nobody shortens it either. */
static bool lock_shared(int fd)
{
	return flock(fd, LOCK_SH | LOCK_NB) == 0 || (errno != EWOULDBLOCK && errno != EINTR);
}

int fr_host_open_log(const char *path, mode_t mode, unsigned wait_ms)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_NS };

	for (uint64_t waited_ns = 0;; waited_ns += LOCK_PAUSE_NS) {
		int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, mode);
		struct stat opened, named;

		if (fd < 0)
			return -errno;
		if (lock_shared(fd) && fstat(fd, &opened) == 0 && stat(path, &named) == 0 &&
		    opened.st_ino == named.st_ino && opened.st_dev == named.st_dev)
			return fd;
		close(fd); /* being shortened, or it was between open and lock */
		if (waited_ns >= wait_ms * 1000000ull)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
}

uint64_t fr_host_boot_seq(const char *state_dir, const uint8_t boot_id[16])
{
	char path[FR_PATH_MAX], hex[33], line[128];
	uint64_t number = 0, highest = 0;
	struct stat st;
	size_t room = 0;
	char *text = MAP_FAILED;
	bool locked;
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/boots", state_dir) >= sizeof(path))
		return 0;
	fr_hex(hex, boot_id, 16);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0644);
	if (fd < 0)
		return 0;
	locked = fr_host_lock(fd);
	if (fstat(fd, &st) == 0 && !st.st_size)
		fr_path_sync(state_dir); /* its name first: where a line is, the file outlives a power cut */
	/* a file that says more than 16 million boots is not ours */
	if (fstat(fd, &st) < 0 || st.st_size > 1 << 30)
		goto out;
	room = (size_t)st.st_size + 1;
	text = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* no allocator: see above */
	if (text == MAP_FAILED || pread(fd, text, (size_t)st.st_size, 0) != st.st_size)
		goto out;
	number = find_boot(text, text + st.st_size, hex, &highest);
	if (!number && locked) {
		bool torn = st.st_size > 0 && text[st.st_size - 1] != '\n'; /* a line cut by a crash: start afresh after it */
		int n = snprintf(line, sizeof(line), "%s%llu %s %llu\n", torn ? "\n" : "", (unsigned long long)highest + 1, hex,
				 (unsigned long long)(fr_clock_real_ns() / 1000000000u));

		if (write(fd, line, (size_t)n) == n) {
			FR_TESTPOINT("boot-written");
			fdatasync(fd);
			number = highest + 1;
		}
	}
out:
	if (text != MAP_FAILED)
		munmap(text, room);
	close(fd);
	return number;
}

/* Nothing of that number lives; /proc may hide others' processes (hidepid). */
static bool is_gone(pid_t pid)
{
	return pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH);
}

/*
 * *ret_fields: the fields of /proc/PID/stat that follow the command's closing parenthesis. -ESRCH
 * when the process is gone; any other error says nothing of it.
 */
static int stat_fields(pid_t pid, char *buf, size_t size, const char **ret_fields)
{
	char path[64], *paren;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	n = read_small(path, buf, size);
	if (n == -ENOENT)
		return is_gone(pid) ? -ESRCH : -EACCES;
	if (n < 0)
		return (int)n;
	paren = strrchr(buf, ')');
	if (!paren || paren[1] != ' ')
		return -ESRCH;
	*ret_fields = paren + 2;
	return 0;
}

/* Field `number` of stat, as proc(5) counts them; the text starts with field 3. */
static uint64_t stat_number(const char *fields, int number)
{
	for (int i = 3; i < number; i++) {
		fields += strcspn(fields, " ");
		fields += *fields == ' ';
	}
	return strtoull(fields, NULL, 10);
}

static uint64_t start_time_of(const char *fields)
{
	long hz = sysconf(_SC_CLK_TCK);

	return stat_number(fields, 22) * (1000000000ull / (unsigned long)(hz > 0 ? hz : 100));
}

uint64_t fr_host_start_time_ns(pid_t pid)
{
	char buf[1024];
	const char *fields;

	return stat_fields(pid, buf, sizeof(buf), &fields) < 0 ? 0 : start_time_of(fields);
}

bool fr_host_gone(pid_t pid)
{
	char buf[1024];
	const char *fields;

	return stat_fields(pid, buf, sizeof(buf), &fields) == -ESRCH;
}

uint64_t fr_host_stack_start(pid_t pid)
{
	char buf[1024];
	const char *fields;

	return stat_fields(pid, buf, sizeof(buf), &fields) < 0 ? 0 : stat_number(fields, 28);
}

/* The path in the cgroup hierarchy that tells most: version 2's, else systemd's, else the first. */
static void cgroup_of(pid_t pid, char *out, size_t size)
{
	char path[64], buf[4096], *best = NULL;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	if (read_small(path, buf, sizeof(buf)) <= 0)
		return;
	for (char *line = buf, *next; line && *line; line = next) {
		char *name;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		name = strchr(line, ':');
		if (!name || !strchr(name + 1, ':'))
			continue;
		if (!best || !strncmp(line, "0::", 3) || !strncmp(name, ":name=systemd:", 14))
			best = strchr(name + 1, ':') + 1;
		if (!strncmp(line, "0::", 3) && strcmp(best, "/"))
			break;
	}
	if (best)
		snprintf(out, size, "%s", best);
}

static void owner_of(pid_t pid, struct fr_identity *identity)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (stat(path, &st) == 0) {
		identity->uid = st.st_uid;
		identity->gid = st.st_gid;
	}
}

/* The namespace in which process numbers mean to us what they say. */
static uint64_t own_pid_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

int fr_host_identity(pid_t pid, struct fr_identity *identity)
{
	char path[64], buf[1024];
	const char *fields, *name;
	int r = stat_fields(pid, buf, sizeof(buf), &fields);
	ssize_t n;

	if (r == 0)
		r = fr_host_boot_id(identity->boot_id);
	if (r < 0)
		return r;
	name = strchr(buf, '(');
	identity->pid = (uint32_t)pid;
	identity->ppid = (uint32_t)stat_number(fields, 4);
	identity->start_time_ns = start_time_of(fields);
	if (name)
		snprintf(identity->comm, sizeof(identity->comm), "%.*s", (int)(strrchr(buf, ')') - name - 1), name + 1);
	owner_of(pid, identity);
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	n = readlink(path, identity->exe, sizeof(identity->exe) - 1);
	identity->exe[n > 0 ? n : 0] = '\0';
	cgroup_of(pid, identity->cgroup, sizeof(identity->cgroup));
	identity->pid_namespace = own_pid_namespace();
	fr_host_machine_id(identity->machine_id);
	gethostname(identity->hostname, sizeof(identity->hostname) - 1);
	return 0;
}

bool fr_host_writer_alive(const struct frm_super *super)
{
	uint8_t boot_id[16];
	char buf[1024];
	const char *fields;
	int r;

	if (fr_host_boot_id(boot_id) < 0)
		return true; /* no /proc: nothing can be known, so nothing is taken away */
	if (memcmp(boot_id, super->boot_id, 16))
		return false;
	if (super->pid_namespace && super->pid_namespace != own_pid_namespace())
		return true; /* a container's: its number means another process here, or none */
	r = stat_fields((pid_t)super->pid, buf, sizeof(buf), &fields);
	if (r < 0)
		return r != -ESRCH; /* too many open files, say: it may live */
	/* a zombie writes no more; its memory is gone */
	return start_time_of(fields) == super->start_time_ns && *fields != 'Z' && *fields != 'X';
}
