/* SPDX-License-Identifier: MIT */
/* test_index_losses.c - what is missing and why, across the parts of a ring, acknowledgement and retention. */
#include <sys/stat.h>

#include "recorder/core/host.h"
#include "recorder/core/paths.h"
#include "tests/unit/unit_index.h"
#include "uploader/evidence.h"
#include "uploader/retention.h"

#define LOSSES "SELECT lane, cause, first_seq, count FROM losses ORDER BY ring, lane, first_seq, cause"
#define EVENTS "SELECT count(*), min(seq), max(seq) FROM events"

static void orders(struct writer *w, unsigned lane, uint64_t count)
{
	while (count--)
		writer_order(w, lane, 200 * SECOND + w->lane[lane].seq * 1000, w->lane[lane].seq);
}

static void torn(struct writer *w, unsigned lane)
{
	struct fr_reservation res;

	assert_int_equal(fr_lane_reserve(&w->lane[lane], 8, &res), 0);
	fr_lane_cover_torn(&w->lane[lane], 200 * SECOND);
}

TEST(test_overlapping_parts_give_each_event_once_and_an_earlier_one_voids_a_claim)
{
	struct fr_index_stats stats;
	struct fr_index *index;
	struct scratch s;
	struct writer w;
	char *text;

	scratch_make(&s);
	writer_make(&w, FRM_KIND_PROCESS, 1, 11, 1);
	orders(&w, 0, 500);
	torn(&w, 0); /* number 500 */
	orders(&w, 0, 99);
	writer_seal(&w, &s, 0, FRM_REASON_DRAIN, NULL, NULL);
	orders(&w, 0, 400); /* overlaps: still in the ring are more than these */
	writer_seal(&w, &s, 1, FRM_REASON_DRAIN, NULL, NULL);
	index = index_now(&s, &stats);
	assert_int_equal(stats.duplicates, 599);
	assert_answer(index, EVENTS, "999|0|999\n");
	assert_answer(index, LOSSES, "0|torn|500|1\n");
	/* several laps later the ring claims nearly everything overwritten; what an earlier part holds is not lost */
	orders(&w, 0, 5000);
	writer_seal(&w, &s, 2, FRM_REASON_DIED, NULL, NULL);
	assert_int_equal(fr_index_update(index, NULL), 0);
	text = index_ask(index, "SELECT count(*), sum(count), min(first_seq) FROM losses WHERE cause = 'overwritten'");
	assert_true(!strncmp(text, "1|", 2));
	assert_true(strstr(text, "|1000\n"));
	free(text);
	assert_answer(index, "SELECT count, first_seq FROM losses WHERE cause = 'torn'", "1|500\n");
	/* the whole is what was reserved */
	assert_answer(index, "SELECT (SELECT count(*) FROM events) + (SELECT sum(count) FROM losses)", "6000\n");
	fr_index_close(index);
	writer_done(&w);
	scratch_remove(&s);
}

TEST(test_counts_without_a_place_add_up_over_the_parts)
{
	struct fr_index *index;
	struct scratch s;
	struct writer w;

	scratch_make(&s);
	writer_make(&w, FRM_KIND_SYSTEM, 1, 11, 1);
	fr_ring_count_loss(&w.ring, FRM_LOSS_KERNEL_BUFFER, 5);
	writer_say(&w, 0, 200 * SECOND, FR_EVENT_FR_START, (struct said[]){ { NULL, 0, NULL } });
	writer_seal(&w, &s, 0, FRM_REASON_DRAIN, NULL, NULL);
	writer_seal(&w, &s, 1, FRM_REASON_DRAIN, NULL, NULL);
	index = index_now(&s, NULL);
	assert_answer(index, LOSSES, "-|kernel buffer full|-|10\n");
	fr_index_close(index);
	writer_done(&w);
	scratch_remove(&s);
}

