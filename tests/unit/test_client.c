/* SPDX-License-Identifier: MIT */
/* test_client.c - what an application records through flightrec.h is what a reader finds, and who may switch it. */
#include "tests/unit/unit.h"

#include <flightrec/flightrec.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#include "recorder/core/decode.h"
#include "recorder/core/host.h"

FLIGHTREC_PROVIDER(app, "unit.app", "0a0b0c0d-1111-2222-3333-444444444444", 2, 7);
FLIGHTREC_PROVIDER(other, "unit.other", "0a0b0c0d-1111-2222-3333-555555555555", 1, 0);
FLIGHTREC_PROVIDER(wrong, "unit.wrong", "no guid at all", 1, 0);

#define EVERYTHING(F)                                                                                                      \
	F(u8, a, "") F(u64, b, "ns") F(i16, c, "") F(str, d, "") F(u16, e, "hex") F(f64, f, "") F(i8, g, "") F(bytes, h, "") \
	F(u32, i, "B") F(i64, j, "") F(json, k, "") F(i32, l, "errno")
FLIGHTREC_EVENT(app, everything, FLIGHTREC_ERROR, 0x5, EVERYTHING)

#define SMALL(F) F(u8, value, "")
FLIGHTREC_EVENT(app, small, FLIGHTREC_INFO, 0, SMALL)
FLIGHTREC_EVENT(app, chatty, FLIGHTREC_VERBOSE, 0, SMALL)
FLIGHTREC_EVENT(other, elsewhere, FLIGHTREC_INFO, 0, SMALL)

static char ring_path[256];

static int setup(void **state UNUSED)
{
	const char *tmp = getenv("TMPDIR");
	char dir[512];
	struct flightrec_status status = { .size = sizeof(status) };

	snprintf(dir, sizeof(dir), "%s/unit-client-%d", tmp ? tmp : "/tmp", (int)getpid());
	mkdir(dir, 0700);
	setenv("FLIGHTREC_STATE_DIR", dir, 1);
	setenv("FLIGHTREC_RUNTIME_DIR", dir, 1);
	setenv("FLIGHTREC_RING_SIZE", "1M", 1);
	if (flightrec_get_status(&status) != 0 || status.error == 0)
		return -1; /* nothing was registered yet */
	if (flightrec_register(&app) || flightrec_get_status(&status) || status.error)
		return -1;
	memcpy(ring_path, status.ring_path, sizeof(ring_path));
	return 0;
}

static struct fr_image *open_ring(void)
{
	struct fr_image *image = NULL;

	assert_int_equal(fr_image_open_path(ring_path, FR_IMAGE_LIVE, &image), 0);
	return image;
}

/* The newest event of that name; the image stays open in *ret_image. */
static struct fr_event newest(const char *name, struct fr_image **ret_image)
{
	struct fr_image *image = open_ring();
	struct fr_event event;

	*ret_image = image;
	for (size_t i = fr_image_record_count(image); i-- > 0;) {
		fr_decode(image, fr_image_record(image, i), &event);
		if (!strcmp(event.name, name))
			return event;
	}
	fail_msg("no event %s in the ring", name);
	return event;
}

static size_t count_of(const char *name)
{
	struct fr_image *image = open_ring();
	struct fr_event event;
	size_t count = 0;

	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		fr_decode(image, fr_image_record(image, i), &event);
		count += !strcmp(event.name, name);
	}
	fr_image_close(image);
	return count;
}

