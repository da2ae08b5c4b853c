/* SPDX-License-Identifier: MIT */
/*
 * test_life.c - what happens to programs while they record: signals, forks, threads that come, go and are cancelled,
 * libraries that are loaded and unloaded. Nobody dies here but in order; so nothing at all may be missing.
 */
#include "tests/crash/oracle.h"

#include <dlfcn.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

FLIGHTREC_PROVIDER(provider, "test.life", "33333333-2222-3333-4444-555555555555", 1, 0);
FLIGHTREC_EVENT(provider, oracle, FLIGHTREC_INFO, 0, ORACLE_FIELDS)

static struct witness *witness;

static bool emit(uint32_t thread, uint64_t number)
{
	char text[256];

	oracle_text(thread, number, text);
	if (flightrec_emit_oracle(0, thread, number, text) != 1) {
		__atomic_fetch_add(&witness->lost, 1, __ATOMIC_RELAXED);
		return false;
	}
	__atomic_store_n(&witness->committed[thread], number + 1, __ATOMIC_RELEASE);
	return true;
}

static void begin(void)
{
	REQUIRE(flightrec_register(&provider) == 0);
	witness_ring(witness);
}

/* Runs it in a process of its own, which has to end well. */
static void in_child(const char *name, const char *ring_size, unsigned lanes, void (*body)(void))
{
	int status;

	oracle_environment(name, ring_size, lanes);
	witness_reset(witness);
	status = oracle_child(0, body);
	REQUIRE(status == 0, "%s: %#x", name, status);
}

static uint64_t all_committed(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < 2 * ORACLE_THREADS; i++)
		sum += witness->committed[i];
	return sum;
}

/* ------------------------------------------------------------------ signals */

#define STORMED 3

static __thread uint32_t own_stream;
static uint32_t stop;

static void in_handler(int signal_number)
{
	uint32_t stream = own_stream + STORMED;

	(void)signal_number;
	emit(stream, witness->committed[stream]);
}

static void *emit_in_a_storm(void *arg)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR2 };
	struct itimerspec often = { .it_interval = { 0, 30000 }, .it_value = { 0, 30000 } }, never = { 0 };
	timer_t timer;

	own_stream = *(uint32_t *)arg;
	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	REQUIRE(timer_settime(timer, 0, &often, NULL) == 0);
	for (uint64_t number = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED);)
		number += emit(own_stream, number);
	timer_settime(timer, 0, &never, NULL);
	return NULL;
}

static void storm(void)
{
	struct sigaction action = { .sa_handler = in_handler };
	uint32_t stream[STORMED] = { 0, 1, 2 };
	pthread_t thread[STORMED];

	begin();
	sigaction(SIGUSR2, &action, NULL);
	for (int i = 0; i < STORMED; i++)
		pthread_create(&thread[i], NULL, emit_in_a_storm, &stream[i]);
	oracle_sleep_us(1500000);
	while (__atomic_load_n(&witness->committed[STORMED], __ATOMIC_RELAXED) <= 100) /* a busy machine */
		oracle_sleep_us(10000);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < STORMED; i++)
		pthread_join(thread[i], NULL);
	flightrec_unregister(&provider);
}

static void test_I7_a_signal_handler_records_while_its_own_thread_records(void)
{
	struct verdict verdict;

	in_child("storm", "1M", 8, storm);
	verdict = oracle_judge(witness, 2 * STORMED, ORACLE_CLOSED);
	REQUIRE(verdict.torn == 0);
	REQUIRE(verdict.busy == witness->lost, "%llu, %llu", (unsigned long long)verdict.busy, (unsigned long long)witness->lost);
	REQUIRE(verdict.recovered + verdict.overwritten == all_committed(), "%llu + %llu, not %llu",
		(unsigned long long)verdict.recovered, (unsigned long long)verdict.overwritten, (unsigned long long)all_committed());
	printf("signal handlers recorded %llu events beside %llu of their threads\n",
	       (unsigned long long)(witness->committed[3] + witness->committed[4] + witness->committed[5]),
	       (unsigned long long)(witness->committed[0] + witness->committed[1] + witness->committed[2]));
	REQUIRE(witness->committed[3] > 100, "the storm did not blow");
}

/* ------------------------------------------------------------------ threads */

