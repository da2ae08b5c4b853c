/* SPDX-License-Identifier: MIT */
/*
 * client.c - applications, good and bad, for the daemon's tests. Prints what a script needs to know, one line each.
 *
 *	client hold [N]			records N events (default 10), says "ready RING PID FROM_DAEMON", waits to be killed
 *	client write WITNESS		records without end; WITNESS holds how many are committed (8 bytes, shared mapping)
 *	client exit [N]			records N events and exits in order
 *	client gate			waits for its gate in four threads while it orders the daemon to change it; prints the slowest
 *	client set PROVIDER LEVEL	orders; prints how many rings changed
 *	client policy			registers and prints its gate
 *	client status			prints the daemon's status
 *	client connect N		opens N connections, says nothing, prints how many were dropped within 60 s
 *	client lie			sends packets that are none; prints how many were answered with an error
 *	client attach N			asks for N rings without a library; prints how many it got
 *	client grow|cut|scribble	asks for a ring and mistreats it, says "done", waits to be killed
 *	client exec			records, and runs itself again as "hold"
 *	client signals N		sends itself a SIGTERM that it blocks, N times: so many kernel events
 *	client notified SOCKET		prints what a service manager is told there
 */
#include <errno.h>
#include <fcntl.h>
#include <flightrec/flightrec.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "recorder/core/proto.h"
#include "schemas/fr_format.h"

FLIGHTREC_PROVIDER(shop, "acme.shop", "5c0d1f9e-8d6b-4c1e-9a53-0f6a2d7b9e11", 1, 0);
#define COUNTED(F) F(u64, number, "")
FLIGHTREC_EVENT(shop, counted, FLIGHTREC_INFO, 0, COUNTED)