TEST(test_I11_every_type_comes_back_as_it_was_given)
{
	const char *json = "{\"n\": [1, 2]}";
	struct fr_image *image;
	struct fr_event event;
	uint64_t before = fr_clock_boot_ns(), real_before = fr_clock_real_ns();

	assert_int_equal(flightrec_emit_everything(0, 200, 1ull << 63, -30000, "text", 65535, -0.5, -128, "\0\1\2", 3, 4000000000u,
						   INT64_MIN, json, -2),
			 1);
	event = newest("everything", &image);
	assert_int_equal(event.field_count, 12);
	assert_int_equal(event.level, FLIGHTREC_ERROR);
	assert_int_equal(event.keywords, 5);
	assert_string_equal(event.provider, "unit.app");
	assert_int_equal(event.pid, getpid());
	assert_int_equal(event.tid, gettid());
	assert_int_equal(event.ppid, getppid());
	assert_int_equal(event.uid, getuid());
	assert_true(event.start_time_ns > 0 && event.start_time_ns < before);
	assert_true(event.time_ns >= before - 1000 && event.time_ns <= fr_clock_boot_ns() + 1000);
	assert_in_range(event.real_ns, real_before - 5000000000, fr_clock_real_ns() + 5000000000);
	assert_int_equal(event.field[0].u, 200);
	assert_true(event.field[1].u == 1ull << 63);
	assert_string_equal(event.field[1].unit, "ns");
	assert_int_equal(event.field[2].i, -30000);
	assert_int_equal(event.field[3].s.size, 4);
	assert_memory_equal(event.field[3].s.data, "text", 4);
	assert_int_equal(event.field[4].u, 65535);
	assert_true(event.field[5].f == -0.5);
	assert_int_equal(event.field[6].i, -128);
	assert_int_equal(event.field[7].s.size, 3);
	assert_memory_equal(event.field[7].s.data, "\0\1\2", 3);
	assert_int_equal(event.field[8].u, 4000000000u);
	assert_true(event.field[9].i == INT64_MIN);
	assert_memory_equal(event.field[10].s.data, json, strlen(json));
	assert_int_equal(event.field[11].i, -2);
	for (unsigned i = 0; i < 12; i++)
		assert_false(event.field[i].truncated);
	fr_image_close(image);
}

TEST(test_nothing_given_is_something_empty)
{
	struct fr_image *image;
	struct fr_event event;

	assert_int_equal(flightrec_emit_everything(0, 0, 0, 0, NULL, 0, 0, 0, NULL, 0, 0, 0, NULL, 0), 1);
	event = newest("everything", &image);
	assert_int_equal(event.field[3].s.size + event.field[7].s.size + event.field[10].s.size, 0);
	fr_image_close(image);
}

TEST(test_padding_of_a_payload_is_zero)
{
	struct fr_image *image = NULL;

	for (int i = 0; i < 40000; i++) { /* round the lane, so that something lies beneath */
		assert_int_equal(flightrec_text(&app, FLIGHTREC_INFO, 0, "\377\377\377\377\377\377\377\377\377\377\377\377", 12), 1);
		if (i > 39000)
			assert_int_equal(flightrec_emit_small(0, 1), 1);
	}
	image = open_ring();
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		const struct fr_record *record = fr_image_record(image, i);
		struct fr_event event;

		fr_decode(image, record, &event);
		if (strcmp(event.name, "small"))
			continue;
		assert_int_equal(record->payload_size, 8);
		for (int k = 1; k < 8; k++)
			assert_int_equal(record->payload[k], 0);
	}
	fr_image_close(image);
}

TEST(test_messages)
{
	struct fr_image *image;
	struct fr_event event;

	assert_int_equal(flightrec_printf(&app, FLIGHTREC_WARNING, 0, "%d of %s", 3, "these"), 1);
	event = newest("fr.text", &image);
	assert_int_equal(event.level, FLIGHTREC_WARNING);
	assert_memory_equal(event.field[0].s.data, "3 of these", 10);
	fr_image_close(image);
	assert_int_equal(flightrec_json(&app, FLIGHTREC_INFO, 0, "good", "{}", 2), 1);
	event = newest("fr.json", &image);
	assert_int_equal(fr_event_field(&event, "valid")->u, 1);
	fr_image_close(image);
	assert_int_equal(flightrec_json(&app, FLIGHTREC_INFO, 0, "bad", "{]", 2), 1);
	event = newest("fr.json", &image);
	assert_int_equal(fr_event_field(&event, "valid")->u, 0);
	fr_image_close(image);
	assert_int_equal(flightrec_text(NULL, FLIGHTREC_INFO, 0, "x", 1), 0);
	assert_int_equal(flightrec_text(&app, 0, 0, "x", 1), 0);
	assert_int_equal(flightrec_text(&app, 17, 0, "x", 1), 0);
}

