/* SPDX-License-Identifier: MIT */
/*
 * test_stop_points.c - a thread that comes to a testpoint of an emit stays there (stopped by a
 * tracer, as gdb would), is cancelled there, is jumped out of, or is interrupted by a handler that
 * records, too. Meanwhile or afterwards two others fill their lanes three times, and a thread that
 * comes later takes over. Nothing but the record it was in is lost, and no lane.
 *
 * Its lanes are the two of another thread that ended inside two records, so that taking a lane over
 * is interrupted, too.
 */
#include <pthread.h>
#include <setjmp.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/crash/points/life.h"
#include "tests/lib/torture.h"

#define LAPPERS 2
#define ROUNDS	9 /* of the victim: so few that its lanes don't lap */

enum deed { STOP, CANCEL, JUMP, RECORD, DEEDS };
static const char *const deed_name[] = { "stopped", "cancelled", "jumped out of",
					 "interrupted by a handler that records" };

/* Shared with the test. */
static struct control {
	int32_t victim;	   /* its thread number, when it waits to begin */
	uint32_t begin;	   /* it may */
	uint32_t laps_due; /* the others shall fill their lanes three times */
	uint32_t lapped;   /* ... have */
	uint32_t struck;   /* the testpoint was reached */
	/* records of the victim after the deed, and of its successor, that found no lane */
	uint32_t refused;
} *control;
static struct witness *witness;
static struct noise *noise;

static enum deed deed;
static pthread_t victim;
static sigjmp_buf back;

static void wait_for(const uint32_t *flag, uint32_t value)
{
	while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) < value)
		oracle_sleep_us(50);
}

static void at_testpoint(int signal_number)
{
	(void)signal_number;
	if (!pthread_equal(pthread_self(), victim))
		return;
	__atomic_store_n(&control->struck, 1, __ATOMIC_RELEASE);
	if (deed == CANCEL)
		/* of the asynchronous kind: here and now, where that is allowed at all */
		pthread_cancel(pthread_self());
	if (deed == JUMP)
		siglongjmp(back, 1);
	if (deed == RECORD)
		for (int i = 0; i < 2; i++)
			life_noise(noise);
}

static void one_round(unsigned round)
{
	if (round % 3 == 0)
		(void)!life_noise(noise);
	else if (round % 3 == 1)
		life_nested(noise);
	else
		life_jump(round / 3);
}

/* Afterwards its lane is its own, and one can be borrowed. */
static void rounds(void)
{
	volatile unsigned round = 0;

	while (round < ROUNDS) {
		unsigned now = round++;

		if (!sigsetjmp(back, 1))
			one_round(now);
	}
	for (int i = 0; i < 2; i++)
		control->refused += !life_noise(noise);
	control->refused += !life_nested(noise);
}

