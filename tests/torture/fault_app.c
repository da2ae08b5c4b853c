/* SPDX-License-Identifier: MIT */
/*
 * fault_app.c - an application that uses all of libflightrec, and holds it to what flightrec.h says
 * while calls fail in it.
 *
 * Prints a line for each event that the library took: "PID NUMBER", or "PID" and its text. What it
 * was refused is said once on standard error. Ends with SIGABRT when the library does what
 * flightrec.h does not say: sets errno, returns something else, or does not record again after the
 * one fault is over ($FAULT_ONWARD: they go on).
 */
#include <errno.h>
#include <flightrec/flightrec.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

FLIGHTREC_PROVIDER(shop, "acme.shop", "5c0d1f9e-8d6b-4c1e-9a53-0f6a2d7b9e11", 1, 0);
FLIGHTREC_PROVIDER(late, "acme.late", "7d0d1f9e-8d6b-4c1e-9a53-0f6a2d7b9e12", 1, 0);
#define COUNTED(F) F(u64, number, "")
FLIGHTREC_EVENT(shop, counted, FLIGHTREC_INFO, 0, COUNTED)
FLIGHTREC_EVENT(late, later, FLIGHTREC_INFO, 0, COUNTED)

/* of the library that makes calls fail: what this program says to its test is not to fail */
extern void fault_spare(bool spare) __attribute__((weak));

static bool refused;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void say(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(int fd, const char *format, ...)
{
	char line[200];
	va_list args;
	ssize_t n;

	if (fault_spare)
		fault_spare(true);
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	n = write(fd, line, strlen(line));
	(void)n;
	if (fault_spare)
		fault_spare(false);
}

static void check(bool good, const char *what, long value)
{
	if (good && errno == 0)
		return;
	say(2, "app: %s: returned %ld, errno %d\n", what, value, errno);
	abort();
}

static void refuse(const char *what, long why)
{
	pthread_mutex_lock(&lock);
	if (!refused)
		say(2, "app: %s was refused: %ld\n", what, why);
	refused = true;
	pthread_mutex_unlock(&lock);
	errno = 0;
}

/* What emit returned for an event. */
static bool took(const char *what, int result, const char *text)
{
	check(result == 1 || result == 0 || result == -ENOBUFS, what, result);
	if (result == 1)
		say(1, "%d %s\n", (int)getpid(), text);
	else
		refuse(what, result);
	errno = 0;
	return result == 1;
}

static void count(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		char number[16];

		snprintf(number, sizeof(number), "%u", i);
		took("emit", flightrec_emit_counted(0, i), number);
	}
}

static void *run(void *from)
{
	unsigned first = (unsigned)(uintptr_t)from;

	errno = 0;
	count(first, first + 10);
	return NULL;
}

static void register_one(struct flightrec_provider *provider)
{
	int result = flightrec_register(provider);

	check(result <= 0, "register", result);
	if (result < 0)
		refuse("register", result);
}

static void in_threads(void)
{
	pthread_t thread[3];
	unsigned made = 0;

	for (; made < 3; made++)
		if (pthread_create(&thread[made], NULL, run, (void *)(uintptr_t)(100 * (made + 1))))
			break;
	if (made < 3)
		refuse("thread", EAGAIN);
	while (made--)
		pthread_join(thread[made], NULL);
	errno = 0;
}

static void in_session(void)
{
	uint32_t session = flightrec_session_begin(&shop, NULL, "checkout");
	struct flightrec_status status = { .size = sizeof(status) };
	struct flightrec_slot slot;
	void *room;

	took("text", flightrec_text(&shop, FLIGHTREC_INFO, session, "a text", 6), "a text");
	took("json", flightrec_json(&shop, FLIGHTREC_INFO, session, "message", "{\"a\":1}", 7), "{\"a\":1}");
	if (session && flightrec_session_attribute(&shop, session, "key", "value") != 1)
		refuse("attribute", 0);
	room = flightrec_reserve(&slot, &flightrec_event_counted, session, 8);
	if (room)
		flightrec_discard(&slot);
	if (session && flightrec_session_end(&shop, session) != 1)
		refuse("session", 0);
	check(flightrec_get_status(&status) == 0, "status", status.error);
}

static void in_child(void)
{
	pid_t pid;
	int status = 0;

	pid = fork();
	if (pid == 0) {
		errno = 0;
		count(1000, 1005);
		exit(refused ? 3 : 0);
	}
	if (pid < 0) {
		refuse("fork", errno);
		return;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status))
		abort();
	refused |= WEXITSTATUS(status) != 0;
	errno = 0;
}

/*
 * The fault was once: what is refused now is not refused a second time. A library without a ring
 * tries again after a second.
 */
static void afterwards(void)
{
	struct timespec second = { .tv_sec = 1, .tv_nsec = 10000000 };

	for (unsigned try = 0; try < 2; try++) {
		char number[16];

		snprintf(number, sizeof(number), "%u", 5000 + try);
		register_one(&late);
		if (took("emit afterwards", flightrec_emit_later(0, 5000 + try), number))
			return;
		if (fault_spare)
			fault_spare(true);
		nanosleep(&second, NULL);
		if (fault_spare)
			fault_spare(false);
	}
	if (!getenv("FAULT_ONWARD"))
		abort();
}

int main(void)
{
	struct flightrec_provider *made;
	int error = 0;

	errno = 0;
	register_one(&shop);
	made = flightrec_provider_open("9d0d1f9e-8d6b-4c1e-9a53-0f6a2d7b9e13", "acme.made", 1, 0, &error);
	check(made ? error == 0 : error < 0, "provider_open", error);
	if (made)
		took("text of a provider made", flightrec_text(made, FLIGHTREC_INFO, 0, "made", 4), "made");
	else
		refuse("provider_open", error);
	error = flightrec_record_crashes();
	check(error <= 0, "record_crashes", error);
	if (error < 0)
		refuse("record_crashes", error);
	count(0, 5);
	in_threads();
	in_session();
	in_child();
	afterwards();
	count(10, 15);
	flightrec_unregister(&shop);
	flightrec_unregister(&late);
	if (made)
		flightrec_unregister(made);
	check(true, "unregister", 0);
	return 0;
}
