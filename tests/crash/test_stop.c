/* SPDX-License-Identifier: MIT */
/*
 * test_stop.c - writers that die or sleep between reserve and commit, on purpose and deterministically.
 */
#include "tests/crash/oracle.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "recorder/core/encode.h"
#include "recorder/core/host.h"
#include "recorder/core/map.h"

FLIGHTREC_PROVIDER(provider, "test.stop", "22222222-2222-3333-4444-555555555555", 1, 0);
FLIGHTREC_EVENT(provider, oracle, FLIGHTREC_INFO, 0, ORACLE_FIELDS)

static struct witness *witness;

/* The payload of FLIGHTREC_EVENT's layout: u32, padding, u64, length, padding, text. */
static size_t payload(uint32_t thread, uint64_t number, unsigned char *to)
{
	char text[256];
	uint32_t head[2] = { thread, 0 }, length[2] = { 0, 0 };

	oracle_text(thread, number, text);
	length[0] = (uint32_t)strlen(text);
	if (to) {
		memcpy(to, head, 8);
		memcpy(to + 8, &number, 8);
		memcpy(to + 16, length, 8);
		memcpy(to + 24, text, length[0]);
	}
	return 24 + length[0];
}

static void emit(uint32_t thread, uint64_t number)
{
	char text[256];

	oracle_text(thread, number, text);
	REQUIRE(flightrec_emit_oracle(0, thread, number, text) == 1);
	__atomic_store_n(&witness->committed[thread], number + 1, __ATOMIC_RELEASE);
}

