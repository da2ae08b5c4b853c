/* SPDX-License-Identifier: MIT */
/*
 * test_durable.c - what FLIGHTREC_CRITICAL promises, against a medium that keeps nothing but what
 * it was told to keep.
 *
 * This program's own msync() stands before libc's: it copies the range it is given from the mapped
 * ring into a file, the medium. Whatever else is stored never gets there, except pages that the
 * kernel "wrote back" at random. The medium is at any time what a power cut would leave.
 */
#include "tests/unit/unit.h"

#include <flightrec/flightrec.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "recorder/core/decode.h"
#include "schemas/fr_format.h"

#define PAGE	     4096u
#define MORE_THREADS 12 /* than lanes */

FLIGHTREC_PROVIDER(app, "unit.durable", "0a0b0c0d-aaaa-2222-3333-444444444444", 1, 0);
FLIGHTREC_PROVIDER(late, "unit.late", "0a0b0c0d-aaaa-2222-3333-555555555555", 1, 0);

#define NUMBER(F) F(u64, number, "") F(str, text, "")
FLIGHTREC_EVENT(app, first, FLIGHTREC_CRITICAL, 0, NUMBER)
FLIGHTREC_EVENT(app, second, FLIGHTREC_CRITICAL, 0, NUMBER)
FLIGHTREC_EVENT(app, plain, FLIGHTREC_INFO, 0, NUMBER)
FLIGHTREC_EVENT(late, third, FLIGHTREC_CRITICAL, 0, NUMBER)

static struct {
	char dir[512], path[1024];
	unsigned char *base;
	size_t size;
	int fd;
	int fail;	   /* errno of the next msync */
	unsigned writes;   /* calls */
	char synced[4096]; /* folders that were fsynced, each between blanks */
} medium;

/* Where the ring of this process is mapped. */
static void find_ring(void)
{
	struct flightrec_status status = { .size = sizeof(status) };
	char line[1024];
	FILE *maps = fopen("/proc/self/maps", "re");

	assert_non_null(maps);
	assert_int_equal(flightrec_get_status(&status), 0);
	medium.base = NULL;
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;

		if (strstr(line, status.ring_id) && sscanf(line, "%lx-%lx", &start, &end) == 2) {
			medium.base = (unsigned char *)start;
			medium.size = end - start;
		}
	}
	fclose(maps);
	assert_non_null(medium.base);
	snprintf(medium.path, sizeof(medium.path), "%s/medium-%d.ring", medium.dir, (int)getpid());
	medium.fd = open(medium.path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(medium.fd >= 0);
	assert_int_equal(ftruncate(medium.fd, (off_t)medium.size), 0);
}

int msync(void *address, size_t size, int flags)
{
	unsigned char *from = address;

	if (medium.base && (uintptr_t)from % PAGE == 0 && from >= medium.base &&
	    from < medium.base + medium.size && flags == MS_SYNC) {
		size_t span = (size + PAGE - 1) / PAGE * PAGE;

		__atomic_fetch_add(&medium.writes, 1, __ATOMIC_RELAXED);
		if (medium.fail) {
			errno = medium.fail;
			return -1;
		}
		return pwrite(medium.fd, from, span, from - medium.base) == (ssize_t)span ? 0 : -1;
	}
	return (int)syscall(SYS_msync, address, size, flags);
}

int fsync(int fd)
{
	char link[64], target[512];
	size_t used = strlen(medium.synced);
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	if (n > 0)
		snprintf(medium.synced + used, sizeof(medium.synced) - used, " %.*s ", (int)n,
			 target);
	return 0;
}

/* Write-back comes when it likes, a page at a time. */
static void write_back_some(uint64_t *seed)
{
	for (int i = 0; i < 8; i++) {
		size_t at = unit_random(seed) % (medium.size / PAGE) * PAGE;

		assert_int_equal(pwrite(medium.fd, medium.base + at, PAGE, (off_t)at), PAGE);
	}
}

