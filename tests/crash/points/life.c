/* SPDX-License-Identifier: MIT */
/* life.c - see life.h. */
#include "tests/crash/points/life.h"

#include <pthread.h>
#include <setjmp.h>

#include "recorder/client/client.h"

FLIGHTREC_PROVIDER(provider, "test.points", "55555555-2222-3333-4444-555555555555", 1, 0);
FLIGHTREC_EVENT(provider, oracle, FLIGHTREC_INFO, 0, ORACLE_FIELDS)
FLIGHTREC_PROVIDER(visitor, "test.visitor", "66666666-2222-3333-4444-555555555555", 1, 0);

#define NOISE_FIELDS(F) F(u32, number, "") F(str, text, "")
FLIGHTREC_EVENT(provider, noise, FLIGHTREC_INFO, 0, NOISE_FIELDS)

bool life_emit(struct witness *witness, uint32_t thread)
{
	uint64_t number = witness->committed[thread];
	char text[256];

	oracle_text(thread, number, text);
	if (flightrec_emit_oracle(0, thread, number, text) != 1)
		return false;
	__atomic_store_n(&witness->committed[thread], number + 1, __ATOMIC_RELEASE);
	return true;
}

static const char *noise_text(uint32_t number)
{
	return &"the quick brown fox jumps over the lazy dog"[number % 40];
}

bool life_noise(struct noise *noise)
{
	uint32_t number = __atomic_fetch_add(&noise->next, 1, __ATOMIC_RELAXED);

	REQUIRE(number < LIFE_NOISE_MAX);
	noise->state[number] = 1;
	if (flightrec_emit_noise(0, number, noise_text(number)) != 1)
		return false;
	noise->state[number] = 2;
	return true;
}

/*
 * A frame deeper than any other emit's here: or a lane left in it would not be known to be free at
 * the next one.
 */
#define DEEP(bytes)         \
	char deep_[bytes]; \
	__asm__ volatile("" : : "r"(deep_) : "memory")

__attribute__((noinline)) bool life_nested(struct noise *noise)
{
	struct flightrec_slot slot;
	void *space;
	bool there;
	DEEP(2048);

	space = flightrec_reserve_here_(&slot, &flightrec_event_noise, 0, 33);
	there = life_noise(noise);
	if (space)
		flightrec_discard(&slot);
	return there;
}

/* The same as an application would do it, with space that it may keep. */
static void nested(struct noise *noise)
{
	struct flightrec_slot slot, inner;
	void *space = flightrec_reserve(&slot, &flightrec_event_noise, 0, 33);

	life_noise(noise);
	if (flightrec_reserve(&inner, &flightrec_event_noise, 0, 21)) {
		life_noise(noise);
		flightrec_discard(&inner);
	}
	if (space)
		flightrec_discard(&slot);
}

/*
 * So deep that a handler of a later thread on the same stack is not: what it finds in that lane is
 * not its own.
 */
static __attribute__((noinline)) void leave_open(unsigned more)
{
	struct flightrec_slot slot;
	DEEP(16384);

	(void)!flightrec_reserve_here_(&slot, &flightrec_event_noise, 0, 29);
	if (more)
		leave_open(more - 1);
	__asm__ volatile("" : : "r"(deep_) : "memory"); /* no tail call */
}

void life_leave_two_open(void)
{
	leave_open(1);
}

/* Leaves a record as a jump out of it would: reserved; valid and not yet settled; not even noted. */
static __attribute__((noinline)) void leave_record(unsigned how, sigjmp_buf *where)
{
	struct flightrec_slot slot;
	struct fr_client_lane *lane;
	uint64_t frame;
	DEEP(2048);

	if (!flightrec_reserve_here_(&slot, &flightrec_event_noise, 0, 37))
		return;
	lane = slot.lane;
	frame = lane->lane.busy;
	if (how % 3) {
		flightrec_discard(&slot);
		/* no handler has recorded since */
		if (lane->lane.reserved_pos == ((const struct frm_record *)slot.record)->pos) {
			lane->lane.reserved_size = how % 3 == 1 ? slot.size : 0;
			lane->lane.busy = frame;
		}
	}
	siglongjmp(*where, 1);
}

__attribute__((noinline)) void life_jump(unsigned how)
{
	sigjmp_buf here;

	if (!sigsetjmp(here, 0))
		leave_record(how, &here);
}

static void *live_shortly(void *arg)
{
	life_noise(arg);
	life_nested(arg);
	return NULL;
}

