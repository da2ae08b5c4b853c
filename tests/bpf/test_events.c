/* SPDX-License-Identifier: MIT */
/*
 * test_events.c - the events of processes and signals, caused on purpose, and every field of them
 * compared with what the system calls, wait() and /proc say of the same thing.
 */
#include "tests/bpf/bpf_test.h"

#include <pthread.h>

static void check_head(const struct fr_kevent *head, enum fr_event_id event, uint64_t after,
		       uint64_t before)
{
	assert_int_equal(head->version, FR_KEVENT_VERSION);
	assert_int_equal(head->event, event);
	assert_int_equal(head->flags, 0);
	assert_true(head->cpu < sysconf(_SC_NPROCESSORS_CONF));
	assert_true(head->time_ns >= after && head->time_ns <= before);
}

static void check_who(const struct fr_kevent *head, pid_t pid, pid_t ppid, uid_t uid,
		      const char *comm)
{
	assert_int_equal(head->pid, pid);
	assert_int_equal(head->tid, pid);
	assert_int_equal(head->ppid, ppid);
	assert_int_equal(head->uid, uid);
	assert_string_equal(head->comm, comm);
}

#define UID 12345

struct shell {
	int go[2];
	const char *cgroup;
};

static int run_shell(void *arg)
{
	struct shell *shell = arg;
	char procs[256];

	if (shell->cgroup) {
		FILE *f;

		snprintf(procs, sizeof(procs), "%s/cgroup.procs", shell->cgroup);
		f = fopen(procs, "we");
		if (!f || fprintf(f, "0") < 0 || fclose(f) != 0)
			return 99;
	}
	if (setresuid(UID, UID, UID) < 0)
		return 98;
	dup2(shell->go[0], 0);
	close(shell->go[1]);
	execl("/bin/sh", "sh", "-c", "read line; exit 3", (char *)NULL);
	return 97;
}

/* A cgroup of version 2 of our own, if the machine has that. */
static const char *make_cgroup(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "/sys/fs/cgroup/unified/flightrec-test-%d", getpid());
	if (mkdir(path, 0755) == 0)
		return path;
	snprintf(path, sizeof(path), "/sys/fs/cgroup/flightrec-test-%d", getpid());
	if (access("/sys/fs/cgroup/cgroup.procs", F_OK) < 0 || mkdir(path, 0755) < 0)
		return NULL;
	return path;
}

TEST(test_exec_and_exit_tell_who_what_and_how_it_ended)
{
	SEEN seen = { 0 };
	struct shell shell = { .cgroup = make_cgroup() };
	uint64_t after = boot_ns(), cgroup = 0, ticks;
	const struct fr_kevent_proc_exec *exec;
	const struct fr_kevent_proc_exit *exit;
	struct rusage usage;
	struct stat st;
	int i, status;
	pid_t pid;

	assert_int_equal(pipe2(shell.go, 0), 0);
	pid = child(run_shell, &shell);
	close(shell.go[0]);
	i = seen_wait(&seen, bpf, FR_EVENT_PROC_EXEC, pid);
	assert_true(i >= 0);
	ticks = start_ticks(pid);
	assert_int_equal(write(shell.go[1], "\n", 1), 1);
	close(shell.go[1]);
	status = child_end(pid, &usage);
	assert_int_equal(status, 3 << 8);
	if (shell.cgroup) {
		assert_int_equal(stat(shell.cgroup, &st), 0);
		cgroup = st.st_ino;
		rmdir(shell.cgroup);
	}
	assert_true(seen_wait(&seen, bpf, FR_EVENT_PROC_EXIT, pid) >= 0);

	exec = &seen.sample[i].exec;
	check_head(&exec->head, FR_EVENT_PROC_EXEC, after, boot_ns());
	check_who(&exec->head, pid, getpid(), UID, "sh");
	assert_int_equal(exec->head.start_time_ns / 10000000, ticks);
	assert_int_equal(exec->old_pid, pid);
	assert_string_equal(exec->filename, "/bin/sh");
	assert_int_equal(exec->argv_size, sizeof("sh\0-c\0read line; exit 3"));
	assert_int_equal(exec->argv_bytes, exec->argv_size);
	assert_memory_equal(exec->argv, "sh\0-c\0read line; exit 3", exec->argv_size);

	exit = &seen.sample[seen_find(&seen, FR_EVENT_PROC_EXIT, pid, 0)].exit;
	check_head(&exit->head, FR_EVENT_PROC_EXIT, exec->head.time_ns, boot_ns());
	check_who(&exit->head, pid, getpid(), UID, "sh");
	assert_true(exit->head.start_time_ns == exec->head.start_time_ns);
	assert_int_equal(exit->exit_code, 3);
	assert_int_equal(exit->signal, 0);
	assert_int_equal(exit->core, 0);
	assert_int_equal(exit->group_dead, 1);
	assert_int_equal(exit->known, 1);
	assert_int_equal(exit->rss_peak_kib, usage.ru_maxrss);
	if (cgroup) {
		assert_int_equal(exec->head.cgroup, cgroup);
		assert_int_equal(exit->head.cgroup, cgroup);
	}
}

