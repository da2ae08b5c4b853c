/* SPDX-License-Identifier: MIT */
/*
 * test_compact.c - acks.log and retention.log are shortened, and nothing that the index shows
 * changes.
 */
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/core/host.h"
#include "recorder/core/paths.h"
#include "tests/unit/unit_index.h"
#include "uploader/compact.h"
#include "uploader/evidence.h"
#include "uploader/retention.h"

#define TOTALS                                                                                     \
	"SELECT boot, cause, sum(count) FROM losses GROUP BY boot, cause ORDER BY boot, cause"

static const struct fr_compact always = { .larger_than = 0, .over_s = 0 },
			       only_merge = { .larger_than = 0, .over_s = 86400 };

static void orders(struct writer *w, unsigned lane, uint64_t count)
{
	while (count--)
		writer_order(w, lane, 200 * SECOND + w->lane[lane].seq * 1000, w->lane[lane].seq);
}

static struct fr_index_range range_of(unsigned tag, uint32_t lane, uint64_t first, uint64_t count)
{
	struct fr_index_range range = {
		.lane = lane, .first = first, .last = first + count - 1, .count = count
	};

	memset(range.ring_id, (int)tag, 16);
	memset(range.boot_id, 0xb0 + (int)tag % 2, 16);
	return range;
}

static void say(const struct scratch *s, const char *file, const char *word,
		struct fr_index_range range)
{
	assert_int_equal(fr_evidence_append(s->state, file, word, &range, 1), 0);
}

/* As said at that time. */
static void say_at(const struct scratch *s, const char *file, const char *word,
		   struct fr_index_range range, uint64_t unix_time)
{
	char path[160];
	FILE *log;

	snprintf(path, sizeof(path), "%s/%s", s->state, file);
	log = fopen(path, "a");
	assert_non_null(log);
	fr_evidence_put(log, word, &range, unix_time);
	assert_int_equal(fclose(log), 0);
}

static void say_long_ago(const struct scratch *s, const char *file, const char *word,
			 struct fr_index_range range)
{
	say_at(s, file, word, range, 1000000);
}

static int count_line(void *data, const char *word, const struct fr_index_range *range,
		      uint64_t unix_time)
{
	(void)range;
	(void)unix_time;
	*(unsigned *)data += strcmp(word, FR_EVIDENCE_COMPACTED) != 0;
	return 0;
}

/* Lines of a log but the generation's. */
static unsigned lines_of(const struct scratch *s, const char *file)
{
	unsigned lines = 0;
	uint64_t to;

	assert_int_equal(fr_evidence_read(s->state, file, 0, count_line, &lines, &to), 0);
	return lines;
}

static uint64_t generation_of(const struct scratch *s, const char *file)
{
	int fd = fr_evidence_open(s->state, file);
	uint64_t generation;

	assert_true(fd >= 0);
	assert_int_equal(fr_evidence_generation(fd, &generation), 0);
	close(fd);
	return generation;
}

/* The index as it is, and as it is when made again, are one; that is handed back. */
static char *dump_twice(const struct scratch *s, struct fr_index **index)
{
	char *before = index_dump(*index), *after;

	fr_index_close(*index);
	assert_int_equal(fr_index_rebuild(s->state, NULL, NULL, NULL), 0);
	*index = index_now(s, NULL);
	after = index_dump(*index);
	assert_string_equal(before, after);
	free(after);
	return before;
}

/*
 * Three parts with losses of each kind, of which retention drops the first two: their lines are
 * those of a ring that is there.
 */
static struct fr_index *make_dropped(const struct scratch *s, struct writer *w)
{
	uint64_t from[2] = { 0, 0 }, to[2] = { 0, 0 };
	struct fr_retention limits = { .max_age_s = fr_clock_real_ns() / SECOND - 1002500 };
	struct fr_retention_stats stats;
	struct fr_index_range range;
	struct fr_reservation res;
	struct fr_index *index;

