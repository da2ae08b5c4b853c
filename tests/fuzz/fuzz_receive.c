/* SPDX-License-Identifier: MIT */
/*
 * fuzz_receive.c - property: whatever a sender sends, the collector answers with a JSON object and
 * a status of WIRE.md; what it acknowledges is stored once, as many events as announced, and again
 * is a duplicate without effect; what it refuses leaves nothing.
 *
 * The input is u8 mode, then (mode & 1) a line for each of the headers, or none for those that fit
 * a batch of `receive/one`; then the body: compressed here, or (mode & 2) as it stands.
 */
#include <zstd.h>

#include "recorder/core/crc.h"
#include "recorder/core/json.h"
#include "recorder/core/paths.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/store.h"
#include "uploader/answer.h"
#include "uploader/collector/receive.h"

#define BODY_MAX (1u << 20)

static size_t compress(const uint8_t *text, size_t size, unsigned char *body)
{
	static ZSTD_CCtx *zstd;
	size_t used;

	if (!zstd) {
		zstd = ZSTD_createCCtx();
		HOLDS(zstd && !ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1)));
	}
	used = ZSTD_compress2(zstd, body, BODY_MAX, text, size);
	HOLDS(!ZSTD_isError(used));
	return used;
}

static struct fr_store_stats stats_of(struct fr_store *store)
{
	struct fr_store_stats stats;

	HOLDS(fr_store_stats(store, &stats) == 0);
	return stats;
}

/* What the sender makes of the reply. */
static enum fr_answer judge(const struct fr_request *request, const struct fr_reply *reply)
{
	static struct fr_http_answer answer;
	struct fr_batch batch = { .events = strtoull(request->events, NULL, 10) };
	struct fr_verdict verdict;
	char id[37];

	answer = (struct fr_http_answer){ .result = FR_HTTP_ANSWERED, .status = (int)reply->status };
	answer.body_size = strlen(reply->body);
	memcpy(answer.body, reply->body, answer.body_size);
	snprintf(id, sizeof(id), "%.36s", request->idempotency_key + 1);
	HOLDS(fr_uuid_parse(batch.id, id) == 0);
	fr_answer_judge(&batch, &answer, 0, &verdict);
	return verdict.answer;
}

static void check_kept(struct fr_store *store, struct fr_request *request,
		       const struct fr_reply *first, unsigned char *body)
{
	struct fr_store_stats stats = stats_of(store), again;
	struct fr_reply reply = { 0 };
	char crc[9];

	HOLDS(judge(request, first) == FR_ANSWER_ACCEPTED);
	HOLDS(stats.batches == 1 && stats.deliveries == 1 && stats.bytes == (int64_t)request->body_size);
	HOLDS(stats.events == strtoll(request->events, NULL, 10) && stats.unique > 0 &&
	      stats.unique <= stats.events);
	fr_receive(store, request, &reply);
	HOLDS(reply.status == 200 && judge(request, &reply) == FR_ANSWER_DUPLICATE);
	again = stats_of(store);
	HOLDS(again.batches == 1 && again.deliveries == 2 && again.unique == stats.unique);
	body[request->body_size++] = 'x'; /* the same batch with other bytes */
	snprintf(crc, sizeof(crc), "%08x", fr_crc32c(0, body, request->body_size));
	request->body_crc = crc;
	fr_receive(store, request, &reply);
	HOLDS(reply.status == 409 && stats_of(store).deliveries == 2);
}

static void receive(struct fr_request *request, unsigned char *body)
{
	struct fr_reply reply = { 0 };
	struct fr_store_stats stats;
	struct fr_store *store = empty_store();

	if (!fr_receive_headers(request, "token", &reply))
		fr_receive(store, request, &reply);
	HOLDS(memchr(reply.body, '\0', sizeof(reply.body)) &&
	      fr_json_valid(reply.body, strlen(reply.body)) && *reply.body == '{');
	switch (reply.status) {
	case 200:
		check_kept(store, request, &reply, body);
		break;
	case 400: case 401: case 413: case 415: case 422:
		stats = stats_of(store);
		HOLDS(!stats.batches && !stats.events && !stats.unique);
		break;
	default:
		HOLDS(!"a status that is none of WIRE.md's, or memory is short");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static unsigned char body[BODY_MAX + 1];
	struct input input = { bytes, size };
	uint64_t mode = take_number(&input, 1);
	struct fr_request request = {
		.content_type = "application/x-ndjson",
		.content_encoding = "zstd",
		.authorization = "Bearer token",
		.protocol = "1",
		.idempotency_key = "\"42424242-4242-4242-8242-424242424242\"",
		.database = "6f1f3f0e-8a51-4f0e-b3f5-5b9d6a4d6d10",
		.machine = "4c4c4544003557108052b4c04f384833",
		.boot = "3b0a6d1c-2f1e-4a55-9d3c-6f1d8f7b2a10",
		.body = body,
	};
	const char **const header[] = { &request.content_type,	  &request.content_encoding,
					&request.authorization,	  &request.protocol,
					&request.idempotency_key, &request.database,
					&request.machine,	  &request.boot,
					&request.events };
	char *line[9] = { NULL }, crc[9], events[24];

	for (size_t i = 0; mode & 1 && i < 9; i++)
		*header[i] = line[i] = take_line(&input);
	request.body_size = mode & 2 ? input.left < BODY_MAX / 2 ? input.left : BODY_MAX / 2
				     : compress(input.at, input.left, body);
	if (mode & 2 && request.body_size)
		memcpy(body, input.at, request.body_size);
	if (!request.events) { /* as many as there are lines behind the header */
		size_t lines = 0;

		for (size_t i = 0; i < input.left; i++)
			lines += input.at[i] == '\n';
		snprintf(events, sizeof(events), "%zu", lines > 1 ? lines - 1 : 1);
		request.events = events;
	}
	snprintf(crc, sizeof(crc), "%08x", fr_crc32c(0, body, request.body_size));
	request.body_crc = crc;
	receive(&request, body);
	for (size_t i = 0; i < 9; i++)
		free(line[i]);
	return 0;
}
