/* SPDX-License-Identifier: MIT */
/* test_harvest.c - the kernel's last words become events of the right boot, once, and their sources go only then. */
#include "tests/unit/unit_story.h"

#include <sys/stat.h>
#include <time.h>

#include "recorder/core/host.h"

#define PANIC "Panic#1 Part1\n"                                                       \
	      "<6>[   12.345678] usb 1-1: new device\n"                              \
	      "<4>[   12.400000] till: something is odd\n"                           \
	      "<0>[   13.000001] Kernel panic - not syncing: sysrq triggered crash\n" \
	      "<4>[   13.000002] CPU: 0 PID: 731 Comm: till\n"

static const uint8_t boot_a[16] = { 0xa }, boot_b[16] = { 0xb };

/* Wall clock, in seconds: `minutes` before this boot began. */
static uint64_t before_boot(unsigned minutes)
{
	return (fr_clock_real_ns() - fr_clock_boot_ns()) / 1000000000u - 60 * minutes;
}

static void put_boots(const struct scratch *s, uint64_t a_seconds, uint64_t b_seconds)
{
	char text[256], a[33], b[33];

	fr_hex(a, boot_a, 16);
	fr_hex(b, boot_b, 16);
	snprintf(text, sizeof(text), "1 %s %llu\n2 %s %llu\n", a, (unsigned long long)a_seconds, b, (unsigned long long)b_seconds);
	scratch_put_text(s->state, "boots", text);
}

TEST(test_a_panic_in_pstore_becomes_events_and_is_released)
{
	const struct fr_found *found;
	struct fr_image *image;
	struct story story;
	struct scratch s;
	const char *name, *text;
	size_t size;

	scratch_make(&s);
	scratch_put_text(s.pstore, "dmesg-ramoops-0", PANIC);
	scratch_recover(&s, &story);
	assert_int_equal(story.error, 0);
	assert_int_equal(story.count, 1);
	found = story_first(&story, FR_FATE_SALVAGED);
	assert_int_equal(found->reason, FRM_REASON_HARVEST);
	assert_int_equal(found->records, 5); /* four lines and the verdict */
	assert_string_equal(found->text, "sysrq triggered crash");
	assert_true(found->released);
	assert_false(scratch_has(s.pstore, "dmesg-ramoops-0"));
	assert_int_equal(scratch_count_panics(&s, "sysrq triggered crash", NULL), 1);
	assert_int_equal(scratch_count_lines(&s, "till: something is odd", NULL), 1);
	/* and its text lies there as it was found */
	image = scratch_segment(&s, found->ring_id, 0);
	text = fr_image_text(image, 0, &name, &size);
	assert_int_equal(size, strlen(PANIC));
	assert_memory_equal(text, PANIC, size);
	assert_string_equal(name, "pstore/dmesg-ramoops-0 Panic#1 Part1");
	assert_int_equal(fr_image_super(image)->kind, FRM_KIND_HARVEST);
	assert_int_equal(fr_image_record(image, 0)->time_ns, 12345678000);
	fr_image_close(image);
	/* nothing more the next time */
	scratch_recover(&s, &story);
	assert_int_equal(story.count, 0);
	scratch_remove(&s);
}

TEST(test_rings_and_last_words_of_one_crash_carry_one_boot)
{
	uint8_t ring_id[16], boot_id[16] = { 0 };
	struct story story;
	struct scratch s;

	scratch_make(&s);
	/* the state did not survive, the rings did: on another medium, made a minute before the panic */
	scratch_make_ring(s.rings, 90, boot_a, 1, before_boot(90) * 1000000000u, 5, ring_id);
	scratch_make_ring(s.rings, 91, boot_b, 1, before_boot(10) * 1000000000u, 5, ring_id);
	scratch_put_text(s.pstore, "dmesg-ramoops-0", PANIC);
	scratch_date(s.pstore, "dmesg-ramoops-0", (time_t)before_boot(1));
	scratch_recover(&s, &story);
	assert_int_equal(story.error, 0);
	assert_int_equal(story_count(&story, FR_FATE_SALVAGED), 3);
	assert_int_equal(scratch_count_panics(&s, "sysrq triggered crash", boot_id), 1);
	assert_memory_equal(boot_id, boot_b, 16);
	scratch_remove(&s);
}