TEST(test_what_nobody_claims_is_damaged)
{
	uint64_t from[2] = { 70, 0 }, to[2] = { 40, 0 };
	struct fr_index *index;
	struct scratch s;
	struct writer w;

	scratch_make(&s);
	writer_make(&w, FRM_KIND_PROCESS, 1, 11, 1);
	orders(&w, 0, 100);
	writer_seal(&w, &s, 0, FRM_REASON_DRAIN, NULL, to);
	writer_seal(&w, &s, 2, FRM_REASON_DIED, from, NULL);
	index = index_now(&s, NULL);
	assert_answer(index, LOSSES, "0|damaged|40|30\n");
	from[0] = 40;
	to[0] = 70;
	writer_seal(&w, &s, 1, FRM_REASON_DRAIN, from, to); /* it turns up */
	assert_int_equal(fr_index_update(index, NULL), 0);
	assert_answer(index, LOSSES, "");
	fr_index_close(index);
	writer_done(&w);
	scratch_remove(&s);
}

static uint64_t count_pending(struct fr_index *index, uint64_t *ret_first)
{
	struct fr_pending *pending;
	struct fr_event event;
	uint64_t count = 0, last_seq = 0;
	uint32_t last_lane = 0;
	int r;

	assert_int_equal(fr_index_pending(index, &pending), 0);
	while ((r = fr_pending_next(pending, &event)) == 1) {
		if (!count++)
			*ret_first = event.seq;
		else
			assert_true(event.lane > last_lane || (event.lane == last_lane && event.seq > last_seq));
		last_lane = event.lane;
		last_seq = event.seq;
	}
	assert_int_equal(r, 0);
	assert_int_equal(fr_pending_next(pending, &event), 0);
	fr_pending_close(pending);
	return count;
}

static struct fr_index_range range_of(const struct writer *w, uint32_t lane, uint64_t first, uint64_t last)
{
	struct fr_index_range range = { .lane = lane, .first = first, .last = last, .count = last - first + 1 };

	memcpy(range.ring_id, w->id, 16);
	memcpy(range.boot_id, w->boot, 16);
	return range;
}

TEST(test_what_is_marked_is_not_pending_and_acknowledgements_survive_a_rebuild)
{
	struct fr_index_range range;
	uint64_t first = 0;
	struct fr_index *index;
	struct scratch s;
	struct writer w;

	scratch_make(&s);
	writer_make(&w, FRM_KIND_PROCESS, 1, 11, 1);
	orders(&w, 0, 100);
	orders(&w, 1, 10);
	writer_seal(&w, &s, 0, FRM_REASON_DIED, NULL, NULL);
	index = index_now(&s, NULL);
	assert_int_equal(count_pending(index, &first), 110);
	range = range_of(&w, 0, 0, 59);
	assert_int_equal(fr_index_mark(index, &range, 1, FR_MARK_QUEUED), 0);
	assert_int_equal(fr_index_mark(index, &range, 1, FR_MARK_QUEUED), 0);
	assert_int_equal(count_pending(index, &first), 50);
	assert_int_equal(first, 60);
	range = range_of(&w, 0, 0, 29);
	assert_int_equal(fr_evidence_append(s.state, FR_EVIDENCE_ACKS, "batch-1", &range, 1), 0);
	assert_int_equal(fr_index_update(index, NULL), 0);
	assert_int_equal(fr_index_mark(index, &range, 1, FR_MARK_QUEUED), 0); /* weaker: nothing happens */
	assert_int_equal(fr_index_forget_queued(index), 0);
	assert_int_equal(count_pending(index, &first), 80);
	assert_int_equal(first, 30);
	range = range_of(&w, 0, 30, 30);
	assert_int_equal(fr_index_mark(index, &range, 1, FR_MARK_REFUSED), 0);
	assert_int_equal(count_pending(index, &first), 79);
	fr_index_close(index);
	assert_int_equal(fr_index_rebuild(s.state, NULL, NULL, NULL), 0);
	index = index_now(&s, NULL);
	assert_int_equal(count_pending(index, &first), 80);
	assert_int_equal(first, 30);
	fr_index_close(index);
	writer_done(&w);
	scratch_remove(&s);
}

static int count_lines(void *data, const char *word, const struct fr_index_range *range, uint64_t unix_time)
{
	assert_true(unix_time > 0);
	assert_true(!strcmp(word, "a") || !strcmp(word, "b"));
	assert_int_equal(range->count, 5);
	++*(unsigned *)data;
	return 0;
}

