/* SPDX-License-Identifier: MIT */
/*
 * bpf_bench.c - what an eBPF event costs the task that causes it, and a source of events at a given
 * rate. Needs root.
 *
 *	bpf_bench cost		nanoseconds that kill() takes longer than with an empty eBPF program on the same tracepoint
 *	bpf_bench load RATE S	two tasks on two CPUs cause RATE sig.generate a second, together, for S seconds
 *
 * The event is sig.generate: a process sends itself a SIGTERM that it blocks. Once one is pending,
 * others are recorded, too, but nobody is woken for them at once ("quiet"); with the pending one
 * taken back each time, the reader is woken ("urgent"). Empty program, none and ours take turns. A
 * burst is about what wakes the reader, which empties the buffer on another CPU between two: quiet
 * events are those of a reader that sleeps, and none is cheap because it was dropped. What they take
 * while it is at work, the load tells. One JSON object a line.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "bpf/loader.h"
#include "tests/bench/bench_loop.h"

#define ROUNDS	   31 /* short ones: what else the machine does spoils some, not the median */
#define BURSTS	   8
#define STRETCH	   200 /* events between two looks at the clock: shorter than a turn on the processor */
#define STRETCHES  10  /* in a burst, which fits into the buffer */
#define TRACEPOINT "signal_generate"
#define TICK_NS	   1000000ull

static atomic_bool stop;
static struct fr_bpf *bpf;

static void __attribute__((noreturn)) die(const char *what, int error)
{
	fprintf(stderr, "bpf_bench: %s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(1);
}

static void block(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void take_back(void)
{
	const struct timespec none = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigtimedwait(&set, NULL, &none);
}

/* What one kill() takes, as a median over stretches. */
static double kill_ns(bool urgent)
{
	const struct timespec nap = { .tv_nsec = 3000000 };
	pid_t self = getpid();
	double ns[BURSTS * STRETCHES];

	kill(self, SIGTERM);
	for (int i = 0; i < BURSTS * STRETCHES; i++) {
		double begun;

		if (i % STRETCHES == 0)
			nanosleep(&nap, NULL); /* the buffer is read */
		begun = bench_now_ns();
		for (int k = 0; k < STRETCH; k++) {
			if (urgent)
				take_back();
			kill(self, SIGTERM);
		}
		ns[i] = (bench_now_ns() - begun) / STRETCH;
	}
	take_back();
	qsort(ns, BURSTS * STRETCHES, sizeof(*ns), bench_by_size);
	return ns[BURSTS * STRETCHES / 2];
}

/* An empty program on the tracepoint, until the descriptor is closed. */
static int attach_empty(void)
{
	const struct bpf_insn empty[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int program = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "empty", "GPL", empty, 2, NULL), link;

	if (program < 0)
		return -errno;
	link = bpf_raw_tracepoint_open(TRACEPOINT, program);
	close(program);
	return link < 0 ? -errno : link;
}

static int nothing(void *ctx, const struct fr_kevent *event, size_t size)
{
	(void)ctx, (void)event, (void)size;
	return 0;
}

static void *reader(void *arg)
{
	struct pollfd fd = { .fd = fr_bpf_fd(bpf), .events = POLLIN };

	(void)arg;
	bench_pin(1);
	while (!stop) {
		poll(&fd, 1, 10);
		fr_bpf_consume(bpf, 0, nothing, NULL);
	}
	return NULL;
}

/* As flightrecd has it: the reader is woken for 256 KiB. */
static uint64_t with_ours(double *ret_quiet, double *ret_urgent)
{
	static const char *const events[] = { "sig.generate" };
	struct fr_bpf_options options = { .size = sizeof(options), .pin_dir = "", .wakeup_bytes = 256u << 10,
					  .events = events, .event_count = 1 };
	struct fr_kevent_count count = { 0 };
	struct fr_bpf_probe probe;
	pthread_t thread;
	unsigned missing;
	int error = fr_bpf_open(&options, &bpf, &missing);

	if (error < 0)
		die("eBPF", error);
	for (unsigned i = 0; fr_bpf_probe(bpf, i, &probe) == 0; i++) {
		if (probe.state == FR_BPF_FAILED)
			die(probe.why, ENOTSUP);
	}
	stop = false;
	pthread_create(&thread, NULL, reader, NULL);
	*ret_quiet = kill_ns(false);
	*ret_urgent = kill_ns(true);
	stop = true;
	pthread_join(thread, NULL);
	fr_bpf_count(bpf, FR_CLASS_SIG_GENERATE, &count);
	fr_bpf_close(bpf);
	return count.dropped;
}

static int cost(void)
{
	block();
	bench_pin(0);
	for (int round = 0; round < ROUNDS; round++) {
		double none, empty, quiet, empty_urgent, urgent;
		uint64_t dropped;
		int link;

		none = kill_ns(false);
		link = attach_empty();
		if (link < 0)
			die("an empty program on " TRACEPOINT, link);
		empty = kill_ns(false);
		empty_urgent = kill_ns(true);
		close(link);
		dropped = with_ours(&quiet, &urgent);
		printf("{\"bench\":\"ebpf cost\",\"none_ns\":%.1f,\"empty_ns\":%.1f,\"quiet_ns\":%.1f,\"urgent_ns\":%.1f,\"dropped\":%llu}\n",
		       none, empty, quiet - empty, urgent - empty_urgent,
		       (unsigned long long)dropped);
		fflush(stdout);
	}
	return 0;
}

/*
 * Causes its share in ticks of a millisecond, and leaves the CPU to others in between. Gives back
 * how many.
 */
static uint64_t cause(unsigned cpu, double rate, double seconds)
{
	pid_t self = getpid();
	struct timespec t;
	uint64_t caused = 0, start, now;

	bench_pin(cpu);
	clock_gettime(CLOCK_MONOTONIC, &t);
	start = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	for (now = start; now < start + (uint64_t)(seconds * 1e9);) {
		/* what is due by now; behind by more than a tick, the rest is not made up for */
		uint64_t due = (uint64_t)((double)(now - start) * 1e-9 * rate),
			 most = caused + (uint64_t)(rate * 4 * TICK_NS * 1e-9);

		for (due = due < most ? due : most; caused < due; caused++)
			kill(self, SIGTERM);
		now += TICK_NS;
		t.tv_sec = (time_t)(now / 1000000000);
		t.tv_nsec = (long)(now % 1000000000);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		clock_gettime(CLOCK_MONOTONIC, &t);
		now = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	}
	return caused;
}

static int load(double rate, double seconds)
{
	int pipes[2];
	uint64_t all = 0, one;
	double begun = bench_now_ns();

	if (pipe(pipes) < 0)
		die("pipe", errno);
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		if (fork() == 0) {
			block();
			one = cause(cpu, rate / 2, seconds);
			_exit(write(pipes[1], &one, sizeof(one)) != sizeof(one));
		}
	}
	for (int i = 0; i < 2; i++) {
		int status;

		if (wait(&status) < 0 || status || read(pipes[0], &one, sizeof(one)) != sizeof(one))
			die("a task that causes events", ECHILD);
		all += one;
	}
	printf("{\"bench\":\"ebpf load\",\"events\":%llu,\"seconds\":%.2f}\n",
	       (unsigned long long)all, (bench_now_ns() - begun) * 1e-9);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "cost"))
		return cost();
	if (argc == 4 && !strcmp(argv[1], "load"))
		return load(strtod(argv[2], NULL), strtod(argv[3], NULL));
	fprintf(stderr, "usage: bpf_bench cost | load RATE SECONDS\n");
	return 2;
}