	writer_make(w, FRM_KIND_PROCESS, 7, 11, 1);
	orders(w, 0, 100);
	assert_int_equal(fr_lane_reserve(&w->lane[0], 8, &res), 0);
	fr_lane_cover_torn(&w->lane[0], 200 * SECOND);
	orders(w, 0, 200);
	fr_ring_count_loss(&w->ring, FRM_LOSS_DISCARDED_BUSY, 4);
	for (uint32_t part = 0; part < 3; part++) { /* 0..99, 100..199, 200..301 */
		from[0] = part * 100;
		to[0] = part == 2 ? 301 : part * 100 + 100;
		writer_seal(w, s, part, part == 2 ? FRM_REASON_DIED : FRM_REASON_DRAIN, from, to);
	}
	index = index_now(s, NULL);
	for (unsigned i = 0; i < 100; i++) { /* one by one */
		range = range_of(0, 0, i, 1);
		memcpy(range.ring_id, w->id, 16);
		memcpy(range.boot_id, w->boot, 16);
		say(s, FR_EVIDENCE_ACKS, "batch", range);
		say(s, FR_EVIDENCE_RETENTION, "sent", range); /* as if each had been a segment */
	}
	assert_int_equal(fr_index_update(index, NULL), 0);
	assert_int_equal(fr_retention_run(index, &limits, &stats), 0);
	assert_int_equal(stats.segments, 2);
	return index;
}

TEST(test_what_is_shortened_says_the_same_of_rings_that_are_there)
{
	struct fr_retention limits;
	struct fr_index *index;
	char *before, *after;
	struct scratch s;
	struct writer w;

	scratch_make(&s);
	index = make_dropped(&s, &w);
	before = dump_twice(&s, &index);
	assert_non_null(strstr(before, "dropped by retention"));
	assert_non_null(strstr(before, "discarded"));
	assert_true(lines_of(&s, FR_EVIDENCE_RETENTION) > 100);
	assert_int_equal(fr_compact(index, FR_EVIDENCE_ACKS, &always), 0);
	assert_int_equal(fr_compact(index, FR_EVIDENCE_RETENTION, &always), 0);
	assert_int_equal(lines_of(&s, FR_EVIDENCE_ACKS), 1);
	/*
	 * sent 0..99, unsent 100..199, torn 100, and a count of what was discarded, of two parts
	 * that are gone
	 */
	assert_int_equal(lines_of(&s, FR_EVIDENCE_RETENTION), 4);
	after = dump_twice(&s, &index);
	assert_string_equal(before, after);
	free(after);
	/* twice is as good as once; and then it goes on */
	assert_int_equal(fr_compact(index, FR_EVIDENCE_RETENTION, &always), 0);
	limits = (struct fr_retention){ .max_bytes = 1 };
	assert_int_equal(fr_retention_run(index, &limits, NULL), 0);
	free(before);
	before = dump_twice(&s, &index);
	assert_answer(index, "SELECT cause, sum(count) FROM losses GROUP BY cause ORDER BY cause",
		      "discarded: no lane free|12\ndropped by retention|200\ntorn|1\n");
	assert_int_equal(fr_compact(index, FR_EVIDENCE_RETENTION, &only_merge), 0);
	after = dump_twice(&s, &index);
	assert_string_equal(before, after);
	free(before);
	free(after);
	fr_index_close(index);
	writer_done(&w);
	scratch_remove(&s);
}

