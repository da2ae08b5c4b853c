/* SPDX-License-Identifier: MIT */
/*
 * test_power_cut_leftovers.c - what a power cut may leave of the spool, its logs and the list of
 * boots, one thing at a time.
 */
#include <sys/stat.h>

#include "pstore/attempt.h"
#include "recorder/core/host.h"
#include "recorder/core/paths.h"
#include "tests/unit/unit_index.h"
#include "uploader/evidence.h"
#include "uploader/retention.h"

static int count_lines(void *data, const char *word UNUSED,
		       const struct fr_index_range *range UNUSED, uint64_t unix_time UNUSED)
{
	++*(unsigned *)data;
	return 0;
}

static void append_bytes(const char *dir, const char *name, const void *bytes, size_t size)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

TEST(test_zeros_at_the_end_of_a_log_cost_no_line_of_it)
{
	static const char zeros[700];
	struct fr_index_range range = { .lane = 3, .first = 10, .last = 14, .count = 5 };
	struct scratch s;
	uint64_t to;

	for (size_t size = 1; size <= sizeof(zeros); size += 127) {
		unsigned lines = 0;

		scratch_make(&s);
		assert_int_equal(fr_path_make(s.spool, 0700), 0);
		assert_int_equal(fr_evidence_append(s.state, FR_EVIDENCE_ACKS, "a", &range, 1), 0);
		append_bytes(s.spool, "acks.log", zeros, size);
		for (int i = 0; i < 3; i++)
			assert_int_equal(fr_evidence_append(s.state, FR_EVIDENCE_ACKS, "b", &range, 1), 0);
		assert_int_equal(fr_evidence_read(s.state, FR_EVIDENCE_ACKS, 0, count_lines, &lines, &to), 0);
		assert_int_equal(lines, 4);
		scratch_remove(&s);
	}
}

TEST(test_zeros_in_the_list_of_boots_hide_no_boot_and_give_no_number_twice)
{
	static const char zeros[100];
	uint8_t boot[16] = { 1 };
	struct scratch s;
	struct stat st;
	char path[160];
	off_t size;

	scratch_make(&s);
	assert_int_equal(fr_host_boot_seq(s.state, boot), 1);
	append_bytes(s.state, "boots", zeros, sizeof(zeros));
	boot[0] = 2;
	assert_int_equal(fr_host_boot_seq(s.state, boot), 2);
	snprintf(path, sizeof(path), "%s/boots", s.state);
	assert_int_equal(stat(path, &st), 0);
	size = st.st_size;
	assert_int_equal(fr_host_boot_seq(s.state, boot), 2); /* known, and not written down again */
	boot[0] = 3;
	assert_int_equal(fr_host_boot_seq(s.state, boot), 3);
	boot[0] = 2;
	assert_int_equal(fr_host_boot_seq(s.state, boot), 2);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < 2 * size);
	scratch_remove(&s);
}

static unsigned count_pending(struct fr_index *index)
{
	struct fr_pending *pending;
	struct fr_event event;
	unsigned count = 0;
	int r;

	assert_int_equal(fr_index_pending(index, &pending), 0);
	while ((r = fr_pending_next(pending, &event)) == 1)
		count++;
	assert_int_equal(r, 0);
	fr_pending_close(pending);
	return count;
}

static struct fr_index_range all_of(const struct writer *w)
{
	struct fr_index_range range = {
		.lane = 0, .first = 0, .last = w->lane[0].seq - 1, .count = w->lane[0].seq
	};

	memcpy(range.ring_id, w->id, 16);
	memcpy(range.boot_id, w->boot, 16);
	return range;
}

/* A ring of one segment, acknowledged as a whole. */
static struct fr_index *make_acknowledged(struct scratch *s, struct writer *w, struct fr_index_range *range)
{
	struct fr_index *index;

	scratch_make(s);
	writer_make(w, FRM_KIND_PROCESS, 1, 11, 1);
	for (unsigned i = 0; i < 50; i++)
		writer_order(w, 0, 200 * SECOND + i, i);
	writer_seal(w, s, 0, FRM_REASON_DIED, NULL, NULL);
	index = index_now(s, NULL);
	*range = all_of(w);
	assert_int_equal(count_pending(index), 50);
	assert_int_equal(fr_evidence_append(s->state, FR_EVIDENCE_ACKS, "batch-1", range, 1), 0);
	assert_int_equal(fr_index_update(index, NULL), 0);
	assert_int_equal(count_pending(index), 0);
	return index;
}

TEST(test_a_segment_that_comes_back_is_not_sent_again)
{
	struct fr_index_range range;
	struct fr_index *index;
	char name[FR_SEGMENT_NAME];
	struct scratch s;
	struct writer w;

	index = make_acknowledged(&s, &w, &range);
	fr_segment_name(name, w.id, 0);
	/* it is not the file that was read: forgotten, and read again */
	scratch_date(s.spool, name, 1700000000);
	assert_int_equal(fr_index_update(index, NULL), 0);
	assert_int_equal(count_pending(index), 0);
	assert_answer(index, "SELECT count(*) FROM events", "50\n");
	fr_index_close(index);
	writer_done(&w);
	scratch_remove(&s);
}

TEST(test_what_was_to_go_unsent_and_was_sent_after_all_is_no_loss)
{
	struct fr_retention limits = { .max_bytes = 1 };
	struct fr_index_range range;
	struct fr_index *index;
	struct scratch s;
	struct writer w;

	index = make_acknowledged(&s, &w, &range);
	assert_int_equal(fr_evidence_append(s.state, FR_EVIDENCE_RETENTION, "unsent", &range, 1), 0); /* and then the power went */
	assert_int_equal(fr_index_update(index, NULL), 0);
	assert_answer(index, "SELECT count(*) FROM losses", "0\n");
	assert_int_equal(fr_retention_run(index, &limits, NULL), 0);
	assert_answer(index, "SELECT count(*) FROM events", "0\n");
	assert_answer(index, "SELECT count(*) FROM losses", "0\n");
	fr_index_close(index);
	writer_done(&w);
	scratch_remove(&s);
}

TEST(test_a_mark_without_text_counts_as_one_attempt)
{
	struct fr_attempt attempt;
	struct fr_spool *spool;
	struct scratch s;
	char path[160];

	scratch_make(&s);
	assert_int_equal(fr_spool_open(s.state, &spool), 0);
	snprintf(path, sizeof(path), "%s/attempts", s.spool);
	scratch_put(path, "ring-x", "", 0);
	fr_attempt_read(spool, "ring-x", &attempt);
	assert_int_equal(attempt.unfinished, 1);
	assert_false(fr_attempt_is_poison(&attempt));
	assert_int_equal(fr_attempt_begin(spool, "ring-x", &attempt), 0);
	fr_attempt_read(spool, "ring-x", &attempt);
	assert_true(fr_attempt_is_poison(&attempt));
	fr_spool_close(spool);
	scratch_remove(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeros_at_the_end_of_a_log_cost_no_line_of_it),
		cmocka_unit_test(test_zeros_in_the_list_of_boots_hide_no_boot_and_give_no_number_twice),
		cmocka_unit_test(test_a_segment_that_comes_back_is_not_sent_again),
		cmocka_unit_test(test_what_was_to_go_unsent_and_was_sent_after_all_is_no_loss),
		cmocka_unit_test(test_a_mark_without_text_counts_as_one_attempt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
