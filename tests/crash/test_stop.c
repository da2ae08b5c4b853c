/* SPDX-License-Identifier: MIT */
/*
 * test_stop.c - writers that die or sleep between reserve and commit, on purpose and deterministically.
 */
#include "tests/crash/oracle.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/wait.h>
#include <time.h>

FLIGHTREC_PROVIDER(provider, "test.stop", "22222222-2222-3333-4444-555555555555", 1, 0);
FLIGHTREC_EVENT(provider, oracle, FLIGHTREC_INFO, 0, ORACLE_FIELDS)

static struct witness *witness;

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
	space = flightrec_reserve(&slot, &flightrec_event_oracle, 0, 120);
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

/*
 * At random instants (at each testpoint: tests/crash/points/): a signal stops one thread in its
 * tracks while three others lap.
 */
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

/* Signals reach it from here on: stopped at its start, it could hold what a sanitizer's allocator needs to start others. */
static void *write_on_and_be_stopped(void *arg)
{
	sigset_t stops;

	sigemptyset(&stops);
	sigaddset(&stops, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &stops, NULL);
	return write_on(arg);
}

static void stopped_at_random(void)
{
	struct writer sleeper = { 0, 0 };
	pthread_t sleeping, other[3];
	uint64_t seed = (uint64_t)time(NULL);
	struct sigaction action = { .sa_handler = sleep_here };
	sigset_t stops;

	REQUIRE(flightrec_register(&provider) == 0);
	witness_ring(witness);
	sem_init(&go_on, 0, 0);
	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&stops);
	sigaddset(&stops, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &stops, NULL);
	pthread_create(&sleeping, NULL, write_on_and_be_stopped, &sleeper);
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
	test_I4_a_thread_that_stands_still_anywhere_in_an_emit_damages_nothing();
	return 0;
}