static void *die_reserved(void *arg)
{
	struct flightrec_slot slot;
	unsigned char *space;

	(void)arg;
	for (uint64_t number = 0; number < 300; number++)
		emit(0, number);
	space = flightrec_reserve(&slot, &flightrec_event_oracle, 0, payload(0, 300, NULL));
	REQUIRE(space);
	memset(space, 'z', 5); /* half written */
	__atomic_store_n(&witness->in_reserve[0], 1, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

static void test_I3_a_writer_killed_between_reserve_and_commit_costs_one_record(void)
{
	pthread_t thread;
	struct verdict verdict;
	int status;
	pid_t pid;

	oracle_environment("reserve", "64K", 3);
	witness_reset(witness);
	pid = fork();
	if (pid == 0) {
		REQUIRE(flightrec_register(&provider) == 0);
		witness_ring(witness);
		pthread_create(&thread, NULL, die_reserved, NULL);
		while (!__atomic_load_n(&witness->in_reserve[0], __ATOMIC_ACQUIRE))
			usleep(100);
		for (uint64_t number = 0; number < 2000; number++) /* nobody waits for it */
			emit(1, number);
		kill(getpid(), SIGKILL);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%#x", status);
	verdict = oracle_judge(witness, 2, ORACLE_OWN_LANES);
	REQUIRE(witness->committed[0] == 300 && witness->committed[1] == 2000);
	REQUIRE(verdict.torn == 1, "%llu", (unsigned long long)verdict.torn);
	REQUIRE(verdict.laps >= 3);
	unlink(witness->ring_path);
}

/* Two processes that hold different lanes of one ring: the one stops in its reserve, the other goes round three times. */
static void lane_write(struct fr_lane *lane, uint32_t thread, uint16_t event, bool stop)
{
	uint64_t number = witness->committed[thread];
	struct fr_reservation res;

	REQUIRE(fr_lane_reserve(lane, (uint32_t)payload(thread, number, NULL), &res) == 0);
	res.record->time_ns = fr_clock_boot_ns();
	res.record->event = event;
	res.record->cpu = FRM_CPU_NONE;
	res.record->tid = thread + 1;
	if (stop)
		raise(SIGSTOP);
	payload(thread, number, (unsigned char *)(res.record + 1));
	fr_lane_commit(&res, 0);
	__atomic_store_n(&witness->committed[thread], number + 1, __ATOMIC_RELEASE);
}

static void test_I4_a_writer_stopped_for_three_laps_and_continued_damages_nothing(void)
{
	static const struct fr_field_spec fields[] = { { FRM_U32, "thread", "" }, { FRM_U64, "number", "" }, { FRM_STR, "text", "" } };
	struct fr_geometry geometry = { .ring_size = FRM_RING_MIN, .lanes = 4, .shared_lanes = 1 };
	struct fr_identity identity = { .kind = FRM_KIND_PROCESS, .boot_id = { 1 } };
	static const uint8_t guid[16] = { 2 };
	struct fr_lane lanes[4];
	struct fr_image *image = NULL;
	struct fr_ring ring;
	struct verdict verdict;
	int fd = memfd_create("ring", MFD_CLOEXEC), status;
	uint16_t event;
	pid_t pid;

	REQUIRE(fr_ring_create(fd, &geometry, &identity) == 0 && fr_ring_map(fd, &ring) == 0);
	fr_ring_declare_provider(&ring, guid, "test.stop", 1, 0);
	event = (uint16_t)fr_ring_declare_event(&ring, 0, "oracle", FRM_LEVEL_INFO, 0, fields, 3);
	for (uint32_t i = 0; i < 4; i++)
		fr_ring_lane(&ring, i, &lanes[i]);
	witness_reset(witness);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 500; i++)
			lane_write(&lanes[0], 0, event, false);
		lane_write(&lanes[0], 0, event, true); /* stops here, is continued, commits */
		for (int i = 0; i < 20; i++)
			lane_write(&lanes[0], 0, event, false);
		_exit(0);
	}
	REQUIRE(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	for (uint32_t i = 1; i < 4; i++)
		while (lanes[i].pos < 4 * lanes[i].size)
			lane_write(&lanes[i], i, event, false);

	REQUIRE(fr_image_open(fd, 0, &image) == 0); /* had it died there */
	verdict = oracle_judge_image(image, witness, 4, ORACLE_OWN_LANES);
	REQUIRE(verdict.torn == 1 && verdict.laps >= 3);
	fr_image_close(image);

	REQUIRE(kill(pid, SIGCONT) == 0);
	REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
	REQUIRE(witness->committed[0] == 521);
	REQUIRE(fr_image_open(fd, 0, &image) == 0);
	verdict = oracle_judge_image(image, witness, 4, ORACLE_OWN_LANES);
	REQUIRE(verdict.torn == 0, "%llu", (unsigned long long)verdict.torn);
	fr_image_close(image);
	fr_ring_unmap(&ring);
	close(fd);
}

/* The same through the library, and at random instants: a signal stops one thread in its tracks while three others lap. */
static sem_t go_on;
static int asleep;

static void sleep_here(int signal_number)
{
	(void)signal_number;
	__atomic_store_n(&asleep, 1, __ATOMIC_RELEASE);
	while (sem_wait(&go_on) < 0)
		;
	__atomic_store_n(&asleep, 0, __ATOMIC_RELEASE);
}

struct writer {
	uint32_t thread;
	uint64_t until; /* 0: until told */
};

static uint32_t enough;

static void *write_on(void *arg)
{
	struct writer *w = arg;

	for (uint64_t number = witness->committed[w->thread]; w->until ? number < w->until : !__atomic_load_n(&enough, __ATOMIC_ACQUIRE);
	     number++)
		emit(w->thread, number);
	return NULL;
}

static void stopped_at_random(void)
{
	struct writer sleeper = { 0, 0 };
	pthread_t sleeping, other[3];
	uint64_t seed = (uint64_t)time(NULL);
	struct sigaction action = { .sa_handler = sleep_here };

	REQUIRE(flightrec_register(&provider) == 0);
	witness_ring(witness);
	sem_init(&go_on, 0, 0);
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&sleeping, NULL, write_on, &sleeper);
	for (int round = 0; round < 200; round++) {
		struct writer w[3];

		oracle_sleep_us(oracle_random(&seed) % 300);
		pthread_kill(sleeping, SIGUSR1);
		while (!__atomic_load_n(&asleep, __ATOMIC_ACQUIRE))
			sched_yield();
		for (uint32_t i = 0; i < 3; i++) {
			/* the first three of them take lanes; they end, and hand them over in the next round */
			w[i] = (struct writer){ i + 1, witness->committed[i + 1] + 300 };
			pthread_create(&other[i], NULL, write_on, &w[i]);
		}
		for (uint32_t i = 0; i < 3; i++)
			pthread_join(other[i], NULL);
		sem_post(&go_on);
		while (__atomic_load_n(&asleep, __ATOMIC_ACQUIRE))
			sched_yield();
	}
	__atomic_store_n(&enough, 1, __ATOMIC_RELEASE);
	pthread_join(sleeping, NULL);
}

static void test_I4_a_thread_that_stands_still_anywhere_in_an_emit_damages_nothing(void)
{
	struct verdict verdict;
	int status;
	pid_t pid;

	oracle_environment("stand", "64K", 5);
	witness_reset(witness);
	pid = fork();
	if (pid == 0) {
		stopped_at_random();
		kill(getpid(), SIGKILL);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%#x", status);
	verdict = oracle_judge(witness, 4, 0);
	REQUIRE(verdict.torn == 0, "%llu", (unsigned long long)verdict.torn);
	REQUIRE(verdict.laps >= 3);
	unlink(witness->ring_path);
}

int main(void)
{
	witness = witness_new();
	test_I3_a_writer_killed_between_reserve_and_commit_costs_one_record();
	test_I4_a_writer_stopped_for_three_laps_and_continued_damages_nothing();
	test_I4_a_thread_that_stands_still_anywhere_in_an_emit_damages_nothing();
	return 0;
}