/* Time of the panic on CLOCK_BOOTTIME, when a ring of its boot has its last record at that time. */
static uint64_t panic_time(uint64_t newest_ns)
{
	uint8_t ring_id[16], boot_id[16];
	uint64_t time_ns = 0;
	struct story story;
	struct scratch s;

	scratch_make(&s);
	scratch_make_ring(s.rings, 91, boot_b, 1, before_boot(10) * 1000000000u, 0, ring_id);
	scratch_append_ring(s.rings, 91, ring_id, newest_ns);
	scratch_put_text(s.pstore, "dmesg-ramoops-0", PANIC);
	/* an oops before it, with its own text: both dumps are of one clock */
	scratch_put_text(s.pstore, "dmesg-ramoops-1", "Oops#0 Part1\n<6>[   12.345678] usb 1-1: new device\n<6>[   12.345679] only here\n");
	scratch_date(s.pstore, "dmesg-ramoops-0", (time_t)before_boot(1));
	scratch_date(s.pstore, "dmesg-ramoops-1", (time_t)before_boot(1));
	scratch_recover(&s, &story);
	assert_int_equal(story_count(&story, FR_FATE_SALVAGED), 3);
	assert_int_equal(scratch_count_panics(&s, "sysrq triggered crash", boot_id), 1);
	assert_memory_equal(boot_id, boot_b, 16);
	assert_int_equal(scratch_count_lines(&s, "usb 1-1: new device", NULL), 1);
	assert_int_equal(scratch_count_lines(&s, "only here", NULL), 1);
	for (size_t i = 0; i < story.count; i++) {
		struct fr_image *image;

		if (strcmp(story.found[i].text, "sysrq triggered crash"))
			continue;
		image = scratch_segment(&s, story.found[i].ring_id, 0);
		time_ns = fr_image_record(image, 3)->time_ns; /* kernel.panic: after two lines and its own */
		fr_image_close(image);
	}
	scratch_remove(&s);
	return time_ns;
}

TEST(test_no_process_outlives_a_panic)
{
	assert_int_equal(panic_time(12999999999), 13000001000); /* it is older: nothing to learn */
	assert_int_equal(panic_time(13020000000), 13020000001); /* the log's clock was slow by 20 ms */
	assert_int_equal(panic_time(14000000000), 13000001000); /* so slow it can't be: the record's time is wrong */
}

TEST(test_the_order_of_boots_is_kept_where_the_state_was_lost)
{
	uint8_t ring_id[16], current[16];
	struct story story;
	struct scratch s;

	scratch_make(&s);
	scratch_make_ring(s.rings, 91, boot_b, 1, before_boot(10) * 1000000000u, 5, ring_id);
	scratch_recover(&s, &story);
	fr_host_boot_id(current);
	assert_int_equal(fr_host_boot_seq(s.state, boot_b), 1);
	assert_int_equal(fr_host_boot_seq(s.state, current), 2);
	scratch_remove(&s);
}

/* Which boot the panic is given to, when it was written at that time. */
static void harvest_dated(uint64_t a_seconds, uint64_t b_seconds, uint64_t written, uint8_t boot_id[16])
{
	struct story story;
	struct scratch s;

	scratch_make(&s);
	put_boots(&s, a_seconds, b_seconds);
	scratch_put_text(s.pstore, "dmesg-ramoops-0", PANIC);
	scratch_date(s.pstore, "dmesg-ramoops-0", (time_t)written);
	scratch_recover(&s, &story);
	assert_int_equal(scratch_count_panics(&s, "sysrq triggered crash", boot_id), 1);
	scratch_remove(&s);
}

TEST(test_a_panic_belongs_to_the_boot_in_which_it_was_written)
{
	uint8_t boot_id[16];

	harvest_dated(before_boot(100), before_boot(50), before_boot(1), boot_id);
	assert_memory_equal(boot_id, boot_b, 16);
	harvest_dated(before_boot(100), before_boot(50), before_boot(60), boot_id);
	assert_memory_equal(boot_id, boot_a, 16);
	/* no clock then: the boot before this one */
	harvest_dated(before_boot(100), before_boot(50), 0, boot_id);
	assert_memory_equal(boot_id, boot_b, 16);
	harvest_dated(before_boot(100), before_boot(50), 86400, boot_id);
	assert_memory_equal(boot_id, boot_b, 16);
	/* before anything we know of: a boot of its own */
	harvest_dated(before_boot(100), before_boot(50), before_boot(1000), boot_id);
	assert_memory_not_equal(boot_id, boot_a, 16);
	assert_memory_not_equal(boot_id, boot_b, 16);
	/* nobody outlives a panic: a record without a time of its own shows when pstore was mounted */
	harvest_dated(before_boot(100), before_boot(50), (uint64_t)time(NULL), boot_id);
	assert_memory_equal(boot_id, boot_b, 16);
	/* and a panic that this boot's clock can't have seen yet */
	harvest_dated(before_boot(100), before_boot(50), before_boot(0) + 1000000000, boot_id);
	assert_memory_equal(boot_id, boot_b, 16);
}

