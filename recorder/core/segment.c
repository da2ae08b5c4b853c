/* SPDX-License-Identifier: MIT */
/* segment.c - see segment.h. */
#include "recorder/core/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/core/crc.h"
#include "recorder/core/host.h"
#include "recorder/core/paths.h"
#include "recorder/core/testpoint.h"

#define BUFFER_BYTES (256u << 10)
#define PIECE_BYTES  (8u << 20) /* sent on its way to the disk while the next one is written */

struct fr_segment {
	int dir, fd;
	int error; /* the first one; sticks */
	char name[FR_SEGMENT_NAME], temporary[FR_SEGMENT_NAME];
	uint64_t size;	    /* bytes handed over so far */
	uint64_t written, started; /* of these, in the file; and of these, on their way to the disk */
	bool open;	    /* inside a chunk */
	struct frm_chunk chunk;
	uint64_t chunk_at;  /* where its header lies */
	uint64_t chunk_end; /* where its body must end */
	uint32_t crc;
	size_t used; /* bytes in the buffer: the last ones of `size` */
	unsigned char buffer[BUFFER_BYTES];
};

void fr_segment_name(char name[FR_SEGMENT_NAME], const uint8_t ring_id[16], uint32_t part)
{
	char hex[33];

	fr_hex(hex, ring_id, 16);
	snprintf(name, FR_SEGMENT_NAME, "%s-%06u.frs", hex, part);
}

int fr_segment_parse_name(const char *name, uint8_t ring_id[16], uint32_t *ret_part)
{
	size_t length = strnlen(name, FR_SEGMENT_NAME), digits;
	uint8_t id[16];
	char hex[33], again[FR_SEGMENT_NAME];
	unsigned long part;

	if (length < 32 + 1 + 6 + 4 || length > 32 + 1 + 10 + 4 || name[32] != '-')
		return -EINVAL;
	memcpy(hex, name, 32);
	hex[32] = '\0';
	digits = strspn(name + 33, "0123456789");
	if (strcmp(name + 33 + digits, ".frs") || fr_unhex(id, 16, hex) < 0)
		return -EINVAL;
	part = strtoul(name + 33, NULL, 10);
	if (part > UINT32_MAX)
		return -EINVAL;
	fr_segment_name(again, id, (uint32_t)part); /* one name for one segment: no capitals, no needless zeros */
	if (strcmp(again, name))
		return -EINVAL;
	if (ring_id)
		memcpy(ring_id, id, 16);
	if (ret_part)
		*ret_part = (uint32_t)part;
	return 0;
}

void fr_segment_head(struct frm_segment *head, const uint8_t ring_id[16], const uint8_t boot_id[16], uint32_t part,
		     enum frm_reason reason)
{
	memset(head, 0, sizeof(*head));
	head->magic = FRM_MAGIC_SEGMENT;
	head->version_major = FRM_VERSION_MAJOR;
	head->version_minor = FRM_VERSION_MINOR;
	memcpy(head->ring_id, ring_id, 16);
	memcpy(head->boot_id, boot_id, 16);
	head->part = part;
	head->reason = reason;
	head->salvaged_real_ns = fr_clock_real_ns();
	head->salvaged_boot_ns = fr_clock_boot_ns();
	fr_host_boot_id(head->salvage_boot_id);
	head->crc = fr_crc32c(0, head, sizeof(*head));
}

