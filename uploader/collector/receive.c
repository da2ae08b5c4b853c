/* SPDX-License-Identifier: MIT */
/* receive.c - checks a batch rule by rule, stores it, answers. */
#include "uploader/collector/receive.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recorder/core/crc.h"
#include "recorder/core/json.h"
#include "recorder/core/paths.h"
#include "uploader/batch.h"
#include "uploader/collector/event.h"
#include "uploader/collector/head.h"

/* What the HTTP headers say of the batch. */
struct announced {
	uint8_t id[16], database[16], machine[16], boot[16];
	int64_t events;
	char id_text[37];
};

static void answer(struct fr_reply *reply, unsigned status, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void answer(struct fr_reply *reply, unsigned status, const char *format, ...)
{
	va_list args;

	reply->status = status;
	reply->retry_later = status == 503;
	va_start(args, format);
	vsnprintf(reply->body, sizeof reply->body, format, args);
	va_end(args);
}

/* A verdict on the batch: status "rejected", with the line when one is to blame. */
static void reject(struct fr_reply *reply, unsigned status, const struct announced *announced, uint64_t line, const char *why)
{
	char reason[600], place[40] = "";

	fr_json_escape(reason, sizeof reason, why, strlen(why));
	if (line)
		snprintf(place, sizeof place, ",\"line\":%" PRIu64, line);
	answer(reply, status, "{\"batch\":\"%s\",\"status\":\"rejected\",\"reason\":\"%s\"%s}", announced->id_text, reason, place);
}

static void not_now(struct fr_store *store, struct fr_reply *reply, int r)
{
	fprintf(stderr, "flightrec-collector: can't store a batch: %s\n", r == -ENOMEM ? "out of memory" : fr_store_error(store));
	answer(reply, 503, "{\"status\":\"busy\",\"reason\":\"can't store it now\"}");
}

/* In a time that does not tell how much of it was right. */
static bool same_token(const char *said, const char *token)
{
	size_t said_size, size = strlen(token);
	unsigned char differs;

	if (!said || strncasecmp(said, "Bearer ", 7) != 0)
		return false;
	said += 7;
	said_size = strlen(said);
	differs = said_size != size;
	for (size_t i = 0; i < said_size; i++)
		differs |= (unsigned char)said[i] ^ (unsigned char)token[size ? i % size : 0];
	return !differs;
}

static bool is_type(const char *said, const char *type)
{
	size_t size = strlen(type);

	return said && strncasecmp(said, type, size) == 0 && (!said[size] || said[size] == ';' || said[size] == ' ');
}

unsigned fr_receive_headers(const struct fr_request *request, const char *token, struct fr_reply *ret_reply)
{
	if (token && !same_token(request->authorization, token))
		answer(ret_reply, 401, "{\"status\":\"unauthorized\",\"reason\":\"the token is missing or another one\"}");
	else if (!is_type(request->content_type, "application/x-ndjson") || !request->content_encoding ||
		 strcasecmp(request->content_encoding, "zstd") != 0)
		answer(ret_reply, 415, "{\"status\":\"unsupported\",\"reason\":\"want application/x-ndjson, zstd\"}");
	else if (!request->protocol || strcmp(request->protocol, "1") != 0)
		answer(ret_reply, 400, "{\"status\":\"unsupported\",\"protocol\":1}");
	else
		return 0;
	return ret_reply->status;
}

static bool read_id(const char *text, uint8_t id[16])
{
	return text && strlen(text) == 36 && fr_uuid_parse(id, text) == 0;
}

static bool read_announced(const struct fr_request *request, struct announced *announced)
{
	char key[40] = "", *end;
	size_t size = request->idempotency_key ? strlen(request->idempotency_key) : 0;

	if (size == 38 && request->idempotency_key[0] == '"' && request->idempotency_key[37] == '"')
		memcpy(key, request->idempotency_key + 1, 36);
	if (!read_id(key, announced->id))
		return false;
	fr_uuid_text(announced->id_text, announced->id);
	if (!read_id(request->database, announced->database) || !read_id(request->boot, announced->boot) ||
	    !request->machine || strlen(request->machine) != 32 || fr_unhex(announced->machine, 16, request->machine) < 0 ||
	    !request->events || *request->events < '1' || *request->events > '9')
		return false;
	errno = 0;
	announced->events = strtoll(request->events, &end, 10);
	return !*end && !errno;
}

static bool crc_holds(const struct fr_request *request)
{
	char text[9];

	snprintf(text, sizeof text, "%08x", fr_crc32c(0, request->body, request->body_size));
	return request->body_crc && strcasecmp(request->body_crc, text) == 0;
}

/* ------------------------------------------------------------------ the lines */

static const char *check_agreement(const struct announced *announced, const struct fr_head *head)
{
	if (memcmp(announced->id, head->id, 16) != 0)
		return "header: \"batch\" differs from Idempotency-Key";
	if (memcmp(announced->database, head->database, 16) != 0)
		return "header: \"database\" differs from Flightrec-Database";
	if (memcmp(announced->machine, head->machine, 16) != 0)
		return "header: \"machine\" differs from Flightrec-Machine";
	if (memcmp(announced->boot, head->boot, 16) != 0)
		return "header: \"boot\" differs from Flightrec-Boot";
	if (announced->events != head->events)
		return "header: \"events\" differs from Flightrec-Events";
	return NULL;
}

#define HEAD_LINE_MAX (16u << 20)
#define EVENT_LINE_MAX (8u << 20)

/* Each line ends with a line feed, is not too long, is JSON, and there are as many as announced. 0, or the number of the bad line. */
static uint64_t check_lines(struct fr_text *text, int64_t events, const char **ret_why)
{
	char *at = text->data, *end = text->data + text->size;
	uint64_t line = 0;

	while (at < end) {
		char *newline = memchr(at, '\n', (size_t)(end - at));

		line++;
		*ret_why = "the last line does not end with a line feed";
		if (!newline)
			return line;
		*ret_why = "the line is too long";
		if ((size_t)(newline - at) > (line == 1 ? HEAD_LINE_MAX : EVENT_LINE_MAX))
			return line;
		*ret_why = "no JSON";
		if (!fr_json_valid_within(at, (size_t)(newline - at), FR_JSON_DEPTH_OVER))
			return line;
		if (line > (uint64_t)events + 1) {
			*ret_why = "more lines than \"events\" says";
			return line;
		}
		*newline = '\0';
		at = newline + 1;
	}
	*ret_why = "fewer lines than \"events\" says";
	return line == (uint64_t)events + 1 ? 0 : line ? line : 1;
}

static void store_batch(struct fr_store *store, const struct fr_request *request, const struct announced *announced,
			const struct fr_head *head, const char *lines, struct fr_reply *reply)
{
	struct fr_store_batch batch = {
		.boot_seq = head->boot_seq, .created_ns = head->created_ns, .events = head->events, .host = head->host,
		.agent = head->agent, .body = request->body, .body_size = request->body_size,
	};
	char why[300] = "";
	uint64_t fresh = 0, line = 0;
	int r;

	memcpy(batch.id, head->id, 16);
	memcpy(batch.database, head->database, 16);
	memcpy(batch.machine, head->machine, 16);
	memcpy(batch.boot, head->boot, 16);
	r = fr_store_begin(store);
	if (r == 0)
		r = fr_events_store(store, &batch, head, lines, &fresh, &line, why, sizeof why);
	if (r == 0)
		r = fr_store_commit(store);
	else
		fr_store_rollback(store);
	if (r == -EPROTO)
		reject(reply, 422, announced, line, why);
	else if (r < 0)
		not_now(store, reply, r);
	else
		answer(reply, 200, "{\"batch\":\"%s\",\"status\":\"accepted\",\"events\":%" PRId64 ",\"new\":%" PRIu64 "}",
		       announced->id_text, head->events, fresh);
}

static void receive_text(struct fr_store *store, const struct fr_request *request, const struct announced *announced,
			 struct fr_text *text, struct fr_reply *reply)
{
	__attribute__((cleanup(fr_head_done))) struct fr_head head = { 0 };
	const char *reason;
	char why[300] = "";
	uint64_t line = text->size ? check_lines(text, announced->events, &reason) : (reason = "it is empty", 1);
	int r;

	if (line) {
		reject(reply, 422, announced, line, reason);
		return;
	}
	r = fr_head_read(fr_store_db(store), text->data, &head, why, sizeof why);
	if (r == -EPROTO) {
		reject(reply, 422, announced, 1, why);
		return;
	}
	if (r < 0) {
		not_now(store, reply, r);
		return;
	}
	reason = check_agreement(announced, &head);
	if (reason)
		reject(reply, 422, announced, 1, reason);
	else
		store_batch(store, request, announced, &head, text->data + strlen(text->data) + 1, reply);
}

/* ------------------------------------------------------------------ the whole */

/* True when it is answered: known already, or known with other bytes. */
static bool answer_known(struct fr_store *store, const struct fr_request *request, const struct announced *announced,
			 struct fr_reply *reply)
{
	uint64_t events;
	int r = fr_store_known(store, announced->id, request->body, request->body_size, &events);

	if (r == 0)
		return false;
	if (r == 1)
		answer(reply, 200, "{\"batch\":\"%s\",\"status\":\"duplicate\",\"events\":%" PRIu64 "}", announced->id_text, events);
	else if (r == -EEXIST)
		reject(reply, 409, announced, 0, "this batch id came with other bytes before");
	else
		not_now(store, reply, r);
	return true;
}

void fr_receive(struct fr_store *store, const struct fr_request *request, struct fr_reply *ret_reply)
{
	__attribute__((cleanup(fr_text_done))) struct fr_text text = { 0 };
	struct announced announced = { 0 };
	int r;

	if (!read_announced(request, &announced)) {
		reject(ret_reply, 400, &announced, 0, "a header of the batch is missing or malformed");
		return;
	}
	if (!crc_holds(request)) {
		reject(ret_reply, 400, &announced, 0, "the body is not what Flightrec-Body-Crc says");
		return;
	}
	if (answer_known(store, request, &announced, ret_reply))
		return;
	if (request->body_size < 5 || !(request->body[4] & 4)) { /* RFC 8878, Frame_Header_Descriptor */
		reject(ret_reply, 422, &announced, 0, "the body is no zstd frame with a content checksum");
		return;
	}
	r = fr_batch_raw(request->body, request->body_size, &text);
	if (r == -EBADMSG)
		reject(ret_reply, 422, &announced, 0, "the body is not one whole zstd stream");
	else if (r == -E2BIG)
		reject(ret_reply, 413, &announced, 0, "the body is larger than 64 MiB when it is decompressed");
	else if (r < 0)
		not_now(store, ret_reply, r);
	else
		receive_text(store, request, &announced, &text, ret_reply);
}