static void put_efi(const char *dir, uint64_t seconds, unsigned part, const char *why, const char *lines)
{
	char name[64], text[1024];

	snprintf(name, sizeof(name), "dmesg-efi_pstore-%llu%02u001", (unsigned long long)seconds, part);
	snprintf(text, sizeof(text), "%s Part%u\n%s", why, part, lines);
	scratch_put_text(dir, name, text);
}

TEST(test_parts_of_one_dump_are_one_story_in_the_order_of_time)
{
	const struct fr_found *found;
	struct fr_image *image;
	struct story story;
	struct scratch s;

	scratch_make(&s);
	put_efi(s.pstore, 1700000000, 1, "Panic#2", "<0>[    3.000000] Kernel panic - not syncing: part one\n");
	put_efi(s.pstore, 1700000000, 2, "Panic#2", "<6>[    2.000000] two\n");
	put_efi(s.pstore, 1700000000, 3, "Panic#2", "<6>[    1.000000] three\n");
	/* another crash, of another day, with the same numbers */
	put_efi(s.pstore, 1710000000, 1, "Panic#2", "<0>[    9.000000] Kernel panic - not syncing: another day\n");
	scratch_recover(&s, &story);
	assert_int_equal(story_count(&story, FR_FATE_SALVAGED), 2);
	assert_int_equal(scratch_count(s.pstore, ""), 0);
	found = strcmp(story.found[0].text, "part one") ? &story.found[1] : &story.found[0];
	assert_string_equal(found->text, "part one");
	image = scratch_segment(&s, found->ring_id, 0);
	assert_int_equal(fr_image_record_count(image), 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(fr_image_record(image, i)->time_ns, i < 3 ? (i + 1) * 1000000000 : 3000000000);
	fr_image_close(image);
	scratch_remove(&s);
}

TEST(test_an_oops_and_the_panic_after_it_tell_each_line_once)
{
	static const char oops[] = "Oops#1 Part1\n<6>[    1.000000] long ago\n<6>[    5.000000] before\n<1>[    6.000000] BUG: kernel NULL pointer "
				   "dereference, address: 0000000000000010\n<4>[    6.000001] Oops: 0002 [#1] PREEMPT SMP\n";
	static const char after[] = "Panic#2 Part1\n<6>[    5.000000] before\n<1>[    6.000000] BUG: kernel NULL pointer dereference, address: "
				    "0000000000000010\n<4>[    6.000001] Oops: 0002 [#1] PREEMPT SMP\n<0>[    7.000000] Kernel panic - not "
				    "syncing: Fatal exception\n";
	struct story story;
	struct scratch s;

	scratch_make(&s);
	put_boots(&s, before_boot(100), before_boot(50));
	scratch_put_text(s.pstore, "dmesg-ramoops-0", oops);
	scratch_put_text(s.pstore, "dmesg-ramoops-1", after);
	scratch_date(s.pstore, "dmesg-ramoops-0", (time_t)before_boot(2));
	scratch_date(s.pstore, "dmesg-ramoops-1", (time_t)before_boot(2));
	scratch_recover(&s, &story);
	assert_int_equal(story_count(&story, FR_FATE_SALVAGED), 2);
	assert_int_equal(scratch_count_lines(&s, "long ago", NULL), 1);
	assert_int_equal(scratch_count_lines(&s, "before", NULL), 1);
	assert_int_equal(scratch_count_lines(&s, "Oops: 0002 [#1] PREEMPT SMP", NULL), 1);
	assert_int_equal(scratch_count_panics(&s, "Fatal exception", NULL), 1);
	assert_int_equal(scratch_count_panics(&s, "Oops: 0002 [#1] PREEMPT SMP", NULL), 0); /* one death, one verdict */
	scratch_remove(&s);
}

TEST(test_an_oops_alone_is_the_best_that_is_known)
{
	struct story story;
	struct scratch s;

	scratch_make(&s);
	scratch_put_text(s.pstore, "dmesg-ramoops-0",
			 "Oops#1 Part1\n<1>[    6.000000] BUG: soft lockup\n<4>[    6.000001] Oops: 0002 [#1] PREEMPT SMP\n");
	scratch_recover(&s, &story);
	assert_int_equal(scratch_count_panics(&s, "Oops: 0002 [#1] PREEMPT SMP", NULL), 1);
	scratch_remove(&s);
}

TEST(test_a_reboot_in_order_is_no_death)
{
	struct story story;
	struct scratch s;

	scratch_make(&s);
	scratch_put_text(s.pstore, "dmesg-ramoops-0", "Shutdown#1 Part1\n<1>[    6.000000] BUG: soft lockup\n<6>[    8.000001] reboot: Restarting\n");
	scratch_recover(&s, &story);
	assert_int_equal(story.found[0].records, 2);
	assert_string_equal(story.found[0].text, "");
	scratch_remove(&s);
}

TEST(test_systemds_archive_is_read_never_touched_and_told_once)
{
	char below[200];
	struct story story;
	struct scratch s;

	scratch_make(&s);
	snprintf(below, sizeof(below), "%s/1700000000", s.archive);
	assert_int_equal(mkdir(below, 0700), 0);
	strcat(below, "/001");
	assert_int_equal(mkdir(below, 0700), 0);
	put_efi(below, 1700000000, 1, "Panic#1", "<0>[    3.000000] Kernel panic - not syncing: archived\n");
	put_efi(below, 1700000000, 2, "Panic#1", "<6>[    2.000000] two\n");
	scratch_put_text(below, "dmesg.txt", "Panic#1 Part2\n<6>[    2.000000] two\nPanic#1 Part1\n<0>[    3.000000] Kernel panic - not syncing: archived\n");
	/* one part was still in pstore when it was read */
	put_efi(s.pstore, 1700000000, 1, "Panic#1", "<0>[    3.000000] Kernel panic - not syncing: archived\n");
	scratch_recover(&s, &story);
	assert_int_equal(story.count, 1);
	assert_int_equal(story.found[0].fate, FR_FATE_SALVAGED);
	assert_int_equal(scratch_count(s.pstore, ""), 0);
	assert_int_equal(scratch_count(below, ""), 3);
	for (int again = 0; again < 2; again++) {
		scratch_recover(&s, &story);
		assert_int_equal(story.count, 0);
	}
	assert_int_equal(scratch_count_panics(&s, "archived", NULL), 1);
	assert_int_equal(scratch_count_lines(&s, "two", NULL), 1);
	assert_int_equal(scratch_count(s.spool, ".frs"), 1);
	/* systemd-pstore moves into the archive what we have read in pstore: known by its content */
	scratch_put_text(s.pstore, "dmesg-ramoops-0", PANIC);
	scratch_recover(&s, &story);
	scratch_put_text(s.archive, "dmesg-ramoops-0", PANIC);
	scratch_recover(&s, &story);
	assert_int_equal(story.count, 0);
	assert_int_equal(scratch_count_panics(&s, "sysrq triggered crash", NULL), 1);
	scratch_remove(&s);
}

TEST(test_an_archived_panic_is_of_the_boot_before_the_one_that_archived_it)
{
	uint8_t boot_id[16];
	struct story story;
	struct scratch s;

	scratch_make(&s);
	put_boots(&s, before_boot(100), before_boot(50));
	scratch_put_text(s.archive, "dmesg-ramoops-0", PANIC);
	scratch_date(s.archive, "dmesg-ramoops-0", (time_t)before_boot(49));
	scratch_recover(&s, &story);
	assert_int_equal(scratch_count_panics(&s, "sysrq triggered crash", boot_id), 1);
	assert_memory_equal(boot_id, boot_a, 16);
	scratch_remove(&s);
}

TEST(test_what_the_kernel_could_not_inflate_is_kept_as_it_is)
{
	static const char bytes[] = "\x78\x9c\0\1\2\3 no text";
	const struct fr_found *found;
	struct fr_image *image;
	struct story story;
	struct scratch s;
	const char *name, *text;
	size_t size;

	scratch_make(&s);
	scratch_put(s.pstore, "dmesg-efi-170000000001001.enc.z", bytes, sizeof(bytes));
	scratch_recover(&s, &story);
	found = story_first(&story, FR_FATE_SALVAGED);
	assert_int_equal(found->records, 0);
	assert_false(scratch_has(s.pstore, "dmesg-efi-170000000001001.enc.z"));
	image = scratch_segment(&s, found->ring_id, 0);
	text = fr_image_text(image, 0, &name, &size);
	assert_int_equal(size, sizeof(bytes));
	assert_memory_equal(text, bytes, size);
	fr_image_close(image);
	scratch_remove(&s);
}

TEST(test_records_that_have_no_reader_yet_stay)
{
	struct story story;
	struct scratch s;

	scratch_make(&s);
	scratch_put_text(s.pstore, "console-ramoops-0", "console");
	scratch_put_text(s.pstore, "pmsg-ramoops-0", "pmsg");
	scratch_put_text(s.pstore, "dmesg-ramoops-0", "");
	scratch_recover(&s, &story);
	assert_true(scratch_has(s.pstore, "console-ramoops-0") && scratch_has(s.pstore, "pmsg-ramoops-0"));
	assert_false(scratch_has(s.pstore, "dmesg-ramoops-0")); /* an empty record only takes room */
	assert_int_equal(scratch_count(s.spool, ".frs"), 0);
	scratch_remove(&s);
}

TEST(test_a_dump_without_its_first_line_and_full_of_noise_is_kept)
{
	char text[20000];
	struct story story;
	struct scratch s;
	uint64_t seed = 3;

	scratch_make(&s);
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = (char)unit_random(&seed);
		memcpy(text + 5000, PANIC, strlen(PANIC));
		scratch_put(s.pstore, "dmesg-ramoops-0", text, sizeof(text));
		scratch_recover(&s, &story);
		assert_int_equal(story.error, 0);
		assert_true(story_count(&story, FR_FATE_SALVAGED) >= 1);
		assert_int_equal(scratch_count_panics(&s, "sysrq triggered crash", NULL), round + 1); /* each its own boot's */
		assert_false(scratch_has(s.pstore, "dmesg-ramoops-0"));
	}
	scratch_remove(&s);
}