static void *end_inside(void *arg)
{
	struct flightrec_slot slot;

	life_noise(arg);
	(void)!flightrec_reserve(&slot, &flightrec_event_noise, 0, 29);
	return NULL;
}

static void thread_once(void *(*body)(void *), struct noise *noise)
{
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, body, noise) == 0);
	pthread_join(thread, NULL);
}

static void visit(struct noise *noise)
{
	uint32_t session = flightrec_session_begin(&provider, NULL, "a session");
	char much[70000];

	if (flightrec_register(&visitor) == 0) {
		flightrec_text(&visitor, FLIGHTREC_INFO, session, "here", 4);
		flightrec_unregister(&visitor);
	}
	flightrec_session_end(&provider, session);
	memset(much, 'x', sizeof(much));
	flightrec_text(&provider, FLIGHTREC_INFO, 0, much, sizeof(much)); /* too large */
	fr_ring_anchor(&fr_client->ring);
	life_noise(noise);
}

struct main_thread {
	const struct life *life;
	uint32_t number;
};

static void *live(void *arg)
{
	const struct main_thread *self = arg;
	const struct life *life = self->life;

	for (unsigned i = 0; i < life->events; i++) {
		if (!life_emit(life->witness, self->number) && life->discard)
			break;
		if (i == 0)
			__atomic_fetch_add(&life->witness->ready, 1, __ATOMIC_RELEASE);
		if (i % 11 == 2)
			nested(life->noise);
		if (i % 13 == 3)
			life_jump(i / 13);
		if (self->number == 0 && i % 40 == 5)
			thread_once(i % 80 == 5 ? end_inside : live_shortly, life->noise);
		if (self->number == 0 && i % 50 == 7)
			visit(life->noise);
		if (self->number == 0 && i == 60) /* once: it waits for the disk */
			flightrec_text(&provider, FLIGHTREC_CRITICAL, 0, "grave", 5);
	}
	return NULL;
}

void life_begin(struct witness *witness)
{
	REQUIRE(flightrec_register(&provider) == 0);
	witness_ring(witness);
}

void life_end(void)
{
	flightrec_unregister(&provider);
}

void life_run(const struct life *life)
{
	struct main_thread self[ORACLE_THREADS];
	pthread_t thread[ORACLE_THREADS];

	life_begin(life->witness);
	for (unsigned i = 1; i < life->threads; i++) {
		self[i] = (struct main_thread){ life, i };
		REQUIRE(pthread_create(&thread[i], NULL, live, &self[i]) == 0);
	}
	/* they have their lanes before a short-lived thread could take one */
	while (__atomic_load_n(&life->witness->ready, __ATOMIC_ACQUIRE) + 1 < life->threads)
		usleep(50);
	self[0] = (struct main_thread){ life, 0 };
	live(&self[0]);
	for (unsigned i = 1; i < life->threads; i++)
		pthread_join(thread[i], NULL);
	life_end();
}

void life_judge_noise(const struct witness *witness, const struct noise *noise, bool lapped)
{
	static uint8_t seen[LIFE_NOISE_MAX];
	struct fr_image *image = NULL;

	memset(seen, 0, sizeof(seen));
	REQUIRE(fr_image_open_path(witness->ring_path, 0, &image) == 0);
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		struct fr_event event;
		uint64_t number;

		fr_decode(image, fr_image_record(image, i), &event);
		if (strcmp(event.name, "noise"))
			continue;
		number = event.field[0].u;
		REQUIRE(number < LIFE_NOISE_MAX && noise->state[number], "noise %llu was never recorded",
			(unsigned long long)number);
		REQUIRE(event.field[1].s.size == strlen(noise_text((uint32_t)number)) &&
			!memcmp(event.field[1].s.data, noise_text((uint32_t)number), event.field[1].s.size));
		REQUIRE(!seen[number]++, "noise %llu comes twice", (unsigned long long)number);
	}
	for (uint32_t i = 0; i < LIFE_NOISE_MAX && !lapped; i++)
		REQUIRE(noise->state[i] != 2 || seen[i], "noise %u was committed and is not there", i);
	fr_image_close(image);
}

size_t life_points(const char *group, char (*names)[48], size_t most)
{
	char command[128];
	size_t count = 0;
	FILE *list;

	snprintf(command, sizeof(command), "tests/lib/testpoints.sh %s", group);
	list = popen(command, "r");
	REQUIRE(list, "%s", command);
	while (count < most && fscanf(list, "%47s", names[count]) == 1)
		count++;
	REQUIRE(pclose(list) == 0 && count && count < most, "%s", command);
	return count;
}
