/* SPDX-License-Identifier: MIT */
/*
 * test_samples.c - the catalogue, and the walk from a sample of eBPF to values; walks over all of
 * events.def, so a new event is covered as soon as it is there.
 */
#include "tests/unit/unit.h"

#include "recorder/core/catalogue.h"

/* Everything with a value of its own, also where the compiler leaves holes. */
static void fill(void *sample, size_t size, uint16_t event)
{
	struct fr_kevent *head = sample;
	uint64_t seed = event;

	for (size_t i = 0; i < size; i++)
		((unsigned char *)sample)[i] = (unsigned char)(unit_random(&seed) | 1);
	head->version = FR_KEVENT_VERSION;
	head->event = event;
	head->size = (uint16_t)size;
	head->flags = 0;
}

static void check_text(const struct fr_value *value, const char *name, const char *text,
		       size_t size)
{
	assert_string_equal(value->name, name);
	assert_int_equal(value->type, FRM_STR);
	assert_int_equal(value->s.size, strnlen(text, size));
	assert_memory_equal(value->s.data, text, value->s.size);
}

#define IS_SIGNED(x) ((__typeof__(x))-1 < (__typeof__(x))1)
#define CHECK_NUMBER(member)                                                          \
	do {                                                                          \
		const struct fr_value *v_ = &values.value[at++];                      \
		assert_string_equal(v_->name, #member);                               \
		if (IS_SIGNED(s.member))                                              \
			assert_true(v_->i == (int64_t)s.member);                      \
		else                                                                  \
			assert_true(v_->u == (uint64_t)s.member);                     \
	} while (0);

TEST(test_each_field_of_each_event_is_found_where_the_compiler_put_it)
{
	struct fr_kevent_values values;
	unsigned events = 0, at;

/* identity lies in the head */
#define HEAD_NUMBER(type, name, unit, doc)	    CHECK_NUMBER_HEAD(name)
#define HEAD_TEXT(name, size, unit, doc)	    check_text(&values.value[at++], #name, s.head.name, size);
#define CHECK_NUMBER_HEAD(member)                                                     \
	assert_string_equal(values.value[at].name, #member);                          \
	assert_true(values.value[at++].u == s.head.member);

#define FR_KEVENT(id, SYMBOL, symbol, name_, level_, keywords_, on, hook_, doc_)                \
	{                                                                                       \
		struct fr_kevent_##symbol s;                                                    \
		fill(&s, sizeof(s), id);                                                        \
		at = 0;                                                                         \
		assert_int_equal(fr_kevent_values(&s, sizeof(s), 0, &values), 0);               \
		assert_string_equal(values.event->name, name_);                                 \
		assert_int_equal(values.stamp.event, id);                                       \
		assert_true(values.stamp.time_ns == s.head.time_ns);                            \
		assert_int_equal(values.stamp.cpu, s.head.cpu);                                 \
		assert_int_equal(values.stamp.tid, s.head.tid);                                 \
		assert_int_equal(values.pid, s.head.pid);                                       \
		FR_IDENTITY_FIELDS(HEAD_NUMBER, HEAD_TEXT)
#define FR_FIELD(type, name, unit, doc)	       CHECK_NUMBER(name)
#define FR_FIELD_STR(name, size, unit, doc)    check_text(&values.value[at++], #name, s.name, size);
#define FR_FIELD_ARGV(field, room, unit, doc)                                                    \
	assert_string_equal(values.value[at].name, #field);                                     \
	assert_int_equal(values.value[at++].s.size, room); /* its length was nonsense: cut */
#define FR_EVENT_END()                                                                          \
		assert_int_equal(at, values.count);                                             \
		assert_int_equal(fr_kevent_values(&s, sizeof(s) - 8, 0, &values), -EBADMSG);    \
		events++;                                                                       \
	}
#define FR_EVENTS_EBPF_ONLY
#include "schemas/events.def"
#undef FR_EVENTS_EBPF_ONLY

	assert_int_equal(events, FR_CLASS_COUNT);
}

TEST(test_arguments_are_joined_by_blanks_and_no_length_is_believed)
{
	struct fr_kevent_proc_exec s = { .head = { .version = FR_KEVENT_VERSION,
						   .event = FR_EVENT_PROC_EXEC } };
	struct fr_kevent_values values;
	const struct fr_value *argv = &values.value[10];

	memcpy(s.argv, "ls\0-l\0a b", 10);
	s.argv_size = 10;
	assert_int_equal(fr_kevent_values(&s, sizeof(s), 0, &values), 0);
	assert_string_equal(argv->name, "argv");
	assert_int_equal(argv->s.size, 9);
	assert_memory_equal(argv->s.data, "ls -l a b", 9);

	s.argv_size = 0;
	assert_int_equal(fr_kevent_values(&s, sizeof(s), 0, &values), 0);
	assert_int_equal(argv->s.size, 0);
	s.argv_size = UINT32_MAX;
	assert_int_equal(fr_kevent_values(&s, sizeof(s), 0, &values), 0);
	assert_int_equal(argv->s.size, sizeof(s.argv) - 1); /* the last byte is a NUL */
}

TEST(test_samples_that_are_none_are_refused)
{
	struct fr_kevent_proc_exit s = { .head = { .version = FR_KEVENT_VERSION + 1,
						   .event = FR_EVENT_PROC_EXIT } };
	struct fr_kevent_values values;

	assert_int_equal(fr_kevent_values(&s, sizeof(s), 0, &values), -EPROTO);
	s.head.version = FR_KEVENT_VERSION;
	s.head.event = 127;
	assert_int_equal(fr_kevent_values(&s, sizeof(s), 0, &values), -ENOENT);
	s.head.event = FR_EVENT_FR_LOSS; /* known, and not from eBPF */
	assert_int_equal(fr_kevent_values(&s, sizeof(s), 0, &values), -ENOENT);
	assert_int_equal(fr_kevent_values(&s, sizeof(s.head) - 1, 0, &values), -EBADMSG);
}

TEST(test_a_monotonic_time_is_moved_to_the_boot_clock)
{
	struct fr_kevent_proc_exit s = {
		.head = { .version = FR_KEVENT_VERSION,
			  .event = FR_EVENT_PROC_EXIT,
			  .flags = FR_KEVENT_MONOTONIC,
			  .time_ns = 100 },
	};
	struct fr_kevent_values values;

	assert_int_equal(fr_kevent_values(&s, sizeof(s), 7, &values), 0);
	assert_int_equal(values.stamp.time_ns, 107);
}

TEST(test_the_catalogue_is_whole_and_its_ids_and_names_are_unique)
{
	for (unsigned i = 0; i < fr_catalogue_count; i++) {
		const struct fr_catalogue_event *event = &fr_catalogue[i];

		assert_true(event->level >= FRM_LEVEL_CRITICAL &&
			    event->level <= FRM_LEVEL_VERBOSE);
		assert_true(event->keywords && event->keywords < 1ull << 56);
		assert_true(event->doc[0] && event->hook[0]);
		assert_true(event->field_count <= FR_FIELDS_MAX);
		assert_ptr_equal(fr_catalogue_by_id(event->id), event);
		assert_ptr_equal(fr_catalogue_by_name(event->name), event);
		for (unsigned f = 0; f < event->field_count; f++) {
			assert_true(event->field[f].doc[0]);
			assert_string_not_equal(fr_catalogue_type_name(event->field[f].type),
						"unknown");
			for (unsigned g = 0; g < f; g++)
				assert_string_not_equal(event->field[f].name, event->field[g].name);
		}
	}
	assert_null(fr_catalogue_by_id(0));
	assert_null(fr_catalogue_by_name("proc"));
	assert_null(fr_catalogue_by_class(FR_CLASS_COUNT));
	assert_memory_not_equal(fr_catalogue_provider[0].guid, fr_catalogue_provider[1].guid, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_field_of_each_event_is_found_where_the_compiler_put_it),
		cmocka_unit_test(test_arguments_are_joined_by_blanks_and_no_length_is_believed),
		cmocka_unit_test(test_samples_that_are_none_are_refused),
		cmocka_unit_test(test_a_monotonic_time_is_moved_to_the_boot_clock),
		cmocka_unit_test(test_the_catalogue_is_whole_and_its_ids_and_names_are_unique),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
