/* SPDX-License-Identifier: MIT */
/* salvage_ring.c - the way of a ring file through salvage: see the protocol in salvage.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pstore/attempt.h"
#include "pstore/cursor.h"
#include "pstore/quarantine.h"
#include "pstore/salvage.h"
#include "pstore/vouch.h"
#include "recorder/core/check.h"
#include "recorder/core/host.h"
#include "recorder/core/ringfile.h"
#include "recorder/core/testpoint.h"

struct ring {
	struct fr_spool *spool;
	const char *name;
	unsigned flags;
	int dir, fd;
	char mark[FR_SPOOL_NAME]; /* name of the attempt */
	struct fr_found *found;
};

static int set_aside(struct ring *ring, const char *why)
{
	struct fr_found *found = ring->found;
	int error;

	snprintf(found->why, sizeof(found->why), "%s", why);
	error = fr_quarantine(ring->spool, ring->dir, ring->name, ring->name, why, ring->flags & FR_SALVAGE_KEEP, found->aside);
	if (error < 0) {
		found->fate = FR_FATE_FAILED;
		found->error = error;
		snprintf(found->why, sizeof(found->why), "%.180s; it could not be set aside: %s", why, strerror(-error));
		return 0;
	}
	found->fate = FR_FATE_QUARANTINED;
	found->released = !(ring->flags & FR_SALVAGE_KEEP);
	return 0;
}

static int leave(struct ring *ring, enum fr_fate fate, int error, const char *why)
{
	ring->found->fate = fate;
	ring->found->error = error;
	snprintf(ring->found->why, sizeof(ring->found->why), "%s", why);
	return 0;
}

/* The ring id in a ring file's name: its maker chose it, while what lies inside can be changed by who writes the ring. */
static bool named_id(const char *name, uint8_t ring_id[16])
{
	const char *dash = strchr(name, '-');
	char hex[33];

	if (!dash || strlen(dash + 1) < 32 || strcmp(dash + 33, FR_RING_SUFFIX))
		return false;
	memcpy(hex, dash + 1, 32);
	hex[32] = '\0';
	return fr_unhex(ring_id, 16, hex) == 0;
}

/*
 * In a ring that is being written: numbers below these were reserved before the copy is made, so that what is missing
 * among them is lost, and not merely younger than that part of the copy. Leaves what can't be known at "no limit".
 */
static void read_limits(int fd, const struct frm_super *super, uint64_t limit[FRM_LANES_MAX])
{
	for (uint32_t i = 0; i < FRM_LANES_MAX; i++)
		limit[i] = UINT64_MAX;
	for (uint32_t i = 0; i < super->lane_count && i < FRM_LANES_MAX; i++) {
		struct frm_lane head;

		if (pread(fd, &head, sizeof(head), (off_t)fr_super_lane_offset(super, i)) == (ssize_t)sizeof(head) &&
		    fr_lane_head_ok(&head, super, i))
			limit[i] = head.next_seq;
	}
}

/* The newest number below the limit may still be on its way: it is this drain's business only if it is there. */
static void settle_limits(const struct fr_image *image, uint64_t limit[FRM_LANES_MAX])
{
	size_t lanes = fr_image_lane_count(image);
	uint64_t newest[FRM_LANES_MAX] = { 0 };

	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		const struct fr_record *record = fr_image_record(image, i);

		if (record->lane < lanes && record->lane < FRM_LANES_MAX && record->seq < limit[record->lane] &&
		    newest[record->lane] <= record->seq)
			newest[record->lane] = record->seq + 1;
	}
	for (size_t i = 0; i < lanes && i < FRM_LANES_MAX; i++)
		if (limit[i] != UINT64_MAX && newest[i] < limit[i])
			limit[i]--;
}

static enum frm_reason reason_of(const struct fr_image *image, unsigned flags)
{
	uint8_t boot_id[16];

	if (flags & FR_SALVAGE_DRAIN)
		return FRM_REASON_DRAIN;
	if (fr_image_state(image)->closed_boot_ns)
		return FRM_REASON_CLOSED;
	if (fr_host_boot_id(boot_id) == 0 && !memcmp(boot_id, fr_image_super(image)->boot_id, 16))
		return FRM_REASON_DIED;
	return FRM_REASON_BOOT_END;
}

static int release(struct ring *ring, const uint8_t ring_id[16])
{
	int error;

	FR_TESTPOINT("ring-copied");
	if (ring->flags & (FR_SALVAGE_DRAIN | FR_SALVAGE_KEEP))
		return 0;
	error = fr_spool_drop(ring->dir, ring->name, true);
	FR_TESTPOINT("ring-released");
	if (error < 0)
		return leave(ring, FR_FATE_FAILED, error, "its copy is safe, but it can't be removed");
	ring->found->released = true;
	fr_cursor_drop(ring->spool, ring_id);
	return 0;
}

static int copy_out(struct ring *ring, const struct fr_image *image, const uint64_t *limit)
{
	struct fr_cursor *cursor FR_FREE = calloc(1, sizeof(*cursor));
	const struct frm_super *super = fr_image_super(image);
	int error;

	if (!cursor)
		return -ENOMEM;
	error = fr_cursor_load(ring->spool, super->ring_id, cursor);
	if (error == 0)
		error = fr_salvage_image(ring->spool, image, reason_of(image, ring->flags), cursor, limit, NULL, 0, ring->found);
	if (error < 0)
		return leave(ring, FR_FATE_FAILED, error, "its segment could not be written");
	/* a cursor that can't be stored costs time at the next run, nothing else */
	if (ring->found->fate == FR_FATE_SALVAGED)
		fr_cursor_store(ring->spool, cursor);
	return release(ring, super->ring_id);
}

