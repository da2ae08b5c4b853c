/* SPDX-License-Identifier: MIT */
/*
 * follow.c - `show -f`: what comes into living rings and into the spool from now on.
 *
 * A ring is looked at four times a second: the numbers in its lane heads are hints that say whether it is worth reading. What is
 * printed is judged by the same reader as everything else. Each round shows what happened up to a moment before it began, so
 * that events of several rings, and of the kernel, which the daemon writes down a little later, stay in order; each lane has a
 * number up to which it was shown, which also holds for the segments its ring goes to.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "recorder/cli/cli.h"
#include "recorder/cli/show.h"
#include "recorder/core/check.h"
#include "recorder/core/crc.h"
#include "recorder/core/host.h"

#define ROUND_NS    250000000
#define FUTURE_NS   10000000000ull /* a record that much too young will not become true by waiting */
#define RINGS_MAX   8192
#define SEGMENTS_MAX 65536

struct followed {
	uint8_t ring_id[16];
	uint64_t next_seq[FRM_LANES_MAX];
	uint32_t print; /* of what its lane heads said */
	bool gone_said;
	unsigned unseen; /* rounds since its file was there */
};

struct follow {
	struct show *show;
	struct followed **ring;
	size_t count;
	char (*segment)[64]; /* names that were read */
	size_t segment_count;
	struct fr_timeline *timeline;
	uint64_t until_ns; /* of this round, CLOCK_BOOTTIME */
	bool daemon; /* one is recording: it will say how a process died */
	bool first; /* the round that only notes what show has printed already */
};

static struct followed *find(struct follow *follow, const uint8_t ring_id[16])
{
	struct followed *ring;

	for (size_t i = 0; i < follow->count; i++)
		if (memcmp(follow->ring[i]->ring_id, ring_id, 16) == 0)
			return follow->ring[i];
	if (follow->count == RINGS_MAX) {
		free(follow->ring[0]);
		memmove(follow->ring, follow->ring + 1, --follow->count * sizeof(*follow->ring));
	}
	if ((follow->count & (follow->count - 1)) == 0)
		follow->ring = fr_cli_realloc(follow->ring, (follow->count ? follow->count * 2 : 1) * sizeof(*follow->ring));
	ring = fr_cli_alloc(sizeof(*ring));
	memcpy(ring->ring_id, ring_id, 16);
	follow->ring[follow->count++] = ring;
	return ring;
}

/* What the lane heads and the state say, in one number: when it stays the same, nothing was written. */
static uint32_t print_of(int fd, const struct frm_super *super)
{
	uint64_t hints[2] = { 0 };
	uint32_t crc = 0;

	for (uint32_t lane = 0; lane < super->lane_count; lane++) {
		off_t at = (off_t)fr_super_lane_offset(super, lane) + (off_t)offsetof(struct frm_lane, next_pos);

		if (pread(fd, hints, sizeof(hints), at) == (ssize_t)sizeof(hints))
			crc = fr_crc32c(crc, hints, sizeof(hints));
	}
	if (pread(fd, hints, 8, offsetof(struct frm_meta, state.closed_boot_ns)) == 8)
		crc = fr_crc32c(crc, hints, 8);
	return crc ? crc : 1;
}

/* Notes what the round will show of the image. False: something is too young, look again. */
static bool advance(struct followed *ring, const struct fr_image *image, uint64_t until_ns)
{
	bool all = true;

	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		const struct fr_record *record = fr_image_record(image, i);

		if (until_ns && record->time_ns > until_ns && record->time_ns < until_ns + FUTURE_NS)
			all = false;
		else if (record->lane < FRM_LANES_MAX && record->seq >= ring->next_seq[record->lane])
			ring->next_seq[record->lane] = record->seq + 1;
	}
	return all;
}

static void read_image(struct follow *follow, struct followed *ring, struct fr_opened *opened, uint64_t until_ns)
{
	const struct fr_window window = { ring->next_seq, fr_image_lane_count(opened->image), until_ns };
	unsigned flags = follow->show->renderer.json ? 0 : FR_SOURCE_GAPS | FR_SOURCE_OVERWRITTEN;
	struct fr_source *source = NULL;

	if (opened->gone && !ring->gone_said && !follow->daemon && flags)
		flags |= FR_SOURCE_GONE;
	ring->gone_said |= opened->gone;
	fr_bootlist_add_super(&follow->show->boots, fr_image_super(opened->image));
	if (!follow->first)
		source = fr_source_image(opened->image, &follow->show->match, flags, &window);
	if (!advance(ring, opened->image, until_ns))
		ring->print = 0;
	if (source)
		fr_timeline_add(follow->timeline, source);
	else
		fr_image_close(opened->image);
}