TEST(test_lines_that_the_daemon_drained_are_not_told_twice)
{
	/* the same line harvested from a dump with another neighbour: another dump, another ring, the same line */
	struct story story;
	struct scratch s;

	scratch_make(&s);
	put_boots(&s, before_boot(100), before_boot(50));
	scratch_put_text(s.pstore, "dmesg-ramoops-0", PANIC);
	scratch_date(s.pstore, "dmesg-ramoops-0", (time_t)before_boot(1));
	scratch_recover(&s, &story);
	scratch_put_text(s.pstore, "dmesg-ramoops-1", PANIC "<4>[   13.000003] one more\n");
	scratch_date(s.pstore, "dmesg-ramoops-1", (time_t)before_boot(1));
	scratch_recover(&s, &story);
	assert_int_equal(scratch_count_lines(&s, "till: something is odd", NULL), 1);
	assert_int_equal(scratch_count_lines(&s, "one more", NULL), 1);
	assert_int_equal(scratch_count_panics(&s, "sysrq triggered crash", NULL), 1);
	scratch_remove(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_panic_in_pstore_becomes_events_and_is_released),
		cmocka_unit_test(test_rings_and_last_words_of_one_crash_carry_one_boot),
		cmocka_unit_test(test_no_process_outlives_a_panic),
		cmocka_unit_test(test_the_order_of_boots_is_kept_where_the_state_was_lost),
		cmocka_unit_test(test_a_panic_belongs_to_the_boot_in_which_it_was_written),
		cmocka_unit_test(test_parts_of_one_dump_are_one_story_in_the_order_of_time),
		cmocka_unit_test(test_an_oops_and_the_panic_after_it_tell_each_line_once),
		cmocka_unit_test(test_an_oops_alone_is_the_best_that_is_known),
		cmocka_unit_test(test_a_reboot_in_order_is_no_death),
		cmocka_unit_test(test_systemds_archive_is_read_never_touched_and_told_once),
		cmocka_unit_test(test_an_archived_panic_is_of_the_boot_before_the_one_that_archived_it),
		cmocka_unit_test(test_what_the_kernel_could_not_inflate_is_kept_as_it_is),
		cmocka_unit_test(test_records_that_have_no_reader_yet_stay),
		cmocka_unit_test(test_a_dump_without_its_first_line_and_full_of_noise_is_kept),
		cmocka_unit_test(test_lines_that_the_daemon_drained_are_not_told_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
