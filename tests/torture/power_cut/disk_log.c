/* SPDX-License-Identifier: MIT */
/*
 * disk_log.c - preloaded into a program: notes in a journal what the program changes below a
 * directory (disk.h), and lets it believe in another boot and another time of day.
 *
 * Each call is made first, by the bare system call, and noted when it has succeeded: what is in the
 * journal is what the kernel was told, in that order. One process at a time changes the directory;
 * that is the test's business. What goes through a mapping can't be seen, so a shared writable
 * mapping of anything but SQLite's -shm (which it makes anew after a crash) is noted as
 * DISK_UNSEEN, and fails the test.
 */
#undef _FILE_OFFSET_BITS /* or the headers would make one symbol of pwrite and pwrite64 */
#include "tests/torture/power_cut/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SEEN   __attribute__((visibility("default")))
#define FDS    1024
#define PATH   4096
#define LOG_FD 1000 /* far from those that the program gets */

static const char boot_id_path[] = "/proc/sys/kernel/random/boot_id";
static char root[PATH];
static size_t root_size;
static int log_fd = -1;
static bool ready;
static dev_t device;
static uint64_t inode_of[FDS]; /* of descriptors below the root; 0: none of these */

static void get_ready(void)
{
	const char *dir = getenv(DISK_ENV_ROOT), *log = getenv(DISK_ENV_LOG);
	int fd;

	if (ready)
		return;
	ready = true;
	if (!dir || !log || !*log || strlen(dir) >= sizeof(root))
		return;
	strcpy(root, dir);
	root_size = strlen(root);
	fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0) {
		log_fd = (int)syscall(SYS_dup3, fd, LOG_FD, O_CLOEXEC);
		syscall(SYS_close, fd);
	}
}

/* The path below the root, or NULL when it lies elsewhere. */
static const char *below(int dir, const char *path, char buf[2 * PATH])
{
	char link[64];
	ssize_t n = 0;

	get_ready();
	if (log_fd < 0)
		return NULL;
	if (*path != '/') {
		snprintf(link, sizeof(link), dir == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dir);
		n = syscall(SYS_readlinkat, AT_FDCWD, link, buf, PATH - 1);
		if (n < 0)
			return NULL;
		buf[n++] = '/';
	}
	snprintf(buf + n, PATH, "%s", path);
	n = (ssize_t)strlen(buf);
	while (n > 2 && (!strcmp(buf + n - 2, "/.") || buf[n - 1] == '/')) {
		n -= buf[n - 1] == '/' ? 1 : 2;
		buf[n] = '\0';
	}
	if (strncmp(buf, root, root_size) || (buf[root_size] && buf[root_size] != '/'))
		return NULL;
	return buf[root_size] ? buf + root_size + 1 : buf + root_size;
}

static void note(struct disk_entry entry, const char *name, const char *target, const void *data)
{
	struct iovec part[4] = { { &entry, sizeof(entry) }, { (void *)name, 0 }, { (void *)target, 0 },
				 { (void *)data, entry.data_size } };
	int error = errno;

	entry.name_size = (uint32_t)(part[1].iov_len = name ? strlen(name) : 0);
	entry.target_size = (uint32_t)(part[2].iov_len = target ? strlen(target) : 0);
	if (syscall(SYS_writev, log_fd, part, 4) < (long)(sizeof(entry) + entry.data_size))
		abort();
	errno = error;
}

static void note_name(enum disk_op op, uint64_t inode, const char *name, const char *target)
{
	note((struct disk_entry){ .op = op, .inode = inode }, name, target, NULL);
}

/* closedir() and fclose() close unseen, and the number is then another file's. */
static uint64_t seen(int fd)
{
	int error = errno;
	struct stat st;

	if (fd < 0 || fd >= FDS || !inode_of[fd])
		return 0;
	if (fstat(fd, &st) < 0 || st.st_ino != inode_of[fd] || st.st_dev != device)
		inode_of[fd] = 0;
	errno = error;
	return inode_of[fd];
}

static int stat_at(int dir, const char *path, struct stat *st)
{
	int error = errno, r = fstatat(dir, path, st, AT_SYMLINK_NOFOLLOW);

	errno = error;
	return r;
}

static void note_change(enum disk_op op, int fd, uint64_t offset, const void *data, size_t size)
{
	struct disk_entry entry = { .op = op, .inode = seen(fd), .offset = offset, .data_size = size };
	int error = errno;
	struct stat st;

	if (fstat(fd, &st) < 0)
		abort();
	entry.mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
	errno = error;
	note(entry, NULL, NULL, data);
}

/* ------------------------------------------------------------------ opening and closing */