#define MANY 2000
#define EACH 10

#define SWARM(F) F(u32, thread, "") F(u32, number, "")
FLIGHTREC_EVENT(provider, swarm, FLIGHTREC_INFO, 0, SWARM)

static pthread_barrier_t all_there;
static unsigned char *swarm_done; /* shared with the test: MANY * EACH */

static void *one_of_many(void *arg)
{
	uint32_t thread = (uint32_t)(uintptr_t)arg;

	pthread_barrier_wait(&all_there);
	for (uint32_t number = 0; number < EACH; number++) {
		if (flightrec_emit_swarm(0, thread, number) == 1)
			swarm_done[thread * EACH + number] = 1;
		else
			__atomic_fetch_add(&witness->lost, 1, __ATOMIC_RELAXED);
		sched_yield();
	}
	pthread_barrier_wait(&all_there);
	return NULL;
}

static void swarm(void)
{
	static pthread_t thread[MANY];
	pthread_attr_t small;

	begin();
	pthread_barrier_init(&all_there, NULL, MANY);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (uintptr_t i = 0; i < MANY; i++)
		REQUIRE(pthread_create(&thread[i], &small, one_of_many, (void *)i) == 0, "thread %lu", (unsigned long)i);
	for (int i = 0; i < MANY; i++)
		pthread_join(thread[i], NULL);
	flightrec_unregister(&provider);
}

static void test_I7_two_thousand_threads_share_what_lanes_there_are(void)
{
	struct fr_image *image = NULL;
	uint64_t lost = 0, there = 0;

	swarm_done = oracle_shared(MANY * EACH);
	in_child("swarm", "16M", 8, swarm);
	REQUIRE(fr_image_open_path(witness->ring_path, 0, &image) == 0);
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		struct fr_event event;
		uint64_t at;

		fr_decode(image, fr_image_record(image, i), &event);
		REQUIRE(!strcmp(event.name, "swarm"));
		at = event.field[0].u * EACH + event.field[1].u;
		REQUIRE(at < MANY * EACH && swarm_done[at] == 1, "thread %llu, number %llu", (unsigned long long)event.field[0].u,
			(unsigned long long)event.field[1].u);
		swarm_done[at] = 2;
		there++;
	}
	for (size_t i = 0; i < MANY * EACH; i++)
		REQUIRE(swarm_done[i] != 1, "thread %zu, number %zu was recorded and is not there", i / EACH, i % EACH);
	for (size_t i = 0; i < fr_image_loss_count(image); i++) {
		REQUIRE(fr_image_loss(image, i)->cause == FRM_LOSS_DISCARDED_BUSY, "%s", fr_loss_name(fr_image_loss(image, i)->cause));
		lost += fr_image_loss(image, i)->count;
	}
	REQUIRE(lost == witness->lost && there + lost == MANY * EACH, "%llu there, %llu lost", (unsigned long long)there,
		(unsigned long long)lost);
	printf("2,000 threads: %llu events, %llu discarded because no lane was free\n", (unsigned long long)there,
	       (unsigned long long)lost);
	fr_image_close(image);
}

static void *a_short_life(void *arg)
{
	uint32_t stream = *(uint32_t *)arg;

	for (int i = 0; i < 3; i++)
		REQUIRE(emit(stream, witness->committed[stream]));
	return NULL;
}

static void generations(void)
{
	begin();
	for (int round = 0; round < 1000; round++) {
		uint32_t stream[4] = { 0, 1, 2, 3 };
		pthread_t thread[4];

		for (int i = 0; i < 4; i++)
			pthread_create(&thread[i], NULL, a_short_life, &stream[i]);
		for (int i = 0; i < 4; i++)
			pthread_join(thread[i], NULL);
	}
	flightrec_unregister(&provider);
}

static void test_I5_lanes_change_hands_and_nothing_is_lost_by_it(void)
{
	struct verdict verdict;

	in_child("generations", "16M", 8, generations);
	verdict = oracle_judge(witness, 4, ORACLE_NEVER_LAPPED | ORACLE_CLOSED);
	REQUIRE(verdict.recovered == 4 * 3 * 1000 && verdict.torn == 0);
}

