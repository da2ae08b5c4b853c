/* SPDX-License-Identifier: MIT */
/* test_wire.c - the body of a batch is what schemas/WIRE.md says, and cutting it loses and doubles nothing. */
#include "tests/unit/unit_batch.h"

#ifdef HAVE_CURL

#include <inttypes.h>

#include "recorder/core/json.h"
#include "uploader/batch_body.h"
#include "uploader/batch_file.h"

/* An event as a receiver reads it: who it is and what its line says, with the time added up. */
struct received {
	uint32_t lane;
	uint64_t seq;
	int64_t time_ns;
	const char *rest; /* of the line, from "e" on */
};

/* Reads a batch by the rules of WIRE.md, relying on nothing but the text. */
static size_t receive(struct fr_text *text, const struct fr_batch *batch, struct received *event, size_t most)
{
	char *line = strchr(text->data, '\n'), *ranges, *lanes;
	size_t count = 0;

	assert_non_null(line);
	*line++ = '\0';
	assert_true(fr_json_valid(text->data, strlen(text->data)));
	ranges = strstr(text->data, "\"ranges\":[") + strlen("\"ranges\":[");
	lanes = strstr(text->data, "\"lanes\":[") + strlen("\"lanes\":[");
	while (*ranges == '{') {
		unsigned g, used = 0, lane;
		uint64_t first, last;
		int64_t time;
		char *at = lanes;

		assert_int_equal(sscanf(ranges, "{\"g\":%u,\"first\":%" SCNu64 ",\"last\":%" SCNu64 ",\"t\":%" SCNd64 "}%n", &g, &first,
					&last, &time, (int *)&used), 4);
		ranges += used + (ranges[used] == ',');
		for (unsigned i = 0; i < g; i++)
			at = strchr(at, '}') + 2;
		assert_int_equal(sscanf(at, "{\"ring\":\"11111111111111111111111111111111\",\"lane\":%u,", &lane), 1);
		for (uint64_t seq = first; seq <= last; seq++) {
			char *end = strchr(line, '\n');
			int64_t delta;

			assert_non_null(end);
			*end = '\0';
			assert_true(fr_json_valid(line, strlen(line)));
			assert_int_equal(sscanf(line, "{\"t\":%" SCNd64 ",", &delta), 1);
			time += delta;
			assert_true(count < most);
			event[count++] = (struct received){ lane, seq, time, strchr(line, ',') };
			line = end + 1;
		}
	}
	assert_int_equal(*ranges, ']');
	assert_int_equal(*line, '\0');
	assert_int_equal(count, batch->events);
	return count;
}

TEST(test_the_header_says_what_the_protocol_wants)
{
	struct fr_batch batch;
	struct fr_text text = { 0 };
	static const char *const parts[] = {
		"{\"flightrec\":1,\"batch\":\"", "\"database\":\"dbdbdbdb-dbdb-dbdb-dbdb-dbdbdbdbdbdb\"",
		"\"machine\":\"3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c\"", "\"boot\":\"22222222-2222-2222-2222-222222222222\"", "\"events\":5,",
		"\"ranges\":[{\"g\":0,\"first\":1,\"last\":5,\"t\":5000001000}]", "\"host\":\"unithost\"", "\"boot_seq\":7",
		"\"lanes\":[{\"ring\":\"11111111111111111111111111111111\",\"lane\":0,\"p\":0,\"i\":4711}]",
		"\"providers\":[{\"guid\":\"aa010203-0405-0607-0809-0a0b0c0d0e0f\",\"name\":\"unit\"}]",
		"\"kinds\":[{\"p\":0,\"name\":\"tick\",\"v\":4,\"k\":\"3\"},{\"p\":0,\"name\":\"tock\",\"v\":4,\"k\":\"3\"}]",
		"\"processes\":[{\"pid\":4711,\"ppid\":1,\"uid\":1000,\"gid\":1000,\"start_ns\":400,\"comm\":\"un\\\"it\",\"cgroup\":\"/unit.slice\"}]",
		"\"sessions\":[{\"n\":1,\"name\":\"run\"}]", "{\"t\":0,\"e\":0,\"c\":1,\"f\":{\"number\":1,\"text\":\"a\\nb\"}}\n",
		"{\"t\":1000,\"e\":1,\"c\":1,\"f\":{\"number\":3,", "{\"t\":1000,\"e\":0,\"c\":1,\"x\":0,\"f\":{\"number\":5,",
	};

	unit_batch(&batch, 1, 5, 0);
	unit_raw(&batch, &text);
	for (size_t i = 0; i < COUNT(parts); i++)
		if (!strstr(text.data, parts[i]))
			fail_msg("%s\nis not in\n%s", parts[i], text.data);
	assert_int_equal(batch.id[6] >> 4, 4);
	fr_text_done(&text);
	fr_batch_done(&batch);
}

