/* SPDX-License-Identifier: MIT */
/*
 * compact_lines.c - see compact_lines.h. Lines are sorted by ring, lane, cause and first; a ring is
 * done at a time.
 */
#include "uploader/compact_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "recorder/core/segment.h"
#include "uploader/db.h"
#include "uploader/evidence.h"
#include "uploader/index_files.h"
#include "uploader/marks.h"
#include "uploader/ranges.h"

#define ACKED_WORD "merged" /* in the place of a batch's id, where lines of several became one */

struct line {
	struct fr_index_range range;
	int cause; /* INT_MIN: a later version's word, `other` + 1; acks have 0 */
	size_t other;
	uint64_t time;
};

struct part {
	uint8_t ring_id[16];
	uint32_t part;
};

struct sum { /* of the rings of a boot that are over */
	uint8_t boot_id[16];
	uint64_t count[FRM_LOSS_COUNT];
};

struct work {
	struct fr_index *index;
	bool acks;
	uint64_t before; /* a ring of which nothing was said since then may be over */
	struct line *line;
	size_t lines, line_room;
	struct part *part;
	size_t parts, part_room;
	struct sum *sum;
	size_t sums, sum_room;
	char (*other)[FR_EVIDENCE_WORD_MAX + 1];
	size_t others, other_room;
	FILE *body;
};

/* Room for one more element. */
static int grow(void *array, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? *room * 2 : 64;
	void *held, *elements;

	if (count < *room)
		return 0;
	memcpy(&held, array, sizeof(held)); /* a pointer of whatever type */
	elements = realloc(held, more * size);
	if (!elements)
		return -ENOMEM;
	memcpy(array, &elements, sizeof(elements));
	*room = more;
	return 0;
}

static int find_other(struct work *work, const char *word, size_t *ret)
{
	for (*ret = 0; *ret < work->others; ++*ret)
		if (!strcmp(work->other[*ret], word))
			return 0;
	if (grow(&work->other, work->others, &work->other_room, sizeof(*work->other)) < 0)
		return -ENOMEM;
	strcpy(work->other[work->others++], word);
	return 0;
}

static int take_line(void *data, const char *word, const struct fr_index_range *range,
		     uint64_t unix_time)
{
	struct work *work = data;
	struct line *line;
	int r = 0;

	if (!strcmp(word, FR_EVIDENCE_COMPACTED) || (work->acks && range->lane == FRM_LANE_NONE))
		return 0;
	if (grow(&work->line, work->lines, &work->line_room, sizeof(*work->line)) < 0)
		return -ENOMEM;
	line = &work->line[work->lines++];
	*line = (struct line){ .range = *range,
			       .time = unix_time,
			       .cause = work->acks ? 0 : fr_dropped_cause(word) };
	if (line->cause == INT_MIN)
		r = find_other(work, word, &line->other);
	return r;
}

static int by_place(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int order = memcmp(x->range.ring_id, y->range.ring_id, 16);

	if (order)
		return order;
	if (x->range.lane != y->range.lane)
		return x->range.lane < y->range.lane ? -1 : 1;
	if (x->cause != y->cause)
		return x->cause < y->cause ? -1 : 1;
	return x->range.first < y->range.first ? -1 : x->range.first > y->range.first;
}

static int by_part(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	int order = memcmp(x->ring_id, y->ring_id, 16);

	return order ? order : x->part < y->part ? -1 : x->part > y->part;
}

static int by_ring(const void *a, const void *b)
{
	return memcmp(((const struct part *)a)->ring_id, ((const struct part *)b)->ring_id, 16);
}

static int list_parts(struct work *work)
{
	__attribute__((cleanup(fr_index_files_done))) struct fr_index_files files = { 0 };
	int r = fr_index_files_list(work->index->state, &files);

	for (size_t i = 0; i < files.count && !r; i++) {
		struct part part;

		fr_segment_parse_name(files.file[i].name, part.ring_id, &part.part);
		r = grow(&work->part, work->parts, &work->part_room, sizeof(part));
		if (!r)
			work->part[work->parts++] = part;
	}
	if (!r && work->parts)
		qsort(work->part, work->parts, sizeof(*work->part), by_part);
	return r;
}

static bool has_part(const struct work *work, const uint8_t ring_id[16], uint64_t part,
		     int (*order)(const void *, const void *))
{
	struct part key = { .part = (uint32_t)part };

	memcpy(key.ring_id, ring_id, 16);
	return work->parts && part <= UINT32_MAX &&
	       bsearch(&key, work->part, work->parts, sizeof(key), order);
}

