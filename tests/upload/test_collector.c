/* SPDX-License-Identifier: MIT */
/* test_collector.c - each rule of schemas/WIRE.md broken once: the collector sees it, and keeps nothing of the batch. */
#include "tests/unit/unit_batch.h"

#include <ctype.h>
#include <sqlite3.h>

#include "recorder/core/crc.h"
#include "recorder/core/paths.h"
#include "uploader/batch_body.h"
#include "uploader/collector/receive.h"

static struct fr_store *store;

static int open_store(void **state UNUSED)
{
	return fr_store_open(":memory:", &store);
}

static int close_store(void **state UNUSED)
{
	fr_store_close(store);
	store = NULL;
	return 0;
}

/* A request around a body, with headers that fit the batch. */
struct post {
	struct fr_request request;
	char key[40], database[37], machine[33], boot[37], events[24], crc[9];
};

static void fill(struct post *post, const struct fr_batch *batch, const void *body, size_t size)
{
	char id[37];

	fr_uuid_text(id, batch->id);
	snprintf(post->key, sizeof post->key, "\"%s\"", id);
	fr_uuid_text(post->database, batch->database);
	fr_hex(post->machine, batch->machine, 16);
	fr_uuid_text(post->boot, batch->boot);
	snprintf(post->events, sizeof post->events, "%llu", (unsigned long long)batch->events);
	snprintf(post->crc, sizeof post->crc, "%08x", fr_crc32c(0, body, size));
	post->request = (struct fr_request){
		.content_type = "application/x-ndjson", .content_encoding = "zstd", .authorization = "Bearer secret",
		.idempotency_key = post->key, .protocol = "1", .database = post->database, .machine = post->machine,
		.boot = post->boot, .events = post->events, .body_crc = post->crc, .body = body, .body_size = size,
	};
}

static struct fr_reply send_body(const struct fr_batch *batch, const void *body, size_t size)
{
	struct fr_reply reply;
	struct post post;

	fill(&post, batch, body, size);
	fr_receive(store, &post.request, &reply);
	return reply;
}

static struct fr_store_stats stats(void)
{
	struct fr_store_stats stats;

	assert_int_equal(fr_store_stats(store, &stats), 0);
	return stats;
}

/* Sends the batch with its text changed at the first place where `from` stands (NULL: all of it, replaced). */
static struct fr_reply send_changed(const struct fr_batch *batch, const char *from, const char *to)
{
	struct fr_text text = { 0 }, changed = { 0 }, none = { 0 };
	struct fr_batch sealed = { 0 };
	struct fr_reply reply;
	char *at;

	unit_raw(batch, &text);
	at = from ? strstr(text.data, from) : text.data;
	if (!at)
		fail_msg("%s is not in\n%s", from, text.data);
	fr_text_add(&changed, text.data, (size_t)(at - text.data));
	fr_text_add(&changed, to, strlen(to));
	if (from)
		fr_text_add(&changed, at + strlen(from), text.size - (size_t)(at - text.data) - strlen(from));
	assert_int_equal(fr_body_seal(&sealed, &none, changed.size ? changed.data : "", changed.size, 1), 0);
	reply = send_body(batch, sealed.body, sealed.body_size);
	fr_batch_done(&sealed);
	fr_text_done(&text);
	fr_text_done(&changed);
	return reply;
}

TEST(test_a_good_batch_is_accepted_once_and_then_known)
{
	struct fr_batch batch;
	struct fr_reply reply;
	char id[37], want[160];

	unit_batch(&batch, 2, 50, 7);
	fr_uuid_text(id, batch.id);
	reply = send_body(&batch, batch.body, batch.body_size);
	snprintf(want, sizeof want, "{\"batch\":\"%s\",\"status\":\"accepted\",\"events\":86,\"new\":86}", id);
	assert_int_equal(reply.status, 200);
	assert_string_equal(reply.body, want);
	reply = send_body(&batch, batch.body, batch.body_size);
	snprintf(want, sizeof want, "{\"batch\":\"%s\",\"status\":\"duplicate\",\"events\":86}", id);
	assert_int_equal(reply.status, 200);
	assert_string_equal(reply.body, want);
	assert_int_equal(stats().batches, 1);
	assert_int_equal(stats().deliveries, 2);
	assert_int_equal(stats().unique, 86);
	reply = send_changed(&batch, "unithost", "UNITHOST");
	assert_int_equal(reply.status, 409);
	fr_batch_done(&batch);
}

TEST(test_an_event_in_two_batches_is_kept_once)
{
	struct fr_batch a, b;

	unit_batch(&a, 1, 10, 0);
	unit_batch(&b, 1, 15, 0);
	assert_int_equal(send_body(&a, a.body, a.body_size).status, 200);
	assert_non_null(strstr(send_body(&b, b.body, b.body_size).body, "\"events\":15,\"new\":5"));
	assert_int_equal(stats().events, 25);
	assert_int_equal(stats().unique, 15);
	fr_batch_done(&a);
	fr_batch_done(&b);
}

