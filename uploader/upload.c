/* SPDX-License-Identifier: MIT */
/* upload.c - the steps of upload.h in their order. Owns: when a batch is made, sent again, cut, set aside, forgotten. */
#include "uploader/upload.h"

#ifdef HAVE_CURL

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "recorder/core/host.h"
#include "recorder/core/json.h"
#include "recorder/core/paths.h"
#include "recorder/core/testpoint.h"
#include "uploader/answer.h"
#include "uploader/backoff.h"
#include "uploader/budget.h"
#include "uploader/evidence.h"
#include "uploader/outbox.h"

struct fr_upload {
	struct fr_upload_config config;
	struct fr_upload_hooks hooks;
	struct fr_batch_origin origin;
	struct fr_outbox outbox;
	struct fr_budget budget;
	struct fr_backoff backoff;
	struct fr_index *index;
	struct fr_http *http;
	struct fr_upload_report *report; /* of the run that is on */
	uint64_t waited_ms;		 /* since the last acknowledgement */
	unsigned refused_run;		 /* events set aside since then */
	bool acked_ever;		 /* this machine has had an acknowledgement */
	struct fr_http_answer answer;
	char state_dir[FR_PATH_MAX];
};

static void free_entries(struct fr_outbox_entry **entries)
{
	free(*entries);
}

__attribute__((format(printf, 2, 3))) static void say(const struct fr_upload *upload, const char *format, ...)
{
	char text[1024];
	va_list args;

	if (!upload->hooks.say)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	upload->hooks.say(upload->hooks.ctx, text);
}

/* Notes what stops the run; the first reason stays. */
__attribute__((format(printf, 3, 4))) static int stop_with(struct fr_upload *upload, int code, const char *format, ...)
{
	va_list args;

	if (!*upload->report->why) {
		va_start(args, format);
		vsnprintf(upload->report->why, sizeof upload->report->why, format, args);
		va_end(args);
	}
	return code;
}

static bool is_stopped(const struct fr_upload *upload)
{
	return upload->hooks.stop && atomic_load_explicit(upload->hooks.stop, memory_order_relaxed);
}

static int64_t now_seconds(void)
{
	return (int64_t)time(NULL);
}

static int outbox_failed(struct fr_upload *upload, int r)
{
	return stop_with(upload, r, "%s/outbox: %s", upload->state_dir, strerror(-r));
}

static int index_failed(struct fr_upload *upload, int r)
{
	return stop_with(upload, r, "%s/index.db: %s", upload->state_dir, strerror(-r));
}

/* ------------------------------------------------------------------ one batch */

/* Steps 5 to 7. */
static int take_acknowledgement(struct fr_upload *upload, const struct fr_batch *batch, bool duplicate)
{
	char id[37];
	int r;

	fr_uuid_text(id, batch->id);
	r = fr_evidence_append(upload->state_dir, FR_EVIDENCE_ACKS, id, batch->range, batch->range_count);
	if (r < 0)
		return stop_with(upload, r, "%s/" FR_EVIDENCE_ACKS ": %s", upload->state_dir, strerror(-r));
	FR_TESTPOINT("upload-evidence");
	r = fr_index_mark(upload->index, batch->range, batch->range_count, FR_MARK_ACKED);
	if (r < 0)
		return index_failed(upload, r);
	FR_TESTPOINT("upload-marked");
	r = fr_outbox_remove(&upload->outbox, batch->id);
	if (r < 0)
		return outbox_failed(upload, r);
	FR_TESTPOINT("upload-removed");
	upload->report->batches_acked++;
	upload->report->batches_duplicate += duplicate;
	upload->report->events_acked += batch->events;
	if (upload->hooks.at)
		upload->hooks.at(upload->hooks.ctx, upload->report->events_acked, 0);
	upload->acked_ever = true;
	upload->refused_run = 0;
	upload->waited_ms = 0;
	fr_backoff_reset(&upload->backoff);
	return 0;
}

static int set_aside(struct fr_upload *upload, const struct fr_batch *batch, const char *why)
{
	char id[33], ring[33];
	int r = fr_outbox_reject(&upload->outbox, batch->id, why);

	if (r < 0)
		return outbox_failed(upload, r);
	FR_TESTPOINT("upload-rejected");
	r = fr_index_mark(upload->index, batch->range, batch->range_count, FR_MARK_REFUSED);
	if (r < 0)
		return index_failed(upload, r);
	fr_hex(id, batch->id, 16);
	fr_hex(ring, batch->range[0].ring_id, 16);
	say(upload, "event %" PRIu64 " of lane %u of ring %s is set aside in outbox/rejected/%s.frb: %s", batch->range[0].first,
	    batch->range[0].lane, ring, id, why);
	upload->report->events_set_aside += batch->events;
	if (++upload->refused_run >= FR_UPLOAD_REFUSED_RUN) {
		upload->refused_run = 0;
		return stop_with(upload, -EPERM, "the endpoint refused %d events one after the other (%s): check that endpoint "
				 "and collector are what you want; move the files from outbox/rejected/ to outbox/ to send them again",
				 FR_UPLOAD_REFUSED_RUN, why);
	}
	return 0;
}

