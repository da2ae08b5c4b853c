/* SPDX-License-Identifier: MIT */
/*
 * room.c - bounds what rings of the dead take on a machine where nobody salvages them.
 *
 * Without a daemon each process leaves its ring behind, for `flightrec recover` or `show`. Before a process adds its own, rings
 * whose writers are gone are removed, those changed longest ago first, until all fit into $FLIGHTREC_RINGS_MAX (512 MiB).
 * What goes is named: a line a lane in spool/retention.log, in the form of uploader/evidence.h, synced before the ring is
 * unlinked. Rings of the living stay, however many they are.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recorder/client/client.h"
#include "recorder/core/check.h"
#include "recorder/core/host.h"
#include "recorder/core/paths.h"
#include "recorder/core/ringfile.h"
#include "recorder/core/testpoint.h"

struct oldest {
	char name[FR_RING_NAME_MAX];
	struct timespec changed;
	struct frm_super super;
};

static bool is_ring_name(const char *name)
{
	size_t length = strlen(name), suffix = strlen(FR_RING_SUFFIX);

	return name[0] != '.' && length > suffix && length < FR_RING_NAME_MAX && !strcmp(name + length - suffix, FR_RING_SUFFIX);
}

static bool read_super(int dir_fd, const char *name, struct frm_super *super)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool good = fd >= 0 && pread(fd, super, sizeof(*super), 0) == (ssize_t)sizeof(*super) && fr_super_check(super) == 0;

	if (fd >= 0)
		close(fd);
	return good;
}

/* As the kernel gives it; readdir() would ask the allocator, which a child may not after fork. */
struct entry {
	uint64_t inode, next;
	uint16_t size;
	uint8_t type;
	char name[];
};

static void consider(int dir_fd, const char *name, uint64_t *total, struct oldest *oldest)
{
	struct frm_super super;
	struct stat st;

	if (!is_ring_name(name) || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	*total += (uint64_t)st.st_blocks * 512;
	if (oldest->name[0] && (st.st_mtim.tv_sec > oldest->changed.tv_sec ||
				(st.st_mtim.tv_sec == oldest->changed.tv_sec && st.st_mtim.tv_nsec >= oldest->changed.tv_nsec)))
		return;
	if (!read_super(dir_fd, name, &super) || fr_host_writer_alive(&super))
		return;
	strcpy(oldest->name, name);
	oldest->changed = st.st_mtim;
	oldest->super = super;
}

/* Adds up all rings; finds the one of a dead writer that was changed longest ago (name "" when there is none). */
static uint64_t look(int dir_fd, struct oldest *oldest)
{
	_Alignas(8) char buf[4096];
	uint64_t total = 0;
	long got;

	oldest->name[0] = '\0';
	lseek(dir_fd, 0, SEEK_SET);
	while ((got = syscall(SYS_getdents64, dir_fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < got; at += ((const struct entry *)(buf + at))->size)
			consider(dir_fd, ((const struct entry *)(buf + at))->name, &total, oldest);
	}
	return total;
}

/* Says in spool/retention.log what goes. */
static int name_loss(int dir_fd, const char *state, const struct oldest *oldest)
{
	char path[FR_PATH_MAX], boot[33], ring[33], line[256];
	int fd = openat(dir_fd, oldest->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), log, r = 0;

	if (fd < 0 || (size_t)snprintf(path, sizeof(path), "%s/spool", state) >= sizeof(path) - 16 || fr_path_make(path, 0755) < 0) {
		if (fd >= 0)
			close(fd);
		return -EIO;
	}
	strcat(path, "/retention.log");
	log = fr_host_open_log(path, 0644, 500);
	if (log < 0)
		r = log;
	fr_hex(boot, oldest->super.boot_id, 16);
	fr_hex(ring, oldest->super.ring_id, 16);
	for (uint32_t lane = 0; lane < oldest->super.lane_count && r == 0; lane++) {
		struct frm_lane head;
		int n;

		if (pread(fd, &head, sizeof(head), (off_t)fr_super_lane_offset(&oldest->super, lane)) != (ssize_t)sizeof(head) ||
		    !fr_lane_head_ok(&head, &oldest->super, lane) || !head.next_seq)
			continue;
		n = snprintf(line, sizeof(line), "unsent %s %s %" PRIu32 " 0 %" PRIu64 " %" PRIu64 " %" PRIu64, boot, ring, lane,
			     head.next_seq - 1, head.next_seq, fr_clock_real_ns() / 1000000000u);
		n += snprintf(line + n, sizeof(line) - (size_t)n, " %08" PRIx32 "\n", fr_crc32c(0, line, (size_t)n));
		if (write(log, line, (size_t)n) != n)
			r = -EIO;
		FR_TESTPOINT("room-named");
	}
	if (r == 0 && fdatasync(log) < 0)
		r = -errno;
	if (r == 0) /* its name, too: it may be new, or have been shortened just now */
		r = fr_path_sync_parent(path);
	if (r == -EINVAL) /* not a thing of this file system */
		r = 0;
	FR_TESTPOINT("room-synced");
	if (log >= 0)
		close(log);
	close(fd);
	return r;
}

void fr_client_make_room(const char *rings, const char *state, uint64_t needed, uint64_t most)
{
	int dir = open(rings, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct oldest oldest;

	if (dir < 0)
		return;
	/* one at a time, or a loss is named twice; until close */
	if (look(dir, &oldest) + needed > most && oldest.name[0] && fr_host_lock(dir)) {
		/* what can't be named stays: an unnamed loss would be worse than a full disk, which is reported */
		while (look(dir, &oldest) + needed > most && oldest.name[0] &&
		       name_loss(dir, state, &oldest) == 0) {
			if (unlinkat(dir, oldest.name, 0) < 0)
				break;
			FR_TESTPOINT("room-made");
		}
	}
	close(dir);
}