struct seen {
	unsigned count;
	struct fr_event event; /* the newest; its texts are gone with the image */
	char provider[64], thread[32], session[64];
	uint64_t number;
};

/* Events of that name on the medium. */
static struct seen look(const char *path, const char *name)
{
	struct fr_image *image = NULL;
	struct seen seen = { 0 };
	struct fr_event event;

	assert_int_equal(fr_image_open_path(path, 0, &image), 0);
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		fr_decode(image, fr_image_record(image, i), &event);
		if (strcmp(event.name, name) || !fr_event_field(&event, "number"))
			continue;
		seen.count++;
		if (seen.count > 1 && event.time_ns < seen.event.time_ns)
			continue;
		seen.event = event;
		seen.number = fr_event_field(&event, "number")->u;
		snprintf(seen.provider, sizeof(seen.provider), "%s", event.provider);
		snprintf(seen.thread, sizeof(seen.thread), "%s", event.thread);
		snprintf(seen.session, sizeof(seen.session), "%s", event.session_name);
	}
	fr_image_close(image);
	return seen;
}

/* The number is among the events of that name. */
static bool has_number(const char *name, uint64_t number)
{
	struct fr_image *image = NULL;
	struct fr_event event;
	bool found = false;

	assert_int_equal(fr_image_open_path(medium.path, 0, &image), 0);
	for (size_t i = 0; i < fr_image_record_count(image) && !found; i++) {
		fr_decode(image, fr_image_record(image, i), &event);
		found = !strcmp(event.name, name) && fr_event_field(&event, "number") &&
			fr_event_field(&event, "number")->u == number;
	}
	fr_image_close(image);
	return found;
}

static int setup(void **state UNUSED)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(medium.dir, sizeof(medium.dir), "%s/unit-durable-%d", tmp ? tmp : "/tmp",
		 (int)getpid());
	if (mkdir(medium.dir, 0700) < 0)
		return -1;
	setenv("FLIGHTREC_STATE_DIR", medium.dir, 1);
	setenv("FLIGHTREC_RUNTIME_DIR", medium.dir, 1);
	setenv("FLIGHTREC_RING_SIZE", "256K", 1);
	unsetenv("FLIGHTREC_RING_DIR");
	unsetenv("FLIGHTREC_LEVEL");
	return flightrec_register(&app);
}

static int teardown(void **state UNUSED)
{
	char command[600];

	snprintf(command, sizeof(command), "rm -rf %s", medium.dir);
	return system(command);
}

TEST(test_other_levels_ask_nothing_of_the_medium)
{
	find_ring();
	medium.synced[0] = '\0'; /* a boot's first ring made the name of the list of boots durable */
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(flightrec_emit_plain(0, i, "plain"), 1);
	assert_int_equal(flightrec_text(&app, FLIGHTREC_ERROR, 0, "text", 4), 1);
	assert_int_equal(medium.writes, 0);
	assert_string_equal(medium.synced, "");
}

TEST(test_I20_the_first_critical_event_brings_ring_and_names_along)
{
	struct seen seen;
	char folder[600];

	errno = ENOTTY;
	assert_int_equal(flightrec_emit_first(0, 1, "one"), 1);
	assert_int_equal(errno, ENOTTY);
	seen = look(medium.path, "first");
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.number, 1);
	assert_string_equal(seen.provider, "unit.durable");
	assert_true(seen.event.real_ns != 0); /* an anchor is there */
	assert_int_equal(seen.event.pid, getpid());
	assert_int_equal(look(medium.path, "plain").count, 100); /* the whole ring */
	snprintf(folder, sizeof(folder), " %s/rings ", medium.dir);
	assert_non_null(strstr(medium.synced, folder));
	snprintf(folder, sizeof(folder), " %s ", medium.dir);
	assert_non_null(strstr(medium.synced, folder));
}

TEST(test_the_next_writes_its_own_pages_only)
{
	unsigned before;

	assert_int_equal(flightrec_emit_first(0, 2, "two"), 1);
	before = medium.writes;
	medium.synced[0] = '\0';
	assert_int_equal(flightrec_emit_first(0, 3, "three"), 1);
	assert_int_equal(medium.writes, before + 1);
	assert_string_equal(medium.synced, "");
	assert_int_equal(look(medium.path, "first").number, 3);
}