TEST(test_a_line_of_evidence_that_was_cut_short_costs_only_itself)
{
	struct fr_index_range range = { .lane = 3, .first = 10, .last = 14, .count = 5 };
	unsigned lines = 0;
	struct scratch s;
	uint64_t to = 0;
	char path[160];
	struct stat st;

	scratch_make(&s);
	assert_int_equal(fr_path_make(s.spool, 0700), 0);
	assert_int_equal(fr_evidence_read(s.state, FR_EVIDENCE_ACKS, 0, count_lines, &lines, &to), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fr_evidence_append(s.state, FR_EVIDENCE_ACKS, "a", &range, 1), 0);
	snprintf(path, sizeof(path), "%s/acks.log", s.spool);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 7), 0);
	assert_int_equal(fr_evidence_read(s.state, FR_EVIDENCE_ACKS, 0, count_lines, &lines, &to), 0);
	assert_int_equal(lines, 2);
	assert_int_equal(fr_evidence_append(s.state, FR_EVIDENCE_ACKS, "b", &range, 1), 0);
	assert_int_equal(fr_evidence_read(s.state, FR_EVIDENCE_ACKS, to, count_lines, &lines, &to), 0);
	assert_int_equal(lines, 3);
	assert_int_equal(fr_evidence_append(s.state, FR_EVIDENCE_ACKS, "no blanks", &range, 1), -EINVAL);
	scratch_remove(&s);
}

TEST(test_zeros_that_a_power_cut_left_in_a_log_cost_no_line_behind_them)
{
	struct fr_index_range range = { .lane = 3, .first = 10, .last = 14, .count = 5 };
	static const char zeros[1300];
	struct scratch s;

	for (size_t size = 1; size < sizeof(zeros); size = 3 * size + 1) {
		unsigned lines = 0;
		uint64_t to;

		scratch_make(&s);
		assert_int_equal(fr_path_make(s.spool, 0700), 0);
		scratch_put(s.spool, "acks.log", zeros, size);
		assert_int_equal(fr_evidence_append(s.state, FR_EVIDENCE_ACKS, "a", &range, 1), 0);
		assert_int_equal(fr_evidence_append(s.state, FR_EVIDENCE_ACKS, "b", &range, 1), 0);
		assert_int_equal(fr_evidence_read(s.state, FR_EVIDENCE_ACKS, 0, count_lines, &lines, &to), 0);
		assert_int_equal(lines, 2);
		scratch_remove(&s);
	}
}

TEST(test_retention_drops_the_oldest_first_and_names_what_was_never_sent)
{
	uint64_t cut[2][2] = { { 0, 0 }, { 0, 0 } };
	struct fr_retention limits = { 0 };
	struct fr_retention_stats stats;
	struct fr_index_range range;
	struct fr_index *index;
	char *before, *after;
	struct scratch s;
	struct writer w;

	scratch_make(&s);
	writer_make(&w, FRM_KIND_PROCESS, 1, 11, 1);
	orders(&w, 0, 100);
	torn(&w, 0);
	orders(&w, 0, 200);
	fr_ring_count_loss(&w.ring, FRM_LOSS_DISCARDED_BUSY, 4);
	for (uint32_t part = 0; part < 3; part++) { /* 0..120, 100..200, 200..301 */
		cut[0][0] = part * 100;
		cut[1][0] = part == 0 ? 120 : part == 1 ? 200 : 301;
		writer_seal(&w, &s, part, part == 2 ? FRM_REASON_DIED : FRM_REASON_DRAIN, cut[0], cut[1]);
	}
	index = index_now(&s, NULL);
	assert_answer(index, EVENTS, "300|0|300\n");
	assert_answer(index, LOSSES, "-|discarded: no lane free|-|12\n0|torn|100|1\n");
	range = range_of(&w, 0, 0, 49);
	assert_int_equal(fr_evidence_append(s.state, FR_EVIDENCE_ACKS, "batch-1", &range, 1), 0);
	assert_int_equal(fr_index_update(index, NULL), 0);
	/* by age: parts were made 1,000 seconds after each other */
	limits.max_age_s = fr_clock_real_ns() / SECOND - (1000000 + 1000) + 500;
	assert_int_equal(fr_retention_run(index, &limits, &stats), 0);
	assert_int_equal(stats.segments, 0);
	limits.max_age_s -= 1000;
	assert_int_equal(fr_retention_run(index, &limits, &stats), 0);
	assert_int_equal(stats.segments, 1);
	assert_int_equal(stats.events, 100);
	assert_int_equal(stats.events_unsent, 50);
	/* 100..119 is in the next part, too; what was sent is no loss; what the dropped part had said is still said */
	assert_answer(index, EVENTS, "200|101|300\n");
	assert_answer(index, LOSSES,
		      "-|discarded: no lane free|-|12\n0|dropped by retention|50|50\n0|torn|100|1\n");
	assert_int_equal(fr_retention_run(index, &limits, &stats), 0);
	assert_int_equal(stats.segments, 0);
	before = index_dump(index);
	fr_index_close(index);
	assert_int_equal(fr_index_rebuild(s.state, NULL, NULL, NULL), 0);
	index = index_now(&s, NULL);
	after = index_dump(index);
	assert_string_equal(before, after);
	free(before);
	free(after);
	/* by size: nothing fits, everything goes, everything is named */
	limits = (struct fr_retention){ .max_bytes = 1 };
	assert_int_equal(fr_retention_run(index, &limits, &stats), 0);
	assert_int_equal(stats.segments, 2);
	assert_int_equal(scratch_count(s.spool, ".frs"), 0);
	assert_answer(index, "SELECT count(*) FROM events", "0\n");
	assert_answer(index, "SELECT sum(count) FROM losses WHERE cause = 'dropped by retention'", "250\n");
	assert_answer(index, "SELECT count(*) FROM boots", "0\n");
	fr_index_close(index);
	assert_int_equal(fr_index_rebuild(s.state, NULL, NULL, NULL), 0);
	index = index_now(&s, NULL);
	assert_answer(index, "SELECT sum(count) FROM losses WHERE cause = 'dropped by retention'", "250\n");
	fr_index_close(index);
	writer_done(&w);
	scratch_remove(&s);
}