static int cut_or_set_aside(struct fr_upload *upload, const struct fr_batch *batch, const char *why)
{
	struct fr_batch half[2];
	int r;

	if (batch->events < 2)
		return set_aside(upload, batch, why);
	r = fr_batch_split(batch, (int)upload->config.zstd_level, half);
	if (r < 0)
		return stop_with(upload, r, "a batch of the outbox can't be cut: %s", strerror(-r));
	r = fr_outbox_cut(&upload->outbox, batch, half);
	fr_batch_done(&half[0]);
	fr_batch_done(&half[1]);
	return r < 0 ? outbox_failed(upload, r) : 0;
}

static void sleep_ms(const struct fr_upload *upload, uint64_t ms)
{
	uint64_t until = fr_clock_mono_ns() / 1000000 + ms;

	for (;;) {
		uint64_t now = fr_clock_mono_ns() / 1000000;

		if (now >= until || is_stopped(upload))
			return;
		poll(NULL, 0, until - now < 100 ? (int)(until - now) : 100);
	}
}

static int wait_and_retry(struct fr_upload *upload, const struct fr_verdict *verdict)
{
	uint64_t wait_ms = fr_backoff_next_ms(&upload->backoff, verdict->retry_after_ms);

	if (!upload->hooks.patient && upload->waited_ms + wait_ms > upload->config.give_up_ms)
		return stop_with(upload, -EAGAIN, "%s; given up for now after %u tries", verdict->why, upload->backoff.tries);
	say(upload, "%s; next try in %" PRIu64 ".%03" PRIu64 " s", verdict->why, wait_ms / 1000, wait_ms % 1000);
	upload->waited_ms += wait_ms;
	upload->report->retries++;
	sleep_ms(upload, wait_ms);
	return is_stopped(upload) ? stop_with(upload, -EINTR, "stopped") : 1;
}

/* Steps 3 and 4. 1: send it again. */
static int try_once(struct fr_upload *upload, const struct fr_batch *batch)
{
	struct fr_verdict verdict;
	int r;

	if (upload->config.budget_bytes_per_day && batch->body_size > upload->config.budget_bytes_per_day)
		return cut_or_set_aside(upload, batch, "larger than the budget of a whole day");
	r = fr_budget_charge(&upload->outbox, &upload->budget, now_seconds(), batch->body_size);
	if (r == -EDQUOT) {
		upload->report->budget_wait_seconds = fr_budget_wait_seconds(&upload->budget, now_seconds());
		return stop_with(upload, r, "today's budget is used up (%" PRIu64 " of %" PRIu64 " bytes sent); the rest waits for %" PRId64
				 " min", upload->budget.used, upload->budget.limit,
				 (upload->report->budget_wait_seconds + 59) / 60);
	}
	if (r < 0)
		return outbox_failed(upload, r);
	FR_TESTPOINT("upload-charged");
	fr_http_post(upload->http, batch, &upload->answer);
	FR_TESTPOINT("upload-answered");
	upload->report->bytes_sent += upload->answer.sent_bytes;
	if (upload->answer.sent_bytes < batch->body_size)
		fr_budget_refund(&upload->outbox, &upload->budget, batch->body_size - upload->answer.sent_bytes);
	fr_answer_judge(batch, &upload->answer, now_seconds(), &verdict);
	switch (verdict.answer) {
	case FR_ANSWER_ACCEPTED:
	case FR_ANSWER_DUPLICATE:
		return take_acknowledgement(upload, batch, verdict.answer == FR_ANSWER_DUPLICATE);
	case FR_ANSWER_RETRY:
		return wait_and_retry(upload, &verdict);
	case FR_ANSWER_DOUBTFUL:
		if (!upload->acked_ever)
			return stop_with(upload, -EPERM, "%s, and this endpoint never acknowledged a batch: check endpoint in [upload]",
					 verdict.why);
		/* fallthrough */
	case FR_ANSWER_TOO_LARGE:
	case FR_ANSWER_REFUSED:
		return cut_or_set_aside(upload, batch, verdict.why);
	case FR_ANSWER_SETUP:
		return stop_with(upload, -EPERM, "%s", verdict.why);
	case FR_ANSWER_STOPPED:
		break;
	}
	return stop_with(upload, -EINTR, "stopped");
}

