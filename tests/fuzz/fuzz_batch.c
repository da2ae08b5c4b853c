/* SPDX-License-Identifier: MIT */
/*
 * fuzz_batch.c - property: whatever events hold, the batch made of them reads back from its file,
 * and the collector takes it whole or cut in two, each event once; a file of the outbox that is no
 * batch of ours is refused, whatever its bytes.
 *
 * The input is u8 mode. Even: names for the batch, a line each, then events. Odd: a file, whose
 * checksums are put right here.
 */
#include "recorder/core/crc.h"
#include "recorder/core/paths.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/store.h"
#include "uploader/batch.h"
#include "uploader/batch_file.h"
#include "uploader/collector/receive.h"

/* comm, cgroup, provider, event, session, field: as long as a ring can hold them */
static const size_t name_max[] = { 15, 255, 4064, 4072, 87, 255 };
#define NAMES (sizeof(name_max) / sizeof(*name_max))

static void batch_as_file(const struct fr_batch *batch, struct fr_text *file)
{
	fr_batch_file_head(file, batch);
	fr_text_add(file, (const char *)batch->body, batch->body_size);
	HOLDS(!file->failed);
}

static bool same_batch(const struct fr_batch *a, const struct fr_batch *b)
{
	if (a->events != b->events || a->range_count != b->range_count ||
	    a->body_size != b->body_size || a->half != b->half)
		return false;
	for (size_t i = 0; i < a->range_count; i++)
		if (a->range[i].first != b->range[i].first ||
		    a->range[i].last != b->range[i].last || a->range[i].lane != b->range[i].lane ||
		    memcmp(a->range[i].ring_id, b->range[i].ring_id, 16))
			return false;
	return !memcmp(a->id, b->id, 16) && !memcmp(a->parent, b->parent, 16) &&
	       !memcmp(a->boot, b->boot, 16) && !memcmp(a->body, b->body, a->body_size);
}

static void check_file(const struct fr_batch *batch)
{
	struct fr_text file = { 0 };
	struct fr_batch copy;

	batch_as_file(batch, &file);
	HOLDS(fr_batch_file_read(file.data, file.size, &copy) == 0);
	HOLDS(same_batch(batch, &copy));
	fr_batch_done(&copy);
	fr_text_done(&file);
}

/* ------------------------------------------------------------------ what we made */

static void send(struct fr_store *store, const struct fr_batch *batch)
{
	char key[40], database[37], boot[37], machine[33], crc[9], events[24];
	struct fr_request request = { .protocol = "1",
				      .idempotency_key = key,
				      .database = database,
				      .machine = machine,
				      .boot = boot,
				      .events = events,
				      .body_crc = crc,
				      .body = batch->body,
				      .body_size = batch->body_size };
	struct fr_reply reply = { 0 };

	key[0] = '"';
	fr_uuid_text(key + 1, batch->id);
	memcpy(key + 37, "\"", 2);
	fr_uuid_text(database, batch->database);
	fr_uuid_text(boot, batch->boot);
	fr_hex(machine, batch->machine, 16);
	snprintf(crc, sizeof(crc), "%08x", batch->body_crc);
	snprintf(events, sizeof(events), "%llu", (unsigned long long)batch->events);
	fr_receive(store, &request, &reply);
	if (reply.status != 200)
		fprintf(stderr, "%s\n", reply.body);
	HOLDS(reply.status == 200);
}

static int64_t received(struct fr_store *store)
{
	struct fr_store_stats stats;

	HOLDS(fr_store_stats(store, &stats) == 0);
	return stats.unique;
}

static void check_taken(const struct fr_batch *batch)
{
	struct fr_store *store = empty_store();
	struct fr_batch half[2];

	if (batch->events > 1) {
		HOLDS(fr_batch_split(batch, 1, half) == 0);
		HOLDS(half[0].events && half[1].events && half[0].events + half[1].events == batch->events);
		for (int i = 0; i < 2; i++) {
			HOLDS(!memcmp(half[i].parent, batch->id, 16) && half[i].half == (unsigned)i);
			check_file(&half[i]);
			send(store, &half[i]);
			fr_batch_done(&half[i]);
		}
		HOLDS(received(store) == (int64_t)batch->events);
	}
	send(store, batch);
	HOLDS(received(store) == (int64_t)batch->events); /* the whole says nothing that its halves did not */
}

