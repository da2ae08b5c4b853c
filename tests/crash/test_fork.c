/* SPDX-License-Identifier: MIT */
/*
 * test_fork.c - what a fork, a jump and a cancelled thread leave behind in the process: whose lane is whose, what is
 * locked, what errno says. Deterministic: no storms, each case makes the one interleaving that it is about.
 */
#include "tests/crash/oracle.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

FLIGHTREC_PROVIDER(provider, "test.fork", "44444444-2222-3333-4444-555555555555", 1, 0);
FLIGHTREC_PROVIDER(second, "test.second", "44444444-2222-3333-4444-666666666666", 1, 0);

#define NUMBER(F) F(u64, number, "")
FLIGHTREC_EVENT(provider, number, FLIGHTREC_INFO, 0, NUMBER)
FLIGHTREC_EVENT(second, other, FLIGHTREC_INFO, 0, NUMBER)

static char *path; /* of the ring to look at; shared */

static void note_ring(void)
{
	struct flightrec_status status = { .size = sizeof(status) };

	REQUIRE(flightrec_get_status(&status) == 0 && status.error == 0);
	strcpy(path, status.ring_path);
}

static void in_child(const char *name, void (*body)(void))
{
	int status;

	oracle_environment(name, "1M", 8);
	status = oracle_child(250, body);
	REQUIRE(status == 0, "%s: %#x", name, status);
}

static struct fr_image *image_of_ring(void)
{
	struct fr_image *image = NULL;
	int r = fr_image_open_path(path, 0, &image);

	REQUIRE(r == 0, "%s: %s", path, fr_image_strerror(r));
	return image;
}

static uint64_t losses(const struct fr_image *image, enum frm_loss cause)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < fr_image_loss_count(image); i++)
		if (fr_image_loss(image, i)->cause == cause)
			sum += fr_image_loss(image, i)->count;
	return sum;
}

/* ------------------------------------------------------------------ fork */

static pthread_barrier_t both;

static void *first_in_child(void *arg)
{
	flightrec_emit_number(0, 1); /* makes the child's ring, and takes its first lane */
	pthread_barrier_wait(&both);
	pthread_barrier_wait(&both);
	flightrec_emit_number(0, 3);
	return arg;
}

