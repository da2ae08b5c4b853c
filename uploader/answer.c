/* SPDX-License-Identifier: MIT */
/*
 * answer.c - judges answers. Owns: reading the answer's JSON, which is left to SQLite, linked for the index anyway.
 */
#include "uploader/answer.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "recorder/core/json.h"
#include "recorder/core/paths.h"
#include "uploader/backoff.h"

struct said {
	bool object;
	char batch[40], status[24], reason[160];
	int64_t events; /* -1: not said, or not an integer */
};

static void close_db(sqlite3 **db)
{
	sqlite3_close(*db);
}

static void finalize(sqlite3_stmt **stmt)
{
	sqlite3_finalize(*stmt);
}

/* A string's column, escaped so that it can be shown; "" when it is none or does not fit. */
static void column(sqlite3_stmt *stmt, int i, char *buf, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(stmt, i);

	if (!text || fr_json_escape(buf, size, text, (size_t)sqlite3_column_bytes(stmt, i)) >= size)
		buf[0] = '\0';
}

static void read_json(const struct fr_http_answer *answer, struct said *said)
{
	static const char sql[] =
		"select iif(json_type(?1,'$.batch')='text',json_extract(?1,'$.batch'),''),"
		" iif(json_type(?1,'$.status')='text',json_extract(?1,'$.status'),''),"
		" iif(json_type(?1,'$.events')='integer',json_extract(?1,'$.events'),-1),"
		" iif(json_type(?1,'$.reason')='text',substr(json_extract(?1,'$.reason'),1,100),''),"
		" json_type(?1)='object'";
	__attribute__((cleanup(close_db))) sqlite3 *db = NULL;
	__attribute__((cleanup(finalize))) sqlite3_stmt *stmt = NULL;

	*said = (struct said){ .events = -1 };
	if (!fr_json_valid(answer->body, answer->body_size) || sqlite3_open(":memory:", &db) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK ||
	    sqlite3_bind_text(stmt, 1, answer->body, (int)answer->body_size, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_step(stmt) != SQLITE_ROW)
		return;
	said->object = sqlite3_column_int(stmt, 4);
	column(stmt, 0, said->batch, sizeof said->batch);
	column(stmt, 1, said->status, sizeof said->status);
	column(stmt, 3, said->reason, sizeof said->reason);
	if (sqlite3_column_type(stmt, 2) == SQLITE_INTEGER)
		said->events = sqlite3_column_int64(stmt, 2);
}

#define because(verdict, ...) snprintf((verdict)->why, sizeof (verdict)->why, __VA_ARGS__)

static void judge_success(const struct fr_batch *batch, const struct fr_http_answer *answer, const struct said *said,
			  bool same_batch, struct fr_verdict *verdict)
{
	bool duplicate = strcmp(said->status, "duplicate") == 0;

	verdict->answer = FR_ANSWER_RETRY;
	if (!said->object) {
		because(verdict, "status %d without an acknowledgement: is this a flightrec collector?", answer->status);
	} else if (!same_batch) {
		because(verdict, "status %d acknowledges another batch (\"%s\")", answer->status, said->batch);
	} else if (!duplicate && strcmp(said->status, "accepted") != 0) {
		because(verdict, "status %d, but the batch is \"%s\"", answer->status, said->status);
	} else if (said->events < 0 || (uint64_t)said->events != batch->events) {
		because(verdict, "acknowledges %" PRId64 " events of %" PRIu64, said->events, batch->events);
	} else {
		verdict->answer = duplicate ? FR_ANSWER_DUPLICATE : FR_ANSWER_ACCEPTED;
	}
}

static void judge_status(const struct fr_http_answer *answer, const struct said *said, bool same_batch,
			 struct fr_verdict *verdict)
{
	const char *reason = *said->reason ? said->reason : "no reason given";
	char location[300];

	switch (answer->status) {
	case 408: case 425: case 429: case 500: case 502: case 503: case 504:
		verdict->answer = FR_ANSWER_RETRY;
		because(verdict, "the endpoint is busy or unwell (%d)", answer->status);
		return;
	case 413:
		verdict->answer = FR_ANSWER_TOO_LARGE;
		because(verdict, "too large for the endpoint (413)");
		return;
	case 400: case 409: case 422:
		if (answer->status == 400 && strcmp(said->status, "unsupported") == 0)
			break;
		verdict->answer = same_batch && strcmp(said->status, "rejected") == 0 ? FR_ANSWER_REFUSED
										    : FR_ANSWER_DOUBTFUL;
		because(verdict, "refused with %d: %s", answer->status, reason);
		return;
	default:
		break;
	}
	verdict->answer = FR_ANSWER_SETUP;
	if (answer->status == 401 || answer->status == 403) {
		because(verdict, "the endpoint wants another token (%d): check token_file in [upload]", answer->status);
	} else if (answer->status == 407) {
		because(verdict, "the proxy wants to know who asks (407): check https_proxy in the environment");
	} else if (answer->status >= 300 && answer->status < 400) {
		fr_json_escape(location, sizeof location, answer->location, strlen(answer->location));
		because(verdict, "the endpoint redirects (%d) to \"%s\"; redirects are not followed: if that is right, set endpoint to it",
			answer->status, location);
	} else if (answer->status == 400) {
		because(verdict, "the endpoint speaks another version of the protocol: update flightrec or the collector");
	} else {
		because(verdict, "the endpoint answers %d: check endpoint in [upload], want the URL that comes before /v1/batches",
			answer->status);
	}
}

void fr_answer_judge(const struct fr_batch *batch, const struct fr_http_answer *answer, int64_t now_seconds,
		     struct fr_verdict *ret_verdict)
{
	struct fr_verdict *verdict = ret_verdict;
	struct said said;
	char id[37];
	bool same_batch;

	*verdict = (struct fr_verdict){ .answer = FR_ANSWER_RETRY };
	switch (answer->result) {
	case FR_HTTP_ANSWERED:
		break;
	case FR_HTTP_NETWORK:
		because(verdict, "no answer: %s", answer->error);
		return;
	case FR_HTTP_UNTRUSTED:
		verdict->answer = FR_ANSWER_SETUP;
		because(verdict, "the server can't prove who it is (%s): check endpoint, and ca_file if it has its own authority",
			answer->error);
		return;
	case FR_HTTP_SETUP:
		verdict->answer = FR_ANSWER_SETUP;
		because(verdict, "can't be sent at all (%s): check endpoint and ca_file in [upload]", answer->error);
		return;
	case FR_HTTP_STOPPED:
		verdict->answer = FR_ANSWER_STOPPED;
		because(verdict, "stopped");
		return;
	}
	read_json(answer, &said);
	fr_uuid_text(id, batch->id);
	same_batch = strcasecmp(said.batch, id) == 0;
	if (answer->status >= 200 && answer->status < 300)
		judge_success(batch, answer, &said, same_batch, verdict);
	else
		judge_status(answer, &said, same_batch, verdict);
	if (verdict->answer == FR_ANSWER_RETRY && *answer->retry_after)
		fr_retry_after_parse(answer->retry_after, now_seconds, &verdict->retry_after_ms);
}