static void *until_cancelled(void *arg)
{
	uint32_t stream = *(uint32_t *)arg;
	/* the one before may have committed one that it did not live to say: leave its number alone */
	uint64_t first = witness->committed[stream] + 1;

	__atomic_store_n(&witness->committed[stream], first, __ATOMIC_RELEASE); /* nor is the first of these used again */
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	for (uint64_t number = first;; number++) {
		char text[256];

		oracle_text(stream, number, text);
		flightrec_emit_oracle(0, stream, number, text);
		__atomic_fetch_add(&witness->in_reserve[stream], 1, __ATOMIC_RELAXED); /* how many are certain */
		__atomic_store_n(&witness->committed[stream], number + 1, __ATOMIC_RELEASE);
		while (number > first + 500) /* or no ring could hold it all */
			__asm__ volatile("");
	}
	return NULL;
}

#define CANCELLED 400

static void cancellations(void)
{
	uint64_t seed = (uint64_t)time(NULL);

	begin();
	for (int round = 0; round < CANCELLED; round++) {
		uint32_t stream[2] = { 0, 1 };
		pthread_t thread[2];

		for (int i = 0; i < 2; i++)
			pthread_create(&thread[i], NULL, until_cancelled, &stream[i]);
		for (int i = 0; i < 2; i++) {
			oracle_sleep_us(oracle_random(&seed) % 50);
			pthread_cancel(thread[i]);
			pthread_join(thread[i], NULL);
		}
	}
	/* whoever comes now covers what the last ones left */
	for (uint32_t i = 2; i < 10; i++) {
		pthread_t thread;

		pthread_create(&thread, NULL, a_short_life, &i);
		pthread_join(thread, NULL);
	}
	flightrec_unregister(&provider);
}

static void test_I3_a_cancelled_thread_costs_at_most_its_own_record(void)
{
	struct fr_image *image = NULL;
	struct verdict verdict;
	uint64_t there[2] = { 0 };

#ifdef __SANITIZE_ADDRESS__
	/* the frames that an asynchronous cancellation leaves stay poisoned, and the sanitizer's own exit of the thread meets them */
	printf("threads are not cancelled under the address sanitizer: it can't follow\n");
	return;
#endif
	in_child("cancel", "128M", 6, cancellations);
	verdict = oracle_judge(witness, 10, ORACLE_CLOSED);
	REQUIRE(verdict.overwritten == 0, "the ring is too small for this test");
	REQUIRE(fr_image_open_path(witness->ring_path, 0, &image) == 0);
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		struct fr_event event;

		fr_decode(image, fr_image_record(image, i), &event);
		if (event.field[0].u < 2)
			there[event.field[0].u]++;
	}
	fr_image_close(image);
	unlink(witness->ring_path);
	for (int i = 0; i < 2; i++)
		REQUIRE(there[i] >= witness->in_reserve[i], "stream %d: %u were committed, %llu are there", i, witness->in_reserve[i],
			(unsigned long long)there[i]);
	printf("%d threads cancelled: %llu events, %llu torn\n", 2 * CANCELLED, (unsigned long long)verdict.recovered,
	       (unsigned long long)verdict.torn);
}

/* ------------------------------------------------------------------ processes */

static void *emit_until_stop(void *arg)
{
	uint32_t stream = *(uint32_t *)arg;

	for (uint64_t number = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); number++)
		REQUIRE(emit(stream, number));
	return NULL;
}

static struct witness *childs;

static void forks(void)
{
	uint32_t stream[2] = { 0, 1 };
	struct flightrec_slot slot;
	pthread_t thread[2];
	void *space;

	begin();
	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, emit_until_stop, &stream[i]);
	emit(2, 0);
	for (int round = 0; round < 40; round++) {
		int status;
		pid_t pid;

		space = flightrec_reserve(&slot, &flightrec_event_oracle, 0, 24); /* a fork in the middle of a record */
		REQUIRE(space);
		pid = fork();
		if (pid == 0) {
			witness = childs;
			witness_reset(witness);
			for (uint64_t number = 0; number < 50; number++)
				REQUIRE(emit(3, number));
			witness_ring(witness);
			_exit(0);
		}
		flightrec_discard(&slot);
		emit(2, witness->committed[2]);
		REQUIRE(waitpid(pid, &status, 0) == pid && status == 0, "%#x", status);
		REQUIRE(strcmp(childs->ring_path, witness->ring_path), "parent and child share a ring");
		REQUIRE(oracle_judge(childs, 4, ORACLE_NEVER_LAPPED).recovered == 50);
		unlink(childs->ring_path);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	flightrec_unregister(&provider);
}