/* 1 over, 0 not, or negative. */
static int is_over(struct work *work, const struct line *line, size_t count)
{
	const uint8_t *ring_id = line->range.ring_id;
	char path[FR_PATH_MAX + 64], hex[33];
	FR_STMT find = NULL;
	uint64_t newest = 0;
	int r;

	for (size_t i = 0; i < count; i++)
		/* else a sum of such rings, however young */
		if (memcmp(ring_id, line[i].range.boot_id, 16))
			newest = line[i].time > newest ? line[i].time : newest;
	fr_hex(hex, ring_id, 16);
	snprintf(path, sizeof(path), "%s/spool/cursors/%s", work->index->state, hex);
	if (newest > work->before || has_part(work, ring_id, 0, by_ring) || access(path, F_OK) == 0)
		return 0;
	r = fr_db_prepare(
		work->index,
		"SELECT 1 FROM ring r JOIN segment s ON s.ring = r.id WHERE r.ring_id = ?", &find);
	if (r < 0)
		return r;
	sqlite3_bind_blob(find, 1, ring_id, 16, SQLITE_STATIC);
	r = fr_db_step(find);
	return r < 0 ? r : !r;
}

static int find_sum(struct work *work, const uint8_t boot_id[16], struct sum **ret_sum)
{
	for (size_t i = work->sums; i; i--) /* most likely the last one's boot */
		if (!memcmp(work->sum[i - 1].boot_id, boot_id, 16)) {
			*ret_sum = &work->sum[i - 1];
			return 0;
		}
	if (grow(&work->sum, work->sums, &work->sum_room, sizeof(*work->sum)) < 0)
		return -ENOMEM;
	*ret_sum = &work->sum[work->sums++];
	**ret_sum = (struct sum){ 0 };
	memcpy((*ret_sum)->boot_id, boot_id, 16);
	return 0;
}

/* What the index makes of all that was said of it. */
static int add_losses(struct work *work, const uint8_t ring_id[16])
{
	FR_STMT find = NULL;
	int r = fr_db_prepare(work->index,
			      "SELECT boot_id, cause, count FROM loss WHERE ring_id = ?", &find);

	if (r < 0)
		return r;
	sqlite3_bind_blob(find, 1, ring_id, 16, SQLITE_STATIC);
	while ((r = fr_db_step(find)) == 1) {
		uint8_t boot_id[16];
		int cause = sqlite3_column_int(find, 1);
		struct sum *sum;

		fr_db_id(find, 0, boot_id);
		r = find_sum(work, boot_id, &sum);
		if (r < 0)
			return r;
		if (cause >= 0 && cause < FRM_LOSS_COUNT)
			sum->count[cause] += (uint64_t)sqlite3_column_int64(find, 2);
	}
	return r;
}

static const char *word_of(const struct work *work, const struct line *line)
{
	if (work->acks)
		return ACKED_WORD;
	return line->cause == INT_MIN ? work->other[line->other] : fr_dropped_word(line->cause);
}

static void put_run(struct work *work, const struct line *like, uint64_t first, uint64_t count)
{
	struct fr_index_range range = like->range;

	range.first = first;
	range.count = count <= FRM_SEQ_MASK - first ? count : FRM_SEQ_MASK - first + 1;
	range.last = first + range.count - 1;
	fr_evidence_put(work->body, word_of(work, like), &range, like->time);
}

/*
 * Counts without a place, one a part: those of parts that are gone for good become one. The
 * greatest said of a part holds.
 */
static void put_counters(struct work *work, const struct line *line, size_t count,
			 const struct line *like)
{
	uint64_t gone = 0, gone_first = UINT64_MAX;

	for (size_t i = 0; i < count;) {
		uint64_t first = line[i].range.first, most = 0;

		for (; i < count && line[i].range.first == first; i++)
			most = line[i].range.count > most ? line[i].range.count : most;
		if (has_part(work, like->range.ring_id, first, by_part)) {
			put_run(work, like, first, most);
			continue;
		}
		gone += most;
		gone_first = gone_first == UINT64_MAX ? first : gone_first;
	}
	if (gone)
		put_run(work, like, gone_first, gone);
}

