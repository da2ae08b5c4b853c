/* SPDX-License-Identifier: MIT */
/* bpf_test.c - see bpf_test.h. */
#include "tests/bpf/bpf_test.h"

#include <sched.h>

static _Noreturn void no_tests(const char *why)
{
	printf("%s\n", why);
	exit(77);
}

void bpf_test_world(void)
{
	struct fr_bpf_options options = { .size = sizeof(options), .pin_dir = "" };
	struct fr_bpf *bpf;
	unsigned missing;
	int error;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (geteuid() != 0)
		no_tests("needs root: eBPF programs are loaded");
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		no_tests("needs a mount namespace of its own");
	if (mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700") < 0)
		no_tests("needs a bpffs of its own on /sys/fs/bpf");

	error = fr_bpf_open(&options, &bpf, &missing);
	for (unsigned bit = 0; error && bit < FR_BPF_MISSING_BITS; bit++)
		if (missing & 1u << bit)
			no_tests(fr_bpf_missing_text((enum fr_bpf_missing)(1u << bit)));
	if (error)
		return; /* whatever it is, the tests shall fail with it */
	if (missing & FR_BPF_NO_BTF)
		no_tests("needs a kernel with BTF");
	fr_bpf_close(bpf);
}

struct fr_bpf *bpf_test_open(struct fr_bpf_options options)
{
	struct fr_bpf *bpf = NULL;
	unsigned missing;

	options.size = sizeof(options);
	if (!options.pin_dir)
		options.pin_dir = PIN_DIR;
	assert_int_equal(fr_bpf_open(&options, &bpf, &missing), 0);
	assert_non_null(bpf);
	return bpf;
}

struct fr_bpf *bpf;

int bpf_group_open(void **state)
{
	(void)state;
	bpf = bpf_test_open((struct fr_bpf_options){ 0 });
	return 0;
}

int bpf_group_close(void **state)
{
	(void)state;
	fr_bpf_unload(bpf);
	return 0;
}

void seen_done(struct seen *seen)
{
	free(seen->sample);
	seen->sample = NULL;
	seen->count = seen->room = 0;
}

int seen_take(void *ctx, const struct fr_kevent *event, size_t size)
{
	struct seen *seen = ctx;

	if (seen->count == seen->room) {
		seen->room = seen->room ? 2 * seen->room : 256;
		seen->sample = realloc(seen->sample, seen->room * sizeof(*seen->sample));
		assert_non_null(seen->sample);
	}
	assert_true(size <= sizeof(*seen->sample));
	seen->sample[seen->count].size = size;
	memcpy(&seen->sample[seen->count].head, event, size);
	seen->count++;
	return 0;
}

void seen_all(struct seen *seen, struct fr_bpf *bpf)
{
	assert_true(fr_bpf_consume(bpf, 0, seen_take, seen) >= 0);
}

int seen_find(const struct seen *seen, enum fr_event_id event, pid_t pid, int from)
{
	for (unsigned i = (unsigned)from; i < seen->count; i++) {
		const struct fr_kevent *head = &seen->sample[i].head;

		if (head->event == event && (!pid || head->pid == (uint32_t)pid))
			return (int)i;
	}
	return -1;
}

unsigned seen_number(const struct seen *seen, enum fr_event_id event, pid_t pid)
{
	unsigned n = 0;

	for (int i = seen_find(seen, event, pid, 0); i >= 0; i = seen_find(seen, event, pid, i + 1))
		n++;
	return n;
}

int seen_wait(struct seen *seen, struct fr_bpf *bpf, enum fr_event_id event, pid_t pid)
{
	uint64_t until = boot_ns() + 60000000000u;
	int found;

	for (;;) {
		struct pollfd wait = { .fd = fr_bpf_fd(bpf), .events = POLLIN };

		seen_all(seen, bpf);
		found = seen_find(seen, event, pid, 0);
		if (found >= 0 || boot_ns() > until)
			return found;
		poll(&wait, 1, 1000);
	}
}

uint64_t boot_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t start_ticks(pid_t pid)
{
	char path[64], text[1024], *at;
	unsigned long long ticks = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	at = strrchr(text, ')');
	assert_non_null(at);
	assert_int_equal(sscanf(at + 1,
				" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
				"%*d %*d %*d %llu",
				&ticks),
			 1);
	return ticks;
}

pid_t child(int (*fn)(void *), void *arg)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit core;
		static const int cmocka_catches[] = { SIGSEGV, SIGABRT, SIGBUS,
						      SIGFPE,  SIGILL,	SIGSYS };

		for (unsigned i = 0; i < COUNT(cmocka_catches); i++)
			signal(cmocka_catches[i], SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		getrlimit(RLIMIT_CORE, &core);
		core.rlim_cur = 0;
		setrlimit(RLIMIT_CORE, &core);
		_exit(fn(arg));
	}
	return pid;
}

int child_end(pid_t pid, struct rusage *usage)
{
	int status = 0;

	assert_int_equal(wait4(pid, &status, 0, usage), pid);
	return status;
}

int pause_forever(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}
