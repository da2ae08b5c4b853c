/* SPDX-License-Identifier: MIT */
/* test_dmesg.c - a panic's text: parts, lines, the verdict; with flipped bits, cut short, and made of noise. */
#include "tests/unit/unit.h"

#include "pstore/dmesg.h"
#include "schemas/fr_format.h"

static const char panic[] =
	"Panic#1 Part1\n"
	"<6>[   12.345678] usb 1-1: new device\n"
	"<4>[   12.400000][  T731] till: something is odd\n"
	"<30>[   12.500000] systemd[1]: Started a service.\n"
	"a line without a stamp\n"
	"<0>[   13.000001][    C1] Kernel panic - not syncing: sysrq triggered crash\n"
	"<4>[   13.000002] CPU: 0 PID: 731 Comm: till\n";

static unsigned read_all(const char *text, size_t size, struct fr_dmesg_line *line, unsigned most, int *ret_verdict)
{
	struct fr_dmesg_part part;
	size_t at = 0;
	unsigned count = 0;

	*ret_verdict = 0;
	while (fr_dmesg_next_part(text, size, &at, &part)) {
		struct fr_dmesg_state state = { 0 };
		struct fr_dmesg_line one;
		size_t line_at = 0;

		assert_true(part.head >= text && part.head + part.raw_size <= text + size);
		assert_true(part.text >= part.head && part.text + part.text_size == part.head + part.head_size);
		while (fr_dmesg_next_line(&state, part.text, part.text_size, &line_at, &one)) {
			const char *says;
			size_t length;
			int verdict = fr_dmesg_verdict(&one, &says, &length);

			assert_true(one.text >= part.text && one.text + one.size <= part.text + part.text_size);
			if (verdict)
				assert_true(says >= one.text && says + length <= one.text + one.size);
			if (verdict > *ret_verdict)
				*ret_verdict = verdict;
			if (count < most)
				line[count] = one;
			count++;
		}
	}
	return count;
}

static bool is(const char *text, size_t size, const char *want)
{
	return size == strlen(want) && !memcmp(text, want, size);
}

TEST(test_a_part_has_a_reason_a_number_and_lines_with_their_stamps)
{
	struct fr_dmesg_line line[8];
	struct fr_dmesg_part part;
	const char *text;
	size_t at = 0, size;
	int verdict;

	assert_true(fr_dmesg_next_part(panic, sizeof(panic) - 1, &at, &part));
	assert_string_equal(part.why, "Panic");
	assert_int_equal(part.dump, 1);
	assert_int_equal(part.number, 1);
	assert_false(fr_dmesg_next_part(panic, sizeof(panic) - 1, &at, &part));

	assert_int_equal(read_all(panic, sizeof(panic) - 1, line, 8, &verdict), 6);
	assert_int_equal(verdict, 3);
	assert_int_equal(line[0].time_ns, 12345678000);
	assert_int_equal(line[0].severity, 6);
	assert_int_equal(line[0].cpu, FRM_CPU_NONE);
	assert_true(is(line[0].text, line[0].size, "usb 1-1: new device"));
	assert_int_equal(line[1].tid, 731);
	assert_true(is(line[1].text, line[1].size, "till: something is odd"));
	assert_int_equal(line[2].facility, 3);
	assert_int_equal(line[2].severity, 6);
	assert_false(line[3].stamped);
	assert_int_equal(line[3].time_ns, 12500000000);
	assert_true(is(line[3].text, line[3].size, "a line without a stamp"));
	assert_int_equal(line[4].cpu, 1);
	assert_int_equal(fr_dmesg_verdict(&line[4], &text, &size), 3);
	assert_true(is(text, size, "sysrq triggered crash"));
}

TEST(test_parts_in_one_file_are_told_apart_and_keep_their_identity)
{
	static const char two[] = "Oops#1 Part2\n<6>[    1.000000] old\nOops#1 Part1\n<6>[    2.000000] new\n\n\0\0";
	static const char alone[] = "Oops#1 Part1\n<6>[    2.000000] new";
	struct fr_dmesg_part first, second, same;
	size_t at = 0, other = 0;

	assert_true(fr_dmesg_next_part(two, sizeof(two) - 1, &at, &first));
	assert_true(fr_dmesg_next_part(two, sizeof(two) - 1, &at, &second));
	assert_int_equal(first.number, 2);
	assert_int_equal(second.number, 1);
	assert_true(is(first.text, first.text_size, "<6>[    1.000000] old"));
	assert_false(fr_dmesg_next_part(two, sizeof(two) - 1, &at, &same));
	/* wherever a part lies and whatever ends it, it is known again */
	assert_true(fr_dmesg_next_part(alone, sizeof(alone) - 1, &other, &same));
	assert_memory_equal(same.id, second.id, 32);
	assert_memory_not_equal(same.id, first.id, 32);
}

