/* SPDX-License-Identifier: MIT */
/* test_crc.c - CRC32C: known answers, and that all ways to compute it agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "recorder/core/crc.h"

#define CHECK_VALUE 0xe3069283u /* of "123456789", from the definition of CRC-32C */

static void test_known_answers(void **state)
{
	uint8_t zeros[32] = { 0 }, ones[32], rising[32];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	for (int i = 0; i < 32; i++)
		rising[i] = (uint8_t)i;
	assert_int_equal(fr_crc32c(0, "", 0), 0);
	assert_int_equal(fr_crc32c(0, "123456789", 9), CHECK_VALUE);
	/* RFC 3720, B.4 */
	assert_int_equal(fr_crc32c(0, zeros, 32), 0x8a9136aau);
	assert_int_equal(fr_crc32c(0, ones, 32), 0x62a8ab43u);
	assert_int_equal(fr_crc32c(0, rising, 32), 0x46dd794eu);
}

static void test_the_table_agrees_with_the_instruction_at_every_length(void **state)
{
	uint8_t bytes[300];
	bool hardware = fr_crc32c_hardware;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 131 + 7);
	for (size_t size = 0; size < sizeof(bytes) - 8; size++) {
		for (size_t shift = 0; shift < 8; shift++) {
			uint32_t one, other;

			one = fr_crc32c(0x1234, bytes + shift, size);
			fr_crc32c_hardware = false;
			other = fr_crc32c(0x1234, bytes + shift, size);
			fr_crc32c_hardware = hardware;
			assert_int_equal(one, other);
		}
	}
}

static void test_parts_chain_to_the_whole(void **state)
{
	const char *text = "the quick brown fox jumps over the lazy dog";
	size_t size = strlen(text);

	(void)state;
	for (size_t cut = 0; cut <= size; cut++)
		assert_int_equal(fr_crc32c(fr_crc32c(0, text, cut), text + cut, size - cut), fr_crc32c(0, text, size));
}

static void test_a_records_checksum_is_that_of_its_bytes(void **state)
{
	uint64_t words[16];
	bool hardware = fr_crc32c_hardware;

	(void)state;
	for (size_t i = 0; i < 16; i++)
		words[i] = i * 0x9e3779b97f4a7c15ull;
	for (uint32_t rest = 24; rest <= 112; rest += 8) {
		uint32_t want = fr_crc32c(99, words, 16 + rest);

		for (int pass = 0; pass < 2; pass++) {
			fr_crc32c_hardware = pass ? false : hardware;
			assert_int_equal(fr_crc32c_record(99, words[0], words[1], (unsigned char *)&words[2], rest), want);
		}
		fr_crc32c_hardware = hardware;
	}
}

static void test_the_instruction_is_used_where_the_processor_has_it(void **state)
{
	char flags[65536] = "";
	FILE *file = fopen("/proc/cpuinfo", "r");

	(void)state;
	if (!file)
		skip();
	assert_true(fread(flags, 1, sizeof(flags) - 1, file) > 0);
	fclose(file);
	assert_int_equal(fr_crc32c_hardware, strstr(flags, " sse4_2") || strstr(flags, " crc32"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_answers),
		cmocka_unit_test(test_the_instruction_is_used_where_the_processor_has_it),
		cmocka_unit_test(test_the_table_agrees_with_the_instruction_at_every_length),
		cmocka_unit_test(test_parts_chain_to_the_whole),
		cmocka_unit_test(test_a_records_checksum_is_that_of_its_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