static void *be_victim(void *arg)
{
	(void)arg;
	victim = pthread_self();
	if (deed == CANCEL)
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	__atomic_store_n(&control->victim, (int32_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	wait_for(&control->begin, 1);
	rounds();
	return NULL;
}

static void *be_corpse(void *arg)
{
	(void)arg;
	life_leave_two_open();
	return NULL;
}

static void *lap(void *arg)
{
	uint32_t number = (uint32_t)(uintptr_t)arg;

	REQUIRE(life_emit(witness, number));
	__atomic_fetch_add(&witness->ready, 1, __ATOMIC_RELEASE);
	wait_for(&control->laps_due, 1);
	while (witness->committed[number] < 400) /* three laps of a lane of some 9 KiB */
		REQUIRE(life_emit(witness, number));
	__atomic_fetch_add(&control->lapped, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void process(const char *wanted)
{
	struct sigaction action = { .sa_handler = at_testpoint };
	pthread_t lapper[LAPPERS], thread;

	life_begin(witness);
	sigaction(SIGUSR1, &action, NULL);
	for (uintptr_t i = 0; i < LAPPERS; i++)
		REQUIRE(pthread_create(&lapper[i], NULL, lap, (void *)i) == 0);
	wait_for(&witness->ready, LAPPERS);
	REQUIRE(pthread_create(&thread, NULL, be_corpse, NULL) == 0);
	pthread_join(thread, NULL);

	setenv("FLIGHTREC_TESTPOINT", wanted, 1);
	REQUIRE(pthread_create(&thread, NULL, be_victim, NULL) == 0);
	pthread_join(thread, NULL);
	__atomic_store_n(&control->laps_due, 1, __ATOMIC_RELEASE); /* if nobody said so yet */
	for (int i = 0; i < LAPPERS; i++)
		pthread_join(lapper[i], NULL);
	unsetenv("FLIGHTREC_TESTPOINT");
	deed = DEEDS;
	REQUIRE(pthread_create(&thread, NULL, be_victim, NULL) == 0); /* its successor */
	pthread_join(thread, NULL);
	life_end();
}

static void judge(unsigned flags, const char *where)
{
	struct verdict verdict;

	fprintf(stderr, "%s\n", where); /* shown when it fails */
	verdict = oracle_judge(witness, LAPPERS, ORACLE_OWN_LANES | ORACLE_EXTRA | flags);
	REQUIRE(verdict.laps >= 3, "%llu laps", (unsigned long long)verdict.laps);
	life_judge_noise(witness, noise, false);
}

/* Stopped as gdb would: that one thread. True when it was; it goes on then. */
static bool stop_it(pid_t pid, const char *where)
{
	pid_t thread;
	int status;

	while (!(thread = __atomic_load_n(&control->victim, __ATOMIC_ACQUIRE)))
		oracle_sleep_us(50);
	REQUIRE(ptrace(PTRACE_SEIZE, thread, NULL, NULL) == 0, "%s", strerror(errno));
	__atomic_store_n(&control->begin, 1, __ATOMIC_RELEASE);
	REQUIRE(waitpid(thread, &status, __WALL) == thread);
	if (WIFEXITED(status))
		return false;
	REQUIRE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGUSR1, "%#x", status);
	__atomic_store_n(&control->laps_due, 1, __ATOMIC_RELEASE);
	wait_for(&control->lapped, LAPPERS);
	judge(0, where); /* had all died there */
	/* without the signal */
	REQUIRE(ptrace(PTRACE_DETACH, thread, NULL, NULL) == 0, "%s", strerror(errno));
	(void)pid;
	return true;
}

static bool run(const char *point, unsigned n)
{
	char wanted[80], where[128];
	bool struck = false;
	int status;
	pid_t pid;

	snprintf(wanted, sizeof(wanted), "%.47s:%u:usr1", point, n);
	snprintf(where, sizeof(where), "%.47s:%u, %s", point, n, deed_name[deed]);
	oracle_environment("stops", "64K", 4);
	witness_reset(witness);
	memset(noise, 0, sizeof(*noise));
	memset(control, 0, sizeof(*control));
	control->begin = deed != STOP;
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		process(wanted);
		_exit(0);
	}
	if (deed == STOP)
		struck = stop_it(pid, where);
	REQUIRE(waitpid(pid, &status, 0) == pid && status == 0, "%s: %#x", where, status);
	judge(ORACLE_CLOSED, where);
	REQUIRE(!control->refused, "%s: %u records found no lane afterwards", where, control->refused);
	unlink(witness->ring_path);
	return struck || control->struck;
}

static bool applies(const char *point)
{
	/* where a thread ends there is nothing to jump back to, nothing left to cancel, and no victim */
	return strcmp(point, "lane-dated") && strcmp(point, "lane-left") && strncmp(point, "refusal-", 8);
}

static void test_I4_a_thread_that_stays_or_ends_at_any_testpoint_damages_nothing(void)
{
	static char point[256][48];
	size_t points = life_points("emit", point, 256), runs[DEEDS] = { 0 };

	for (deed = STOP; deed < DEEDS; deed++) {
		for (size_t p = 0; p < points; p++) {
			unsigned most = torture_full() ? 30 : 1 + (p + deed) % 3, n = 1;

			if (!applies(point[p]))
				continue;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
			if (deed == CANCEL) /* they can't follow a thread that is cancelled asynchronously */
				continue;
#endif
			while (n <= most && run(point[p], n))
				n++;
			REQUIRE(n > 1, "%s is never reached", point[p]);
			runs[deed] += n - 1;
		}
	}
	torture_row("stopped writers: threads at every testpoint",
		    runs[STOP] + runs[CANCEL] + runs[JUMP] + runs[RECORD], "runs",
		    "%zu stopped by a tracer for three laps, %zu cancelled, %zu jumped out of,"
		    " %zu interrupted by a handler that records",
		    runs[STOP], runs[CANCEL], runs[JUMP], runs[RECORD]);
}

int main(void)
{
	witness = witness_new();
	noise = oracle_shared(sizeof(*noise));
	control = oracle_shared(sizeof(*control));
	test_I4_a_thread_that_stays_or_ends_at_any_testpoint_damages_nothing();
	return 0;
}