TEST(test_rings_that_are_over_become_a_sum_a_boot_and_cause)
{
	struct fr_index *index;
	char *before, *after;
	struct scratch s;

	scratch_make(&s);
	assert_int_equal(fr_path_make(s.spool, 0700), 0);
	for (unsigned tag = 1; tag <= 60; tag++) {
		say_long_ago(&s, FR_EVIDENCE_ACKS, "batch", range_of(tag, 0, 0, 10));
		say_long_ago(&s, FR_EVIDENCE_RETENTION, "sent", range_of(tag, 0, 0, 10));
		say_long_ago(&s, FR_EVIDENCE_RETENTION, "unsent",
			     range_of(tag, 1, 5, 10)); /* and nobody knows of 0..4 */
		say_long_ago(&s, FR_EVIDENCE_RETENTION, "torn", range_of(tag, 1, 15, 1));
		say_long_ago(&s, FR_EVIDENCE_RETENTION, "kernel-buffer",
			     range_of(tag, FRM_LANE_NONE, 3, 7));
	}
	index = index_now(&s, NULL);
	before = index_ask(index, TOTALS);
	assert_non_null(strstr(before, "|damaged|150\n"));
	assert_non_null(strstr(before, "|dropped by retention|300\n"));
	assert_non_null(strstr(before, "|kernel buffer full|210\n"));
	assert_int_equal(fr_compact(index, FR_EVIDENCE_ACKS, &only_merge), 0);
	assert_int_equal(fr_compact(index, FR_EVIDENCE_RETENTION, &only_merge), 0);
	assert_int_equal(lines_of(&s, FR_EVIDENCE_ACKS), 0);
	assert_int_equal(lines_of(&s, FR_EVIDENCE_RETENTION), 2 * 4);
	after = index_ask(index, TOTALS);
	assert_string_equal(before, after);
	free(after);
	free(dump_twice(&s, &index));
	/* more of them come: they are added */
	for (unsigned tag = 101; tag <= 140; tag++)
		say_long_ago(&s, FR_EVIDENCE_RETENTION, "unsent", range_of(tag, 0, 0, 1));
	assert_int_equal(fr_index_update(index, NULL), 0);
	assert_int_equal(fr_compact(index, FR_EVIDENCE_RETENTION, &only_merge), 0);
	assert_int_equal(lines_of(&s, FR_EVIDENCE_RETENTION), 2 * 4);
	after = index_ask(index, TOTALS);
	assert_non_null(strstr(after, "|dropped by retention|320\n"));
	free(after);
	free(dump_twice(&s, &index));
	free(before);
	fr_index_close(index);
	scratch_remove(&s);
}

TEST(test_a_ring_that_may_come_back_keeps_its_numbers)
{
	struct fr_index *index;
	struct scratch s;
	char cursors[160], hex[33];

	scratch_make(&s);
	snprintf(cursors, sizeof(cursors), "%s/cursors", s.spool);
	assert_int_equal(fr_path_make(cursors, 0700), 0);
	fr_hex(hex, range_of(1, 0, 0, 1).ring_id, 16);
	scratch_put_text(cursors, hex, "is being copied");
	for (unsigned i = 0; i < 50; i++) {
		say_long_ago(&s, FR_EVIDENCE_RETENTION, "unsent",
			     range_of(1, 0, i, 1)); /* with a cursor */
		say_long_ago(&s, FR_EVIDENCE_RETENTION, "unsent", range_of(2, 0, i, 1)); /* over */
		say(&s, FR_EVIDENCE_RETENTION, "unsent", range_of(3, 0, i, 1)); /* said just now */
		say_long_ago(&s, FR_EVIDENCE_RETENTION, "of-a-later-version", range_of(3, 0, 0, 1));
	}
	index = index_now(&s, NULL);
	assert_int_equal(fr_compact(index, FR_EVIDENCE_RETENTION, &only_merge), 0);
	assert_int_equal(lines_of(&s, FR_EVIDENCE_RETENTION), 1 + 1 + 1 + 50);
	assert_answer(index, "SELECT count(*), sum(count), max(first_seq IS NULL) FROM losses",
		      "3|150|1\n");
	fr_index_close(index);
	scratch_remove(&s);
}