static void __attribute__((noreturn)) fail(const char *what)
{
	fprintf(stderr, "client: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int dial(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket",
		 getenv("FLIGHTREC_RUNTIME_DIR"));
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

/* One request, one answer; a descriptor goes to *ret_fd. */
static struct fr_proto_answer ask(const struct fr_proto_request *request, char *text, size_t size,
				  int *ret_fd)
{
	struct fr_proto_answer answer = { .error = -ECONNRESET };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec parts[2] = { { &answer, sizeof(answer) }, { text, size } };
	struct msghdr message = { .msg_iov = parts,
				  .msg_iovlen = 2,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control) };
	int fd = dial();

	if (fd < 0)
		fail("connect");
	if (send(fd, request, request->size, MSG_NOSIGNAL) < 0 ||
	    recvmsg(fd, &message, 0) < (ssize_t)sizeof(answer)) {
		close(fd);
		answer.error = -ECONNRESET;
		return answer;
	}
	if (ret_fd && CMSG_FIRSTHDR(&message))
		memcpy(ret_fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	close(fd);
	return answer;
}

/* Again where the daemon has dropped us: on a busy machine a request may come later than it waits for one. */
static struct fr_proto_answer ask_again(const struct fr_proto_request *request, char *text, size_t size)
{
	struct fr_proto_answer answer;

	for (int tries = 0; tries < 20; tries++) {
		answer = ask(request, text, size, NULL);
		if (answer.error != -ECONNRESET)
			break;
	}
	return answer;
}

static struct fr_proto_request request_for(uint32_t op)
{
	return (struct fr_proto_request){ .size = sizeof(struct fr_proto_request),
					  .version = FR_PROTO_VERSION,
					  .op = op };
}

static void say_ready(void)
{
	struct flightrec_status status = { .size = sizeof(status) };

	flightrec_get_status(&status);
	printf("ready %s %d %u\n", status.ring_id, (int)getpid(), status.from_daemon);
	fflush(stdout);
}

static void record(unsigned long count)
{
	for (unsigned long i = 0; i < count; i++)
		flightrec_emit_counted(0, i);
}

static void __attribute__((noreturn)) do_hold(unsigned long count)
{
	flightrec_register(&shop);
	record(count);
	say_ready();
	for (;;)
		pause();
}

static void __attribute__((noreturn)) do_write(const char *witness)
{
	int fd = open(witness, O_RDWR | O_CREAT, 0644);
	volatile uint64_t *committed;

	if (fd < 0 || ftruncate(fd, 4096) < 0)
		fail(witness);
	committed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (committed == MAP_FAILED)
		fail("mmap");
	flightrec_register(&shop);
	say_ready();
	for (uint64_t i = 0;; i++) {
		if (flightrec_emit_counted(0, i) == 1)
			*committed = i + 1;
		if (i % 16 == 0)
			usleep(1000);
	}
}

/* ------------------------------------------------------------------ gates */

#define WATCHERS 4
static uint64_t seen_ns[WATCHERS];
static volatile int wanted, watching;

static void *watch(void *ctx)
{
	const struct timespec nap = { .tv_nsec = 20000 };
	uint64_t *seen = ctx;

	__atomic_add_fetch(&watching, 1, __ATOMIC_SEQ_CST);
	while (flightrec_wants(&shop, FLIGHTREC_VERBOSE, 0) != wanted)
		nanosleep(&nap, NULL);
	*seen = now_ns();
	return NULL;
}

static uint64_t one_change(int on)
{
	struct fr_proto_request request = request_for(FR_PROTO_GATE);
	pthread_t thread[WATCHERS];
	struct fr_proto_answer answer;
	uint64_t answered, slowest = 0;

	strcpy(request.provider, "acme.shop");
	request.level = on ? 5 : 3;
	wanted = on;
	watching = 0;
	memset(seen_ns, 0, sizeof(seen_ns));
	for (int i = 0; i < WATCHERS; i++)
		pthread_create(&thread[i], NULL, watch, &seen_ns[i]);
	while (watching < WATCHERS)
		sched_yield();
	answer = ask(&request, NULL, 0, NULL);
	answered = now_ns();
	if (answer.error || answer.affected != 1) {
		printf("refused: error %d, %u rings changed\n", answer.error, answer.affected);
		exit(1);
	}
	for (int i = 0; i < WATCHERS; i++) {
		pthread_join(thread[i], NULL);
		if (seen_ns[i] > answered && seen_ns[i] - answered > slowest)
			slowest = seen_ns[i] - answered;
	}
	return slowest;
}

static int compare(const void *a, const void *b)
{
	return *(const uint64_t *)a < *(const uint64_t *)b ? -1 : 1;
}

/* The gate is written before the order is answered; what remains is when a thread gets to look, with others on its CPU. */
static int do_gate(void)
{
	uint64_t slowest[20];

	flightrec_register(&shop);
	for (int i = 0; i < 20; i++)
		slowest[i] = one_change(i % 2 == 0);
	qsort(slowest, 20, sizeof(slowest[0]), compare);
	printf("median_us %llu worst_us %llu\n", (unsigned long long)slowest[10] / 1000,
	       (unsigned long long)slowest[19] / 1000);
	return 0;
}

/* The gate of a running process, the moment the order is answered. */
static int do_gate_now(void)
{
	struct fr_proto_request request = request_for(FR_PROTO_GATE);
	unsigned late = 0;

	flightrec_register(&shop);
	strcpy(request.provider, "acme.shop");
	for (int i = 0; i < 200; i++) {
		struct fr_proto_answer answer;

		request.level = i % 2 ? 3 : 5;
		answer = ask(&request, NULL, 0, NULL);
		if (answer.error || answer.affected != 1)
			return 1;
		late += flightrec_wants(&shop, FLIGHTREC_VERBOSE, 0) != !(i % 2);
	}
	printf("late %u\n", late);
	return late != 0;
}

static int do_set(const char *provider, const char *level)
{
	struct fr_proto_request request = request_for(FR_PROTO_GATE);
	struct fr_proto_answer answer;

	snprintf(request.provider, sizeof(request.provider), "%s", provider);
	request.level = (uint32_t)atoi(level);
	answer = ask_again(&request, NULL, 0);
	printf("error %d affected %u\n", answer.error, answer.affected);
	return answer.error != 0;
}

static int do_policy(void)
{
	flightrec_register(&shop);
	printf("gate 0x%llx\n", (unsigned long long)*shop.gate);
	return 0;
}

static int do_status(void)
{
	static char text[FR_PROTO_TEXT_MAX + 1];
	struct fr_proto_request request = request_for(FR_PROTO_STATUS);
	struct fr_proto_answer answer = ask_again(&request, text, FR_PROTO_TEXT_MAX);

	if (answer.error || answer.text_size > FR_PROTO_TEXT_MAX)
		return 1;
	text[answer.text_size] = 0;
	puts(text);
	return 0;
}

/* ------------------------------------------------------------------ bad manners */

static int do_connect(unsigned long count)
{
	struct pollfd *fds = calloc(count, sizeof(*fds));
	unsigned long dropped = 0;
	uint64_t end = now_ns() + 60000000000;

	for (unsigned long i = 0; i < count; i++) {
		fds[i].fd = dial();
		fds[i].events = POLLIN;
	}
	while (now_ns() < end && dropped < count) {
		dropped = 0;
		poll(fds, count, 50);
		for (unsigned long i = 0; i < count; i++)
			dropped += fds[i].fd < 0 || fds[i].revents & POLLHUP;
		usleep(20000);
	}
	printf("dropped %lu\n", dropped);
	free(fds);
	return 0;
}

static int do_lie(void)
{
	static const struct {
		uint32_t sent, said, version, op;
	} lies[] = {
		{ 4, 4, 0, 0 },	      { 12, 12, 1, 99 },	 { 64, 4096, 1, 1 },
		{ 2000, 2000, 7, 1 }, { 4096, 12, 1, 2 },	 { 8192, 8192, 1, 1 },
		{ 168, 168, 1, 2 },   { 12, 0xffffffffu, 1, 3 },
	};
	unsigned refused = 0;

	for (unsigned round = 0; round < 50; round++) {
		for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
			struct fr_proto_answer answer = { 0 };
			uint32_t packet[2048] = { lies[i].said, lies[i].version, lies[i].op };
			int fd = dial();

			if (fd < 0)
				fail("connect");
			if (send(fd, packet, lies[i].sent, MSG_NOSIGNAL) > 0 &&
			    recv(fd, &answer, sizeof(answer), 0) >= (ssize_t)sizeof(answer))
				refused += answer.error < 0;
			close(fd);
		}
	}
	printf("refused %u of %zu\n", refused, 50 * sizeof(lies) / sizeof(lies[0]));
	return 0;
}