static int put_ranges(struct work *work, const struct line *line, size_t count,
		      const struct line *like)
{
	struct fr_ranges set FR_RANGES = { 0 };
	int r = 0;

	for (size_t i = 0; i < count && !r; i++) {
		const struct fr_index_range *range = &line[i].range;

		/* what a segment said of others goes by its count */
		r = fr_ranges_add(&set, range->first,
				  line->cause >= -1 && !work->acks ? range->first + range->count - 1
								   : range->last);
	}
	fr_ranges_tidy(&set);
	for (size_t i = 0; i < set.count && !r; i++)
		put_run(work, like, set.run[i].first, set.run[i].last - set.run[i].first + 1);
	return r;
}

/* Lines of one ring, lane and cause. */
static int put_group(struct work *work, const struct line *line, size_t count)
{
	struct line like = *line; /* with the newest time */

	for (size_t i = 0; i < count; i++)
		like.time = line[i].time > like.time ? line[i].time : like.time;
	if (line->cause == INT_MIN) { /* who knows */
		for (size_t i = 0; i < count; i++)
			fr_evidence_put(work->body, word_of(work, &line[i]), &line[i].range,
					line[i].time);
		return 0;
	}
	if (!work->acks &&
	    (line->range.lane == FRM_LANE_NONE || line->cause >= FRM_LOSS_DISCARDED_FULL))
		put_counters(work, line, count, &like);
	else
		return put_ranges(work, line, count, &like);
	return 0;
}

static int put_ring(struct work *work, const struct line *line, size_t count)
{
	int r = is_over(work, line, count);

	if (r < 0)
		return r;
	if (r)
		return work->acks ? 0 : add_losses(work, line->range.ring_id);
	for (size_t i = 0, begin; i < count && !r;) {
		for (begin = i; i < count && line[i].range.lane == line[begin].range.lane &&
				line[i].cause == line[begin].cause;)
			i++;
		r = put_group(work, line + begin, i - begin);
	}
	return r;
}

static void put_sums(const struct work *work, FILE *to, uint64_t now)
{
	for (size_t i = 0; i < work->sums; i++)
		for (int cause = 0; cause < FRM_LOSS_COUNT; cause++) {
			struct fr_index_range range = { .lane = FRM_LANE_NONE,
							.count = work->sum[i].count[cause] };

			if (!range.count || !fr_dropped_word(cause))
				continue;
			range.count = range.count > FRM_SEQ_MASK ? FRM_SEQ_MASK : range.count;
			range.last = range.count - 1;
			memcpy(range.ring_id, work->sum[i].boot_id, 16);
			memcpy(range.boot_id, work->sum[i].boot_id, 16);
			fr_evidence_put(to, fr_dropped_word(cause), &range, now);
		}
}

static void put_generation(FILE *to, uint64_t before, uint64_t now)
{
	struct fr_index_range range = { .lane = FRM_LANE_NONE, .count = 1 };

	range.first = range.last = before < now ? now : before + 1;
	fr_evidence_put(to, FR_EVIDENCE_COMPACTED, &range, now);
}

static int put_all(struct work *work, uint64_t generation, uint64_t now, char **ret_text,
		   size_t *ret_size)
{
	FILE *stream = open_memstream(ret_text, ret_size);
	int r = stream ? 0 : -ENOMEM;

	work->body = stream;
	if (r < 0)
		return r;
	put_generation(stream, generation, now);
	for (size_t i = 0, begin; i < work->lines && !r;) {
		for (begin = i; i < work->lines && !memcmp(work->line[i].range.ring_id,
							   work->line[begin].range.ring_id, 16);)
			i++;
		r = put_ring(work, work->line + begin, i - begin);
	}
	put_sums(work, stream, now);
	if (fclose(stream) != 0 && !r)
		r = -ENOMEM;
	if (r < 0) {
		free(*ret_text);
		*ret_text = NULL;
	}
	return r;
}

int fr_compact_lines(struct fr_index *index, const char *file, int fd, const struct fr_compact *how,
		     char **ret_text, size_t *ret_size)
{
	uint64_t now = (uint64_t)time(NULL), generation, to;
	struct work work = { .index = index, .acks = !strcmp(file, FR_EVIDENCE_ACKS) };
	int r = fr_evidence_generation(fd, &generation);

	work.before = now > how->over_s ? now - how->over_s : 0;
	if (!r)
		r = fr_evidence_read_fd(fd, 0, take_line, &work, &to);
	if (!r)
		r = list_parts(&work);
	if (!r && work.lines)
		qsort(work.line, work.lines, sizeof(*work.line), by_place);
	if (!r)
		r = put_all(&work, generation, now, ret_text, ret_size);
	free(work.line);
	free(work.part);
	free(work.sum);
	free(work.other);
	return r;
}