TEST(test_retention_stays_below_its_cap)
{
	struct fr_retention limits = { .max_bytes = 1500 << 10 };
	struct fr_retention_stats stats;
	struct fr_index *index, *reader;
	struct fr_cursor *cursor;
	struct fr_event event;
	struct scratch s;
	struct writer w;
	char *text;

	scratch_make(&s);
	for (unsigned tag = 1; tag <= 30; tag++) {
		writer_make(&w, FRM_KIND_PROCESS, tag, 10 + tag, 1 + tag / 10);
		orders(&w, 0, 500);
		writer_seal(&w, &s, 0, FRM_REASON_DIED, NULL, NULL);
		writer_done(&w);
	}
	index = index_now(&s, NULL);
	/* a reader in the middle of its work holds the journal: no reason to drop more */
	assert_int_equal(fr_index_open(s.state, FR_INDEX_READ, &reader), 0);
	assert_int_equal(fr_query_open(reader, &(struct fr_query){ 0 }, &cursor), 0);
	assert_int_equal(fr_query_next(cursor, &event), 1);
	assert_int_equal(fr_retention_run(index, &limits, &stats), 0);
	fr_query_close(cursor);
	fr_index_close(reader);
	assert_true(stats.segments > 0 && stats.segments < 30);
	assert_true(stats.bytes_after <= limits.max_bytes);
	assert_true(stats.bytes_after > limits.max_bytes / 2);
	text = index_ask(index, "SELECT (SELECT count(*) FROM events) + (SELECT sum(count) FROM losses), min(boot_seq) > 1 FROM events");
	assert_string_equal(text, "15000|1\n");
	free(text);
	fr_index_close(index);
	scratch_remove(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overlapping_parts_give_each_event_once_and_an_earlier_one_voids_a_claim),
		cmocka_unit_test(test_counts_without_a_place_add_up_over_the_parts),
		cmocka_unit_test(test_what_nobody_claims_is_damaged),
		cmocka_unit_test(test_what_is_marked_is_not_pending_and_acknowledgements_survive_a_rebuild),
		cmocka_unit_test(test_a_line_of_evidence_that_was_cut_short_costs_only_itself),
		cmocka_unit_test(test_zeros_that_a_power_cut_left_in_a_log_cost_no_line_behind_them),
		cmocka_unit_test(test_retention_drops_the_oldest_first_and_names_what_was_never_sent),
		cmocka_unit_test(test_retention_stays_below_its_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
