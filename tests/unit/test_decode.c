/* SPDX-License-Identifier: MIT */
/* test_decode.c - payloads: what encode writes decode reads; what is cut is said to be cut; nothing steers a terminal. */
#include "tests/unit/unit.h"

#include <float.h>
#include <math.h>

#include "recorder/core/decode.h"
#include "recorder/core/encode.h"
#include "recorder/core/json.h"

static struct fr_value number(uint8_t type, uint64_t bits)
{
	return (struct fr_value){ .type = type, .name = "n", .unit = "", .u = bits };
}

static struct fr_value text(uint8_t type, const char *data, size_t size)
{
	struct fr_value value = { .type = type, .name = "t", .unit = "" };

	value.s.data = data;
	value.s.size = size;
	return value;
}

static struct fr_event_desc *describe(const struct fr_value *values, unsigned count)
{
	static struct fr_field_desc fields[64];
	static struct fr_event_desc desc;

	for (unsigned i = 0; i < count; i++)
		fields[i] = (struct fr_field_desc){ .type = values[i].type, .name = "f", .unit = "" };
	desc = (struct fr_event_desc){ .id = 1, .field_count = (uint8_t)count, .name = "e", .field = fields };
	return &desc;
}

static uint64_t cut_to(uint8_t type, uint64_t bits)
{
	switch (type) {
	case FRM_U8: return (uint8_t)bits;
	case FRM_U16: return (uint16_t)bits;
	case FRM_U32: return (uint32_t)bits;
	case FRM_I8: return (uint64_t)(int64_t)(int8_t)bits;
	case FRM_I16: return (uint64_t)(int64_t)(int16_t)bits;
	case FRM_I32: return (uint64_t)(int64_t)(int32_t)bits;
	default: return bits;
	}
}

TEST(test_I11_random_shapes_and_values_come_back)
{
	uint64_t seed = 31;
	char pool[300];

	for (size_t i = 0; i < sizeof(pool); i++)
		pool[i] = (char)unit_random(&seed);
	for (int round = 0; round < 20000; round++) {
		struct fr_value values[FR_FIELDS_MAX], back[FR_FIELDS_MAX];
		unsigned count = 1 + unit_random(&seed) % FR_FIELDS_MAX;
		unsigned char payload[16384];
		uint32_t size;

		for (unsigned i = 0; i < count; i++) {
			uint8_t type = (uint8_t)(FRM_U8 + unit_random(&seed) % 12);

			values[i] = type >= FRM_STR ? text(type, pool, unit_random(&seed) % sizeof(pool)) : number(type, unit_random(&seed));
		}
		size = fr_encode_size(values, count);
		assert_true(size <= sizeof(payload));
		memset(payload, 0xaa, sizeof(payload));
		fr_encode(values, count, payload);
		assert_int_equal(payload[size], 0xaa); /* nothing behind its end */
		assert_int_equal(fr_decode_payload(describe(values, count), payload, size, back), count);
		for (unsigned i = 0; i < count; i++) {
			assert_false(back[i].truncated);
			assert_int_equal(back[i].type, values[i].type);
			if (values[i].type >= FRM_STR) {
				assert_int_equal(back[i].s.size, values[i].s.size);
				assert_memory_equal(back[i].s.data, values[i].s.data, values[i].s.size);
			} else {
				assert_true(back[i].u == cut_to(values[i].type, values[i].u));
			}
		}
	}
}

TEST(test_I8_every_cut_of_a_payload_is_decoded_as_far_as_it_goes)
{
	struct fr_value values[] = { number(FRM_U8, 1), text(FRM_STR, "hello", 5), number(FRM_U64, 2), text(FRM_BYTES, "world", 5),
				     number(FRM_I16, 3) };
	unsigned char payload[256];
	uint32_t size = fr_encode_size(values, 5);

	fr_encode(values, 5, payload);
	for (uint32_t cut = 0; cut <= size; cut++) {
		unsigned char *exact = malloc(cut ? cut : 1); /* a sanitizer sees what lies outside */
		struct fr_value back[FR_FIELDS_MAX];
		bool any = false;

		memcpy(exact, payload, cut);
		assert_int_equal(fr_decode_payload(describe(values, 5), exact, cut, back), 5);
		for (int i = 0; i < 5; i++)
			any |= back[i].truncated;
		assert_int_equal(any, cut < size);
		free(exact);
	}
}

TEST(test_lengths_that_lie_end_at_the_payloads_end)
{
	struct fr_value values[] = { text(FRM_STR, "abc", 3), text(FRM_STR, "def", 3) };
	unsigned char payload[64];
	uint32_t size = fr_encode_size(values, 2), huge = UINT32_MAX;
	struct fr_value back[FR_FIELDS_MAX];

	fr_encode(values, 2, payload);
	memcpy(payload, &huge, 4);
	assert_int_equal(fr_decode_payload(describe(values, 2), payload, size, back), 2);
	assert_true(back[0].truncated);
	assert_int_equal(back[0].s.size, 6); /* all that is there */
	assert_true(back[1].truncated);
	assert_int_equal(back[1].s.size, 0);
}