static int attach(uint64_t size)
{
	struct fr_proto_request request = request_for(FR_PROTO_ATTACH);
	struct fr_proto_answer answer;
	int fd = -1;

	request.ring_size = size;
	answer = ask(&request, NULL, 0, &fd);
	return answer.error ? -1 : fd;
}

static int do_attach(unsigned long count)
{
	unsigned got = 0;

	for (unsigned long i = 0; i < count; i++)
		got += attach(65536) >= 0;
	printf("got %u\n", got);
	fflush(stdout);
	pause();
	return 0;
}

static int do_mistreat(const char *how)
{
	struct stat st;
	int fd = attach(65536);

	if (fd < 0 || fstat(fd, &st) < 0)
		fail("attach");
	if (!strcmp(how, "grow") && ftruncate(fd, 1ll << 40) < 0)
		fail("ftruncate");
	if (!strcmp(how, "cut") && ftruncate(fd, 100) < 0)
		fail("ftruncate");
	if (!strcmp(how, "scribble")) {
		struct frm_super super;

		if (pread(fd, &super, sizeof(super), 0) != sizeof(super))
			fail("pread");
		for (int copy = 0; copy < 2; copy++) {
			char all[2048];

			memset(all, 0xa5, sizeof(all));
			if (pwrite(fd, all, sizeof(all), copy * (off_t)super.meta_size) < 0)
				fail("pwrite");
		}
	}
	puts("done");
	fflush(stdout);
	pause();
	return 0;
}

static int do_signals(unsigned long count)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (unsigned long i = 0; i < count; i++)
		kill(getpid(), SIGTERM);
	return 0;
}

static void __attribute__((noreturn)) do_notified(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char text[1024];
	ssize_t got;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail(path);
	while ((got = recv(fd, text, sizeof(text), 0)) >= 0) {
		printf("%.*s\n", (int)got, text);
		fflush(stdout);
	}
	fail("recv");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "", *arg = argc > 2 ? argv[2] : NULL;

	if (!strcmp(what, "hold"))
		do_hold(arg ? strtoul(arg, NULL, 10) : 10);
	if (!strcmp(what, "write") && arg)
		do_write(arg);
	if (!strcmp(what, "exit")) {
		flightrec_register(&shop);
		record(arg ? strtoul(arg, NULL, 10) : 10);
		say_ready();
		flightrec_unregister(&shop);
		return 0;
	}
	if (!strcmp(what, "exec")) {
		flightrec_register(&shop);
		record(10);
		execl("/proc/self/exe", "client", "hold", "5", NULL);
		fail("exec");
	}
	if (!strcmp(what, "signals") && arg)
		return do_signals(strtoul(arg, NULL, 10));
	if (!strcmp(what, "notified") && arg)
		do_notified(arg);
	if (!strcmp(what, "gate"))
		return do_gate();
	if (!strcmp(what, "gate-now"))
		return do_gate_now();
	if (!strcmp(what, "set") && argc == 4)
		return do_set(argv[2], argv[3]);
	if (!strcmp(what, "policy"))
		return do_policy();
	if (!strcmp(what, "status"))
		return do_status();
	if (!strcmp(what, "connect") && arg)
		return do_connect(strtoul(arg, NULL, 10));
	if (!strcmp(what, "lie"))
		return do_lie();
	if (!strcmp(what, "attach") && arg)
		return do_attach(strtoul(arg, NULL, 10));
	if (!strcmp(what, "grow") || !strcmp(what, "cut") || !strcmp(what, "scribble"))
		return do_mistreat(what);
	fprintf(stderr, "client: see the top of client.c\n");
	return 2;
}