TEST(test_I20_what_was_declared_since_comes_along)
{
	uint32_t session;
	struct seen seen;

	assert_int_equal(flightrec_emit_second(0, 1, "x"), 1);
	assert_int_equal(look(medium.path, "second").count, 1);
	assert_int_equal(flightrec_register(&late), 0);
	session = flightrec_session_begin(&late, NULL, "evening");
	assert_int_equal(flightrec_emit_third(session, 7, "y"), 1);
	seen = look(medium.path, "third");
	assert_int_equal(seen.number, 7);
	assert_string_equal(seen.provider, "unit.late");
	assert_string_equal(seen.session, "evening");
	assert_int_equal(flightrec_printf(&late, FLIGHTREC_CRITICAL, session, "%s", "words"), 1);
	assert_int_equal(flightrec_json(&late, FLIGHTREC_CRITICAL, session, "doc", "{}", 2), 1);
}

TEST(test_texts_are_as_durable)
{
	struct fr_image *image = NULL;
	struct fr_event event;
	unsigned texts = 0, docs = 0;

	assert_int_equal(fr_image_open_path(medium.path, 0, &image), 0);
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		fr_decode(image, fr_image_record(image, i), &event);
		texts += event.level == FRM_LEVEL_CRITICAL && !strcmp(event.name, "fr.text");
		docs += event.level == FRM_LEVEL_CRITICAL && !strcmp(event.name, "fr.json");
	}
	fr_image_close(image);
	assert_int_equal(texts, 1);
	assert_int_equal(docs, 1);
}

TEST(test_reserve_and_commit_durable)
{
	struct {
		uint64_t number;
		uint64_t text; /* its length, and padding */
	} *payload;
	struct flightrec_slot slot;

	/* two pages at least */
	payload = flightrec_reserve(&slot, &flightrec_event_plain, 0, 6000);
	assert_non_null(payload);
	memset(payload, 'l', 6000);
	payload->number = 4711;
	payload->text = 6000 - 16;
	assert_int_equal(flightrec_commit_durable(&slot), 0);
	assert_true(has_number("plain", 4711));
}

TEST(test_a_medium_that_fails_is_told_of)
{
	struct flightrec_slot slot;
	uint32_t session;
	void *payload;

	medium.fail = EIO;
	errno = ENOTTY;
	assert_int_equal(flightrec_emit_first(0, 50, "not there"), -EIO);
	assert_int_equal(flightrec_text(&app, FLIGHTREC_CRITICAL, 0, "nor this", 8), -EIO);
	payload = flightrec_reserve(&slot, &flightrec_event_plain, 0, 16);
	assert_non_null(payload);
	memset(payload, 0, 16);
	assert_int_equal(flightrec_commit_durable(&slot), -EIO);
	assert_int_equal(errno, ENOTTY);
	/* nothing changes after the failure, and yet the next has to bring this along */
	session = flightrec_session_begin(&late, NULL, "mended");
	assert_int_equal(flightrec_emit_first(session, 51, "not there either"), -EIO);
	medium.fail = 0;
	assert_int_equal(flightrec_emit_first(session, 52, "there"), 1);
	assert_string_equal(look(medium.path, "first").session, "mended");
	assert_true(has_number("first", 52));
	/* a session, and nothing else that is new */
	session = flightrec_session_begin(&late, NULL, "again");
	assert_int_equal(flightrec_emit_first(session, 53, "there"), 1);
	assert_string_equal(look(medium.path, "first").session, "again");
}