static int do_open(int dir, const char *path, int flags, mode_t mode)
{
	char buf[2 * PATH];
	const char *name, *fake = getenv(DISK_ENV_BOOT_ID);
	struct stat st;
	bool there;
	int fd;

	if (fake && *fake && !strcmp(path, boot_id_path))
		path = fake;
	name = below(dir, path, buf);
	there = name && stat_at(dir, path, &st) == 0;
	fd = (int)syscall(SYS_openat, dir, path, flags, mode);
	if (fd < 0 || !name)
		return fd;
	if (fd >= FDS || fd == LOG_FD || (flags & O_TMPFILE) == O_TMPFILE) {
		note_name(DISK_UNSEEN, 0, name, "open");
		return fd;
	}
	if (!there && fstat(fd, &st) < 0)
		abort();
	inode_of[fd] = st.st_ino;
	device = st.st_dev;
	if (!there)
		note_name(DISK_CREATE, st.st_ino, name, NULL);
	else if ((flags & O_TRUNC) && st.st_size)
		note_change(DISK_SIZE, fd, 0, NULL, 0);
	return fd;
}

static mode_t mode_of(int flags, va_list args)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? (mode_t)va_arg(args, int) : 0;
}

#define OPEN_BELOW(name, below, ...)                                \
	SEEN int name(__VA_ARGS__, int flags, ...)                  \
	{                                                           \
		va_list args;                                       \
		mode_t mode;                                        \
                                                                    \
		va_start(args, flags);                              \
		mode = mode_of(flags, args);                        \
		va_end(args);                                       \
		return do_open(below, path, flags, mode);           \
	}
#define OPEN(name)   OPEN_BELOW(name, AT_FDCWD, const char *path)
#define OPENAT(name) OPEN_BELOW(name, dir, int dir, const char *path)
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* What the compiler makes of the above when it is told to fortify. */
SEEN int __open_2(const char *path, int flags);
SEEN int __open_2(const char *path, int flags)
{
	return do_open(AT_FDCWD, path, flags, 0);
}

SEEN int __open64_2(const char *path, int flags);
SEEN int __open64_2(const char *path, int flags)
{
	return do_open(AT_FDCWD, path, flags, 0);
}

SEEN int __openat_2(int dir, const char *path, int flags);
SEEN int __openat_2(int dir, const char *path, int flags)
{
	return do_open(dir, path, flags, 0);
}

SEEN int __openat64_2(int dir, const char *path, int flags);
SEEN int __openat64_2(int dir, const char *path, int flags)
{
	return do_open(dir, path, flags, 0);
}

SEEN int close(int fd)
{
	if (fd == LOG_FD && log_fd == LOG_FD)
		return 0; /* whoever closes all there are */
	if (fd >= 0 && fd < FDS)
		inode_of[fd] = 0;
	return (int)syscall(SYS_close, fd);
}

/* ------------------------------------------------------------------ data */

static uint64_t end_of(int fd, ssize_t n)
{
	return (uint64_t)syscall(SYS_lseek, fd, 0, SEEK_CUR) - (uint64_t)n;
}

SEEN ssize_t write(int fd, const void *bytes, size_t size)
{
	ssize_t n = syscall(SYS_write, fd, bytes, size);

	if (n > 0 && seen(fd))
		note_change(DISK_WRITE, fd, end_of(fd, n), bytes, (size_t)n);
	return n;
}

SEEN ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
	ssize_t n = syscall(SYS_pwrite64, fd, bytes, size, at);

	if (n > 0 && seen(fd))
		note_change(DISK_WRITE, fd, (uint64_t)at, bytes, (size_t)n);
	return n;
}

SEEN ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
	return pwrite64(fd, bytes, size, at);
}

SEEN ssize_t writev(int fd, const struct iovec *part, int parts)
{
	ssize_t n = syscall(SYS_writev, fd, part, parts), left = n;
	uint64_t at = n > 0 && seen(fd) ? end_of(fd, n) : 0;

	for (int i = 0; left > 0 && seen(fd) && i < parts; i++) {
		size_t size = part[i].iov_len < (size_t)left ? part[i].iov_len : (size_t)left;

		note_change(DISK_WRITE, fd, at, part[i].iov_base, size);
		at += size;
		left -= (ssize_t)size;
	}
	return n;
}

SEEN int ftruncate64(int fd, off64_t size)
{
	int r = (int)syscall(SYS_ftruncate, fd, size);

	if (!r && seen(fd))
		note_change(DISK_SIZE, fd, (uint64_t)size, NULL, 0);
	return r;
}

SEEN int ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

static int do_sync(int fd, long number)
{
	int r = (int)syscall(number, fd);

	if (!r && seen(fd))
		note_change(DISK_SYNC, fd, 0, NULL, 0);
	return r;
}

SEEN int fsync(int fd)
{
	return do_sync(fd, SYS_fsync);
}