TEST(test_what_many_rings_lost_takes_no_more_than_its_share)
{
	/* of their last words, and whether that is long enough where there is little room */
	static const struct {
		uint64_t seconds_ago;
		bool summed;
	} ages[] = { { 7200, true }, { 600, true }, { 5, false } };

	for (size_t age = 0; age < COUNT(ages); age++) {
		struct fr_retention roomy = { .max_bytes = 1u << 30 }, tight = { .max_bytes = 512 << 10 };
		uint64_t now = fr_clock_real_ns() / SECOND;
		struct fr_index *index;
		char *before, *after;
		struct scratch s;

		scratch_make(&s);
		assert_int_equal(fr_path_make(s.spool, 0700), 0);
		for (unsigned i = 0; i < 400; i++) { /* 46 KiB: more than a sixteenth of 512 */
			struct fr_index_range range = range_of(i % 2, 0, 0, 10 + i);

			memcpy(range.ring_id, &i, sizeof(i));
			say_at(&s, FR_EVIDENCE_RETENTION, "unsent", range, now - ages[age].seconds_ago);
		}
		index = index_now(&s, NULL);
		before = index_ask(index, TOTALS);
		assert_int_equal(fr_retention_run(index, &roomy, NULL), 0);
		assert_int_equal(lines_of(&s, FR_EVIDENCE_RETENTION), 400);
		assert_int_equal(fr_retention_run(index, &tight, NULL), 0);
		assert_int_equal(lines_of(&s, FR_EVIDENCE_RETENTION), ages[age].summed ? 2 : 400);
		after = index_ask(index, TOTALS);
		assert_string_equal(before, after);
		free(dump_twice(&s, &index));
		free(before);
		free(after);
		fr_index_close(index);
		scratch_remove(&s);
	}
}

TEST(test_a_log_is_left_alone_while_it_is_small_or_needed_or_in_use)
{
	struct fr_compact large = { .larger_than = 1 << 20 };
	struct fr_index *index;
	struct scratch s;
	char path[160];
	int fd;

	scratch_make(&s);
	assert_int_equal(fr_path_make(s.spool, 0700), 0);
	index = index_now(&s, NULL);
	assert_int_equal(fr_compact(index, FR_EVIDENCE_ACKS, &always), 0); /* there is none */
	for (unsigned i = 0; i < 20; i++)
		say(&s, FR_EVIDENCE_ACKS, "batch",
		    range_of(1, 0, 2 * i, 1)); /* of which none touch */
	scratch_put_text(s.spool, "acks.log.new", "of one that was killed");
	assert_int_equal(fr_compact(index, FR_EVIDENCE_ACKS, &only_merge), 0);
	assert_int_equal(generation_of(&s, FR_EVIDENCE_ACKS), 0);
	assert_false(scratch_has(s.spool, "acks.log.new"));
	for (unsigned i = 0; i < 20; i++)
		say(&s, FR_EVIDENCE_ACKS, "batch", range_of(1, 0, 2 * i + 1, 1));
	assert_int_equal(fr_compact(index, FR_EVIDENCE_ACKS, &large), 0);
	assert_int_equal(generation_of(&s, FR_EVIDENCE_ACKS), 0);
	snprintf(path, sizeof(path), "%s/acks.log", s.spool);
	fd = fr_host_open_log(path, 0600, 0); /* somebody appends */
	assert_true(fd >= 0);
	assert_int_equal(fr_compact(index, FR_EVIDENCE_ACKS, &only_merge), 0);
	assert_int_equal(generation_of(&s, FR_EVIDENCE_ACKS), 0);
	close(fd);
	assert_int_equal(fr_compact(index, FR_EVIDENCE_ACKS, &only_merge), 0);
	assert_true(generation_of(&s, FR_EVIDENCE_ACKS) > 0);
	assert_int_equal(lines_of(&s, FR_EVIDENCE_ACKS), 1);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0); /* somebody shortens */
	assert_int_equal(fr_host_open_log(path, 0600, 20), -EBUSY);
	close(fd);
	fr_index_close(index);
	scratch_remove(&s);
}