TEST(test_the_words_of_a_panic_are_found_with_one_bit_in_eight_wrong)
{
	char text[] = "Kernel panic - not syncing: Fatal exception";
	struct fr_dmesg_line line = { .text = text, .size = sizeof(text) - 1 };
	const char *says;
	size_t size;

	for (int i = 0; i < 26; i++)
		text[i] ^= (char)(1 << i % 7);
	assert_int_equal(fr_dmesg_verdict(&line, &says, &size), 3);
	assert_true(is(says, size, "Fatal exception"));
	text[3] ^= 0x40;
	text[9] ^= 0x22;
	assert_int_equal(fr_dmesg_verdict(&line, &says, &size), 0);
}

TEST(test_only_the_kernels_own_words_count)
{
	static const struct {
		const char *text;
		uint8_t facility;
		int verdict;
	} cases[] = {
		{ "Oops: 0002 [#1] PREEMPT SMP", 0, 2 },
		{ "Internal error: Oops: 96000004 [#1]", 0, 2 },
		{ "BUG: unable to handle page fault for address: 0000000000000010", 0, 1 },
		{ "kernel BUG at mm/slub.c:305!", 0, 1 },
		{ "DEBUG: nothing happened", 0, 0 },
		{ "Kernel panic - not syncing: I am a user", 1, 0 },
		{ "panic", 0, 0 },
		{ "", 0, 0 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fr_dmesg_line line = { .text = cases[i].text, .size = strlen(cases[i].text), .facility = cases[i].facility };
		const char *says;
		size_t size;

		assert_int_equal(fr_dmesg_verdict(&line, &says, &size), cases[i].verdict);
	}
}

TEST(test_a_flipped_bit_in_a_stamp_sends_no_line_through_the_years)
{
	size_t stamp = (size_t)(strstr(panic, "<0>[   13.000001]") - panic);
	char text[sizeof(panic)];
	struct fr_dmesg_line line[8];
	int verdict;

	for (size_t bit = 0; bit < (sizeof(panic) - 1) * 8; bit++) {
		unsigned count;

		memcpy(text, panic, sizeof(panic));
		text[bit / 8] ^= (char)(1 << bit % 8);
		count = read_all(text, sizeof(panic) - 1, line, 8, &verdict);
		assert_true(count >= 5 && count <= 8);
		/* in the stamp of the panic's own line a bit may make it another facility's; nowhere else is it lost */
		if (bit / 8 < stamp || bit / 8 > stamp + 2)
			assert_int_equal(verdict, 3);
		for (unsigned i = 0; i < count && i < 8; i++)
			assert_true(line[i].time_ns <= 14000000000ull || i + 1 == count);
	}
}

TEST(test_I8_noise_of_any_kind_ends_and_stays_inside)
{
	static const char alphabet[] = "<>[]. 0123456789abPCT#\n\n\n\0Kernel panic";
	uint64_t seed = 7;
	struct fr_dmesg_line line[1];
	int verdict;

	for (int round = 0; round < 3000; round++) {
		size_t size = unit_random(&seed) % 600;
		char *text = malloc(size + 1); /* exactly: whoever reads on is seen by the sanitizer */

		for (size_t i = 0; i < size; i++)
			text[i] = round % 3 ? alphabet[unit_random(&seed) % (sizeof(alphabet) - 1)] : (char)unit_random(&seed);
		if (round % 5 == 0 && size > 60)
			memcpy(text + unit_random(&seed) % (size - 50), panic + unit_random(&seed) % 100, 50);
		read_all(text, size, line, 1, &verdict);
		free(text);
	}
	/* and every prefix of a good one */
	for (size_t size = 0; size < sizeof(panic); size++)
		read_all(panic, size, line, 1, &verdict);
}

TEST(test_a_line_without_end_is_cut_into_pieces)
{
	size_t size = 3 * FR_DMESG_LINE_MAX + 17;
	struct fr_dmesg_line line[8];
	char *text = malloc(size);
	int verdict;

	memset(text, 'x', size);
	assert_int_equal(read_all(text, size, line, 8, &verdict), 4);
	assert_int_equal(line[3].size, 17);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_part_has_a_reason_a_number_and_lines_with_their_stamps),
		cmocka_unit_test(test_parts_in_one_file_are_told_apart_and_keep_their_identity),
		cmocka_unit_test(test_the_words_of_a_panic_are_found_with_one_bit_in_eight_wrong),
		cmocka_unit_test(test_only_the_kernels_own_words_count),
		cmocka_unit_test(test_a_flipped_bit_in_a_stamp_sends_no_line_through_the_years),
		cmocka_unit_test(test_I8_noise_of_any_kind_ends_and_stays_inside),
		cmocka_unit_test(test_a_line_without_end_is_cut_into_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