static int compare_row(void *ctx, int columns, char **value, char **name)
{
	unsigned *rows = ctx;

	(void)name;
	assert_int_equal(columns, 8);
	assert_string_equal(value[0], "3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c");
	assert_string_equal(value[1], "un\"it");
	assert_int_equal(atoll(value[3]), 5000000000 + 1000 * atoll(value[2]));
	assert_string_equal(value[4], atoi(value[2]) % 3 ? "tick" : "tock");
	assert_int_equal(atoi(value[5]), atoi(value[2]));
	assert_string_equal(value[6], "a\nb");
	assert_string_equal(value[7], "unit");
	++*rows;
	return 0;
}

TEST(test_events_are_kept_as_they_were_recorded)
{
	struct fr_batch batch;
	unsigned rows = 0;

	unit_batch(&batch, 1, 20, 0);
	assert_int_equal(send_body(&batch, batch.body, batch.body_size).status, 200);
	assert_int_equal(sqlite3_exec(fr_store_db(store), "select machine, comm, seq, time_ns, name, json_extract(fields,'$.number'),"
				      " json_extract(fields,'$.text'), provider from event order by seq", compare_row, &rows, NULL), 0);
	assert_int_equal(rows, 20);
	fr_batch_done(&batch);
}

TEST(test_unknown_keys_are_ignored)
{
	struct fr_batch batch;

	unit_batch(&batch, 1, 5, 0);
	assert_int_equal(send_changed(&batch, "{\"flightrec\":1,", "{\"flightrec\":1,\"new\":[{}],").status, 200);
	fr_batch_done(&batch);
}

TEST(test_a_json_field_as_deep_as_a_writer_may_have_it_is_taken)
{
	struct fr_batch batch;
	char deep[300] = "\"text\":";
	size_t used = strlen(deep);

	unit_batch(&batch, 1, 5, 0);
	memset(deep + used, '[', 128);
	memset(deep + used + 128, ']', 128);
	strcpy(deep + used + 256, "}}\n");
	assert_int_equal(send_changed(&batch, "\"text\":\"a\\nb\"}}\n", deep).status, 200);
	fr_batch_done(&batch);
}

TEST(test_names_as_long_as_a_ring_can_hold_them_are_taken)
{
	struct fr_batch batch;
	char name[12400] = "\"name\":\"";

	unit_batch(&batch, 1, 5, 0);
	for (size_t i = 0; i < 4072; i++)
		strcat(name, "\xef\xbf\xbd"); /* what becomes of a byte that is no UTF-8 */
	strcat(name, "\"");
	assert_int_equal(send_changed(&batch, "\"name\":\"unit\"", name).status, 200);
	assert_int_equal(send_changed(&batch, "\"name\":\"run\"", name).status, 409);
	fr_batch_done(&batch);
	unit_batch(&batch, 1, 5, 0);
	assert_int_equal(send_changed(&batch, "\"name\":\"run\"", name).status, 200);
	fr_batch_done(&batch);
}

TEST(test_a_line_beyond_its_bound_is_refused)
{
	struct fr_batch batch;
	struct fr_reply reply;
	size_t size = 8 << 20;
	char *line = malloc(size + 64);

	unit_batch(&batch, 1, 5, 0);
	memset(line, ' ', size);
	strcpy(line + size, "{\"t\":0,\"e\":0,");
	reply = send_changed(&batch, "{\"t\":0,\"e\":0,", line);
	assert_int_equal(reply.status, 422);
	assert_non_null(strstr(reply.body, "\"reason\":\"the line is too long\",\"line\":2"));
	free(line);
	fr_batch_done(&batch);
}