TEST(test_a_receiver_gets_every_event_with_its_number_and_time)
{
	struct fr_batch batch;
	struct fr_text text = { 0 };
	struct received *event = calloc(4000, sizeof *event);
	size_t i = 0;

	unit_batch(&batch, 3, 1000, 7);
	unit_raw(&batch, &text);
	assert_int_equal(receive(&text, &batch, event, 4000), 3 * (1000 - 142));
	for (uint32_t lane = 0; lane < 3; lane++)
		for (uint64_t seq = 1; seq <= 1000; seq++) {
			if (seq % 7 == 0)
				continue;
			assert_int_equal(event[i].lane, lane);
			assert_int_equal(event[i].seq, seq);
			assert_int_equal(event[i].time_ns, 5000000000 + 1000 * seq + lane);
			i++;
		}
	free(event);
	fr_text_done(&text);
	fr_batch_done(&batch);
}

/* Cuts down to single events; every event must come out once, as it went in. */
static void cut_all(const struct fr_batch *batch, struct received *event, char **rest, size_t *count)
{
	if (batch->events == 1) {
		struct fr_text text = { 0 };

		unit_raw(batch, &text);
		assert_int_equal(receive(&text, batch, &event[*count], 1), 1);
		rest[*count] = strdup(event[*count].rest);
		++*count;
		fr_text_done(&text);
		return;
	}
	struct fr_batch half[2];

	assert_int_equal(fr_batch_split(batch, 1, half), 0);
	assert_int_equal(half[0].events + half[1].events, batch->events);
	for (unsigned i = 0; i < 2; i++) {
		assert_memory_equal(half[i].parent, batch->id, 16);
		assert_memory_not_equal(half[i].id, batch->id, 16);
		assert_int_equal(half[i].half, i);
		cut_all(&half[i], event, rest, count);
		fr_batch_done(&half[i]);
	}
}

TEST(test_cutting_down_to_single_events_keeps_every_line_number_and_time)
{
	struct fr_batch batch;
	struct fr_text text = { 0 };
	struct received whole[200], part[200];
	char *rest[200];
	size_t count = 0, all;

	unit_batch(&batch, 2, 40, 4);
	unit_raw(&batch, &text);
	all = receive(&text, &batch, whole, 200);
	cut_all(&batch, part, rest, &count);
	assert_int_equal(count, all);
	for (size_t i = 0; i < all; i++) {
		assert_int_equal(part[i].lane, whole[i].lane);
		assert_int_equal(part[i].seq, whole[i].seq);
		assert_int_equal(part[i].time_ns, whole[i].time_ns);
		assert_string_equal(rest[i], whole[i].rest);
		free(rest[i]);
	}
	fr_text_done(&text);
	fr_batch_done(&batch);
}

TEST(test_one_event_is_not_cut)
{
	struct fr_batch batch, half[2];

	unit_batch(&batch, 1, 1, 0);
	assert_int_equal(fr_batch_split(&batch, 1, half), -EINVAL);
	fr_batch_done(&batch);
}

TEST(test_a_batch_ends_at_its_limits_and_at_another_boot)
{
	struct fr_batch_maker *maker = unit_maker(3);
	struct fr_event event;
	struct fr_batch batch;

	for (uint64_t seq = 1; seq <= 3; seq++) {
		unit_event(&event, 0, seq);
		assert_int_equal(fr_batch_maker_add(maker, &event), 1);
	}
	unit_event(&event, 0, 4);
	assert_int_equal(fr_batch_maker_add(maker, &event), 0);
	assert_int_equal(fr_batch_maker_finish(maker, &batch), 0);
	assert_int_equal(batch.events, 3);
	fr_batch_done(&batch);
	assert_int_equal(fr_batch_maker_add(maker, &event), 1);
	memset(event.boot_id, 0x33, 16);
	assert_int_equal(fr_batch_maker_add(maker, &event), 0);
	assert_int_equal(fr_batch_maker_finish(maker, &batch), 0);
	fr_batch_done(&batch);
	assert_int_equal(fr_batch_maker_finish(maker, &batch), -ENODATA);
	fr_batch_maker_free(maker);
}

