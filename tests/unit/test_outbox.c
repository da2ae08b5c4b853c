/* SPDX-License-Identifier: MIT */
/* test_outbox.c - batches lie in the outbox whole, in order, and every interrupted cut is settled; the budget holds. */
#include "tests/unit/unit_batch.h"

#ifdef HAVE_CURL

#include <sys/stat.h>

#include "recorder/core/paths.h"

#include "uploader/budget.h"
#include "uploader/outbox.h"

static char state_dir[64];

static int make_state(void **state UNUSED)
{
	strcpy(state_dir, "/tmp/fr-outbox-XXXXXX");
	return mkdtemp(state_dir) ? 0 : -1;
}

static int remove_state(void **state UNUSED)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", state_dir);
	return system(command);
}

static struct fr_outbox open_outbox(void)
{
	struct fr_outbox outbox;

	assert_int_equal(fr_outbox_open(state_dir, &outbox), 0);
	return outbox;
}

static size_t count(const struct fr_outbox *outbox, const char *folder)
{
	struct fr_outbox_entry *entry;
	size_t entries;

	assert_int_equal(fr_outbox_list(outbox, folder, &entry, &entries), 0);
	free(entry);
	return entries;
}

TEST(test_a_batch_comes_back_as_it_was_put)
{
	struct fr_outbox outbox = open_outbox();
	struct fr_batch batch, back;

	unit_batch(&batch, 2, 10, 0);
	assert_int_equal(fr_outbox_put(&outbox, &batch), 0);
	assert_int_equal(count(&outbox, ""), 1);
	assert_int_equal(fr_outbox_get(&outbox, "", batch.id, &back), 0);
	assert_memory_equal(back.body, batch.body, batch.body_size);
	assert_int_equal(fr_outbox_remove(&outbox, batch.id), 0);
	assert_int_equal(fr_outbox_remove(&outbox, batch.id), 0);
	assert_int_equal(count(&outbox, ""), 0);
	fr_batch_done(&batch);
	fr_batch_done(&back);
	fr_outbox_close(&outbox);
}

TEST(test_there_is_one_uploader)
{
	struct fr_outbox outbox = open_outbox(), other;

	assert_int_equal(fr_outbox_open(state_dir, &other), -EBUSY);
	fr_outbox_close(&outbox);
	outbox = open_outbox();
	fr_outbox_close(&outbox);
}

TEST(test_the_oldest_comes_first_and_halves_in_order)
{
	struct fr_outbox outbox = open_outbox();
	struct fr_batch old, new, half[2];
	struct fr_outbox_entry *entry;
	size_t entries;

	unit_batch(&old, 1, 10, 0);
	unit_batch(&new, 1, 10, 0);
	old.created_ns = 1000;
	new.created_ns = 2000;
	assert_int_equal(fr_batch_split(&old, 1, half), 0);
	assert_int_equal(fr_outbox_put(&outbox, &new), 0);
	assert_int_equal(fr_outbox_put(&outbox, &half[1]), 0);
	assert_int_equal(fr_outbox_put(&outbox, &half[0]), 0);
	assert_int_equal(fr_outbox_list(&outbox, "", &entry, &entries), 0);
	assert_int_equal(entries, 3);
	assert_memory_equal(entry[0].id, half[0].id, 16);
	assert_memory_equal(entry[1].id, half[1].id, 16);
	assert_memory_equal(entry[2].id, new.id, 16);
	free(entry);
	fr_batch_done(&old);
	fr_batch_done(&new);
	fr_batch_done(&half[0]);
	fr_batch_done(&half[1]);
	fr_outbox_close(&outbox);
}

TEST(test_an_interrupted_cut_is_finished_or_undone)
{
	for (int halves = 0; halves <= 2; halves++) {
		struct fr_outbox outbox = open_outbox();
		struct fr_batch batch, half[2], back;

		unit_batch(&batch, 1, 9, 0);
		assert_int_equal(fr_batch_split(&batch, 1, half), 0);
		assert_int_equal(fr_outbox_put(&outbox, &batch), 0);
		for (int i = 0; i < halves; i++)
			assert_int_equal(fr_outbox_put(&outbox, &half[i]), 0);
		fr_outbox_close(&outbox);
		outbox = open_outbox();
		assert_int_equal(count(&outbox, ""), halves == 2 ? 2 : 1);
		assert_int_equal(fr_outbox_get(&outbox, "", batch.id, &back), halves == 2 ? -ENOENT : 0);
		if (halves < 2)
			fr_batch_done(&back);
		for (int i = 0; i < 2; i++) {
			fr_outbox_remove(&outbox, half[i].id);
			fr_batch_done(&half[i]);
		}
		fr_outbox_remove(&outbox, batch.id);
		fr_batch_done(&batch);
		fr_outbox_close(&outbox);
	}
}

