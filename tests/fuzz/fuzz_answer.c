/* SPDX-License-Identifier: MIT */
/*
 * fuzz_answer.c - property: whatever a server answers, it is taken for an acknowledgement only if
 * its status is 2xx and its body names our batch, its count and one of the two words; every verdict
 * is one line that can be shown; no wait is longer than a day.
 *
 * The input is le16 status, then a line Retry-After, a line Location, and the body.
 */
#include "recorder/core/json.h"
#include "recorder/core/paths.h"
#include "tests/fuzz/fuzz.h"
#include "uploader/answer.h"
#include "uploader/backoff.h"

#define EVENTS 1250
#define NOW    1700000000

static void copy_line(struct input *input, char *buf, size_t room)
{
	char *line = take_line(input);

	snprintf(buf, room, "%s", line);
	free(line);
}

/* Without escapes in it, a body that says so has these words in it. */
static void check_acknowledgement(const struct fr_batch *batch, const struct fr_http_answer *answer)
{
	char id[37];

	HOLDS(answer->status >= 200 && answer->status < 300);
	HOLDS(fr_json_valid(answer->body, answer->body_size) && strlen(answer->body) == answer->body_size);
	if (strchr(answer->body, '\\'))
		return;
	fr_uuid_text(id, batch->id);
	HOLDS(strcasestr(answer->body, id));
	HOLDS(strstr(answer->body, "1250"));
	HOLDS(strstr(answer->body, "\"accepted\"") || strstr(answer->body, "\"duplicate\""));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct fr_http_answer answer;
	struct input input = { bytes, size };
	struct fr_batch batch = { .events = EVENTS };
	struct fr_backoff backoff;
	struct fr_verdict verdict;
	const uint8_t *body;
	uint64_t wait_ms;

	memset(batch.id, 0x42, sizeof(batch.id));
	answer = (struct fr_http_answer) { .result = FR_HTTP_ANSWERED,
					   .status = (int)(take_number(&input, 2) % 1000) };
	copy_line(&input, answer.retry_after, sizeof(answer.retry_after));
	copy_line(&input, answer.location, sizeof(answer.location));
	body = take_bytes(&input, FR_HTTP_ANSWER_MAX, &answer.body_size);
	if (answer.body_size)
		memcpy(answer.body, body, answer.body_size);

	fr_answer_judge(&batch, &answer, NOW, &verdict);
	if (verdict.answer == FR_ANSWER_ACCEPTED || verdict.answer == FR_ANSWER_DUPLICATE)
		check_acknowledgement(&batch, &answer);
	else
		HOLDS(*verdict.why);
	HOLDS(verdict.answer != FR_ANSWER_STOPPED && memchr(verdict.why, '\0', sizeof(verdict.why)));
	for (const char *p = verdict.why; *p; p++)
		HOLDS((unsigned char)*p >= ' ' && *p != 0x7f);
	fr_backoff_init(&backoff, 1000, 300000);
	wait_ms = fr_backoff_next_ms(&backoff, verdict.retry_after_ms);
	HOLDS(verdict.retry_after_ms <= FR_RETRY_AFTER_MAX_MS && wait_ms <= FR_RETRY_AFTER_MAX_MS + 1000);
	HOLDS(verdict.answer == FR_ANSWER_RETRY || !verdict.retry_after_ms);
	return 0;
}