TEST(test_sessions_tie_events_together)
{
	uint32_t session = flightrec_session_begin(&app, "12345678-1234-1234-1234-123456789abc", "a session");
	struct fr_image *image;
	struct fr_event event;

	assert_true(session > 0);
	assert_int_equal(flightrec_session_attribute(&app, session, "colour", "blue"), 1);
	assert_int_equal(flightrec_emit_small(session, 9), 1);
	event = newest("small", &image);
	assert_int_equal(event.session, session);
	assert_string_equal(event.session_name, "a session");
	fr_image_close(image);
	assert_int_equal(flightrec_session_end(&app, session), 1);
	assert_int_equal(count_of("fr.session_begin"), 1);
	assert_int_equal(count_of("fr.session_attr"), 1);
	assert_int_equal(count_of("fr.session_end"), 1);
	image = open_ring();
	assert_true(fr_image_session_by_number(image, (uint16_t)session)->end_ns > 0);
	fr_image_close(image);
}

TEST(test_large_payloads_are_reserved_committed_and_given_back)
{
	struct flightrec_slot slot;
	struct fr_image *image;
	struct flightrec_status before = { .size = sizeof(before) }, after = { .size = sizeof(after) };
	size_t small = count_of("small");
	char *space;

	flightrec_get_status(&before);
	space = flightrec_reserve(&slot, &flightrec_event_small, 0, 20000);
	assert_non_null(space);
	memset(space, 'l', 20000);
	assert_int_equal(flightrec_emit_small(0, 2), 1); /* another one meanwhile */
	assert_int_equal(flightrec_commit(&slot), 0);
	assert_int_equal(count_of("small"), small + 2);
	space = flightrec_reserve(&slot, &flightrec_event_small, 0, 100);
	assert_non_null(space);
	flightrec_discard(&slot);
	assert_int_equal(count_of("small"), small + 2);
	flightrec_get_status(&after);
	assert_int_equal(after.lost, before.lost);
	assert_null(flightrec_reserve(&slot, &flightrec_event_small, 0, 10 << 20));
	assert_null(flightrec_reserve(&slot, &flightrec_event_small, 0, SIZE_MAX));
	flightrec_get_status(&after);
	assert_int_equal(after.lost, before.lost + 2);
	image = open_ring();
	fr_image_close(image);
}

TEST(test_levels_and_registration_decide_what_is_recorded)
{
	assert_int_equal(flightrec_emit_chatty(0, 1), 0); /* info is the default */
	assert_int_equal(flightrec_emit_elsewhere(0, 1), 0); /* not registered */
	assert_int_equal(flightrec_register(&other), 0);
	assert_int_equal(flightrec_register(&other), 0);
	assert_int_equal(flightrec_emit_elsewhere(0, 1), 1);
	flightrec_unregister(&other);
	assert_int_equal(flightrec_emit_elsewhere(0, 1), 1); /* one registration is left */
	flightrec_unregister(&other);
	assert_int_equal(flightrec_emit_elsewhere(0, 1), 0);
	assert_int_equal(flightrec_register(&wrong), -EINVAL);
	assert_int_equal(flightrec_register(NULL), -EINVAL);
	flightrec_unregister(&wrong);
	flightrec_unregister(NULL);
}

struct waiting {
	uint64_t seen_ns;
};

static void *wait_for_gate(void *arg)
{
	struct waiting *w = arg;

	while (flightrec_emit_chatty(0, 2) == 0)
		;
	w->seen_ns = fr_clock_boot_ns();
	return NULL;
}

