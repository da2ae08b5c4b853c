/* SPDX-License-Identifier: MIT */
/* seen.c - see seen.h. */
#include "pstore/seen.h"

#include <errno.h>
#include <string.h>

#include "recorder/core/decode.h"
#include "recorder/core/segment.h"
#include "schemas/fr_kevent.h"

#define SEEN_MAX (1u << 20) /* 16 MiB of memory; what is beyond may become an event twice */
#define SAME_NS	 1000000u   /* the daemon's stamps are the kernel's, moved by a difference of two clock readings */

static uint64_t hash_of(const char *text, size_t size)
{
	uint64_t hash = 0xcbf29ce484222325ull; /* FNV-1a */

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3ull;
	return hash;
}

static int add(struct fr_seen *seen, uint64_t time_ns, const char *text, size_t size)
{
	if (seen->count >= SEEN_MAX)
		return 0;
	if (seen->count == seen->room) {
		size_t room = seen->room ? 2 * seen->room : 256;
		void *larger = realloc(seen->line, room * sizeof(*seen->line));

		if (!larger)
			return -ENOMEM;
		seen->line = larger;
		seen->room = room;
	}
	seen->line[seen->count++] = (struct fr_seen_line){ hash_of(text, size), time_ns };
	return 0;
}

static int by_hash(const void *a, const void *b)
{
	const struct fr_seen_line *one = a, *other = b;

	if (one->hash != other->hash)
		return one->hash < other->hash ? -1 : 1;
	return one->time_ns < other->time_ns ? -1 : one->time_ns > other->time_ns;
}

/* What lies between the kernel log's clock and the times in this image. */
static uint64_t offset_of(const struct fr_image *image)
{
	size_t count = fr_image_anchor_count(image);
	const struct frm_anchor *anchor = count ? fr_image_anchor(image, count - 1) : NULL;

	return anchor && anchor->boot_ns > anchor->mono_ns ? anchor->boot_ns - anchor->mono_ns : 0;
}

static int add_lines(struct fr_seen *seen, const struct fr_image *image)
{
	uint64_t offset = offset_of(image);
	int error = 0;

	for (size_t i = 0; !error && i < fr_image_record_count(image); i++) {
		struct fr_event event;
		const struct fr_value *text;

		fr_decode(image, fr_image_record(image, i), &event);
		if (event.name && !strcmp(event.name, "kernel.panic"))
			seen->panic = true;
		if (!event.name || strcmp(event.name, "kernel.log"))
			continue;
		text = fr_event_field(&event, "text");
		if (text && text->type == FRM_STR)
			error = add(seen, event.time_ns > offset ? event.time_ns - offset : 0, text->s.data, text->s.size);
	}
	if (fr_image_super(image)->kind == FRM_KIND_HARVEST && fr_image_anchor_count(image)) {
		seen->offset_known = true;
		seen->offset_ns = offset;
	}
	return error;
}

static void add_life(struct fr_seen *seen, const struct fr_image *image, uint64_t from_ns, uint64_t to_ns)
{
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		uint64_t time_ns = fr_image_record(image, i)->time_ns;

		if (time_ns > from_ns && time_ns <= to_ns && time_ns > seen->newest_ns)
			seen->newest_ns = time_ns;
	}
}

/* True for segments that hold the end of something in that boot. */
static bool worth_reading(int fd, const uint8_t boot_id[16])
{
	struct {
		struct frm_segment segment;
		struct frm_chunk chunk;
		struct frm_super super;
	} start;

	return pread(fd, &start, sizeof(start), 0) == (ssize_t)sizeof(start) && start.segment.magic == FRM_MAGIC_SEGMENT &&
	       !memcmp(start.segment.boot_id, boot_id, 16) &&
	       start.segment.reason != FRM_REASON_DRAIN &&
	       (start.super.kind != FRM_KIND_PROCESS || start.segment.reason == FRM_REASON_BOOT_END);
}

int fr_seen_load(const struct fr_spool *spool, const uint8_t boot_id[16], uint64_t from_ns, uint64_t to_ns, struct fr_seen *seen)
{
	DIR *dir FR_CLOSEDIR = fr_spool_list(spool->dir);
	struct dirent *entry;
	int error = 0;

	if (!dir)
		return -errno;
	while (!error && (entry = readdir(dir))) {
		int fd FR_CLOSE = -1;
		struct fr_image *image;

		if (fr_segment_parse_name(entry->d_name, NULL, NULL) < 0)
			continue;
		fd = fr_spool_open_file(spool->dir, entry->d_name);
		if (fd < 0 || !worth_reading(fd, boot_id) || fr_image_open(fd, 0, &image) < 0)
			continue;
		if (fr_image_super(image)->kind != FRM_KIND_PROCESS)
			error = add_lines(seen, image);
		if (fr_image_super(image)->kind != FRM_KIND_HARVEST)
			add_life(seen, image, from_ns, to_ns);
		fr_image_close(image);
	}
	if (seen->count)
		qsort(seen->line, seen->count, sizeof(*seen->line), by_hash);
	return error;
}

void fr_seen_done(struct fr_seen *seen)
{
	free(seen->line);
	*seen = (struct fr_seen){ 0 };
}

bool fr_seen_has(const struct fr_seen *seen, uint64_t time_ns, const char *text, size_t size)
{
	struct fr_seen_line from = { hash_of(text, size), time_ns > SAME_NS ? time_ns - SAME_NS : 0 };
	size_t low = 0, high = seen->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_hash(&seen->line[middle], &from) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < seen->count && seen->line[low].hash == from.hash && seen->line[low].time_ns <= time_ns + SAME_NS;
}