/* The forking thread points at a lane of the parent's still when another thread has made the child's ring. */
static void fork_then_threads(void)
{
	pthread_t thread;
	int status;
	pid_t pid;

	REQUIRE(flightrec_register(&provider) == 0);
	flightrec_emit_number(0, 0);
	pid = fork();
	if (pid == 0) {
		pthread_barrier_init(&both, NULL, 2);
		pthread_create(&thread, NULL, first_in_child, NULL);
		pthread_barrier_wait(&both);
		flightrec_emit_number(0, 2);
		pthread_barrier_wait(&both);
		pthread_join(thread, NULL);
		note_ring();
		exit(0);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
}

static void test_I7_a_stale_lane_is_not_written_after_fork(void)
{
	struct fr_image *image;
	uint32_t tid[8] = { 0 };

	in_child("stale", fork_then_threads);
	image = image_of_ring();
	REQUIRE(fr_image_record_count(image) == 3, "%zu", fr_image_record_count(image));
	for (size_t i = 0; i < 3; i++) {
		const struct fr_record *record = fr_image_record(image, i);

		REQUIRE(!tid[record->lane] || tid[record->lane] == record->tid, "two threads wrote lane %u", record->lane);
		tid[record->lane] = record->tid;
	}
	fr_image_close(image);
}

static void emit_in_handler(int signal_number)
{
	(void)signal_number;
	flightrec_emit_number(0, 77);
}

/* A handler that emits while its own thread makes the child's ring must not wait for that. */
static void fork_then_handler(void)
{
	struct itimerval often = { { 0, 200 }, { 0, 200 } }, never = { 0 };
	int status;
	pid_t pid;

	setenv("FLIGHTREC_RING_SIZE", "16M", 1);
	REQUIRE(flightrec_register(&provider) == 0);
	pid = fork();
	if (pid == 0) {
		alarm(250);
		signal(SIGVTALRM, emit_in_handler);
		setitimer(ITIMER_VIRTUAL, &often, NULL);
		flightrec_emit_number(0, 1);
		setitimer(ITIMER_VIRTUAL, &never, NULL);
		note_ring();
		exit(0);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid && status == 0, "%#x", status);
}

static void test_I3_a_handler_does_not_wait_for_the_ring_its_thread_makes(void)
{
	struct fr_image *image;

	in_child("handler", fork_then_handler);
	image = image_of_ring();
	REQUIRE(fr_image_record_count(image) >= 1);
	fr_image_close(image);
}

/* A child that goes on inside an emit of its parent's leaves the parent's record alone. */
static void fork_with_slot(void)
{
	static struct flightrec_event raw = { .size = sizeof(raw), .provider = &provider, .name = "raw", .level = FLIGHTREC_INFO };
	struct flightrec_slot slot;
	void *payload;
	int status;
	pid_t pid;

	REQUIRE(flightrec_register(&provider) == 0);
	note_ring();
	payload = flightrec_reserve(&slot, &raw, 0, 8);
	REQUIRE(payload != NULL);
	memset(payload, 0x11, 8);
	pid = fork();
	if (pid == 0) {
		sleep(1);
		flightrec_commit(&slot); /* after the parent has */
		_exit(0);
	}
	flightrec_commit(&slot);
	REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
}

static void test_I2_a_forked_child_commits_nothing_of_its_parents(void)
{
	struct fr_image *image;

	in_child("slot", fork_with_slot);
	image = image_of_ring();
	REQUIRE(fr_image_record_count(image) == 1, "the child spoiled its parent's record");
	fr_image_close(image);
}

/* ------------------------------------------------------------------ jumps */

static sigjmp_buf back;

static void jump_away(int signal_number)
{
	(void)signal_number;
	siglongjmp(back, 1);
}

/* Emits, and is interrupted between reserve and commit as often as wanted: the text's bytes are fetched there. */
#define TEXT(F) F(bytes, text, "")
FLIGHTREC_EVENT(provider, text, FLIGHTREC_INFO, 0, TEXT)

static void jumps(void)
{
	char *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct sigaction action = { .sa_handler = jump_away, .sa_flags = SA_NODEFER };

	REQUIRE(flightrec_register(&provider) == 0);
	note_ring();
	flightrec_emit_text(0, "x", 1);
	sigaction(SIGSEGV, &action, NULL);
	for (volatile int i = 0; i < 100; i++) {
		if (sigsetjmp(back, 1) == 0)
			flightrec_emit_text(0, nowhere, 100); /* reserved; then the copy faults */
		REQUIRE(flightrec_emit_number(0, (uint64_t)i) == 1);
	}
}

static void test_I7_a_jump_out_of_an_emit_costs_one_record(void)
{
	struct fr_image *image;

	in_child("jumps", jumps);
	image = image_of_ring();
	REQUIRE(fr_image_record_count(image) == 101, "%zu", fr_image_record_count(image));
	for (size_t i = 0; i < 101; i++)
		REQUIRE(fr_image_record(image, i)->lane == fr_image_record(image, 0)->lane, "the thread lost its lane");
	REQUIRE(losses(image, FRM_LOSS_TORN) == 100, "%llu", (unsigned long long)losses(image, FRM_LOSS_TORN));
	fr_image_close(image);
}

/* ------------------------------------------------------------------ errno, cancellation */

static void errno_and_cancel(void)
{
	static struct flightrec_provider *volatile made; /* its memory stays */
	int error, state;

	errno = 4711;
	REQUIRE(flightrec_register(&provider) == 0 && errno == 4711, "%d", errno);
	REQUIRE(flightrec_emit_number(0, 1) == 1 && errno == 4711, "%d", errno);
	made = flightrec_provider_open("44444444-2222-3333-4444-777777777777", "test.made", 1, 0, &error);
	REQUIRE(made && errno == 4711, "%d", errno);
	flightrec_unregister(made);
	flightrec_unregister(&provider);
	REQUIRE(errno == 4711, "%d", errno);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
	REQUIRE(state == PTHREAD_CANCEL_ENABLE);
}

static void test_errno_stays(void)
{
	in_child("errno", errno_and_cancel);
}

static void *register_when_cancelled(void *arg)
{
	pthread_cancel(pthread_self());
	flightrec_register(&provider); /* full of cancellation points; none of them may leave the lock behind */
	pthread_testcancel();
	return arg;
}

static void cancelled_register(void)
{
	pthread_t thread;
	void *result;

	pthread_create(&thread, NULL, register_when_cancelled, NULL);
	pthread_join(thread, &result);
	REQUIRE(result == PTHREAD_CANCELED);
	REQUIRE(flightrec_register(&second) == 0);
	REQUIRE(flightrec_emit_other(0, 1) == 1);
	REQUIRE(flightrec_emit_number(0, 1) == 1);
}

static void test_I3_a_cancelled_registration_blocks_nobody(void)
{
	in_child("cancelled", cancelled_register);
}

int main(void)
{
	path = oracle_shared(4096);
	test_I7_a_stale_lane_is_not_written_after_fork();
	test_I3_a_handler_does_not_wait_for_the_ring_its_thread_makes();
	test_I2_a_forked_child_commits_nothing_of_its_parents();
	test_I7_a_jump_out_of_an_emit_costs_one_record();
	test_errno_stays();
	test_I3_a_cancelled_registration_blocks_nobody();
	return 0;
}