static void take_event(struct input *input, char *const name[NAMES], uint64_t next[8], struct fr_event *event)
{
	static const uint8_t guid[16] = { 1 };
	uint64_t lane = take_number(input, 1) % 8, choice = take_number(input, 1);
	size_t size;

	*event = (struct fr_event) {
		.lane = (uint32_t)lane,
		.seq = next[lane] + choice % 3,
		.boot_seq = 7,
		.time_ns = take_number(input, 8),
		.pid = 1 + choice % 2,
		.tid = (uint32_t)take_number(input, 2),
		.cpu = (uint16_t)choice,
		.level = choice % 6,
		.keywords = take_number(input, 8) >> 8,
		.comm = name[0],
		.thread = "",
		.cgroup = name[1],
		.provider = name[2],
		.provider_guid = guid,
		.name = name[3],
		.session = choice & 64 ? 3 : 0,
		.session_name = name[4],
	};
	next[lane] = event->seq + 1;
	event->field_count = (unsigned)take_number(input, 1) % 5;
	for (unsigned i = 0; i < event->field_count; i++) {
		struct fr_value *field = &event->field[i];

		*field = (struct fr_value){ .name = i ? name[5] : "first", .unit = "", .type = (uint8_t)(1 + take_number(input, 1) % FRM_JSON) };
		if (field->type >= FRM_STR) {
			field->s.data = (const char *)take_bytes(input, take_number(input, 1), &size);
			field->s.size = size;
		} else {
			field->u = take_number(input, 8);
		}
	}
}

static void make_and_send(struct input *input)
{
	struct fr_batch_origin origin = { .host = "fuzz" };
	struct fr_batch_limits limits = { .events = 100, .raw_bytes = 64 << 10, .zstd_level = 1 };
	uint64_t next[8] = { 0 };
	struct fr_batch_maker *maker;
	struct fr_batch batch;
	char *name[NAMES];
	int added = 1;

	for (size_t i = 0; i < NAMES; i++) {
		name[i] = take_line(input);
		if (strlen(name[i]) > name_max[i])
			name[i][name_max[i]] = '\0';
	}
	HOLDS(fr_batch_maker_new(&origin, &limits, &maker) == 0);
	while (added == 1 && input->left) {
		struct fr_event event;

		take_event(input, name, next, &event);
		added = fr_batch_maker_add(maker, &event);
		HOLDS(added >= 0);
	}
	if (fr_batch_maker_events(maker)) {
		HOLDS(fr_batch_maker_finish(maker, &batch) == 0);
		check_file(&batch);
		check_taken(&batch);
		fr_batch_done(&batch);
	}
	fr_batch_maker_free(maker);
	for (size_t i = 0; i < NAMES; i++)
		free(name[i]);
}

/* ------------------------------------------------------------------ what somebody else made */

/* Puts "end CRC" and the CRC of "body SIZE CRC" right. */
static void sign(char *file, size_t size)
{
	char *body = memmem(file, size, "\nbody ", 6),
	     *end = body ? memmem(body, size - (size_t)(body - file), "\nend ", 5) : NULL, crc[9];

	if (!end || (size_t)(end - file) + 14 > size || end - body < 9)
		return;
	snprintf(crc, sizeof(crc), "%08x", fr_crc32c(0, end + 14, size - (size_t)(end + 14 - file)));
	memcpy(end - 8, crc, 8);
	snprintf(crc, sizeof(crc), "%08x", fr_crc32c(0, file, (size_t)(end + 1 - file)));
	memcpy(end + 5, crc, 8);
}

static void read_file(struct input *input)
{
	char *file = malloc(input->left + 1);
	struct fr_batch batch, half[2];

	HOLDS(file);
	if (input->left)
		memcpy(file, input->at, input->left);
	file[input->left] = '\0';
	sign(file, input->left);
	if (fr_batch_file_read(file, input->left, &batch) == 0) {
		check_file(&batch);
		if (fr_batch_split(&batch, 1, half) == 0) {
			HOLDS(half[0].events + half[1].events == batch.events);
			fr_batch_done(&half[0]);
			fr_batch_done(&half[1]);
		}
		fr_batch_done(&batch);
	}
	free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { bytes, size };

	if (take_number(&input, 1) & 1)
		read_file(&input);
	else
		make_and_send(&input);
	return 0;
}
