/* SPDX-License-Identifier: MIT */
/* test_ini.c - configuration: order of files, syntax, and messages that say where and what to do. */
#include "tests/unit/unit.h"

#include <sys/stat.h>

#include "recorder/core/ini.h"

struct seen {
	char text[4096];
	char warnings[4096];
};

static int take(void *ctx, const struct fr_ini_entry *entry, char *why, size_t why_size)
{
	struct seen *seen = ctx;
	size_t used = strlen(seen->text);

	snprintf(seen->text + used, sizeof seen->text - used, "[%s]%s=%s;", entry->section, entry->key, entry->value);
	if (strcmp(entry->key, "bad") == 0) {
		snprintf(why, why_size, "want something better");
		return -EINVAL;
	}
	return strcmp(entry->section, "odd") == 0 ? FR_INI_UNKNOWN_SECTION
	       : strcmp(entry->key, "odd") == 0	  ? FR_INI_UNKNOWN_KEY : 0;
}

static void warn(void *ctx, const char *text)
{
	struct seen *seen = ctx;

	strcat(strcat(seen->warnings, text), "\n");
}

static int parse(const char *text, struct seen *seen, char *error, size_t error_size)
{
	struct fr_ini_reader reader = { take, warn, seen };

	memset(seen, 0, sizeof *seen);
	return fr_ini_parse("x.conf", text, strlen(text), &reader, error, error_size);
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

TEST(test_entries_comments_and_white_space)
{
	struct seen seen;
	char error[256] = "";

	assert_int_equal(parse("# c\n; c\nfree=1\n[a]\n  key\t=  a value # kept \r\n\n[ b ]\nempty=\nlast = x = y", &seen, error,
			       sizeof error), 0);
	assert_string_equal(seen.text, "[a]key=a value # kept;[b]empty=;[b]last=x = y;");
	assert_string_equal(
		seen.warnings,
		"x.conf:3: \"free\" stands in no section and is ignored; put [name] above it\n");
}

TEST(test_errors_name_file_line_and_reason)
{
	static const struct {
		const char *text, *error;
	} table[] = {
		{ "\n[a\n", "x.conf:2: \"[a\" is no section; write [name]" },
		{ "[]\n", "x.conf:1: \"[]\" is no section; write [name]" },
		{ "[a]\nword\n", "x.conf:2: \"word\" is neither a section, a comment nor key = value" },
		{ "[a]\n= 1\n", "x.conf:2: there is no key before the =" },
		{ "[a]\n\nbad = 5\n", "x.conf:3: bad = 5: want something better" },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		struct seen seen;
		char error[256] = "";

		assert_int_equal(parse(table[i].text, &seen, error, sizeof error), -EINVAL);
		assert_string_equal(error, table[i].error);
	}
}

TEST(test_unknown_keys_and_sections_warn_and_go_on)
{
	struct seen seen;
	char error[256] = "";

	assert_int_equal(parse("[a]\nodd=1\n[odd]\nx=1\ny=2\n[a]\nz=3\n", &seen, error, sizeof error), 0);
	assert_string_equal(seen.warnings, "x.conf:2: unknown key \"odd\" in [a] is ignored; check its spelling\n"
					   "x.conf:4: unknown section [odd] is ignored; check its spelling\n");
	assert_non_null(strstr(seen.text, "[a]z=3;"));
}

TEST(test_drop_ins_follow_sorted_and_only_those_that_count)
{
	char dir[] = "/tmp/fr-ini-XXXXXX", path[64], sub[64], error[256], command[128];
	struct seen seen = { 0 };
	struct fr_ini_reader reader = { take, warn, &seen };

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/f.conf", dir);
	snprintf(sub, sizeof sub, "%s/f.conf.d", dir);
	assert_int_equal(mkdir(sub, 0755), 0);
	put(dir, "f.conf", "[a]\nk=0\n");
	put(sub, "20-b.conf", "[a]\nk=2\n");
	put(sub, "10-a.conf", "[b]\nk=1\n");
	put(sub, ".hidden.conf", "[a]\nk=3\n");
	put(sub, "30-c.conf~", "[a]\nk=4\n");
	assert_int_equal(fr_ini_load(path, false, &reader, error, sizeof error), 0);
	assert_string_equal(seen.text, "[a]k=0;[b]k=1;[a]k=2;");
	unlink(path);
	assert_int_equal(fr_ini_load(path, false, &reader, error, sizeof error), -ENOENT);
	assert_non_null(strstr(error, "f.conf: can't be read"));
	assert_int_equal(fr_ini_load(path, true, &reader, error, sizeof error), 0);
	snprintf(command, sizeof command, "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

TEST(test_a_binary_file_is_refused)
{
	struct seen seen = { 0 };
	struct fr_ini_reader reader = { take, warn, &seen };
	char error[256];

	assert_int_equal(fr_ini_parse("x", "[a]\0k=1", 8, &reader, error, sizeof error), -EINVAL);
	assert_string_equal(error, "x: holds a zero byte: this is no text file");
}

TEST(test_values_are_read_with_units_and_bounds)
{
	char why[128];
	uint64_t v = 0;
	bool b = false;

	assert_int_equal(fr_ini_size("64K", 0, 1 << 20, &v, why, sizeof why), 0);
	assert_int_equal(v, 65536);
	assert_int_equal(fr_ini_size("10 MiB", 0, 1 << 30, &v, why, sizeof why), 0);
	assert_int_equal(v, 10 << 20);
	assert_int_equal(fr_ini_size("10X", 0, 1 << 30, &v, why, sizeof why), -EINVAL);
	assert_int_equal(fr_ini_size("99999999999999999999", 0, UINT64_MAX, &v, why, sizeof why), -ERANGE);
	assert_int_equal(fr_ini_size("18446744073709551615K", 0, UINT64_MAX, &v, why, sizeof why), -ERANGE);
	assert_int_equal(fr_ini_size("-1", 0, 10, &v, why, sizeof why), -EINVAL);
	assert_int_equal(fr_ini_duration("500ms", 0, 1000, &v, why, sizeof why), 0);
	assert_int_equal(v, 500);
	assert_int_equal(fr_ini_duration("2h", 0, 86400000, &v, why, sizeof why), 0);
	assert_int_equal(v, 7200000);
	assert_int_equal(fr_ini_duration("5", 0, 1000, &v, why, sizeof why), -EINVAL);
	assert_int_equal(fr_ini_number("11", 1, 10, &v, why, sizeof why), -ERANGE);
	assert_string_equal(why, "out of range; want 1 to 10");
	assert_int_equal(v, 7200000);
	assert_int_equal(fr_ini_bool("Yes", &b, why, sizeof why), 0);
	assert_true(b);
	assert_int_equal(fr_ini_bool("maybe", &b, why, sizeof why), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries_comments_and_white_space),
		cmocka_unit_test(test_errors_name_file_line_and_reason),
		cmocka_unit_test(test_unknown_keys_and_sections_warn_and_go_on),
		cmocka_unit_test(test_drop_ins_follow_sorted_and_only_those_that_count),
		cmocka_unit_test(test_a_binary_file_is_refused),
		cmocka_unit_test(test_values_are_read_with_units_and_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