/*
 * Opens and judges, between the two marks. Whose ring it is, and how large, is known from elsewhere
 * if a daemon made it: whoever still writes to it, even while we read, can spoil what was recorded
 * there, but not the reading.
 */
static int judge(struct ring *ring, const struct fr_attempt *earlier, uint64_t limit[FRM_LANES_MAX], struct fr_image **ret_image)
{
	bool drain = ring->flags & FR_SALVAGE_DRAIN;
	struct frm_super super, vouched;
	bool known = fr_vouch_read(ring->spool->state, ring->name, &vouched) == 0;
	int error;

	error = fr_attempt_begin(ring->spool, ring->mark, earlier);
	if (error < 0) {
		leave(ring, FR_FATE_FAILED, error, "the attempt could not be noted in the spool");
		return error;
	}
	if (drain && pread(ring->fd, &super, sizeof(super), 0) == (ssize_t)sizeof(super) && fr_super_check(&super) == 0)
		read_limits(ring->fd, &super, limit);
	else
		drain = false;
	error = fr_image_open_known(ring->fd, ring->flags & FR_SALVAGE_DRAIN ? FR_IMAGE_LIVE : 0,
				    known ? &vouched : NULL, ret_image);
	FR_TESTPOINT("ring-judged");
	fr_attempt_end(ring->spool, ring->mark);
	if (error < 0)
		return error;
	if (drain)
		settle_limits(*ret_image, limit);
	else
		for (size_t i = 0; i < FRM_LANES_MAX; i++)
			limit[i] = UINT64_MAX;
	return 0;
}

/* A file nobody could open as a ring. Who can't be read now, or by us, stays; what can't ever be is set aside. */
static int unreadable(struct ring *ring, int error)
{
	if (ring->found->fate == FR_FATE_FAILED)
		return 0;
	if (ring->flags & FR_SALVAGE_DRAIN)
		return leave(ring, FR_FATE_LEFT, error, fr_image_strerror(error));
	if (error == -EBADMSG || error == -EFBIG)
		return set_aside(ring, fr_image_strerror(error));
	if (error == -EPROTONOSUPPORT)
		return leave(ring, FR_FATE_LEFT, error, fr_image_strerror(error));
	return leave(ring, FR_FATE_FAILED, error, fr_image_strerror(error));
}

/* The writer as the superblock names it, without judging the rest. */
static bool writer_alive(int fd)
{
	struct frm_super super;

	return pread(fd, &super, sizeof(super), 0) == (ssize_t)sizeof(super) && fr_super_check(&super) == 0 &&
	       fr_host_writer_alive(&super);
}

/*
 * The same of the image, because copy A of the superblock may be damaged, or could not be read just
 * now: the image knows what copy B said. If that is lost, too, the number in the file's name is all there is, and whatever process has it now
 * is left alone.
 */
static bool may_be_alive(const struct ring *ring, const struct fr_image *image)
{
	struct frm_super super = *fr_image_super(image);

	if (!super.pid && fr_image_meta_damage(image) == 3) {
		super.pid = (uint32_t)strtoul(ring->name, NULL, 10);
		super.start_time_ns = fr_host_start_time_ns((pid_t)super.pid);
	}
	return super.pid && fr_host_writer_alive(&super);
}

static int salvage(struct ring *ring)
{
	uint64_t limit[FRM_LANES_MAX];
	struct fr_attempt earlier;
	struct fr_image *image;
	uint8_t id[16];
	char why[256];
	int error;

	if (!(ring->flags & (FR_SALVAGE_DRAIN | FR_SALVAGE_DEAD)) && writer_alive(ring->fd))
		return leave(ring, FR_FATE_ALIVE, 0, "");
	fr_attempt_read(ring->spool, ring->mark, &earlier);
	if (fr_attempt_is_poison(&earlier)) {
		fr_attempt_why(&earlier, why, sizeof(why));
		if (ring->flags & FR_SALVAGE_DRAIN) /* its writer lives: not ours to move */
			return leave(ring, FR_FATE_LEFT, -EBADMSG, why);
		set_aside(ring, why);
		if (ring->found->fate == FR_FATE_QUARANTINED)
			fr_attempt_end(ring->spool, ring->mark);
		return 0;
	}
	error = judge(ring, &earlier, limit, &image);
	if (error < 0)
		return unreadable(ring, error);
	if (!(ring->flags & (FR_SALVAGE_DRAIN | FR_SALVAGE_DEAD)) && may_be_alive(ring, image))
		error = leave(ring, FR_FATE_ALIVE, 0, "");
	else if (named_id(ring->name, id) && memcmp(id, fr_image_super(image)->ring_id, 16))
		error = set_aside(ring, "it claims to be another ring than the one its file was made for");
	else
		error = copy_out(ring, image, limit);
	fr_image_close(image);
	return error;
}

int fr_salvage_ring(struct fr_spool *spool, const char *dir_path, const char *name, unsigned flags, struct fr_found *ret_found)
{
	int dir FR_CLOSE = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd FR_CLOSE = -1;
	struct ring ring = { .spool = spool, .name = name, .flags = flags, .dir = dir, .found = ret_found };
	char mark[FR_PATH_MAX];
	int error;

	if (dir < 0)
		return -errno;
	memset(ret_found, 0, sizeof(*ret_found));
	strcpy(ret_found->source, "ring");
	fr_found_path(ret_found, dir_path, name);
	snprintf(mark, sizeof(mark), "ring-%.180s", name);
	fr_spool_name(ring.mark, mark);
	error = fr_spool_lock(spool, true);
	if (error < 0)
		return error;
	ring.fd = fd = fr_spool_open_file(dir, name); /* under the lock: whoever held it may have released the ring */
	error = fd < 0 ? fd : salvage(&ring);
	fr_spool_unlock(spool);
	return error;
}