TEST(test_another_index_that_had_read_further_notices_that_the_file_is_another)
{
	struct fr_index *index;
	struct scratch s;
	char other[256];

	scratch_make(&s);
	assert_int_equal(fr_path_make(s.spool, 0700), 0);
	for (unsigned i = 0; i < 60; i++)
		say(&s, FR_EVIDENCE_RETENTION, "unsent", range_of(1, 0, i, 1));
	index = index_now(&s, NULL);
	assert_answer(index, "SELECT sum(count) FROM losses", "60\n");
	snprintf(other, sizeof(other), "cp -p %s/index.db %s/other.db", s.state, s.state);
	fr_index_close(index);
	assert_int_equal(system(other), 0);
	index = index_now(&s, NULL);
	assert_int_equal(fr_compact(index, FR_EVIDENCE_RETENTION, &only_merge), 0);
	assert_int_equal(lines_of(&s, FR_EVIDENCE_RETENTION), 1);
	/* grown beyond where the other index had stopped */
	for (unsigned i = 0; i < 70; i++)
		say(&s, FR_EVIDENCE_RETENTION, "unsent", range_of(2, 0, 2 * i, 1));
	fr_index_close(index);
	snprintf(other, sizeof(other), "mv %s/other.db %s/index.db", s.state, s.state);
	assert_int_equal(system(other), 0);
	index = index_now(&s, NULL);
	assert_answer(index, "SELECT sum(count) FROM losses WHERE cause = 'dropped by retention'",
		      "130\n");
	free(dump_twice(&s, &index));
	fr_index_close(index);
	scratch_remove(&s);
}

#define APPENDERS 3
#define APPENDED  150

TEST(test_no_line_is_lost_to_appenders_while_the_log_is_shortened)
{
	unsigned shortened = 0, ended = 0;
	struct fr_index *index;
	uint64_t generation = 0;
	struct scratch s;
	int status;

	scratch_make(&s);
	assert_int_equal(fr_path_make(s.spool, 0700), 0);
	index = index_now(&s, NULL);
	for (unsigned tag = 1; tag <= APPENDERS; tag++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid)
			continue;
		for (unsigned i = 0; i < APPENDED; i++) {
			struct fr_index_range range = range_of(tag, 0, i, 1);

			if (fr_evidence_append(s.state, FR_EVIDENCE_RETENTION, "unsent", &range,
					       1) < 0)
				_exit(1);
		}
		_exit(0);
	}
	while (ended < APPENDERS) {
		pid_t pid = waitpid(-1, &status, WNOHANG);

		assert_true(pid >= 0);
		ended += pid > 0;
		assert_true(pid == 0 || status == 0);
		assert_int_equal(fr_compact(index, FR_EVIDENCE_RETENTION, &only_merge), 0);
		if (scratch_has(s.spool, "retention.log") &&
		    generation_of(&s, FR_EVIDENCE_RETENTION) != generation) {
			generation = generation_of(&s, FR_EVIDENCE_RETENTION);
			shortened++;
		}
	}
	assert_true(shortened > 0);
	assert_int_equal(fr_index_update(index, NULL), 0);
	assert_answer(index, "SELECT count(*), sum(count), min(first_seq), max(count) FROM losses",
		      "3|450|0|150\n");
	assert_true(lines_of(&s, FR_EVIDENCE_RETENTION) <= 2 * (APPENDERS + 1));
	free(dump_twice(&s, &index));
	fr_index_close(index);
	scratch_remove(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_shortened_says_the_same_of_rings_that_are_there),
		cmocka_unit_test(test_rings_that_are_over_become_a_sum_a_boot_and_cause),
		cmocka_unit_test(test_a_ring_that_may_come_back_keeps_its_numbers),
		cmocka_unit_test(test_what_many_rings_lost_takes_no_more_than_its_share),
		cmocka_unit_test(test_a_log_is_left_alone_while_it_is_small_or_needed_or_in_use),
		cmocka_unit_test(
			test_another_index_that_had_read_further_notices_that_the_file_is_another),
		cmocka_unit_test(test_no_line_is_lost_to_appenders_while_the_log_is_shortened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