TEST(test_without_a_descriptor_the_payload_is_one_field)
{
	struct fr_value back[FR_FIELDS_MAX];

	assert_int_equal(fr_decode_payload(NULL, (const unsigned char *)"xyz", 3, back), 1);
	assert_string_equal(back[0].name, "payload");
	assert_int_equal(back[0].s.size, 3);
	assert_int_equal(fr_decode_payload(NULL, (const unsigned char *)"", 0, back), 0);
}

TEST(test_text_of_an_event_can_not_steer_a_terminal)
{
	static const char nasty[] = "\033[2Jred\007\r\n\t\177\302\233x\377\300\200\xed\xa0\x80";
	struct fr_event event = { .field_count = 1 };
	char out[512], json[512];

	event.field[0] = text(FRM_STR, nasty, sizeof(nasty) - 1);
	assert_true(fr_event_text(&event, out, sizeof(out)) < sizeof(out));
	for (size_t i = 0; out[i]; i++)
		assert_true((unsigned char)out[i] >= 0x20 && (unsigned char)out[i] < 0x7f);
	assert_true(fr_event_json_fields(&event, json, sizeof(json)) < sizeof(json));
	assert_true(fr_json_valid(json, strlen(json)));
	for (size_t i = 0; json[i]; i++)
		assert_true((unsigned char)json[i] >= 0x20 && (unsigned char)json[i] != 0x7f);
}

TEST(test_json_of_an_event_is_json_whatever_is_in_it)
{
	uint64_t seed = 33;
	static const double odd[] = { 0, -0.0, 1.5, NAN, INFINITY, -INFINITY, DBL_MAX, DBL_MIN };

	for (int round = 0; round < 5000; round++) {
		struct fr_event event = { .field_count = 4 };
		char bytes[64], json[4096];

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)unit_random(&seed);
		event.field[0] = text(FRM_STR, bytes, unit_random(&seed) % 64);
		event.field[1] = text(FRM_JSON, round % 2 ? "{\"a\":[1]}" : "{broken", 7 + 2 * (round % 2));
		event.field[2] = text(FRM_BYTES, bytes, unit_random(&seed) % 64);
		event.field[3] = number(FRM_F64, 0);
		event.field[3].f = odd[round % COUNT(odd)];
		event.field[0].name = "a \"name\" with\nthings\\";
		assert_true(fr_event_json_fields(&event, json, sizeof(json)) < sizeof(json));
		if (!fr_json_valid(json, strlen(json)))
			fail_msg("not JSON: %s", json);
	}
}

TEST(test_json_inside_an_event_can_not_steer_a_terminal)
{
	static const char said[] = "{\"a\":\t\"x\x7f\xc2\x9b\xc2\xa0y\"\r\n}";
	struct fr_event event = { .field_count = 1 };
	char json[256];

	event.field[0] = text(FRM_JSON, said, sizeof(said) - 1);
	event.field[0].name = "f";
	fr_event_json_fields(&event, json, sizeof(json));
	assert_string_equal(json, "{\"f\":{\"a\": \"x\\u007f\\u009b\xc2\xa0y\"  }}");
}

TEST(test_a_short_buffer_is_never_overrun)
{
	struct fr_event event = { .field_count = 2 };
	char whole[256], out[256];
	size_t need;

	event.field[0] = text(FRM_STR, "some text \001", 11);
	event.field[1] = number(FRM_U64, 123456789);
	need = fr_event_text(&event, whole, sizeof(whole));
	assert_int_equal(need, strlen(whole));
	for (size_t size = 0; size <= need + 1; size++) {
		memset(out, 'X', sizeof(out));
		assert_int_equal(fr_event_text(&event, out, size), need);
		assert_int_equal(out[size], 'X');
		if (size) {
			assert_int_equal(strlen(out), size - 1 < need ? size - 1 : need);
			assert_memory_equal(out, whole, strlen(out));
		}
		assert_true(fr_event_json_fields(&event, out, size) > 0);
		assert_int_equal(out[size], 'X');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I11_random_shapes_and_values_come_back),
		cmocka_unit_test(test_I8_every_cut_of_a_payload_is_decoded_as_far_as_it_goes),
		cmocka_unit_test(test_lengths_that_lie_end_at_the_payloads_end),
		cmocka_unit_test(test_without_a_descriptor_the_payload_is_one_field),
		cmocka_unit_test(test_text_of_an_event_can_not_steer_a_terminal),
		cmocka_unit_test(test_json_of_an_event_is_json_whatever_is_in_it),
		cmocka_unit_test(test_json_inside_an_event_can_not_steer_a_terminal),
		cmocka_unit_test(test_a_short_buffer_is_never_overrun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
