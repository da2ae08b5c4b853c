/* SPDX-License-Identifier: MIT */
/* test_upload_config.c - section [upload]: the shipped file shows every key with its default; bad values say what to do. */
#include "tests/unit/unit.h"

#include "uploader/upload_config.h"

static unsigned taken;

static int take(void *ctx, const struct fr_ini_entry *entry, char *why, size_t why_size)
{
	if (strcmp(entry->section, "upload") != 0)
		return FR_INI_NOT_MINE;
	taken++;
	return fr_upload_config_set(ctx, entry->key, entry->value, why, why_size);
}

static void warn(void *ctx, const char *text)
{
	(void)ctx;
	fail_msg("%s", text);
}

TEST(test_the_shipped_file_shows_every_key_with_its_default)
{
	struct fr_upload_config shown, standard;
	struct fr_ini_reader reader = { take, warn, &shown };
	char text[16384], line[512], error[512] = "";
	size_t used = 0;
	FILE *file = fopen("systemd/flightrec.conf", "r");

	if (!file)
		skip();
	while (fgets(line, sizeof line, file)) { /* "#key = value" is an entry, "# words" is not */
		bool entry = line[0] == '#' && line[1] >= 'a' && line[1] <= 'z';

		used += (size_t)snprintf(text + used, sizeof text - used, "%s", line + entry);
		assert_true(used < sizeof text);
	}
	fclose(file);
	fr_upload_config_default(&standard);
	memset(&shown, 0, sizeof shown);
	assert_int_equal(fr_ini_parse("flightrec.conf", text, used, &reader, error, sizeof error), 0);
	assert_int_equal(taken, 14);
	assert_memory_equal(&shown, &standard, sizeof shown);
}

TEST(test_values_out_of_bounds_are_refused_and_change_nothing)
{
	static const char *const bad[][2] = {
		{ "batch_events", "0" }, { "batch_events", "many" }, { "batch_bytes", "1G" }, { "zstd_level", "20" }, { "timeout", "5" },
		{ "timeout", "0s" }, { "budget_bytes_per_day", "-1" }, { "interval", "1ms" },
	};
	struct fr_upload_config config, standard;

	fr_upload_config_default(&config);
	fr_upload_config_default(&standard);
	for (size_t i = 0; i < COUNT(bad); i++) {
		char why[256] = "";

		assert_true(fr_upload_config_set(&config, bad[i][0], bad[i][1], why, sizeof why) < 0);
		assert_true(*why);
	}
	assert_memory_equal(&config, &standard, sizeof config);
	assert_int_equal(fr_upload_config_set(&config, "speling", "1", NULL, 0), FR_INI_UNKNOWN_KEY);
}

TEST(test_an_empty_value_is_the_default)
{
	struct fr_upload_config config;
	char why[256];

	fr_upload_config_default(&config);
	assert_int_equal(fr_upload_config_set(&config, "budget_bytes_per_day", "5M", why, sizeof why), 0);
	assert_int_equal(config.budget_bytes_per_day, 5 << 20);
	assert_int_equal(fr_upload_config_set(&config, "budget_bytes_per_day", "", why, sizeof why), 0);
	assert_int_equal(config.budget_bytes_per_day, 10 << 20);
}

TEST(test_a_token_is_one_printable_line)
{
	static const struct {
		const char *text;
		bool good;
	} table[] = { { "abc\n", true }, { "abc", true }, { "abc \r\n", true }, { "", false }, { "\n", false }, { "a b\n", false },
		      { "a\nX-Evil: 1\n", false }, { "\xff\n", false } };
	struct fr_upload_config config;
	char path[] = "/tmp/fr-token-XXXXXX", token[32], why[1200];
	int fd = mkstemp(path);

	fr_upload_config_default(&config);
	strcpy(config.token_file, path);
	for (size_t i = 0; i < COUNT(table); i++) {
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, table[i].text, strlen(table[i].text), 0), strlen(table[i].text));
		assert_int_equal(fr_upload_config_token(&config, token, sizeof token, why, sizeof why), table[i].good ? 0 : -EINVAL);
		assert_string_equal(token, table[i].good ? "abc" : "");
	}
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_int_equal(fr_upload_config_token(&config, token, sizeof token, why, sizeof why), -EINVAL);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_shipped_file_shows_every_key_with_its_default),
		cmocka_unit_test(test_values_out_of_bounds_are_refused_and_change_nothing),
		cmocka_unit_test(test_an_empty_value_is_the_default),
		cmocka_unit_test(test_a_token_is_one_printable_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
