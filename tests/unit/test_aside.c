/* SPDX-License-Identifier: MIT */
/* test_aside.c - what is set aside stays below its share: the oldest goes, and is named. */
#include "recorder/core/paths.h"
#include "tests/unit/unit_index.h"
#include "uploader/aside.h"
#include "uploader/compact.h"
#include "uploader/evidence.h"
#include "uploader/retention.h"

#define SOURCE_BYTES 100000

static void set_aside(const struct scratch *s, const char *name, time_t when)
{
	static const char bytes[SOURCE_BYTES] = "no ring";
	char why[128];

	snprintf(why, sizeof(why), "%s.why", name);
	scratch_put(s->quarantine, name, bytes, sizeof(bytes));
	scratch_put_text(s->quarantine, why, "no ring\n");
	scratch_date(s->quarantine, why, when);
}

static int find_word(void *data, const char *word, const struct fr_index_range *range,
		     uint64_t unix_time)
{
	const char **wanted = data;

	(void)unix_time;
	if (*wanted && !strcmp(word, *wanted)) {
		assert_true(range->count >= SOURCE_BYTES);
		*wanted = NULL;
	}
	return 0;
}

static bool is_named(const struct scratch *s, const char *word)
{
	uint64_t to;

	assert_int_equal(
		fr_evidence_read(s->state, FR_EVIDENCE_RETENTION, 0, find_word, &word, &to), 0);
	return !word;
}

TEST(test_the_quarantine_keeps_its_share_and_names_the_oldest_that_go)
{
	struct fr_retention limits = { .max_bytes = 8 << 20 };
	struct fr_retention_stats stats;
	struct fr_index *index;
	struct scratch s;
	uint64_t bytes;
	char name[64];

	scratch_make(&s);
	assert_int_equal(fr_path_make(s.quarantine, 0700), 0);
	for (int i = 0; i < 40; i++) { /* the 39th first */
		snprintf(name, sizeof(name), "%d.ring", i);
		set_aside(&s, name, 2000000 - i);
	}
	set_aside(&s, "young", time(NULL));
	index = index_now(&s, NULL);
	assert_int_equal(
		fr_retention_run(index, &(struct fr_retention){ .max_age_s = 86400 }, &stats),
		0); /* no cap */
	assert_int_equal(stats.set_aside, 0);
	assert_int_equal(fr_retention_run(index, &limits, &stats), 0);
	assert_true(stats.set_aside > 0 && stats.set_aside < 40);
	assert_int_equal(fr_aside_measure(s.state, &bytes), 0);
	assert_true(bytes <= limits.max_bytes / 4 &&
		    bytes + 2 * SOURCE_BYTES > limits.max_bytes / 4);
	assert_true(stats.bytes_after >= bytes && stats.bytes_after <= limits.max_bytes);
	for (int i = 0; i < 40; i++) {
		char word[80], why[80];
		bool gone = i >= 40 - (int)stats.set_aside;

		snprintf(name, sizeof(name), "%d.ring", i);
		snprintf(why, sizeof(why), "%d.ring.why", i);
		snprintf(word, sizeof(word), "quarantine/%d.ring", i);
		assert_int_equal(scratch_has(s.quarantine, name), !gone);
		assert_int_equal(scratch_has(s.quarantine, why), !gone);
		assert_int_equal(is_named(&s, word), gone);
	}
	assert_int_equal(fr_index_update(index, NULL), 0); /* which takes such lines for nobody's */
	assert_answer(index, "SELECT count(*) FROM losses", "0\n");
	assert_true(scratch_has(s.quarantine, "young"));
	assert_int_equal(fr_retention_run(index, &limits, &stats), 0);
	assert_int_equal(stats.set_aside, 0);
	/* said just now: a log that is shortened goes on saying it */
	assert_int_equal(
		fr_compact(index, FR_EVIDENCE_RETENTION, &(struct fr_compact){ .over_s = 86400 }),
		0);
	assert_true(is_named(&s, "quarantine/39.ring"));
	fr_index_close(index);
	scratch_remove(&s);
}

TEST(test_a_reason_without_its_source_goes_a_day_later)
{
	static const char long_name[] =
		"a-name-that-is-longer-than-a-word-of-evidence-may-be-which-is-64";
	uint64_t count, bytes;
	struct scratch s;

	scratch_make(&s);
	assert_int_equal(fr_aside_drop(s.state, 0, &count), 0); /* there is no quarantine */
	assert_int_equal(count, 0);
	assert_int_equal(fr_path_make(s.quarantine, 0700), 0);
	scratch_put_text(s.quarantine, "old.why", "killed between the two\n");
	scratch_date(s.quarantine, "old.why", time(NULL) - 100000);
	scratch_put_text(s.quarantine, "new.why", "its source is about to come\n");
	scratch_put_text(s.quarantine, "half.tmp", "being copied");
	set_aside(&s, long_name, 1);
	assert_int_equal(fr_aside_drop(s.state, 0, &count), 0);
	assert_int_equal(count, 1);
	assert_true(
		is_named(&s, "quarantine/a-name-that-is-longer-than-a-word-of-evidence-may-be-"));
	assert_false(scratch_has(s.quarantine, "old.why"));
	assert_true(scratch_has(s.quarantine, "new.why"));
	assert_true(scratch_has(s.quarantine, "half.tmp"));
	assert_int_equal(fr_aside_measure(s.state, &bytes), 0);
	assert_int_equal(bytes, 0);
	scratch_remove(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_quarantine_keeps_its_share_and_names_the_oldest_that_go),
		cmocka_unit_test(test_a_reason_without_its_source_goes_a_day_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