static int write_fully(struct fr_segment *segment, const void *bytes, size_t size)
{
	const unsigned char *p = bytes;

	while (size) {
		ssize_t n = write(segment->fd, p, size < PIECE_BYTES ? size : PIECE_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		size -= (size_t)n;
		segment->written += (uint64_t)n;
		if (segment->written - segment->started >= PIECE_BYTES) {
			/* a hint: it is fsync that makes it durable */
			sync_file_range(segment->fd, (off_t)segment->started, (off_t)(segment->written - segment->started),
					SYNC_FILE_RANGE_WRITE);
			segment->started = segment->written;
		}
	}
	return 0;
}

static int fail(struct fr_segment *segment, int error)
{
	if (error < 0 && !segment->error)
		segment->error = error;
	return segment->error;
}

static int flush(struct fr_segment *segment)
{
	if (!segment->error && segment->used)
		fail(segment, write_fully(segment, segment->buffer, segment->used));
	segment->used = 0;
	return segment->error;
}

static int put(struct fr_segment *segment, const void *bytes, size_t size)
{
	if (segment->error)
		return segment->error;
	segment->size += size;
	if (size > BUFFER_BYTES - segment->used && flush(segment) < 0)
		return segment->error;
	if (size >= BUFFER_BYTES)
		return fail(segment, write_fully(segment, bytes, size));
	memcpy(segment->buffer + segment->used, bytes, size);
	segment->used += size;
	return 0;
}

int fr_segment_create(int dir, const struct frm_segment *head, struct fr_segment **ret_segment)
{
	struct fr_segment *segment;
	int error;

	segment = calloc(1, sizeof(*segment));
	if (!segment)
		return -ENOMEM;
	segment->dir = dir;
	fr_segment_name(segment->name, head->ring_id, head->part);
	if (faccessat(dir, segment->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		free(segment);
		return -EEXIST;
	}
	strcpy(segment->temporary, segment->name);
	strcpy(segment->temporary + strlen(segment->temporary) - 4, ".tmp");
	if (unlinkat(dir, segment->temporary, 0) < 0 && errno != ENOENT) {
		error = -errno;
		free(segment);
		return error;
	}
	segment->fd = openat(dir, segment->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0660); /* and the umask */
	if (segment->fd < 0) {
		error = -errno;
		free(segment);
		return error;
	}
	FR_TESTPOINT("segment-created");
	error = put(segment, head, sizeof(*head));
	if (error < 0) {
		fr_segment_discard(segment);
		return error;
	}
	*ret_segment = segment;
	return 0;
}

int fr_segment_begin(struct fr_segment *segment, enum frm_chunk_type type, uint64_t body_bytes)
{
	if (segment->error)
		return segment->error;
	if (segment->open || body_bytes > INT64_MAX / 2)
		return fail(segment, -EINVAL);
	segment->open = true;
	segment->chunk = (struct frm_chunk){ .type = type, .size = sizeof(struct frm_chunk) + body_bytes };
	segment->chunk_at = segment->size;
	segment->chunk_end = segment->size + segment->chunk.size;
	segment->crc = fr_crc32c(0, &segment->chunk, sizeof(segment->chunk));
	return put(segment, &segment->chunk, sizeof(segment->chunk));
}

int fr_segment_append(struct fr_segment *segment, const void *bytes, size_t size)
{
	if (segment->error || !size)
		return segment->error;
	if (!segment->open || size > segment->chunk_end - segment->size)
		return fail(segment, -EINVAL);
	segment->crc = fr_crc32c(segment->crc, bytes, size);
	return put(segment, bytes, size);
}

/* The checksum is known last and lies first: put it in where the header is, in the buffer or already in the file. */
static int patch_crc(struct fr_segment *segment)
{
	uint64_t buffered_from = segment->size - segment->used;
	ssize_t n;

	if (segment->chunk_at >= buffered_from) {
		memcpy(segment->buffer + (segment->chunk_at - buffered_from), &segment->crc, sizeof(segment->crc));
		return 0;
	}
	/* a header is never split: it was put in one piece, and the buffer is written in one piece */
	do
		n = pwrite(segment->fd, &segment->crc, sizeof(segment->crc), (off_t)segment->chunk_at);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(segment->crc))
		return fail(segment, n < 0 ? -errno : -EIO);
	return 0;
}

int fr_segment_end(struct fr_segment *segment)
{
	static const unsigned char zeros[8];

	if (segment->error)
		return segment->error;
	if (!segment->open || segment->size != segment->chunk_end)
		return fail(segment, -EINVAL);
	segment->open = false;
	if (patch_crc(segment) < 0)
		return segment->error;
	return put(segment, zeros, (size_t)(-segment->size & 7));
}

int fr_segment_chunk(struct fr_segment *segment, enum frm_chunk_type type, const void *bytes, size_t size)
{
	fr_segment_begin(segment, type, size);
	fr_segment_append(segment, bytes, size);
	return fr_segment_end(segment);
}

int fr_segment_meta(struct fr_segment *segment, const struct frm_meta *meta)
{
	const size_t least = offsetof(struct frm_meta, log);
	size_t size = meta->super.meta_size;
	uint64_t word;

	while (size > least) {
		memcpy(&word, (const unsigned char *)meta + size - sizeof(word), sizeof(word));
		if (word)
			break;
		size -= sizeof(word);
	}
	return fr_segment_chunk(segment, FRM_CHUNK_META, meta, size);
}

int fr_segment_seal(struct fr_segment *segment, uint64_t records, uint64_t *ret_bytes)
{
	struct frm_seal seal = { .records = records, .bytes = segment->size };
	uint64_t size;
	int error;

	fr_segment_chunk(segment, FRM_CHUNK_SEAL, &seal, sizeof(seal));
	flush(segment);
	FR_TESTPOINT("segment-written");
	if (!segment->error && fsync(segment->fd) < 0)
		fail(segment, -errno);
	FR_TESTPOINT("segment-synced");
	/* whoever writes segments holds the spool's lock, so nobody takes the name between the look and the rename */
	if (!segment->error && faccessat(segment->dir, segment->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		fail(segment, -EEXIST);
	if (!segment->error && renameat(segment->dir, segment->temporary, segment->dir, segment->name) < 0)
		fail(segment, -errno);
	error = segment->error;
	if (error < 0) {
		fr_segment_discard(segment);
		return error;
	}
	FR_TESTPOINT("segment-renamed");
	size = segment->size;
	if (fsync(segment->dir) < 0) /* it stays under its name: whole, only not known to be durable */
		error = -errno;
	FR_TESTPOINT("segment-sealed");
	close(segment->fd);
	free(segment);
	if (!error && ret_bytes)
		*ret_bytes = size;
	return error;
}

void fr_segment_discard(struct fr_segment *segment)
{
	if (!segment)
		return;
	unlinkat(segment->dir, segment->temporary, 0);
	close(segment->fd);
	free(segment);
}