TEST(test_a_broken_body_is_refused)
{
	struct fr_batch batch;
	struct fr_text text = { 0 }, whole = { 0 };
	unsigned char *copy;

	unit_batch(&batch, 1, 300, 0);
	assert_int_equal(fr_batch_raw(batch.body, batch.body_size - 1, &text), -EBADMSG);
	assert_int_equal(fr_batch_raw(batch.body, 0, &text), -EBADMSG);
	copy = malloc(batch.body_size + 4);
	memcpy(copy, batch.body, batch.body_size);
	memcpy(copy + batch.body_size, "more", 4);
	assert_int_equal(fr_batch_raw(copy, batch.body_size + 4, &text), -EBADMSG);
	unit_raw(&batch, &whole);
	for (size_t i = 0; i < batch.body_size; i++) { /* whatever still unpacks is what was packed */
		copy[i] ^= 0x10;
		if (fr_batch_raw(copy, batch.body_size, &text) == 0) {
			assert_int_equal(text.size, whole.size);
			assert_memory_equal(text.data, whole.data, whole.size);
			fr_text_done(&text);
		}
		copy[i] ^= 0x10;
	}
	fr_text_done(&whole);
	free(copy);
	fr_batch_done(&batch);
}

TEST(test_a_bomb_is_refused_before_it_fills_memory)
{
	struct fr_batch batch = { 0 };
	struct fr_text header = { 0 }, text = { 0 };
	size_t size = FR_BATCH_RAW_MAX + 1;
	char *zeros = calloc(1, size);

	assert_int_equal(fr_body_seal(&batch, &header, zeros, size, 1), 0);
	assert_true(batch.body_size < size / 1000);
	assert_int_equal(fr_batch_raw(batch.body, batch.body_size, &text), -E2BIG);
	assert_null(text.data);
	free(zeros);
	fr_batch_done(&batch);
}

static void write_file(const struct fr_batch *batch, struct fr_text *file)
{
	fr_batch_file_head(file, batch);
	fr_text_add(file, (char *)batch->body, batch->body_size);
	assert_false(file->failed);
}

TEST(test_a_batch_survives_its_file_bit_by_bit)
{
	struct fr_batch batch, half[2], back;
	struct fr_text file = { 0 };

	unit_batch(&batch, 2, 20, 3);
	assert_int_equal(fr_batch_split(&batch, 3, half), 0);
	write_file(&half[1], &file);
	assert_int_equal(fr_batch_file_read(file.data, file.size, &back), 0);
	assert_memory_equal(back.id, half[1].id, 16);
	assert_memory_equal(back.parent, batch.id, 16);
	assert_memory_equal(back.database, batch.database, 16);
	assert_int_equal(back.half, 1);
	assert_int_equal(back.events, half[1].events);
	assert_int_equal(back.body_size, half[1].body_size);
	assert_memory_equal(back.body, half[1].body, back.body_size);
	assert_int_equal(back.range_count, half[1].range_count);
	for (size_t i = 0; i < back.range_count; i++) {
		assert_int_equal(back.range[i].first, half[1].range[i].first);
		assert_int_equal(back.range[i].count, half[1].range[i].count);
		assert_memory_equal(back.range[i].boot_id, half[1].range[i].boot_id, 16);
	}
	fr_batch_done(&back);
	for (size_t i = 0; i < file.size; i++) {
		for (int bit = 0; bit < 8; bit++) {
			file.data[i] ^= (char)(1 << bit);
			if (fr_batch_file_read(file.data, file.size, &back) != -EBADMSG)
				fail_msg("bit %d of byte %zu", bit, i);
			file.data[i] ^= (char)(1 << bit);
		}
	}
	for (size_t size = 0; size < file.size; size++) {
		char kept = file.data[size];

		file.data[size] = '\0';
		assert_int_equal(fr_batch_file_read(file.data, size, &back), -EBADMSG);
		file.data[size] = kept;
	}
	fr_text_done(&file);
	fr_batch_done(&half[0]);
	fr_batch_done(&half[1]);
	fr_batch_done(&batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_header_says_what_the_protocol_wants),
		cmocka_unit_test(test_a_receiver_gets_every_event_with_its_number_and_time),
		cmocka_unit_test(test_cutting_down_to_single_events_keeps_every_line_number_and_time),
		cmocka_unit_test(test_one_event_is_not_cut),
		cmocka_unit_test(test_a_batch_ends_at_its_limits_and_at_another_boot),
		cmocka_unit_test(test_a_broken_body_is_refused),
		cmocka_unit_test(test_a_bomb_is_refused_before_it_fills_memory),
		cmocka_unit_test(test_a_batch_survives_its_file_bit_by_bit),
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
