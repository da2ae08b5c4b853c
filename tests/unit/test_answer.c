/* SPDX-License-Identifier: MIT */
/* test_answer.c - what each answer means; nothing but a valid acknowledgement is one. */
#include "tests/unit/unit.h"

#include "uploader/answer.h"

#ifdef HAVE_CURL

#define ID "11111111-1111-1111-1111-111111111111"
#define NOW 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */

static struct fr_verdict judge(int status, const char *body, const char *retry_after)
{
	struct fr_batch batch = { .events = 3 };
	struct fr_http_answer answer = { .result = FR_HTTP_ANSWERED, .status = status };
	struct fr_verdict verdict;

	memset(batch.id, 0x11, 16);
	strcpy(answer.body, body);
	answer.body_size = strlen(body);
	strcpy(answer.retry_after, retry_after);
	strcpy(answer.location, "https://else\x1b[31m/");
	fr_answer_judge(&batch, &answer, NOW, &verdict);
	return verdict;
}

TEST(test_only_a_valid_acknowledgement_is_one)
{
	static const struct {
		int status;
		enum fr_answer want;
		const char *body;
	} table[] = {
		{ 200, FR_ANSWER_ACCEPTED, "{\"batch\":\"" ID "\",\"status\":\"accepted\",\"events\":3}" },
		{ 201, FR_ANSWER_ACCEPTED, " {\"more\":[1],\"batch\":\"" ID "\",\"status\":\"accepted\",\"events\":3}\n" },
		{ 200, FR_ANSWER_DUPLICATE, "{\"batch\":\"" ID "\",\"status\":\"duplicate\",\"events\":3}" },
		{ 200, FR_ANSWER_RETRY, "" },
		{ 204, FR_ANSWER_RETRY, "" },
		{ 200, FR_ANSWER_RETRY, "<html>welcome</html>" },
		{ 200, FR_ANSWER_RETRY, "null" },
		{ 200, FR_ANSWER_RETRY, "[]" },
		{ 200, FR_ANSWER_RETRY, "{}" },
		{ 200, FR_ANSWER_RETRY, "{\"batch\":\"" ID "\",\"status\":\"accepted\",\"events\":3" },
		{ 200, FR_ANSWER_RETRY, "{\"batch\":\"" ID "\",\"status\":\"accepted\"}" },
		{ 200, FR_ANSWER_RETRY, "{\"batch\":\"" ID "\",\"status\":\"accepted\",\"events\":2}" },
		{ 200, FR_ANSWER_RETRY, "{\"batch\":\"" ID "\",\"status\":\"accepted\",\"events\":-1}" },
		{ 200, FR_ANSWER_RETRY, "{\"batch\":\"" ID "\",\"status\":\"accepted\",\"events\":\"3\"}" },
		{ 200, FR_ANSWER_RETRY, "{\"batch\":\"" ID "\",\"status\":\"accepted\",\"events\":3.0}" },
		{ 200, FR_ANSWER_RETRY, "{\"batch\":\"" ID "\",\"status\":\"received\",\"events\":3}" },
		{ 200, FR_ANSWER_RETRY, "{\"batch\":\"21111111-1111-1111-1111-111111111111\",\"status\":\"accepted\",\"events\":3}" },
		{ 200, FR_ANSWER_RETRY, "{\"batch\":[\"" ID "\"],\"status\":\"accepted\",\"events\":3}" },
		{ 500, FR_ANSWER_RETRY, "{\"batch\":\"" ID "\",\"status\":\"accepted\",\"events\":3}" },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		struct fr_verdict verdict = judge(table[i].status, table[i].body, "");

		if (verdict.answer != table[i].want)
			fail_msg("%d %s is judged %d", table[i].status, table[i].body, verdict.answer);
	}
}