static int exec_long(void *unused)
{
	char big[1000];

	(void)unused;
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	execl("/bin/true", "true", big, (char *)NULL);
	return 97;
}

TEST(test_long_arguments_are_cut_and_their_real_size_is_told)
{
	SEEN seen = { 0 };
	pid_t pid = child(exec_long, NULL);
	const struct fr_kevent_proc_exec *exec;
	int i;

	child_end(pid, NULL);
	i = seen_wait(&seen, bpf, FR_EVENT_PROC_EXEC, pid);
	assert_true(i >= 0);
	exec = &seen.sample[i].exec;
	assert_int_equal(exec->argv_bytes, 5 + 1000);
	assert_int_equal(exec->argv_size, sizeof(exec->argv));
	assert_memory_equal(exec->argv, "true\0xxxx", 9);
	assert_int_equal(exec->argv[sizeof(exec->argv) - 1], 'x');
}

static void handler(int sig)
{
	(void)sig;
}

static int pause_handling(void *ready)
{
	signal(SIGTERM, handler);
	signal(SIGUSR2, handler);
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_NAME, "fr-target");
	if (write(*(int *)ready, "", 1) != 1)
		return 96;
	return pause_forever(NULL);
}

static pid_t start_target(int (*fn)(void *))
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = child(fn, &ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

TEST(test_a_kill_tells_sender_and_target_and_the_death_its_signal)
{
	SEEN seen = { 0 };
	pid_t pid = start_target(pause_handling);
	uint64_t ticks = start_ticks(pid), after, before;
	const struct fr_kevent_sig_generate *sig;
	const struct fr_kevent_proc_exit *exit;
	char comm[16];
	int i, status;

	prctl(PR_GET_NAME, comm);
	after = boot_ns();
	kill(pid, SIGKILL);
	before = boot_ns();
	status = child_end(pid, NULL);
	assert_true(seen_wait(&seen, bpf, FR_EVENT_PROC_EXIT, pid) >= 0);

	i = seen_find(&seen, FR_EVENT_SIG_GENERATE, getpid(), 0);
	assert_true(i >= 0);
	sig = &seen.sample[i].generate;
	check_head(&sig->head, FR_EVENT_SIG_GENERATE, after, before);
	check_who(&sig->head, getpid(), getppid(), getuid(), comm);
	assert_int_equal(sig->head.start_time_ns / 10000000, start_ticks(getpid()));
	assert_int_equal(sig->sig, SIGKILL);
	assert_int_equal(sig->code, SI_USER);
	assert_int_equal(sig->target_pid, pid);
	assert_int_equal(sig->target_tid, pid);
	assert_int_equal(sig->target_start_time_ns / 10000000, ticks);
	assert_string_equal(sig->target_comm, "fr-target");
	assert_int_equal(sig->group, 1);
	assert_int_equal(sig->result, 0);
	assert_int_equal(sig->handler, 0);

	exit = &seen.sample[seen_find(&seen, FR_EVENT_PROC_EXIT, pid, 0)].exit;
	check_who(&exit->head, pid, getpid(), getuid(), "fr-target");
	assert_int_equal(exit->signal, WTERMSIG(status));
	assert_int_equal(exit->signal, SIGKILL);
	assert_int_equal(exit->exit_code, 0);
	assert_int_equal(exit->core, 0);
}

TEST(test_signals_that_end_nobody_are_left_alone)
{
	SEEN seen = { 0 };
	pid_t pid = start_target(pause_handling);
	unsigned number = 0;

	kill(pid, SIGCHLD);
	kill(pid, SIGCONT);
	kill(pid, SIGUSR2); /* handled */
	kill(pid, SIGHUP);  /* ignored */
	kill(pid, SIGTERM); /* handled, and recorded all the same: so supervisors end programs */
	syscall(SYS_tgkill, pid, pid, SIGUSR1); /* default: kills */
	assert_int_equal(child_end(pid, NULL), SIGUSR1);
	assert_true(seen_wait(&seen, bpf, FR_EVENT_PROC_EXIT, pid) >= 0);

	for (int i = 0; (i = seen_find(&seen, FR_EVENT_SIG_GENERATE, getpid(), i)) >= 0; i++) {
		const struct fr_kevent_sig_generate *sig = &seen.sample[i].generate;

		if (sig->target_pid != (uint32_t)pid)
			continue;
		number++;
		if (sig->sig == SIGTERM) {
			assert_true(sig->handler == (uintptr_t)handler);
			assert_int_equal(sig->group, 1);
		} else {
			assert_int_equal(sig->sig, SIGUSR1);
			assert_int_equal(sig->code, SI_TKILL);
			assert_int_equal(sig->group, 0);
			assert_int_equal(sig->handler, 0);
		}
	}
	assert_int_equal(number, 2);
}

static uintptr_t *crash_sp;

__attribute__((noinline)) static void touch(volatile int *where)
{
	*where = 1;
}

static int crash(void *unused)
{
	int local = 0;

	(void)unused;
	*crash_sp = (uintptr_t)&local;
	touch((volatile int *)0x1234);
	return local;
}

TEST(test_a_fault_tells_address_and_instruction)
{
	SEEN seen = { 0 };
	const struct fr_kevent_sig_deliver *fault;
	const struct fr_kevent_sig_generate *sig;
	uint64_t after = boot_ns();
	int i, status;
	pid_t pid;

	crash_sp = mmap(NULL, sizeof(*crash_sp), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	assert_ptr_not_equal(crash_sp, MAP_FAILED);
	pid = child(crash, NULL);
	status = child_end(pid, NULL);
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	assert_true(seen_wait(&seen, bpf, FR_EVENT_PROC_EXIT, pid) >= 0);
	assert_int_equal(seen.sample[seen_find(&seen, FR_EVENT_PROC_EXIT, pid, 0)].exit.signal,
			 SIGSEGV);
	assert_int_equal(seen.sample[seen_find(&seen, FR_EVENT_PROC_EXIT, pid, 0)].exit.core,
			 WCOREDUMP(status) != 0);

	i = seen_find(&seen, FR_EVENT_SIG_DELIVER, pid, 0);
	assert_true(i >= 0);
	fault = &seen.sample[i].deliver;
	check_head(&fault->head, FR_EVENT_SIG_DELIVER, after, boot_ns());
	assert_int_equal(fault->head.ppid, getpid());
	assert_int_equal(fault->sig, SIGSEGV);
	assert_int_equal(fault->code, SEGV_MAPERR);
	assert_int_equal(fault->error, 0);
	assert_int_equal(fault->handler, 0);
	assert_int_equal(fault->fault_addr, 0x1234);
	assert_in_range(fault->ip, (uintptr_t)touch, (uintptr_t)touch + 64);
	assert_in_range(fault->sp, *crash_sp - 4096, *crash_sp + 4096);

	i = seen_find(&seen, FR_EVENT_SIG_GENERATE, pid, 0);
	assert_true(i >= 0);
	sig = &seen.sample[i].generate;
	assert_int_equal(sig->code, SEGV_MAPERR);
	assert_int_equal(sig->target_pid, pid);
	assert_true(sig->head.time_ns <= fault->head.time_ns);
	munmap(crash_sp, sizeof(*crash_sp));
}

static int abort_with_core(void *dir)
{
	struct rlimit core;

	getrlimit(RLIMIT_CORE, &core);
	core.rlim_cur = core.rlim_max;
	if (setrlimit(RLIMIT_CORE, &core) < 0 || chdir(dir) < 0)
		return 95;
	abort();
}

TEST(test_a_dumped_core_is_told)
{
	SEEN seen = { 0 };
	char dir[128], core[192];
	int i, status;
	pid_t pid;

	snprintf(dir, sizeof(dir), "%s/flightrec-core-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(dir));
	pid = child(abort_with_core, dir);
	status = child_end(pid, NULL);
	i = seen_wait(&seen, bpf, FR_EVENT_PROC_EXIT, pid);
	assert_true(i >= 0);
	assert_int_equal(seen.sample[i].exit.signal, SIGABRT);
	assert_int_equal(seen.sample[i].exit.core, WCOREDUMP(status) != 0);
	printf("a core was %sdumped\n", WCOREDUMP(status) ? "" : "not ");

	snprintf(core, sizeof(core), "%s/core", dir);
	unlink(core);
	snprintf(core, sizeof(core), "%s/core.%d", dir, pid);
	unlink(core);
	rmdir(dir);
}

/* Leaves by the system call, behind the C library's back: it would call exit() in the last one. */
static void *thread_lives(void *us)
{
	prctl(PR_SET_NAME, "fr-thread");
	usleep((unsigned)(uintptr_t)us);
	syscall(SYS_exit, 0);
	return NULL;
}

static int leave_before_threads(void *unused)
{
	pthread_t thread[8];

	(void)unused;
	prctl(PR_SET_NAME, "fr-leader");
	for (unsigned i = 0; i < COUNT(thread); i++)
		pthread_create(&thread[i], NULL, thread_lives, (void *)(uintptr_t)(20000 + 10 * i));
	syscall(SYS_exit, 0);
	return 0;
}

TEST(test_a_process_of_many_threads_ends_once_and_under_its_own_name)
{
	for (int round = 0; round < 20; round++) {
		SEEN seen = { 0 };
		pid_t pid = child(leave_before_threads, NULL);
		int status = child_end(pid, NULL), i;

		assert_int_equal(status, 0);
		i = seen_wait(&seen, bpf, FR_EVENT_PROC_EXIT, pid);
		assert_true(i >= 0);
		seen_all(&seen, bpf);
		assert_int_equal(seen_number(&seen, FR_EVENT_PROC_EXIT, pid), 1);
		assert_string_equal(seen.sample[i].head.comm, "fr-leader");
		assert_int_equal(seen.sample[i].exit.exit_code, 0);
	}
}

static int pause_blocking(void *ready)
{
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	if (write(*(int *)ready, "", 1) != 1)
		return 96;
	return pause_forever(NULL);
}

/*
 * A signal that is pending already is the quickest event there is. Its time must lie between the
 * clock read before and after, always; and where it comes closest to one of them bounds how far the
 * two clocks may be apart. On a busy machine it takes some tries until one window is narrow enough
 * to tell.
 */
TEST(test_times_are_clock_boottime_within_a_microsecond)
{
	int64_t ahead = INT64_MAX, behind = INT64_MAX; /* of CLOCK_BOOTTIME, at most */
	uint64_t after[256], before[256];
	pid_t pid = start_target(pause_blocking);
	const char *other = getenv("FR_TEST_CLOCK_BOUND_NS"); /* for emulated machines */
	int64_t bound = other ? atoll(other) : 1000;
	unsigned events = 0;
	SEEN seen = { 0 };

	kill(pid, SIGTERM);
	for (int try = 0; try < 500 && (ahead > bound || behind > bound); try++) {
		unsigned round = 0;

		seen_all(&seen, bpf);
		seen.count = 0;
		for (unsigned i = 0; i < COUNT(after); i++) {
			after[i] = boot_ns();
			kill(pid, SIGTERM);
			before[i] = boot_ns();
		}
		seen_all(&seen, bpf);
		for (int i = 0; (i = seen_find(&seen, FR_EVENT_SIG_GENERATE, getpid(), i)) >= 0;
		     i++) {
			const struct fr_kevent_sig_generate *sig = &seen.sample[i].generate;
			int64_t since, until;

			if (sig->target_pid != (uint32_t)pid)
				continue;
			assert_true(round < COUNT(after));
			assert_int_equal(sig->result, 2);
			since = (int64_t)(sig->head.time_ns - after[round]);
			until = (int64_t)(before[round] - sig->head.time_ns);
			assert_true(since >= 0 && until >= 0);
			ahead = since < ahead ? since : ahead;
			behind = until < behind ? until : behind;
			round++;
		}
		assert_int_equal(round, COUNT(after));
		events += round;
		usleep(10000);
	}
	kill(pid, SIGKILL);
	child_end(pid, NULL);
	printf("%u events; the clocks are at most %lld ns ahead and %lld ns behind\n", events,
	       (long long)ahead, (long long)behind);
	if (ahead > bound || behind > bound) {
		printf("no window was narrow enough here to tell within %lld ns: not proven\n",
		       (long long)bound);
		seen_done(&seen); /* skip() jumps over the cleanup */
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exec_and_exit_tell_who_what_and_how_it_ended),
		cmocka_unit_test(test_long_arguments_are_cut_and_their_real_size_is_told),
		cmocka_unit_test(test_a_kill_tells_sender_and_target_and_the_death_its_signal),
		cmocka_unit_test(test_signals_that_end_nobody_are_left_alone),
		cmocka_unit_test(test_a_fault_tells_address_and_instruction),
		cmocka_unit_test(test_a_dumped_core_is_told),
		cmocka_unit_test(test_a_process_of_many_threads_ends_once_and_under_its_own_name),
		cmocka_unit_test(test_times_are_clock_boottime_within_a_microsecond),
	};

	bpf_test_world();
	return cmocka_run_group_tests(tests, bpf_group_open, bpf_group_close);
}
