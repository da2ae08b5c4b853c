/* SPDX-License-Identifier: MIT */
/* cursor.c - see cursor.h. */
#include "pstore/cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "recorder/core/crc.h"
#include "recorder/core/segment.h"
#include "recorder/core/testpoint.h"

#define MAGIC	     0x31525543u /* "CUR1" */
#define KEEP_SECONDS (30 * 24 * 3600)

/* The file: machine-local and disposable, so it is no part of the format; a wrong one is ignored. */
struct cursor_file {
	uint32_t magic;
	uint32_t crc; /* of what follows */
	struct fr_cursor cursor; /* cut after the last lane */
};

static size_t file_size(uint32_t lanes)
{
	return offsetof(struct cursor_file, cursor.lane) + lanes * sizeof(struct fr_cursor_lane);
}

static uint32_t file_crc(const struct cursor_file *file)
{
	return fr_crc32c(0, &file->cursor, file_size(file->cursor.lane_count) - offsetof(struct cursor_file, cursor));
}

static void file_name(char hex[33], const uint8_t ring_id[16])
{
	fr_hex(hex, ring_id, 16);
}

static bool load_file(const struct fr_spool *spool, struct fr_cursor *cursor)
{
	struct cursor_file *file FR_FREE = calloc(1, sizeof(*file));
	char name[33];
	ssize_t n;

	if (!file)
		return false;
	file_name(name, cursor->ring_id);
	n = fr_spool_get(spool->cursors, name, file, sizeof(*file));
	if (n < (ssize_t)file_size(0) || file->magic != MAGIC || file->cursor.lane_count > FRM_LANES_MAX ||
	    (size_t)n != file_size(file->cursor.lane_count) || file->crc != file_crc(file) ||
	    memcmp(file->cursor.ring_id, cursor->ring_id, 16))
		return false;
	memcpy(cursor, &file->cursor, sizeof(*cursor));
	return true;
}

static void reach(struct fr_cursor *cursor, uint32_t lane, uint64_t seq)
{
	if (lane >= FRM_LANES_MAX)
		return;
	if (lane >= cursor->lane_count)
		cursor->lane_count = lane + 1;
	if (cursor->lane[lane].next_seq < seq)
		cursor->lane[lane].next_seq = seq;
}

/* Moves the cursor past what a segment holds. */
static void pass_segment(struct fr_cursor *cursor, const struct fr_image *image)
{
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		const struct fr_record *record = fr_image_record(image, i);

		reach(cursor, record->lane, record->seq + 1);
	}
	for (size_t i = 0; i < fr_image_loss_count(image); i++) {
		const struct fr_loss *loss = fr_image_loss(image, i);

		if (loss->lane == FRM_LANE_NONE) {
			if ((unsigned)loss->cause < FRM_LOSS_COUNT)
				cursor->ledger[loss->cause] += loss->count;
		} else if (loss->cause == FRM_LOSS_DISCARDED_FULL) {
			reach(cursor, loss->lane, 0);
			if (loss->lane < FRM_LANES_MAX)
				cursor->lane[loss->lane].discarded += loss->count;
		} else {
			reach(cursor, loss->lane, loss->first_seq + loss->count);
		}
	}
}

static int pass_part(const struct fr_spool *spool, const char *name, uint32_t part, struct fr_cursor *cursor)
{
	struct fr_image *image;
	int fd FR_CLOSE = fr_spool_open_file(spool->dir, name);
	int error = fd;

	/* whatever it is, its number is taken */
	if (cursor->next_part <= part)
		cursor->next_part = part + 1;
	if (fd >= 0)
		error = fr_image_open(fd, 0, &image);
	if (error < 0) /* damaged since: its records count as not copied, and are copied again while they are there */
		return error == -ENOMEM ? error : 0;
	pass_segment(cursor, image);
	if (fr_image_segment(image) && fr_image_segment(image)->reason != FRM_REASON_DRAIN)
		cursor->final = 1;
	fr_image_close(image);
	return 0;
}

int fr_cursor_load(const struct fr_spool *spool, const uint8_t ring_id[16], struct fr_cursor *cursor)
{
	DIR *dir FR_CLOSEDIR = fr_spool_list(spool->dir);
	struct dirent *entry;
	uint32_t known;

	memset(cursor, 0, sizeof(*cursor));
	memcpy(cursor->ring_id, ring_id, 16);
	load_file(spool, cursor);
	known = cursor->next_part;
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		uint8_t id[16];
		uint32_t part;
		int error;

		if (fr_segment_parse_name(entry->d_name, id, &part) < 0 || memcmp(id, ring_id, 16) || part < known)
			continue;
		error = pass_part(spool, entry->d_name, part, cursor);
		if (error < 0)
			return error;
	}
	return 0;
}

int fr_cursor_store(const struct fr_spool *spool, const struct fr_cursor *cursor)
{
	struct cursor_file *file FR_FREE = calloc(1, sizeof(*file));
	char name[33];
	bool durable;
	int error;

	if (!file)
		return -ENOMEM;
	file->magic = MAGIC;
	memcpy(&file->cursor, cursor, sizeof(*cursor));
	file->crc = file_crc(file);
	file_name(name, cursor->ring_id);
	/*
	 * of a ring copied at one go its segment says the same; of one copied in parts retention
	 * may have dropped those that do
	 */
	durable = !cursor->final || cursor->next_part > 1;
	error = fr_spool_put(spool->cursors, name, file, file_size(cursor->lane_count), durable);
	FR_TESTPOINT("cursor-stored");
	return error;
}

void fr_cursor_drop(const struct fr_spool *spool, const uint8_t ring_id[16])
{
	char name[33];

	file_name(name, ring_id);
	fr_spool_drop(spool->cursors, name, false);
	FR_TESTPOINT("cursor-dropped");
}

void fr_cursor_sweep(const struct fr_spool *spool, bool (*there)(void *ctx, const uint8_t ring_id[16]), void *ctx)
{
	DIR *dir FR_CLOSEDIR = fr_spool_list(spool->cursors);
	struct fr_cursor *cursor FR_FREE = calloc(1, sizeof(*cursor));
	struct dirent *entry;

	while (dir && cursor && (entry = readdir(dir))) {
		struct stat st;

		if (fr_unhex(cursor->ring_id, 16, entry->d_name) < 0 || there(ctx, cursor->ring_id))
			continue;
		if ((load_file(spool, cursor) && cursor->final) ||
		    (fstatat(spool->cursors, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtim.tv_sec + KEEP_SECONDS < time(NULL)))
			fr_spool_drop(spool->cursors, entry->d_name, false);
	}
}