TEST(test_each_broken_rule_of_the_body_is_seen)
{
	static const struct {
		const char *from, *to, *reason;
	} table[] = {
		{ NULL, "", "is empty" },
		{ NULL, "{}\n", "fewer lines" },
		{ NULL, "not json\n", "no JSON" },
		{ "{\"flightrec\":1,", "[\"flightrec\",1,", "no JSON" },
		{ "\"flightrec\":1", "\"flightrec\":2", "\\\"flightrec\\\" is not 1" },
		{ "\"flightrec\":1", "\"flightrec\":true", "\\\"flightrec\\\" is not 1" },
		{ "\"batch\":\"", "\"b\":\"", "batch, database, machine or boot" },
		{ "\"database\":\"db", "\"database\":\"dc", "differs from Flightrec-Database" },
		{ "\"machine\":\"3c", "\"machine\":\"3d", "differs from Flightrec-Machine" },
		{ "\"machine\":\"3c", "\"machine\":\"xx", "batch, database, machine or boot" },
		{ "\"boot\":\"2", "\"boot\":\"3", "differs from Flightrec-Boot" },
		{ "\"events\":5", "\"events\":4", "more numbers" },
		{ "\"events\":5", "\"events\":6", "fewer numbers" },
		{ "\"events\":5", "\"events\":\"5\"", "\\\"events\\\" is not an integer" },
		{ "\"created_ns\"", "\"created\"", "created_ns" },
		{ "\"boot_seq\":7", "\"boot_seq\":-7", "boot_seq" },
		{ "\"host\":\"unithost\"", "\"host\":5", "host or agent" },
		{ "\"ranges\":[", "\"range\":[", "\\\"ranges\\\" is no array" },
		{ "\"ranges\":[{\"g\":0", "\"ranges\":[{\"g\":1", "element 0 of \\\"ranges\\\"" },
		{ "\"ranges\":[{\"g\":0", "\"ranges\":[{\"g\":-1", "element 0 of \\\"ranges\\\"" },
		{ "\"last\":5", "\"last\":0", "element 0 of \\\"ranges\\\"" },
		{ "\"last\":5", "\"last\":6", "more numbers" },
		{ "\"last\":5", "\"last\":9223372036854775807", "more numbers" },
		{ "\"first\":1,\"last\":5,\"t\":5000001000}", "\"first\":1,\"last\":3,\"t\":1},{\"g\":0,\"first\":3,\"last\":4,\"t\":1}",
		  "occurs in two ranges" },
		{ "\"ring\":\"11", "\"ring\":\"1", "element 0 of \\\"lanes\\\"" },
		{ "\"lane\":0,\"p\":0", "\"lane\":0,\"p\":1", "element 0 of \\\"lanes\\\"" },
		{ "\"lane\":0,\"p\":0", "\"lane\":4294967296,\"p\":0", "element 0 of \\\"lanes\\\"" },
		{ "\"guid\":\"aa", "\"guid\":\"zz", "element 0 of \\\"providers\\\"" },
		{ "\"kinds\":[{\"p\":0", "\"kinds\":[{\"p\":7", "element 0 of \\\"kinds\\\"" },
		{ "\"v\":4", "\"v\":6", "element 0 of \\\"kinds\\\"" },
		{ "\"k\":\"3\"", "\"k\":3", "element 0 of \\\"kinds\\\"" },
		{ "\"pid\":4711", "\"pid\":null", "element 0 of \\\"processes\\\"" },
		{ "\"sessions\":[{\"n\":1", "\"sessions\":[{\"n\":70000", "element 0 of \\\"sessions\\\"" },
		{ "{\"t\":0,\"e\":0", "{\"e\":0", "\\\"t\\\" is missing" },
		{ "{\"t\":0,\"e\":0", "{\"t\":0.5,\"e\":0", "\\\"t\\\" is missing" },
		{ "{\"t\":0,\"e\":0", "{\"t\":0,\"e\":2", "\\\"e\\\" is missing" },
		{ "{\"t\":0,\"e\":0", "{\"t\":0", "\\\"e\\\" is missing" },
		{ "{\"t\":0,\"e\":0,", "{\"t\":0,\"e\":0,\"p\":1,", "\\\"p\\\" is no index" },
		{ "{\"t\":0,\"e\":0,", "{\"t\":0,\"e\":0,\"i\":\"1\",", "\\\"i\\\" is no thread" },
		{ "{\"t\":0,\"e\":0,\"c\":1", "{\"t\":0,\"e\":0,\"c\":-1", "\\\"c\\\" is no CPU" },
		{ "{\"t\":0,\"e\":0,", "{\"t\":0,\"e\":0,\"x\":1,", "\\\"x\\\" is no index" },
		{ "\"f\":{\"number\":1,\"text\":\"a\\nb\"}", "\"f\":[]", "\\\"f\\\" is no object" },
		{ "{\"t\":0,\"e\":0,\"c\":1,\"f\":{\"number\":1,\"text\":\"a\\nb\"}}", "[]", "no JSON object" },
		{ "{\"t\":0,\"e\":0,\"c\":1,\"f\":{\"number\":1,\"text\":\"a\\nb\"}}\n", "", "fewer lines" },
		{ "{\"t\":0,\"e\":0,", "{}\n{\"t\":0,\"e\":0,", "more lines" },
		{ "a\\nb\"}}\n{\"t\":1000,\"e\":0,\"c\":0,\"f\":{\"number\":2", "\xff\"}}\n{\"t\":1000,\"e\":0,\"c\":0,\"f\":{\"number\":2",
		  "no JSON" },
	};
	struct fr_batch batch;

	unit_batch(&batch, 1, 5, 0);
	for (size_t i = 0; i < COUNT(table); i++) {
		struct fr_reply reply = send_changed(&batch, table[i].from, table[i].to);

		if (reply.status != 422 || !strstr(reply.body, table[i].reason) || !strstr(reply.body, "\"status\":\"rejected\""))
			fail_msg("%s -> %s: %u %s", table[i].from ? table[i].from : "(all)", table[i].to, reply.status, reply.body);
	}
	assert_int_equal(stats().batches, 0);
	assert_int_equal(stats().unique, 0);
	assert_int_equal(send_body(&batch, batch.body, batch.body_size).status, 200);
	fr_batch_done(&batch);
}