TEST(test_errors_are_sorted_into_retryable_and_final)
{
	static const struct {
		int status;
		enum fr_answer want;
	} table[] = {
		{ 100, FR_ANSWER_SETUP }, { 301, FR_ANSWER_SETUP }, { 302, FR_ANSWER_SETUP }, { 307, FR_ANSWER_SETUP },
		{ 308, FR_ANSWER_SETUP }, { 400, FR_ANSWER_DOUBTFUL }, { 401, FR_ANSWER_SETUP }, { 403, FR_ANSWER_SETUP },
		{ 404, FR_ANSWER_SETUP }, { 405, FR_ANSWER_SETUP }, { 407, FR_ANSWER_SETUP }, { 408, FR_ANSWER_RETRY },
		{ 409, FR_ANSWER_DOUBTFUL }, { 411, FR_ANSWER_SETUP }, { 413, FR_ANSWER_TOO_LARGE }, { 415, FR_ANSWER_SETUP },
		{ 418, FR_ANSWER_SETUP }, { 422, FR_ANSWER_DOUBTFUL }, { 425, FR_ANSWER_RETRY }, { 429, FR_ANSWER_RETRY },
		{ 500, FR_ANSWER_RETRY }, { 501, FR_ANSWER_SETUP }, { 502, FR_ANSWER_RETRY }, { 503, FR_ANSWER_RETRY },
		{ 504, FR_ANSWER_RETRY },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		struct fr_verdict verdict = judge(table[i].status, "<html/>", "");

		if (verdict.answer != table[i].want)
			fail_msg("%d is judged %d", table[i].status, verdict.answer);
		assert_true(*verdict.why);
	}
}

TEST(test_a_verdict_must_name_the_batch)
{
	assert_int_equal(judge(422, "{\"batch\":\"" ID "\",\"status\":\"rejected\",\"reason\":\"no\"}", "").answer, FR_ANSWER_REFUSED);
	assert_int_equal(judge(400, "{\"batch\":\"" ID "\",\"status\":\"rejected\"}", "").answer, FR_ANSWER_REFUSED);
	assert_int_equal(judge(409, "{\"batch\":\"" ID "\",\"status\":\"rejected\"}", "").answer, FR_ANSWER_REFUSED);
	assert_int_equal(judge(422, "{\"batch\":\"x\",\"status\":\"rejected\"}", "").answer, FR_ANSWER_DOUBTFUL);
	assert_int_equal(judge(400, "{\"status\":\"unsupported\",\"protocol\":2}", "").answer, FR_ANSWER_SETUP);
}

TEST(test_retry_after_counts_only_where_it_belongs)
{
	assert_int_equal(judge(429, "", "7").retry_after_ms, 7000);
	assert_int_equal(judge(503, "", "Sun, 06 Nov 1994 08:50:37 GMT").retry_after_ms, 60000);
	assert_int_equal(judge(503, "", "nonsense").retry_after_ms, 0);
	assert_int_equal(judge(401, "", "7").retry_after_ms, 0);
}

TEST(test_what_a_server_says_can_not_steer_a_terminal)
{
	struct fr_verdict verdict = judge(302, "", "");

	assert_null(strchr(verdict.why, '\x1b'));
	assert_non_null(strstr(verdict.why, "\\u001b[31m"));
	verdict = judge(422, "{\"batch\":\"" ID "\",\"status\":\"rejected\",\"reason\":\"\\u001b[2J\"}", "");
	assert_null(strchr(verdict.why, '\x1b'));
}

TEST(test_an_endpoint_in_the_clear_is_only_for_loopback)
{
	static const char *const good[] = { "https://fleet.example.com", "https://h:8443/base/", "http://127.0.0.1:80", "http://localhost",
					    "http://[::1]:8080" };
	static const char *const bad[] = { "", "x", "http://fleet.example.com", "http://127.0.0.1.example.com", "http://128.0.0.1",
					   "ftp://127.0.0.1", "file:///etc/passwd", "https://user:pw@h", "https://h/?q", "https://h/#f" };
	char why[256];

	for (size_t i = 0; i < COUNT(good); i++)
		assert_int_equal(fr_http_check_endpoint(good[i], why, sizeof why), 0);
	for (size_t i = 0; i < COUNT(bad); i++) {
		why[0] = '\0';
		if (fr_http_check_endpoint(bad[i], why, sizeof why) != -EINVAL || !*why)
			fail_msg("taken: %s", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_a_valid_acknowledgement_is_one),
		cmocka_unit_test(test_errors_are_sorted_into_retryable_and_final),
		cmocka_unit_test(test_a_verdict_must_name_the_batch),
		cmocka_unit_test(test_retry_after_counts_only_where_it_belongs),
		cmocka_unit_test(test_what_a_server_says_can_not_steer_a_terminal),
		cmocka_unit_test(test_an_endpoint_in_the_clear_is_only_for_loopback),
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
