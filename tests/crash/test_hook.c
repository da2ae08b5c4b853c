/* SPDX-License-Identifier: MIT */
/*
 * test_hook.c - the hook for fatal signals where it is easily wrong: installed by many threads at once, on signals that
 * are ignored, with a signal stack too small for it, over a handler that recovers or faults, in threads that come and go.
 */
#include "tests/crash/oracle.h"

#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* A sanitizer's own handlers would come first. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigtrap=0:use_sigaltstack=0";
}

static char *path; /* shared */

static size_t crashes(void)
{
	struct fr_image *image = NULL;
	size_t count = 0;
	struct fr_event event;

	REQUIRE(fr_image_open_path(path, 0, &image) == 0, "%s", path);
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		fr_decode(image, fr_image_record(image, i), &event);
		count += strcmp(event.name, "fr.crash") == 0;
	}
	fr_image_close(image);
	return count;
}

static bool closed(void)
{
	struct fr_image *image = NULL;
	bool is;

	REQUIRE(fr_image_open_path(path, 0, &image) == 0, "%s", path);
	is = fr_image_state(image)->closed_boot_ns != 0;
	fr_image_close(image);
	return is;
}

/* Runs it in a process of its own. Returns how that ended. */
static int ends(const char *name, void (*body)(void))
{
	oracle_environment(name, "256K", 0);
	return oracle_child(250, body);
}

static void hook(void)
{
	struct flightrec_status status = { .size = sizeof(status) };

	REQUIRE(flightrec_record_crashes() == 0);
	REQUIRE(flightrec_get_status(&status) == 0 && status.error == 0);
	strcpy(path, status.ring_path);
}

static void fault(void)
{
	volatile int *volatile nowhere = (volatile int *)8;

	*nowhere = 1;
}

static bool died_of(int status, int signal_number)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == signal_number;
}

static pthread_barrier_t together;

static void *hook_together(void *arg)
{
	pthread_barrier_wait(&together);
	REQUIRE(flightrec_record_crashes() == 0);
	return arg;
}

static void many_at_once(void)
{
	pthread_t thread[8];

	pthread_barrier_init(&together, NULL, 8);
	for (int i = 0; i < 8; i++)
		pthread_create(&thread[i], NULL, hook_together, NULL);
	for (int i = 0; i < 8; i++)
		pthread_join(thread[i], NULL);
	hook();
	raise(SIGABRT);
}

static void test_many_threads_install_it_once(void)
{
	for (int round = 0; round < 20; round++) {
		REQUIRE(died_of(ends("many", many_at_once), SIGABRT));
		REQUIRE(crashes() == 1, "%zu", crashes());
	}
}

static void ignored(void)
{
	signal(SIGTRAP, SIG_IGN);
	hook();
	raise(SIGTRAP);
	raise(SIGTRAP);
}

static void test_what_is_ignored_is_no_crash(void)
{
	REQUIRE(ends("ignored", ignored) == 0);
	REQUIRE(crashes() == 0 && closed());
}

static void on_small_stack(void)
{
	char *page = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t stack = { .ss_sp = page + 4096, .ss_size = 2 * 4096 };

	mprotect(page, 4096, PROT_NONE);
	REQUIRE(sigaltstack(&stack, NULL) == 0);
	hook();
	fault();
}

static void test_a_small_signal_stack_is_enough(void)
{
	REQUIRE(died_of(ends("small", on_small_stack), SIGSEGV));
	REQUIRE(crashes() == 1 && !closed());
}

static sigjmp_buf back;

static void recover(int signal_number)
{
	(void)signal_number;
	siglongjmp(back, 1);
}

static void recovering(void)
{
	signal(SIGSEGV, recover);
	hook();
	for (volatile int i = 0; i < 5; i++)
		if (!sigsetjmp(back, 1))
			fault();
}

static void faults_again(int signal_number)
{
	(void)signal_number;
	fault();
}

static void faulting(void)
{
	signal(SIGSEGV, faults_again);
	hook();
	fault();
}

static void test_the_handler_before_recovers_or_faults(void)
{
	REQUIRE(ends("recovers", recovering) == 0);
	REQUIRE(crashes() == 5 && closed(), "%zu", crashes());
	REQUIRE(died_of(ends("faults", faulting), SIGSEGV));
	REQUIRE(crashes() == 1, "%zu", crashes());
}

static void at_the_end(void)
{
	raise(SIGSEGV);
}

static void after_the_end(void)
{
	static struct flightrec_provider provider =
		FLIGHTREC_PROVIDER_INIT("test.hook", "55555555-2222-3333-4444-555555555555", 1, 0);

	REQUIRE(flightrec_register(&provider) == 0);
	hook();
	atexit(at_the_end);
	flightrec_unregister(&provider);
}

static void test_a_crash_on_the_way_out_is_no_end_in_order(void)
{
	REQUIRE(died_of(ends("late", after_the_end), SIGSEGV));
	REQUIRE(crashes() == 1 && !closed());
}

static void *hook_and_go(void *arg)
{
	REQUIRE(flightrec_record_crashes() == 0);
	return arg;
}

static unsigned long pages_mapped(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	REQUIRE(file != NULL && fscanf(file, "%lu", &pages) == 1);
	fclose(file);
	return pages;
}

static void come_and_go(void)
{
	unsigned long before = 0;
	pthread_t thread;

	hook();
	for (int i = 0; i < 510; i++) {
		if (i == 10)
			before = pages_mapped();
		REQUIRE(pthread_create(&thread, NULL, hook_and_go, NULL) == 0 && pthread_join(thread, NULL) == 0);
	}
	REQUIRE(pages_mapped() < before + 1024, "%lu pages, then %lu", before, pages_mapped());
}

static void test_threads_take_their_signal_stacks_with_them(void)
{
	REQUIRE(ends("threads", come_and_go) == 0);
}

int main(void)
{
	path = oracle_shared(4096);
	test_many_threads_install_it_once();
	test_what_is_ignored_is_no_crash();
	test_a_small_signal_stack_is_enough();
	test_the_handler_before_recovers_or_faults();
	test_a_crash_on_the_way_out_is_no_end_in_order();
	test_threads_take_their_signal_stacks_with_them();
	return 0;
}