/* What `flightrec set` does: eight bytes written to the file. */
TEST(test_a_gate_changed_from_outside_is_seen_by_all_threads)
{
	int fd = open(ring_path, O_RDWR | O_CLOEXEC);
	uint64_t all = ~0ull << 8 | 0x3e, shut = 0, before = 0, best = UINT64_MAX;
	off_t at = offsetof(struct frm_meta, state.gate);
	struct fr_image *image = open_ring();

	for (size_t i = 0; i < fr_image_provider_count(image); i++)
		if (!strcmp(fr_image_provider(image, i)->name, "unit.app"))
			at += 8 * fr_image_provider(image, i)->id;
	fr_image_close(image);
	assert_int_equal(pread(fd, &before, 8, at), 8);
	for (int round = 0; round < 5; round++) {
		struct waiting w[2];
		pthread_t thread[2];
		struct timespec pause = { 0, 2000000 };
		uint64_t written, late;

		for (int i = 0; i < 2; i++)
			pthread_create(&thread[i], NULL, wait_for_gate, &w[i]);
		nanosleep(&pause, NULL);
		written = fr_clock_boot_ns();
		assert_int_equal(pwrite(fd, &all, 8, at), 8);
		for (int i = 0; i < 2; i++)
			pthread_join(thread[i], NULL);
		late = (w[0].seen_ns > w[1].seen_ns ? w[0].seen_ns : w[1].seen_ns) - written;
		best = late < best ? late : best; /* a busy machine may keep a thread from looking */
		assert_int_equal(pwrite(fd, &before, 8, at), 8);
		assert_int_equal(flightrec_emit_chatty(0, 3), 0);
	}
	print_message("seen after %llu us at best\n", (unsigned long long)best / 1000);
	assert_true(best < 100000000); /* microseconds, where the threads are given a processor */
	assert_int_equal(pwrite(fd, &shut, 8, at), 8);
	assert_int_equal(flightrec_emit_small(0, 4), 0);
	assert_int_equal(pwrite(fd, &before, 8, at), 8);
	assert_int_equal(flightrec_emit_small(0, 5), 1);
	close(fd);
}

TEST(test_calls_leave_errno_alone)
{
	errno = 4242;
	flightrec_emit_small(0, 1);
	flightrec_printf(&app, FLIGHTREC_INFO, 0, "x");
	flightrec_session_begin(&app, NULL, "e");
	assert_int_equal(errno, 4242);
}

/* The last registration gone, the ring says that its writer left in order. */
TEST(test_the_last_to_unregister_closes_the_ring)
{
	struct fr_image *image;

	image = open_ring();
	assert_int_equal(fr_image_state(image)->closed_boot_ns, 0);
	fr_image_close(image);
	flightrec_unregister(&app);
	image = open_ring();
	assert_true(fr_image_state(image)->closed_boot_ns > 0);
	fr_image_close(image);
	assert_int_equal(flightrec_emit_small(0, 1), 0);
	assert_int_equal(flightrec_register(&app), 0);
	image = open_ring();
	assert_int_equal(fr_image_state(image)->closed_boot_ns, 0);
	fr_image_close(image);
	assert_int_equal(flightrec_emit_small(0, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I11_every_type_comes_back_as_it_was_given),
		cmocka_unit_test(test_nothing_given_is_something_empty),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_sessions_tie_events_together),
		cmocka_unit_test(test_large_payloads_are_reserved_committed_and_given_back),
		cmocka_unit_test(test_levels_and_registration_decide_what_is_recorded),
		cmocka_unit_test(test_a_gate_changed_from_outside_is_seen_by_all_threads),
		cmocka_unit_test(test_padding_of_a_payload_is_zero),
		cmocka_unit_test(test_calls_leave_errno_alone),
		cmocka_unit_test(test_the_last_to_unregister_closes_the_ring),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
