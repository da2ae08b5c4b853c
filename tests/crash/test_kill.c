/* SPDX-License-Identifier: MIT */
/*
 * test_kill.c - kills writers at random instants, a hundred times (2,000 under torture): one to
 * four processes with several threads each, rings that lap, and the oracle of oracle.h over what
 * they leave. KILL_RUNS and KILL_SEED choose otherwise.
 */
#include "tests/crash/oracle.h"

#include <pthread.h>
#include <sys/wait.h>

#include "tests/lib/torture.h"

FLIGHTREC_PROVIDER(provider, "test.kill", "11111111-2222-3333-4444-555555555555", 1, 0);
FLIGHTREC_EVENT(provider, oracle, FLIGHTREC_INFO, 0, ORACLE_FIELDS)

struct writer {
	struct witness *witness;
	uint32_t thread;
};

static void commit_seen(struct witness *witness, uint32_t thread, uint64_t number)
{
	__atomic_store_n(&witness->committed[thread], number + 1, __ATOMIC_RELEASE);
}

/* Now and then space is reserved, thought over, and given back. */
static void change_its_mind(uint64_t number)
{
	struct flightrec_slot slot;
	char *space = flightrec_reserve(&slot, &flightrec_event_oracle, 0, 16 + number % 3000);

	if (!space)
		return;
	memset(space, 'x', 16);
	flightrec_discard(&slot);
}

static void *write_on(void *arg)
{
	struct writer *w = arg;
	char text[256];

	for (uint64_t number = 0;; number++) {
		oracle_text(w->thread, number, text);
		if (flightrec_emit_oracle(0, w->thread, number, text) != 1) {
			__atomic_fetch_add(&w->witness->lost, 1, __ATOMIC_RELAXED);
			number--;
			continue;
		}
		commit_seen(w->witness, w->thread, number);
		if (number == 0)
			__atomic_fetch_add(&w->witness->ready, 1, __ATOMIC_RELEASE);
		if (number % 97 == 96)
			change_its_mind(number);
	}
	return NULL;
}

static void writer_process(struct witness *witness, unsigned threads)
{
	struct writer w[ORACLE_THREADS];
	pthread_t id;

	REQUIRE(flightrec_register(&provider) == 0);
	witness_ring(witness);
	for (unsigned i = 0; i < threads; i++) {
		w[i] = (struct writer){ witness, i };
		REQUIRE(i + 1 == threads || pthread_create(&id, NULL, write_on, &w[i]) == 0);
	}
	write_on(&w[threads - 1]);
}

struct plan {
	unsigned processes, threads;
	const char *ring_size;
	unsigned lanes, flags;
};

static uint64_t laps, recovered, torn, killed, lapped_twice;

static void run(const struct plan *plan, uint64_t *seed, struct witness *witness[4])
{
	pid_t pid[4];
	int status;

	oracle_environment("kill", plan->ring_size, plan->lanes);
	for (unsigned i = 0; i < plan->processes; i++) {
		witness_reset(witness[i]);
		pid[i] = fork();
		REQUIRE(pid[i] >= 0, "%s", strerror(errno));
		if (pid[i] == 0) {
			writer_process(witness[i], plan->threads);
			_exit(1);
		}
	}
	for (unsigned i = 0; i < plan->processes; i++) {
		/* some die while they begin, most some milliseconds later, when their rings have lapped */
		bool early = oracle_random(seed) % 16 == 0;

		while (!early && __atomic_load_n(&witness[i]->ready, __ATOMIC_ACQUIRE) < plan->threads) {
			REQUIRE(waitpid(pid[i], &status, WNOHANG) == 0, "writer ended by itself: %#x", status);
			oracle_sleep_us(100);
		}
		oracle_sleep_us(oracle_random(seed) % (early ? 2000 : 20000));
		REQUIRE(kill(pid[i], SIGKILL) == 0);
		REQUIRE(waitpid(pid[i], &status, 0) == pid[i] && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
			"writer ended by itself: %#x", status);
	}
	for (unsigned i = 0; i < plan->processes; i++) {
		struct verdict verdict;

		if (!witness[i]->ring_path[0]) /* killed before it had a ring */
			continue;
		verdict = oracle_judge(witness[i], plan->threads, plan->flags);
		REQUIRE(verdict.torn <= plan->threads, "%llu torn records of %u threads", (unsigned long long)verdict.torn, plan->threads);
		killed++;
		torn += verdict.torn;
		recovered += verdict.recovered;
		laps += verdict.laps;
		lapped_twice += verdict.laps >= 2;
		unlink(witness[i]->ring_path);
	}
}

static void test_I3_a_killed_writer_costs_at_most_its_own_record(void)
{
	static const struct plan plans[] = {
		{ 1, 1, "64K", 2, ORACLE_OWN_LANES },  { 1, 4, "512K", 6, ORACLE_OWN_LANES },
		{ 2, 2, "128K", 4, ORACLE_OWN_LANES }, { 3, 3, "256K", 5, ORACLE_OWN_LANES },
		{ 4, 2, "128K", 4, ORACLE_OWN_LANES }, { 2, 8, "256K", 4, 0 }, /* more threads than lanes */
		{ 1, 3, "64K", 2, 0 },		       { 4, 1, "64K", 0, ORACLE_OWN_LANES },
	};
	const char *runs = getenv("KILL_RUNS"), *wanted = getenv("KILL_SEED");
	uint64_t seed = wanted ? strtoull(wanted, NULL, 0) : ((uint64_t)getpid() << 32 | (uint64_t)time(NULL));
	struct witness *witness[4];
	int count = runs ? atoi(runs) : (int)torture_count(100, 2000);

	for (int i = 0; i < 4; i++)
		witness[i] = witness_new();
	for (int i = 0; i < count; i++) {
		fprintf(stderr, "run %d: KILL_SEED=%llu\n", i, (unsigned long long)seed); /* shown when it fails */
		run(&plans[i % (sizeof(plans) / sizeof(*plans))], &seed, witness);
	}
	REQUIRE(lapped_twice * 8 > killed, "the rings hardly lapped");
	torture_row(
		"kill at random instants", (unsigned)count, "runs",
		"%llu writers killed: %llu events recovered, %llu torn, %llu rings lapped at least twice",
		(unsigned long long)killed, (unsigned long long)recovered, (unsigned long long)torn,
		(unsigned long long)lapped_twice);
}

int main(void)
{
	test_I3_a_killed_writer_costs_at_most_its_own_record();
	return 0;
}