SEEN int fdatasync(int fd)
{
	return do_sync(fd, SYS_fdatasync);
}

/* ------------------------------------------------------------------ names */

static int do_unlink(int dir, const char *path, int flags)
{
	char buf[2 * PATH];
	const char *name = below(dir, path, buf);
	struct stat st;
	int r;

	if (name && stat_at(dir, path, &st) < 0)
		name = NULL;
	r = (int)syscall(SYS_unlinkat, dir, path, flags);
	if (!r && name)
		note_name(DISK_UNLINK, st.st_ino, name, NULL);
	return r;
}

SEEN int unlink(const char *path)
{
	return do_unlink(AT_FDCWD, path, 0);
}

SEEN int unlinkat(int dir, const char *path, int flags)
{
	return do_unlink(dir, path, flags);
}

SEEN int rmdir(const char *path)
{
	return do_unlink(AT_FDCWD, path, AT_REMOVEDIR);
}

static int do_rename(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	char from_buf[2 * PATH], to_buf[2 * PATH];
	const char *name = below(from_dir, from, from_buf), *target = below(to_dir, to, to_buf);
	struct stat st;
	int r;

	if (stat_at(from_dir, from, &st) < 0)
		st.st_ino = 0;
	r = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
	if (!r && (name || target))
		note_name(name && target && !(flags & ~(unsigned)RENAME_NOREPLACE) ? DISK_RENAME
										   : DISK_UNSEEN,
			  st.st_ino, name, target);
	return r;
}

SEEN int rename(const char *from, const char *to)
{
	return do_rename(AT_FDCWD, from, AT_FDCWD, to, 0);
}

SEEN int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return do_rename(from_dir, from, to_dir, to, 0);
}

SEEN int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	return do_rename(from_dir, from, to_dir, to, flags);
}

SEEN int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	char buf[2 * PATH];
	const char *name = below(to_dir, to, buf);
	struct stat st;
	int r = (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);

	if (!r && name && stat_at(to_dir, to, &st) == 0)
		note_name(DISK_LINK, st.st_ino, name, NULL);
	return r;
}

SEEN int link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

SEEN int mkdirat(int dir, const char *path, mode_t mode)
{
	char buf[2 * PATH];
	const char *name = below(dir, path, buf);
	struct stat st;
	int r = (int)syscall(SYS_mkdirat, dir, path, mode);

	if (!r && name && stat_at(dir, path, &st) == 0)
		note_name(DISK_MKDIR, st.st_ino, name, NULL);
	return r;
}

SEEN int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

/* ------------------------------------------------------------------ what can't be followed */

static void note_unseen(int fd, const char *what)
{
	char link[64], path[PATH];
	ssize_t n;

	if (!seen(fd))
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	if (n < 4 || strcmp(path + n - 4, "-shm"))
		note_name(DISK_UNSEEN, 0, path, what);
}

SEEN void *mmap64(void *at, size_t size, int protection, int flags, int fd, off64_t offset)
{
	if ((protection & PROT_WRITE) && (flags & MAP_SHARED))
		note_unseen(fd, "mmap");
	return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}

SEEN void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	return mmap64(at, size, protection, flags, fd, offset);
}

SEEN ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t size, unsigned flags)
{
	note_unseen(to, "copy_file_range");
	return syscall(SYS_copy_file_range, from, from_at, to, to_at, size, flags);
}

SEEN ssize_t sendfile64(int to, int from, off64_t *at, size_t size)
{
	note_unseen(to, "sendfile");
	return syscall(SYS_sendfile, to, from, at, size);
}

SEEN ssize_t pwritev64(int fd, const struct iovec *part, int parts, off64_t at)
{
	note_unseen(fd, "pwritev");
	return syscall(SYS_pwritev, fd, part, parts, at, at >> 32);
}

SEEN int fallocate64(int fd, int mode, off64_t at, off64_t size)
{
	note_unseen(fd, "fallocate");
	return (int)syscall(SYS_fallocate, fd, mode, at, size);
}

SEEN int dup2(int fd, int to)
{
	note_unseen(fd, "dup2");
	return (int)syscall(SYS_dup3, fd, to, 0);
}

SEEN int dup(int fd)
{
	note_unseen(fd, "dup");
	return (int)syscall(SYS_dup, fd);
}

/* ------------------------------------------------------------------ the time of day */

SEEN int clock_gettime(clockid_t clock, struct timespec *ret)
{
	const char *shift = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE
				    ? getenv(DISK_ENV_CLOCK)
				    : NULL;
	int r = (int)syscall(SYS_clock_gettime, clock, ret);

	if (!r && shift)
		ret->tv_sec += atoll(shift);
	return r;
}

SEEN time_t time(time_t *ret)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}
