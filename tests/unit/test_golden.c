/* SPDX-License-Identifier: MIT */
/* test_golden.c - rings and segments of all versions so far: each is read as its text says, byte for byte. */
#include "tests/unit/unit.h"

#include <glob.h>

#include "tests/unit/unit_dump.h"

static void compare(const char *path)
{
	char name[512], *have = NULL, want[8192], line[8192];
	size_t size = 0;
	struct fr_image *image = NULL;
	FILE *expected, *actual, *again;
	unsigned number = 0;
	int r = fr_image_open_path(path, 0, &image);

	if (r < 0)
		fail_msg("%s: %s", path, fr_image_strerror(r));
	actual = open_memstream(&have, &size);
	unit_dump(image, actual);
	fclose(actual);
	fr_image_close(image);

	snprintf(name, sizeof(name), "%s.txt", path);
	expected = fopen(name, "r");
	again = fmemopen(have, size, "r");
	assert_non_null(expected);
	assert_non_null(again);
	for (;;) {
		bool more = fgets(want, sizeof(want), expected), got = fgets(line, sizeof(line), again);

		number++;
		if (!more && !got)
			break;
		if (more != got || strcmp(want, line))
			fail_msg("%s:%u:\nwas:    %snow is: %s", name, number, more ? want : "(nothing)\n", got ? line : "(nothing)\n");
	}
	assert_true(number > 50);
	fclose(expected);
	fclose(again);
	free(have);
}

TEST(test_I13_every_released_format_is_still_read)
{
	glob_t found;

	assert_int_equal(glob("tests/golden/v*.ring", 0, NULL, &found), 0);
	assert_int_equal(glob("tests/golden/v*.frs", GLOB_APPEND, NULL, &found), 0);
	assert_true(found.gl_pathc >= 2);
	for (size_t i = 0; i < found.gl_pathc; i++)
		compare(found.gl_pathv[i]);
	globfree(&found);
}

TEST(test_I11_a_ring_describes_itself)
{
	FILE *text = fopen("tests/golden/v1.0.ring.txt", "r");
	char line[8192];
	bool fields = false, event = false, identity = false;

	assert_non_null(text);
	while (fgets(line, sizeof(line), text)) {
		fields |= strstr(line, "1:u8() 4:u64(ns) 6:i16() 10:str() 2:u16(hex) 9:f64() 5:i8() 11:bytes() 3:u32(B)") != NULL;
		event |= strstr(line, "golden.provider/all types u8=") != NULL;
		identity |= strstr(line, "comm \"golden\" exe \"/usr/bin/golden\"") != NULL;
	}
	fclose(text);
	assert_true(fields && event && identity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I13_every_released_format_is_still_read),
		cmocka_unit_test(test_I11_a_ring_describes_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