TEST(test_I20_every_one_over_many_laps_with_write_back_at_random)
{
	uint64_t seed = 3;
	char text[400];

	memset(text, 't', sizeof(text));
	for (uint64_t i = 1000; i < 1400; i++) {
		text[unit_random(&seed) % (sizeof(text) - 1)] = '\0';
		for (unsigned plain = unit_random(&seed) % 40; plain; plain--)
			flightrec_emit_plain(0, i, text);
		write_back_some(&seed);
		assert_int_equal(flightrec_emit_first(0, i, text), 1);
		assert_int_equal(look(medium.path, "first").number, i);
		memset(text, 't', sizeof(text));
	}
}

static pthread_barrier_t all_began;

static void *thread_main(void *data)
{
	uint64_t number = (uint64_t)(uintptr_t)data;
	char name[16];

	snprintf(name, sizeof(name), "teller-%u", (unsigned)(number % 100));
	pthread_setname_np(pthread_self(), name);
	for (int i = 0; i < 100; i++) /* away from the page that holds the lane's head */
		flightrec_emit_plain(0, number, "this is one of a hundred events of level info");
	pthread_barrier_wait(&all_began); /* what is critical is not overwritten by the others */
	for (int i = 0; i < 5; i++, number += 100) {
		int r;

		do
			r = flightrec_emit_second(0, number, name);
		while (r == -ENOBUFS); /* no lane was free to borrow */
		if (r != 1)
			return NULL;
	}
	return data;
}

TEST(test_threads_with_and_without_a_lane_of_their_own)
{
	pthread_t thread[MORE_THREADS];
	struct fr_image *image = NULL;
	struct fr_event event;
	unsigned found = 0, named = 0;
	void *good;

	assert_int_equal(pthread_barrier_init(&all_began, NULL, MORE_THREADS), 0);
	for (uintptr_t i = 0; i < MORE_THREADS; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, thread_main, (void *)(100000 + i)), 0);
	for (int i = 0; i < MORE_THREADS; i++) {
		assert_int_equal(pthread_join(thread[i], &good), 0);
		assert_non_null(good);
	}
	assert_int_equal(fr_image_open_path(medium.path, 0, &image), 0);
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		const struct fr_value *number;

		fr_decode(image, fr_image_record(image, i), &event);
		number = fr_event_field(&event, "number");
		if (strcmp(event.name, "second") || !number || number->u < 100000)
			continue;
		found++;
		named += strncmp(event.thread, "teller-", 7) == 0;
	}
	fr_image_close(image);
	assert_int_equal(found, MORE_THREADS * 5);
	assert_true(named >= 5); /* who had a lane of its own is known by name */
}

static void on_signal(int number)
{
	(void)number;
	flightrec_emit_second(0, 500000, "handler");
}

TEST(test_a_signal_handler_inside_a_reservation)
{
	struct flightrec_slot slot;
	void *payload = flightrec_reserve(&slot, &flightrec_event_plain, 0, 16);

	assert_non_null(payload);
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	assert_true(has_number("second", 500000));
	flightrec_discard(&slot);
}

TEST(test_a_forked_child_has_its_own_to_write)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		flightrec_emit_plain(0, 1, "makes its ring");
		find_ring();
		medium.synced[0] = '\0';
		if (flightrec_emit_first(0, 900, "child") != 1 || !strstr(medium.synced, "/rings "))
			_exit(1);
		_exit(has_number("first", 900) ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_false(has_number("first", 900));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_levels_ask_nothing_of_the_medium),
		cmocka_unit_test(test_I20_the_first_critical_event_brings_ring_and_names_along),
		cmocka_unit_test(test_the_next_writes_its_own_pages_only),
		cmocka_unit_test(test_I20_what_was_declared_since_comes_along),
		cmocka_unit_test(test_texts_are_as_durable),
		cmocka_unit_test(test_reserve_and_commit_durable),
		cmocka_unit_test(test_a_medium_that_fails_is_told_of),
		cmocka_unit_test(test_I20_every_one_over_many_laps_with_write_back_at_random),
		cmocka_unit_test(test_threads_with_and_without_a_lane_of_their_own),
		cmocka_unit_test(test_a_signal_handler_inside_a_reservation),
		cmocka_unit_test(test_a_forked_child_has_its_own_to_write),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
