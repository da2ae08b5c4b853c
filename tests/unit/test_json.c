/* SPDX-License-Identifier: MIT */
/* test_json.c - the checker takes JSON and nothing else; what is escaped is JSON again. */
#include "tests/unit/unit.h"

#include "recorder/core/json.h"

static bool valid(const char *text)
{
	/* a copy of its exact size, so that a sanitizer sees a read behind it */
	size_t size = strlen(text);
	char *copy = malloc(size ? size : 1);
	bool result;

	memcpy(copy, text, size);
	result = fr_json_valid(copy, size);
	free(copy);
	return result;
}

TEST(test_json_is_taken)
{
	static const char *const good[] = {
		"{}", "[]", "0", "-0", "1", "-12.5e+10", "1E5", "0.001", "\"\"", "true", "false", "null", " \t\r\n[1 , 2]\n",
		"{\"a\":{\"b\":[{},[],\"c\"]}}", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
		"\"\x7f\"", "[[[[[[[[]]]]]]]]", "{\"a\":1,\"a\":2}", "123456789012345678901234567890",
	};

	for (size_t i = 0; i < COUNT(good); i++)
		if (!valid(good[i]))
			fail_msg("not taken: %s", good[i]);
}

TEST(test_what_is_no_json_is_not_taken)
{
	static const char *const bad[] = {
		"", " ", "{", "}", "[", "]", "{]", "[}", "[1,]", "[,1]", "{\"a\":1,}", "{,}", "{\"a\"}", "{\"a\":}", "{1:2}", "{a:1}",
		"{'a':1}", "01", "-", "+1", ".5", "1.", "1e", "1e+", "0x10", "NaN", "Infinity", "tru", "truee", "nul", "\"", "\"\\",
		"\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\ud800\\n\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\n\"",
		"\"\x01\"", "1 2", "{} {}", "[1 2]", "\xef\xbb\xbf{}", "\"\xff\"", "\"\xc3\"", "\"\xc0\x80\"", "\"\xe0\x80\x80\"",
		"\"\xed\xa0\x80\"", "\"\xf0\x80\x80\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xf5\x80\x80\x80\"", "\"\xe2\x82\"", "// c\n1",
		"{ hello: 'world' }",
	};

	for (size_t i = 0; i < COUNT(bad); i++)
		if (valid(bad[i]))
			fail_msg("taken: %s", bad[i]);
	assert_false(fr_json_valid("1\0", 2));
	assert_false(fr_json_valid("\"a\0b\"", 5));
}

TEST(test_depth_is_bounded)
{
	char text[2 * FR_JSON_DEPTH_OVER + 2];

	memset(text, '[', FR_JSON_DEPTH_MAX);
	memset(text + FR_JSON_DEPTH_MAX, ']', FR_JSON_DEPTH_MAX);
	assert_true(fr_json_valid(text, 2 * FR_JSON_DEPTH_MAX));
	memset(text, '[', FR_JSON_DEPTH_MAX + 1);
	memset(text + FR_JSON_DEPTH_MAX + 1, ']', FR_JSON_DEPTH_MAX + 1);
	assert_false(fr_json_valid(text, 2 * FR_JSON_DEPTH_MAX + 2));
	assert_true(fr_json_valid_within(text, 2 * FR_JSON_DEPTH_MAX + 2, FR_JSON_DEPTH_OVER));
	memset(text, '[', FR_JSON_DEPTH_OVER);
	memset(text + FR_JSON_DEPTH_OVER, ']', FR_JSON_DEPTH_OVER);
	assert_true(fr_json_valid_within(text, 2 * FR_JSON_DEPTH_OVER, UINT32_MAX));
	memset(text, '[', FR_JSON_DEPTH_OVER + 1);
	memset(text + FR_JSON_DEPTH_OVER + 1, ']', FR_JSON_DEPTH_OVER + 1);
	assert_false(fr_json_valid_within(text, 2 * FR_JSON_DEPTH_OVER + 2, UINT32_MAX));
}

TEST(test_no_prefix_of_an_object_is_json)
{
	const char *text = "{\"a\":[1,2.5e3,{\"b\":null}],\"c\":\"\\u00e9x\"}";

	for (size_t i = 0; i < strlen(text); i++)
		assert_false(fr_json_valid(text, i));
	assert_true(valid(text));
}

TEST(test_whatever_is_escaped_is_json)
{
	uint64_t seed = 1;

	for (int i = 0; i < 20000; i++) {
		char text[16], out[2 + 6 * sizeof text + 1];
		size_t size = unit_random(&seed) % sizeof text, length;

		for (size_t c = 0; c < size; c++)
			text[c] = (char)unit_random(&seed);
		out[0] = '"';
		length = fr_json_escape(out + 1, sizeof out - 2, text, size);
		assert_true(length <= 6 * size);
		assert_int_equal(length, strlen(out + 1));
		out[length + 1] = '"';
		assert_true(fr_json_valid(out, length + 2));
	}
}

TEST(test_escapes_are_the_shortest_that_are_safe)
{
	char out[64];

	fr_json_escape(out, sizeof out, "a\"\\\n\t\r\x1b\x7f\xc2\x9b\xff\xc3\xa9", 13);
	assert_string_equal(out, "a\\\"\\\\\\n\\t\\r\\u001b\\u007f\\u009b\\ufffd\xc3\xa9");
}

TEST(test_a_short_buffer_gets_whole_escapes_and_the_length_needed)
{
	char out[8];

	assert_int_equal(fr_json_escape(out, sizeof out, "ab\x01zz", 5), 10);
	assert_string_equal(out, "ab");
	assert_int_equal(fr_json_escape(NULL, 0, "ab", 2), 2);
	assert_int_equal(fr_json_escape(out, 1, "ab", 2), 2);
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_is_taken),
		cmocka_unit_test(test_what_is_no_json_is_not_taken),
		cmocka_unit_test(test_depth_is_bounded),
		cmocka_unit_test(test_no_prefix_of_an_object_is_json),
		cmocka_unit_test(test_whatever_is_escaped_is_json),
		cmocka_unit_test(test_escapes_are_the_shortest_that_are_safe),
		cmocka_unit_test(test_a_short_buffer_gets_whole_escapes_and_the_length_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