static int send_batch(struct fr_upload *upload, const uint8_t id[16])
{
	__attribute__((cleanup(fr_batch_done))) struct fr_batch batch = { 0 };
	char hex[33];
	int r = fr_outbox_get(&upload->outbox, "", id, &batch);

	if (r == -EBADMSG) {
		fr_hex(hex, id, 16);
		say(upload, "outbox/%s.frb is damaged and set aside in outbox/damaged/; its events are sent in another batch", hex);
		r = fr_outbox_set_damaged(&upload->outbox, id);
		return r < 0 ? outbox_failed(upload, r) : 0;
	}
	if (r < 0)
		return outbox_failed(upload, r);
	do {
		if (is_stopped(upload))
			return stop_with(upload, -EINTR, "stopped");
		r = try_once(upload, &batch);
	} while (r == 1);
	return r;
}

/* ------------------------------------------------------------------ all of them */

/* Sends until the outbox is empty: a cut puts two in place of one. */
static int send_waiting(struct fr_upload *upload)
{
	for (;;) {
		__attribute__((cleanup(free_entries))) struct fr_outbox_entry *entry = NULL;
		size_t count;
		int r = fr_outbox_list(&upload->outbox, "", &entry, &count);

		if (r < 0)
			return outbox_failed(upload, r);
		if (!count)
			return 0;
		for (size_t i = 0; i < count; i++) {
			r = send_batch(upload, entry[i].id);
			if (r < 0)
				return r;
		}
	}
}

/* The index is told what really lies here: it may be new, and the last run may have been killed before it told. */
static int mark_folder(struct fr_upload *upload, const char *folder, enum fr_mark mark)
{
	__attribute__((cleanup(free_entries))) struct fr_outbox_entry *entry = NULL;
	size_t count;
	int r = fr_outbox_list(&upload->outbox, folder, &entry, &count);

	if (r < 0)
		return outbox_failed(upload, r);
	for (size_t i = 0; i < count; i++) {
		__attribute__((cleanup(fr_batch_done))) struct fr_batch batch = { 0 };

		if (fr_outbox_get(&upload->outbox, folder, entry[i].id, &batch) < 0)
			continue; /* damaged: its events stay pending */
		r = fr_index_mark(upload->index, batch.range, batch.range_count, mark);
		if (r < 0)
			return index_failed(upload, r);
	}
	return 0;
}

static int prepare(struct fr_upload *upload)
{
	int r = fr_index_update(upload->index, &upload->report->index);

	if (r == 0)
		r = fr_index_forget_queued(upload->index);
	if (r < 0)
		return index_failed(upload, r);
	r = mark_folder(upload, "rejected", FR_MARK_REFUSED);
	return r < 0 ? r : mark_folder(upload, "", FR_MARK_QUEUED);
}

/* Steps 1 and 2, then the rest. */
static int finish_and_send(struct fr_upload *upload, struct fr_batch_maker *maker)
{
	__attribute__((cleanup(fr_batch_done))) struct fr_batch batch = { 0 };
	int r = fr_batch_maker_finish(maker, &batch);

	if (r < 0)
		return stop_with(upload, r, "a batch can't be made: %s", strerror(-r));
	r = fr_outbox_put(&upload->outbox, &batch);
	if (r < 0)
		return outbox_failed(upload, r);
	FR_TESTPOINT("upload-batched");
	r = fr_index_mark(upload->index, batch.range, batch.range_count, FR_MARK_QUEUED);
	if (r < 0)
		return index_failed(upload, r);
	FR_TESTPOINT("upload-queued");
	upload->report->batches_made++;
	return send_waiting(upload);
}

static void close_pending(struct fr_pending **pending)
{
	fr_pending_close(*pending);
}

static void free_maker(struct fr_batch_maker **maker)
{
	fr_batch_maker_free(*maker);
}

static int send_pending(struct fr_upload *upload)
{
	__attribute__((cleanup(close_pending))) struct fr_pending *pending = NULL;
	__attribute__((cleanup(free_maker))) struct fr_batch_maker *maker = NULL;
	struct fr_batch_limits limits = { upload->config.batch_events, upload->config.batch_bytes,
					  (int)upload->config.zstd_level };
	struct fr_event event;
	int r = fr_batch_maker_new(&upload->origin, &limits, &maker), next = 0;

	if (r == 0)
		r = fr_index_pending(upload->index, &pending);
	if (r < 0)
		return index_failed(upload, r);
	while (!is_stopped(upload) && (next = fr_pending_next(pending, &event)) > 0) {
		int added = fr_batch_maker_add(maker, &event);

		if (added == 0) {
			r = finish_and_send(upload, maker);
			if (r < 0)
				return r;
			added = fr_batch_maker_add(maker, &event);
		}
		if (added < 0)
			return stop_with(upload, added, "a batch can't be made: %s", strerror(-added));
	}
	if (next < 0)
		return index_failed(upload, next);
	if (is_stopped(upload))
		return stop_with(upload, -EINTR, "stopped");
	return fr_batch_maker_events(maker) ? finish_and_send(upload, maker) : 0;
}