static void test_after_fork_the_child_has_a_ring_of_its_own(void)
{
	struct verdict verdict;

	childs = witness_new();
	in_child("fork", "1M", 8, forks);
	verdict = oracle_judge(witness, 3, ORACLE_OWN_LANES | ORACLE_CLOSED);
	REQUIRE(verdict.torn == 0 && witness->committed[2] == 41);
}

static void vforks(void)
{
	char *const arguments[] = { "true", NULL };
	uint32_t stream = 0;
	pthread_t thread;
	int status;

	begin();
	pthread_create(&thread, NULL, emit_until_stop, &stream);
	for (volatile int round = 0; round < 40; round++) {
		pid_t pid = vfork();

		if (pid == 0) {
			emit(1, witness->committed[1]); /* as the parent's thread, into the parent's ring */
			execv("/bin/true", arguments);
			_exit(1);
		}
		emit(1, witness->committed[1]);
		REQUIRE(waitpid(pid, &status, 0) == pid && status == 0, "%#x", status);
		REQUIRE(posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, NULL) == 0);
		REQUIRE(waitpid(pid, &status, 0) == pid && status == 0, "%#x", status);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	flightrec_unregister(&provider);
}

static void test_vfork_and_exec_leave_the_ring_alone(void)
{
	struct verdict verdict;

	in_child("vfork", "1M", 8, vforks);
	verdict = oracle_judge(witness, 2, ORACLE_OWN_LANES | ORACLE_CLOSED);
	REQUIRE(verdict.torn == 0 && witness->committed[1] == 80);
}

/* ------------------------------------------------------------------ libraries */

static void plugins(void)
{
	char path[4096];
	const char *build = getenv("FR_BUILD");

	snprintf(path, sizeof(path), "%s/tests/crash/plugin.so", build ? build : "build");
	for (uint32_t round = 0; round < 100; round++) {
		void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		int (*run)(uint32_t);
		int (*get_status)(struct flightrec_status *);
		struct flightrec_status status = { .size = sizeof(status) };

		REQUIRE(handle, "%s", dlerror());
		run = (int (*)(uint32_t))dlsym(handle, "plugin_run");
		get_status = (int (*)(struct flightrec_status *))dlsym(handle, "flightrec_get_status");
		REQUIRE(run && get_status);
		REQUIRE(run(round) == 1);
		REQUIRE(get_status(&status) == 0 && status.error == 0);
		REQUIRE(round == 0 || !strcmp(witness->ring_path, status.ring_path), "a new ring after dlclose");
		memcpy(witness->ring_path, status.ring_path, sizeof(witness->ring_path));
		REQUIRE(dlclose(handle) == 0);
	}
}

static void test_plugins_come_and_go(void)
{
	struct fr_image *image = NULL;

	in_child("plugin", "256K", 0, plugins);
	REQUIRE(fr_image_open_path(witness->ring_path, 0, &image) == 0);
	REQUIRE(fr_image_record_count(image) == 100, "%zu", fr_image_record_count(image));
	for (size_t i = 0; i < 100; i++) {
		struct fr_event event;

		fr_decode(image, fr_image_record(image, i), &event);
		REQUIRE(!strcmp(event.provider, "test.plugin") && !strcmp(event.name, "loaded") && event.field[0].u == i);
	}
	REQUIRE(fr_image_state(image)->closed_boot_ns);
	fr_image_close(image);
}

int main(void)
{
	witness = witness_new();
	test_I7_a_signal_handler_records_while_its_own_thread_records();
	test_I7_two_thousand_threads_share_what_lanes_there_are();
	test_I5_lanes_change_hands_and_nothing_is_lost_by_it();
	test_I3_a_cancelled_thread_costs_at_most_its_own_record();
	test_after_fork_the_child_has_a_ring_of_its_own();
	test_vfork_and_exec_leave_the_ring_alone();
	test_plugins_come_and_go();
	return 0;
}