TEST(test_each_broken_rule_of_the_headers_is_seen)
{
	struct fr_batch batch;
	struct fr_reply reply;
	struct post post;
	const char **header[] = { &post.request.idempotency_key, &post.request.database, &post.request.machine, &post.request.boot,
				  &post.request.events, &post.request.body_crc };
	static const char *const bad[] = { NULL, "", "x", "11111111-1111-1111-1111-111111111111", "-5", "5x" };

	unit_batch(&batch, 1, 5, 0);
	for (size_t h = 0; h < COUNT(header); h++)
		for (size_t b = 0; b < COUNT(bad); b++) {
			fill(&post, &batch, batch.body, batch.body_size);
			*header[h] = bad[b];
			fr_receive(store, &post.request, &reply);
			if (h != 1 && h != 3)
				assert_int_equal(reply.status, 400);
			else /* another GUID is well-formed, and not the header line's */
				assert_int_equal(reply.status, b == 3 ? 422 : 400);
		}
	assert_int_equal(stats().batches, 0);
	fr_batch_done(&batch);
}

TEST(test_who_may_send_and_what_is_decided_first)
{
	struct fr_batch batch;
	struct fr_reply reply;
	struct post post;

	unit_batch(&batch, 1, 5, 0);
	fill(&post, &batch, batch.body, batch.body_size);
	assert_int_equal(fr_receive_headers(&post.request, "secret", &reply), 0);
	assert_int_equal(fr_receive_headers(&post.request, NULL, &reply), 0);
	assert_int_equal(fr_receive_headers(&post.request, "secre", &reply), 401);
	assert_int_equal(fr_receive_headers(&post.request, "secretsecret", &reply), 401);
	post.request.authorization = NULL;
	assert_int_equal(fr_receive_headers(&post.request, "secret", &reply), 401);
	post.request.authorization = "Bearer ";
	assert_int_equal(fr_receive_headers(&post.request, "secret", &reply), 401);
	post.request.protocol = "2";
	assert_int_equal(fr_receive_headers(&post.request, NULL, &reply), 400);
	assert_string_equal(reply.body, "{\"status\":\"unsupported\",\"protocol\":1}");
	post.request.content_encoding = "gzip";
	assert_int_equal(fr_receive_headers(&post.request, NULL, &reply), 415);
	fr_batch_done(&batch);
}

TEST(test_a_body_that_is_no_whole_stream_is_refused)
{
	struct fr_batch batch, bomb = { 0 };
	struct fr_text none = { 0 };
	char *zeros = calloc(1, FR_BATCH_RAW_MAX + 1);

	unit_batch(&batch, 1, 5, 0);
	assert_int_equal(send_body(&batch, "", 0).status, 422);
	assert_int_equal(send_body(&batch, "garbage, no zstd at all", 23).status, 422);
	assert_int_equal(send_body(&batch, batch.body, batch.body_size - 1).status, 422);
	batch.body[4] &= (unsigned char)~4; /* no checksum announced */
	assert_int_equal(send_body(&batch, batch.body, batch.body_size).status, 422);
	assert_int_equal(fr_body_seal(&bomb, &none, zeros, FR_BATCH_RAW_MAX + 1, 1), 0);
	assert_int_equal(send_body(&batch, bomb.body, bomb.body_size).status, 413);
	free(zeros);
	fr_batch_done(&bomb);
	fr_batch_done(&batch);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, open_store, close_store)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_a_good_batch_is_accepted_once_and_then_known),
		WITH_STORE(test_an_event_in_two_batches_is_kept_once),
		WITH_STORE(test_events_are_kept_as_they_were_recorded),
		WITH_STORE(test_unknown_keys_are_ignored),
		WITH_STORE(test_a_json_field_as_deep_as_a_writer_may_have_it_is_taken),
		WITH_STORE(test_names_as_long_as_a_ring_can_hold_them_are_taken),
		WITH_STORE(test_a_line_beyond_its_bound_is_refused),
		WITH_STORE(test_each_broken_rule_of_the_body_is_seen),
		WITH_STORE(test_each_broken_rule_of_the_headers_is_seen),
		WITH_STORE(test_who_may_send_and_what_is_decided_first),
		WITH_STORE(test_a_body_that_is_no_whole_stream_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