TEST(test_a_half_without_its_parent_stays)
{
	struct fr_outbox outbox = open_outbox();
	struct fr_batch batch, half[2];

	unit_batch(&batch, 1, 9, 0);
	assert_int_equal(fr_batch_split(&batch, 1, half), 0);
	assert_int_equal(fr_outbox_put(&outbox, &half[1]), 0);
	fr_outbox_close(&outbox);
	outbox = open_outbox();
	assert_int_equal(count(&outbox, ""), 1);
	fr_batch_done(&batch);
	fr_batch_done(&half[0]);
	fr_batch_done(&half[1]);
	fr_outbox_close(&outbox);
}

TEST(test_what_was_being_written_is_swept_away)
{
	char path[128];
	struct fr_outbox outbox;
	FILE *file;

	snprintf(path, sizeof path, "%s/outbox", state_dir);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/outbox/11111111111111111111111111111111.tmp", state_dir);
	file = fopen(path, "w");
	fputs("flightrec-ba", file);
	fclose(file);
	outbox = open_outbox();
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(count(&outbox, ""), 0);
	fr_outbox_close(&outbox);
}

TEST(test_what_is_refused_or_damaged_is_out_of_the_way)
{
	struct fr_outbox outbox = open_outbox();
	struct fr_batch batch, back;
	char path[160], why[64];

	unit_batch(&batch, 1, 1, 0);
	assert_int_equal(fr_outbox_put(&outbox, &batch), 0);
	assert_int_equal(fr_outbox_reject(&outbox, batch.id, "because"), 0);
	assert_int_equal(count(&outbox, ""), 0);
	assert_int_equal(count(&outbox, "rejected"), 1);
	assert_int_equal(fr_outbox_get(&outbox, "rejected", batch.id, &back), 0);
	fr_batch_done(&back);
	assert_int_equal(fr_outbox_put(&outbox, &batch), 0);
	fr_hex(why, batch.id, 16);
	snprintf(path, sizeof path, "%s/outbox/%s.frb", state_dir, why);
	assert_int_equal(truncate(path, 300), 0);
	assert_int_equal(fr_outbox_get(&outbox, "", batch.id, &back), -EBADMSG);
	assert_int_equal(count(&outbox, ""), 1);
	assert_int_equal(fr_outbox_set_damaged(&outbox, batch.id), 0);
	assert_int_equal(count(&outbox, ""), 0);
	fr_batch_done(&batch);
	fr_outbox_close(&outbox);
}

TEST(test_the_budget_holds_over_a_restart_and_ends_with_the_day)
{
	const int64_t noon = 20000 * 86400ll + 43200;
	struct fr_outbox outbox = open_outbox();
	struct fr_budget budget;

	fr_budget_load(&outbox, 1000, noon, &budget);
	assert_int_equal(fr_budget_charge(&outbox, &budget, noon, 600), 0);
	assert_int_equal(fr_budget_charge(&outbox, &budget, noon, 401), -EDQUOT);
	fr_budget_load(&outbox, 1000, noon + 60, &budget);
	assert_int_equal(budget.used, 600);
	assert_int_equal(fr_budget_charge(&outbox, &budget, noon, 400), 0);
	assert_int_equal(fr_budget_charge(&outbox, &budget, noon, 1), -EDQUOT);
	assert_int_equal(fr_budget_wait_seconds(&budget, noon), 43200);
	assert_int_equal(fr_budget_charge(&outbox, &budget, noon - 86400, 1), -EDQUOT); /* a clock set back a day */
	assert_int_equal(fr_budget_charge(&outbox, &budget, noon + 43200, 1), 0);
	assert_int_equal(fr_budget_refund(&outbox, &budget, 1), 0);
	assert_int_equal(budget.used, 0);
	assert_int_equal(fr_outbox_put_file(&outbox, "budget", "20001 1 00000000\n", 17), 0);
	fr_budget_load(&outbox, 1000, noon + 86400, &budget);
	assert_int_equal(budget.used, 0);
	fr_budget_load(&outbox, 0, noon, &budget);
	assert_int_equal(fr_budget_charge(&outbox, &budget, noon, 1ull << 40), 0);
	fr_outbox_close(&outbox);
}

#define IN_STATE(test) cmocka_unit_test_setup_teardown(test, make_state, remove_state)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_STATE(test_a_batch_comes_back_as_it_was_put),
		IN_STATE(test_there_is_one_uploader),
		IN_STATE(test_the_oldest_comes_first_and_halves_in_order),
		IN_STATE(test_an_interrupted_cut_is_finished_or_undone),
		IN_STATE(test_a_half_without_its_parent_stays),
		IN_STATE(test_what_was_being_written_is_swept_away),
		IN_STATE(test_what_is_refused_or_damaged_is_out_of_the_way),
		IN_STATE(test_the_budget_holds_over_a_restart_and_ends_with_the_day),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	puts("built without upload");
	return 77;
}

#endif