/* What is left, for the report: failures here change nothing. */
static void count_rest(struct fr_upload *upload)
{
	__attribute__((cleanup(free_entries))) struct fr_outbox_entry *entry = NULL;
	__attribute__((cleanup(close_pending))) struct fr_pending *pending = NULL;
	struct fr_upload_report *report = upload->report;
	struct fr_event event;
	size_t count;

	if (fr_outbox_list(&upload->outbox, "", &entry, &count) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		__attribute__((cleanup(fr_batch_done))) struct fr_batch batch = { 0 };

		report->batches_waiting++;
		if (fr_outbox_get(&upload->outbox, "", entry[i].id, &batch) == 0)
			report->events_waiting += batch.events;
	}
	if (fr_index_pending(upload->index, &pending) < 0)
		return;
	while (report->events_pending < FR_UPLOAD_COUNT_MAX && fr_pending_next(pending, &event) > 0)
		report->events_pending++;
}

int fr_upload_run(struct fr_upload *upload, struct fr_upload_report *ret_report)
{
	int r;

	*ret_report = (struct fr_upload_report){ 0 };
	upload->report = ret_report;
	upload->waited_ms = 0;
	fr_budget_load(&upload->outbox, upload->config.budget_bytes_per_day, now_seconds(), &upload->budget);
	r = prepare(upload);
	if (r == 0)
		r = send_waiting(upload);
	if (r == 0)
		r = send_pending(upload);
	if (r < 0)
		count_rest(upload);
	upload->report = NULL;
	return r;
}

/* ------------------------------------------------------------------ life */

static int note_any(void *data, const char *word, const struct fr_index_range *range, uint64_t unix_time)
{
	(void)word, (void)range, (void)unix_time;
	*(bool *)data = true;
	return 1;
}

static int open_http(struct fr_upload *upload, char *why, size_t why_size)
{
	char token[4096];
	struct fr_http_options options = {
		.endpoint = upload->config.endpoint,
		.ca_file = *upload->config.ca_file ? upload->config.ca_file : NULL,
		.connect_timeout_ms = upload->config.connect_timeout_ms,
		.total_timeout_ms = upload->config.timeout_ms,
		.stop = upload->hooks.stop,
	};
	int r = fr_upload_config_token(&upload->config, token, sizeof token, why, why_size);

	if (r < 0)
		return r;
	options.token = *token ? token : NULL;
	r = fr_http_new(&options, &upload->http, why, why_size);
	explicit_bzero(token, sizeof token);
	return r;
}

int fr_upload_open(const struct fr_upload_config *config, const char *state_dir, const struct fr_upload_hooks *hooks,
		   struct fr_upload **ret_upload, char *why, size_t why_size)
{
	struct fr_upload *upload = calloc(1, sizeof *upload);
	uint64_t to;
	int r;

	why[0] = '\0';
	if (!upload)
		return -ENOMEM;
	upload->outbox = (struct fr_outbox){ -1, -1 };
	upload->config = *config;
	upload->hooks = *hooks;
	fr_backoff_init(&upload->backoff, config->retry_base_ms, config->retry_cap_ms);
	snprintf(upload->state_dir, sizeof upload->state_dir, "%s", state_dir);
	gethostname(upload->origin.host, sizeof upload->origin.host - 1);
	fr_host_machine_id(upload->origin.machine); /* a machine without an id sends zeros */
	r = fr_upload_config_check(config, why, why_size);
	if (r == 0)
		r = fr_uuid_parse(upload->origin.database, config->database);
	if (r == 0)
		r = open_http(upload, why, why_size);
	if (r == 0) {
		r = fr_outbox_open(state_dir, &upload->outbox);
		if (r == -EBUSY)
			snprintf(why, why_size, "another `flightrec upload` is at work on %s", state_dir);
		else if (r < 0)
			snprintf(why, why_size, "%s/outbox: %s", state_dir, strerror(-r));
	}
	if (r == 0) {
		r = fr_index_open(state_dir, 0, &upload->index);
		if (r < 0)
			snprintf(why, why_size, "%s/index.db: %s", state_dir, fr_index_strerror(r));
		else if (*fr_index_note(upload->index))
			say(upload, "%s", fr_index_note(upload->index));
	}
	if (r < 0) {
		fr_upload_close(upload);
		return r;
	}
	fr_evidence_read(state_dir, FR_EVIDENCE_ACKS, 0, note_any, &upload->acked_ever, &to);
	*ret_upload = upload;
	return 0;
}

void fr_upload_close(struct fr_upload *upload)
{
	if (!upload)
		return;
	fr_index_close(upload->index);
	fr_http_free(upload->http);
	fr_outbox_close(&upload->outbox);
	free(upload);
}

#endif