static void look_at_ring(struct follow *follow, const char *path)
{
	struct frm_super super;
	struct fr_opened opened;
	struct followed *ring;
	bool same_boot;
	uint32_t print;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return;
	if (fr_store_peek(fd, &super) < 0 || !fr_match_super(&follow->show->match, &super)) {
		close(fd);
		return;
	}
	if (super.kind == FRM_KIND_SYSTEM)
		follow->daemon = fr_host_writer_alive(&super);
	print = print_of(fd, &super);
	close(fd);
	ring = find(follow, super.ring_id);
	ring->unseen = 0;
	if (print == ring->print && (ring->gone_said || fr_host_writer_alive(&super)))
		return;
	ring->print = print;
	if (fr_store_open(path, &opened) < 0)
		return;
	if (!opened.alive && !opened.gone)
		ring->gone_said = true; /* closed in order, or not a process: nothing more to say */
	same_boot = memcmp(super.boot_id, follow->show->boots.current, 16) == 0;
	read_image(follow, ring, &opened, same_boot ? follow->until_ns : 0);
}

static bool is_known_segment(struct follow *follow, const char *name)
{
	for (size_t i = follow->segment_count; i--;)
		if (strncmp(follow->segment[i], name, sizeof(follow->segment[i]) - 1) == 0)
			return true;
	if (follow->segment_count == SEGMENTS_MAX)
		memmove(follow->segment, follow->segment + 1, --follow->segment_count * sizeof(*follow->segment));
	if ((follow->segment_count & (follow->segment_count - 1)) == 0)
		follow->segment = fr_cli_realloc(follow->segment,
						 (follow->segment_count ? follow->segment_count * 2 : 1) * sizeof(*follow->segment));
	memset(follow->segment[follow->segment_count], 0, sizeof(*follow->segment));
	strncpy(follow->segment[follow->segment_count++], name, sizeof(*follow->segment) - 1);
	return false;
}

static int look_at(void *ctx, const struct fr_store_file *file)
{
	struct follow *follow = ctx;
	struct fr_opened opened;

	if (file->ring) {
		look_at_ring(follow, file->path);
		return 0;
	}
	if (is_known_segment(follow, file->name) || follow->first)
		return 0;
	if (fr_store_open(file->path, &opened) < 0)
		return 0;
	if (!fr_match_super(&follow->show->match, fr_image_super(opened.image))) {
		fr_image_close(opened.image);
		return 0;
	}
	read_image(follow, find(follow, fr_image_super(opened.image)->ring_id), &opened, 0);
	return 0;
}

static int print_round(struct follow *follow)
{
	struct fr_out FR_OUT_CLEANUP out = { 0 };
	const struct fr_event *event;

	while (fr_timeline_next(follow->timeline, &event) == 1) {
		fr_render_event(&follow->show->renderer, event, &out);
		if (out.size > 16384) {
			fr_term_write(&out);
			fr_out_reset(&out);
		}
	}
	fr_term_write(&out);
	fr_term_flush();
	return 0;
}

/* Rings whose file has been gone for a minute: their segments have come, or never will. */
static void forget(struct follow *follow)
{
	size_t kept = 0;

	for (size_t i = 0; i < follow->count; i++) {
		if (++follow->ring[i]->unseen > 60ull * 1000000000 / ROUND_NS)
			free(follow->ring[i]);
		else
			follow->ring[kept++] = follow->ring[i];
	}
	follow->count = kept;
}

/* --until is over, and what came before it has been shown. */
static bool is_over(const struct follow *follow)
{
	const struct fr_query *query = &follow->show->match.query;

	return (query->until_real_ns && fr_clock_real_ns() > query->until_real_ns + SHOW_LAG_NS) ||
	       (query->until_boot_ns && fr_clock_boot_ns() > query->until_boot_ns + SHOW_LAG_NS);
}

int show_follow(struct show *show)
{
	struct follow follow = { .show = show, .first = true };
	struct pollfd reader = { .fd = STDOUT_FILENO };

	fr_term_flush();
	for (;; follow.first = false) {
		follow.until_ns = follow.first ? show->window.until_ns : fr_clock_boot_ns() - (follow.daemon ? SHOW_LAG_NS : ROUND_NS);
		follow.timeline = fr_timeline_new(&show->boots);
		show_each_file(show, look_at, &follow);
		print_round(&follow);
		fr_timeline_free(follow.timeline);
		forget(&follow);
		if (is_over(&follow))
			break;
		/* sleeps, unless whoever reads us goes away */
		if (poll(&reader, 1, ROUND_NS / 1000000) > 0) {
			if (reader.revents & POLLERR)
				break;
			nanosleep(&(struct timespec){ 0, ROUND_NS }, NULL);
		}
	}
	while (follow.count)
		free(follow.ring[--follow.count]);
	free(follow.ring);
	free(follow.segment);
	return FR_EXIT_GOOD;
}
