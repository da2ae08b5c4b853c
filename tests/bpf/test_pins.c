/* SPDX-License-Identifier: MIT */
/*
 * test_pins.c - the loader's life: killed and started again, replaced, without privilege, without
 * BTF, without bpffs.
 */
#include "tests/bpf/bpf_test.h"

static const char *const just_exits[] = { "proc.exit" };
#define FEW ((struct fr_bpf_options){ .events = just_exits, .event_count = 1 })

static int leave(void *code)
{
	return (int)(intptr_t)code;
}

static void spawn(unsigned number, pid_t *pids)
{
	for (unsigned i = 0; i < number; i++) {
		pids[i] = child(leave, (void *)(intptr_t)(i % 100));
		assert_int_equal(child_end(pids[i], NULL), (int)(i % 100) << 8);
	}
}

static struct fr_bpf_probe probe(const struct fr_bpf *bpf, enum fr_kevent_class class_no)
{
	struct fr_bpf_probe p;

	assert_int_equal(fr_bpf_probe(bpf, class_no, &p), 0);
	return p;
}

static bool pinned(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), PIN_DIR "/%s", name);
	return access(path, F_OK) == 0;
}

TEST(test_each_probe_says_that_it_is_attached_and_how)
{
	struct fr_bpf *bpf = bpf_test_open((struct fr_bpf_options){ 0 });
	struct fr_bpf_probe p;

	for (unsigned c = 0; c < FR_CLASS_COUNT; c++) {
		p = probe(bpf, c);
		assert_int_equal(p.event, fr_catalogue_by_class(c)->id);
		assert_string_equal(p.name, fr_catalogue_by_class(c)->name);
		if (!fr_catalogue_by_class(c)->default_on) {
			assert_int_equal(p.state, FR_BPF_OFF);
			continue;
		}
		assert_int_equal(p.state, FR_BPF_ATTACHED);
		assert_int_equal(p.variant, FR_BPF_TP_BTF);
		assert_true(p.pinned);
		assert_string_equal(p.why, "");
		assert_non_null(strstr(fr_catalogue_by_class(c)->hook, p.hook));
	}
	assert_int_equal(fr_bpf_probe(bpf, FR_CLASS_COUNT, &p), -ENOENT);
	fr_bpf_unload(bpf);
	assert_int_equal(access(PIN_DIR, F_OK), -1);
}

TEST(test_a_restart_finds_what_happened_meanwhile_and_in_order)
{
	SEEN seen = { 0 };
	pid_t pids[200];
	struct fr_bpf *bpf = bpf_test_open((struct fr_bpf_options){ 0 });
	int last = -1;

	assert_false(fr_bpf_resumed(bpf));
	fr_bpf_close(bpf);
	spawn(COUNT(pids), pids); /* nobody reads */

	bpf = bpf_test_open((struct fr_bpf_options){ 0 });
	assert_true(fr_bpf_resumed(bpf));
	assert_int_equal(probe(bpf, FR_CLASS_PROC_EXIT).state, FR_BPF_RESUMED);
	assert_int_equal(probe(bpf, FR_CLASS_PROC_EXIT).variant, FR_BPF_TP_BTF);
	assert_string_equal(probe(bpf, FR_CLASS_PROC_EXIT).hook, "sched_process_exit");
	seen_all(&seen, bpf);
	for (unsigned i = 0; i < COUNT(pids); i++) {
		int at = seen_find(&seen, FR_EVENT_PROC_EXIT, pids[i], 0);

		assert_true(at > last);
		assert_int_equal(seen.sample[at].exit.exit_code, i % 100);
		assert_int_equal(seen_number(&seen, FR_EVENT_PROC_EXIT, pids[i]), 1);
		last = at;
	}
	fr_bpf_unload(bpf);
}

/* What a loader that may be killed at any instant was given, witnessed outside of it. */
static struct witness {
	volatile unsigned opened, count;
	volatile pid_t pid[20000];
} *witness;

static int write_down(void *unused, const struct fr_kevent *event, size_t size)
{
	(void)unused;
	(void)size;
	if (event->event == FR_EVENT_PROC_EXIT && witness->count < COUNT(witness->pid)) {
		witness->pid[witness->count] = (pid_t)event->pid;
		witness->count++;
	}
	return 0;
}

static int loader(void *unused)
{
	struct fr_bpf_options options = FEW;
	struct fr_bpf *bpf;
	unsigned missing;

	(void)unused;
	options.size = sizeof(options);
	options.pin_dir = PIN_DIR;
	if (fr_bpf_open(&options, &bpf, &missing) < 0)
		return 1;
	witness->opened++;
	for (;;) {
		struct pollfd wait = { .fd = fr_bpf_fd(bpf), .events = POLLIN };

		fr_bpf_consume(bpf, 0, write_down, NULL);
		poll(&wait, 1, 1);
	}
}

TEST(test_a_loader_killed_at_any_instant_loses_nothing)
{
	enum { KILLS = 40, EACH = 10 };
	static pid_t pids[KILLS * EACH];
	uint64_t seed = boot_ns();
	unsigned lost = 0, twice = 0, last;
	struct fr_bpf *bpf;

	witness = mmap(NULL, sizeof(*witness), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	assert_ptr_not_equal(witness, MAP_FAILED);
	bpf = bpf_test_open(FEW);
	fr_bpf_close(bpf);

	for (unsigned k = 0; k < KILLS; k++) {
		bool early = k % 2; /* while it opens, for some milliseconds; else while it reads */
		pid_t pid = child(loader, NULL);

		if (early) {
			usleep((unsigned)(unit_random(&seed) % 3000));
			kill(pid, SIGKILL);
		}
		for (unsigned i = 0; i < EACH; i++) {
			spawn(1, &pids[k * EACH + i]);
			usleep((unsigned)(unit_random(&seed) % 400));
		}
		kill(pid, SIGKILL);
		assert_int_equal(child_end(pid, NULL), SIGKILL);
	}
	bpf = bpf_test_open(FEW);
	assert_true(fr_bpf_resumed(bpf));
	last = witness->count;
	assert_true(fr_bpf_consume(bpf, 0, write_down, NULL) >= 0);

	for (unsigned i = 0; i < COUNT(pids); i++) {
		unsigned n = 0;

		for (unsigned w = 0; w < witness->count; w++)
			n += witness->pid[w] == pids[i];
		lost += n == 0;
		twice += n > 1;
		assert_true(n <= 1 + KILLS);
	}
	printf("%u kills, %u of them while opening; %u events while alive, %u at the end; %u "
	       "twice, %u lost\n",
	       KILLS, KILLS - witness->opened, last, witness->count - last, twice, lost);
	assert_int_equal(lost, 0);
	assert_true(twice <= KILLS);
	for (unsigned c = 0; c < FR_CLASS_COUNT; c++)
		assert_int_equal(fr_bpf_drops(bpf, c), 0);
	fr_bpf_unload(bpf);
	munmap(witness, sizeof(*witness));
}

TEST(test_a_first_start_killed_at_any_instant_stops_no_other)
{
	uint64_t seed = boot_ns();

	witness = mmap(NULL, sizeof(*witness), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	assert_ptr_not_equal(witness, MAP_FAILED);
	for (unsigned k = 0; k < 20; k++) {
		SEEN seen = { 0 };
		pid_t pid = child(loader, NULL), dead;
		struct fr_bpf *bpf;

		usleep((unsigned)(unit_random(&seed) % 80000));
		kill(pid, SIGKILL);
		child_end(pid, NULL);
		bpf = bpf_test_open(FEW);
		assert_true(probe(bpf, FR_CLASS_PROC_EXIT).state != FR_BPF_FAILED);
		assert_true(probe(bpf, FR_CLASS_PROC_EXIT).pinned);
		spawn(1, &dead);
		assert_true(seen_wait(&seen, bpf, FR_EVENT_PROC_EXIT, dead) >= 0);
		fr_bpf_unload(bpf);
	}
	printf("%u of 20 starts had come to their end\n", witness->opened);
	munmap(witness, sizeof(*witness));
}

TEST(test_what_does_not_fit_is_told_once_also_after_a_restart)
{
	struct fr_bpf_options small = FEW;
	struct fr_kevent_count count;
	SEEN seen = { 0 };
	pid_t pids[200];
	struct fr_bpf *bpf;
	uint64_t drops;

	small.ringbuf_bytes = 4096;
	bpf = bpf_test_open(small);
	spawn(COUNT(pids), pids);
	fr_bpf_close(bpf);

	bpf = bpf_test_open(small);
	assert_true(fr_bpf_resumed(bpf));
	drops = fr_bpf_drops(bpf, FR_CLASS_PROC_EXIT);
	seen_all(&seen, bpf);
	assert_int_equal(fr_bpf_count(bpf, FR_CLASS_PROC_EXIT, &count), 0);
	printf("%llu kept, %llu dropped\n", (unsigned long long)count.emitted,
	       (unsigned long long)count.dropped);
	assert_true(drops > 0);
	assert_true(count.emitted >= seen.count && count.dropped >= drops);
	assert_true(count.emitted + count.dropped >= COUNT(pids));
	assert_in_range(seen.count, 30, 4096 / sizeof(struct fr_kevent_proc_exit));

	/* not told: it is told again; told: never again */
	fr_bpf_close(bpf);
	bpf = bpf_test_open(small);
	assert_true(fr_bpf_drops(bpf, FR_CLASS_PROC_EXIT) >= drops);
	drops = fr_bpf_drops(bpf, FR_CLASS_PROC_EXIT);
	assert_int_equal(fr_bpf_drops_told(bpf, FR_CLASS_PROC_EXIT, drops), 0);
	fr_bpf_close(bpf);
	bpf = bpf_test_open(small);
	assert_true(fr_bpf_drops(bpf, FR_CLASS_PROC_EXIT) < drops);
	assert_int_equal(fr_bpf_drops(bpf, FR_CLASS_BLK_ERROR), 0);
	fr_bpf_unload(bpf);
}

TEST(test_other_options_replace_pins_but_first_comes_what_they_hold)
{
	struct fr_bpf_options small = FEW, large = FEW;
	SEEN seen = { 0 };
	pid_t pids[200], dead;
	struct fr_bpf *bpf;
	uint64_t drops;
	int old, new;

	small.ringbuf_bytes = 4096;
	large.ringbuf_bytes = 1 << 18;
	bpf = bpf_test_open(small);
	spawn(COUNT(pids), pids);
	drops = fr_bpf_drops(bpf, FR_CLASS_PROC_EXIT);
	assert_true(drops > 0);
	fr_bpf_close(bpf);

	bpf = bpf_test_open(large);
	assert_false(fr_bpf_resumed(bpf));
	assert_int_equal(probe(bpf, FR_CLASS_PROC_EXIT).state, FR_BPF_ATTACHED);
	assert_true(fr_bpf_drops(bpf, FR_CLASS_PROC_EXIT) >= drops);
	assert_true(pinned("previous_0"));
	spawn(1, &dead);
	fr_bpf_close(bpf); /* killed before it read anything */

	bpf = bpf_test_open(large);
	assert_true(fr_bpf_resumed(bpf));
	assert_true(fr_bpf_drops(bpf, FR_CLASS_PROC_EXIT) >= drops);
	assert_true(seen_wait(&seen, bpf, FR_EVENT_PROC_EXIT, dead) >= 0);
	old = seen_find(&seen, FR_EVENT_PROC_EXIT, pids[0], 0);
	new = seen_find(&seen, FR_EVENT_PROC_EXIT, dead, 0);
	assert_true(old >= 0 && old < new);
	assert_false(pinned("previous_0"));
	fr_bpf_unload(bpf);
}

static int replacing_loader(void *unused)
{
	struct fr_bpf_options options = FEW;
	struct fr_bpf *bpf;
	unsigned missing;

	(void)unused;
	options.size = sizeof(options);
	options.pin_dir = PIN_DIR;
	options.ringbuf_bytes = 1 << 18;
	return fr_bpf_open(&options, &bpf, &missing) < 0 ? 1 : pause_forever(NULL);
}

TEST(test_a_replacement_killed_at_any_instant_loses_nothing)
{
	struct fr_bpf_options small = FEW, large = FEW;
	uint64_t seed = boot_ns();

	small.ringbuf_bytes = 1 << 16;
	large.ringbuf_bytes = 1 << 18;
	for (unsigned k = 0; k < 20; k++) {
		struct fr_bpf *bpf = bpf_test_open(small);
		SEEN seen = { 0 };
		pid_t pids[10], pid;

		spawn(COUNT(pids), pids);
		fr_bpf_close(bpf);
		for (unsigned i = 0; i < 3; i++) {
			pid = child(replacing_loader, NULL);
			usleep((unsigned)(unit_random(&seed) % 30000));
			kill(pid, SIGKILL);
			child_end(pid, NULL);
		}
		bpf = bpf_test_open(large);
		seen_all(&seen, bpf);
		for (unsigned i = 0; i < COUNT(pids); i++)
			assert_int_equal(seen_number(&seen, FR_EVENT_PROC_EXIT, pids[i]), 1);
		assert_int_equal(fr_bpf_drops(bpf, FR_CLASS_PROC_EXIT), 0);
		assert_false(pinned("previous_0"));
		fr_bpf_unload(bpf);
	}
}

TEST(test_an_event_that_is_not_wanted_any_more_leaves_the_kernel)
{
	struct fr_bpf_options two = {
		.events = (const char *const[]){ "proc.exit", "proc.exec" }, .event_count = 2,
	};
	struct fr_bpf *bpf = bpf_test_open(two);

	assert_true(pinned("link_proc_exec") && pinned("prog_proc_exec"));
	assert_int_equal(probe(bpf, FR_CLASS_SIG_GENERATE).state, FR_BPF_OFF);
	fr_bpf_close(bpf);

	bpf = bpf_test_open(FEW);
	assert_false(pinned("link_proc_exec") || pinned("prog_proc_exec"));
	assert_int_equal(probe(bpf, FR_CLASS_PROC_EXEC).state, FR_BPF_OFF);
	assert_int_equal(probe(bpf, FR_CLASS_PROC_EXIT).state, FR_BPF_RESUMED);
	fr_bpf_close(bpf);

	bpf = bpf_test_open(two);
	assert_int_equal(probe(bpf, FR_CLASS_PROC_EXEC).state, FR_BPF_ATTACHED);
	assert_int_equal(probe(bpf, FR_CLASS_PROC_EXIT).state, FR_BPF_RESUMED);
	fr_bpf_unload(bpf);
}

TEST(test_without_btf_classic_tracepoints_tell_what_they_can)
{
	struct fr_bpf_options plain = { .without = FR_BPF_NO_BTF };
	const struct fr_kevent_proc_exec *exec;
	SEEN seen = { 0 };
	struct fr_bpf *bpf;
	pid_t pid;
	int i;

	bpf = bpf_test_open(plain);
	for (unsigned c = 0; c < FR_CLASS_COUNT; c++) {
		assert_int_equal(probe(bpf, c).state, FR_BPF_ATTACHED);
		assert_int_equal(probe(bpf, c).variant, FR_BPF_TRACEPOINT);
	}
	pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "kill -9 $$", (char *)NULL);
		_exit(1);
	}
	assert_int_equal(child_end(pid, NULL), SIGKILL);
	assert_true(seen_wait(&seen, bpf, FR_EVENT_PROC_EXIT, pid) >= 0);

	i = seen_find(&seen, FR_EVENT_PROC_EXEC, pid, 0);
	assert_true(i >= 0);
	exec = &seen.sample[i].exec;
	assert_int_equal(exec->head.flags, FR_KEVENT_NO_BTF);
	assert_string_equal(exec->filename, "/bin/sh");
	assert_int_equal(exec->old_pid, pid);
	assert_int_equal(exec->head.start_time_ns, 0);

	i = seen_find(&seen, FR_EVENT_SIG_GENERATE, pid, 0);
	assert_true(i >= 0);
	assert_int_equal(seen.sample[i].generate.sig, SIGKILL);
	assert_int_equal(seen.sample[i].generate.target_tid, pid);
	assert_string_equal(seen.sample[i].generate.target_comm, "sh");

	i = seen_find(&seen, FR_EVENT_PROC_EXIT, pid, 0);
	assert_int_equal(seen.sample[i].exit.known, 0);
	assert_string_equal(seen.sample[i].head.comm, "sh");
	fr_bpf_unload(bpf);
}

TEST(test_without_btf_and_tracefs_each_probe_says_why)
{
	struct fr_bpf_options options = {
		.size = sizeof(options),
		.pin_dir = PIN_DIR,
		.without = FR_BPF_NO_BTF | FR_BPF_NO_TRACEFS,
	};
	struct fr_bpf *bpf;
	unsigned missing;

	assert_int_equal(fr_bpf_open(&options, &bpf, &missing), 0);
	assert_int_equal(missing, FR_BPF_NO_BTF | FR_BPF_NO_TRACEFS);
	for (unsigned c = 0; c < FR_CLASS_COUNT; c++) {
		assert_int_equal(probe(bpf, c).state, FR_BPF_FAILED);
		assert_string_equal(probe(bpf, c).why, "tracefs is not mounted");
	}
	fr_bpf_unload(bpf);
}

TEST(test_without_bpffs_events_come_and_nothing_stays)
{
	struct fr_bpf_options options = { .size = sizeof(options),
					  .pin_dir = PIN_DIR,
					  .without = FR_BPF_NO_BPFFS };
	SEEN seen = { 0 };
	struct fr_bpf *bpf;
	unsigned missing;
	pid_t dead;

	assert_int_equal(fr_bpf_open(&options, &bpf, &missing), 0);
	assert_int_equal(missing, FR_BPF_NO_BPFFS);
	assert_int_equal(probe(bpf, FR_CLASS_PROC_EXIT).state, FR_BPF_ATTACHED);
	assert_false(probe(bpf, FR_CLASS_PROC_EXIT).pinned);
	spawn(1, &dead);
	assert_true(seen_wait(&seen, bpf, FR_EVENT_PROC_EXIT, dead) >= 0);
	fr_bpf_close(bpf);
	assert_int_equal(access(PIN_DIR, F_OK), -1);
}

TEST(test_two_recorders_do_not_read_one_ring_buffer)
{
	struct fr_bpf_options options = { .size = sizeof(options), .pin_dir = PIN_DIR };
	struct fr_bpf *bpf = bpf_test_open(FEW), *second = NULL;
	unsigned missing;

	assert_int_equal(fr_bpf_open(&options, &second, &missing), -EBUSY);
	assert_int_equal(missing, FR_BPF_IN_USE);
	assert_null(second);
	fr_bpf_unload(bpf);
}

static int open_as_nobody(void *unused)
{
	struct fr_bpf_options options = { .size = sizeof(options) };
	struct fr_bpf *bpf;
	unsigned missing;

	(void)unused;
	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		return 2;
	if (fr_bpf_open(&options, &bpf, &missing) != -EPERM)
		return 1;
	return missing & FR_BPF_NO_PRIVILEGE ? 0 : 3;
}

TEST(test_without_privilege_the_loader_says_so)
{
	assert_int_equal(child_end(child(open_as_nobody, NULL), NULL), 0);
}

TEST(test_an_unknown_event_is_refused)
{
	struct fr_bpf_options options = {
		.size = sizeof(options),
		.pin_dir = "",
		.events = (const char *const[]){ "proc.exec", "proc.none" },
		.event_count = 2,
	};
	struct fr_bpf *bpf = NULL;
	unsigned missing;

	assert_int_equal(fr_bpf_open(&options, &bpf, &missing), -EINVAL);
	assert_null(bpf);
}

static int stop_after_three(void *ctx, const struct fr_kevent *event, size_t size)
{
	seen_take(ctx, event, size);
	return ((struct seen *)ctx)->count == 3 ? 7 : 0;
}

TEST(test_reading_stops_where_it_is_told_and_goes_on_there)
{
	struct fr_bpf *bpf = bpf_test_open(FEW);
	SEEN seen = { 0 };
	pid_t pids[10];
	int n;

	spawn(COUNT(pids), pids);
	n = fr_bpf_consume(bpf, 2, seen_take, &seen);
	assert_int_equal(n, 2);
	assert_int_equal(fr_bpf_consume(bpf, 0, stop_after_three, &seen), 7);
	assert_int_equal(seen.count, 3);
	seen_all(&seen, bpf);
	for (unsigned i = 0; i < COUNT(pids); i++)
		assert_int_equal(seen_number(&seen, FR_EVENT_PROC_EXIT, pids[i]), 1);
	fr_bpf_unload(bpf);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

TEST(test_a_quiet_event_is_late_by_a_period_at_most_and_a_death_is_not)
{
	struct fr_bpf *bpf = bpf_test_open(FEW);
	struct pollfd wait = { .fd = fr_bpf_fd(bpf), .events = POLLIN };
	uint64_t from, quiet_ns = UINT64_MAX, death_ns = UINT64_MAX;
	SEEN seen = { 0 };
	pid_t pid;

	/* the best of some: a busy machine may let anything wait */
	for (int i = 0; i < 5; i++) {
		spawn(1, &pid);
		from = boot_ns();
		assert_true(seen_wait(&seen, bpf, FR_EVENT_PROC_EXIT, pid) >= 0);
		quiet_ns = least(quiet_ns, boot_ns() - from);

		/* right after a period began the next is far */
		poll(&wait, 1, 1000);
		pid = child(pause_forever, NULL);
		seen_all(&seen, bpf);
		from = boot_ns();
		kill(pid, SIGKILL);
		assert_int_equal(poll(&wait, 1, 60000), 1);
		death_ns = least(death_ns, boot_ns() - from);
		child_end(pid, NULL);
	}
	printf("a reader is woken %llu us after the kill\n", (unsigned long long)death_ns / 1000);
	assert_true(quiet_ns < 2 * FR_BPF_PERIOD_MS * 1000000ull);
	assert_true(death_ns < FR_BPF_PERIOD_MS * 1000000ull / 2);
	fr_bpf_unload(bpf);
}

TEST(test_the_kernel_counts_what_the_programs_cost_while_it_is_told_to)
{
	struct fr_bpf_options options = FEW;
	struct fr_bpf_cost cost, later;
	struct fr_bpf *bpf;
	pid_t pids[50];

	bpf = bpf_test_open(options);
	spawn(COUNT(pids), pids);
	assert_int_equal(fr_bpf_cost(bpf, FR_CLASS_PROC_EXIT, &cost), 0);
	assert_int_equal(cost.run_count, 0);
	assert_int_equal(fr_bpf_measure(bpf, true), 0);
	spawn(COUNT(pids), pids);
	assert_int_equal(fr_bpf_cost(bpf, FR_CLASS_PROC_EXIT, &cost), 0);
	assert_true(cost.run_count >= COUNT(pids));
	printf("proc.exit: %llu ns a run\n",
	       (unsigned long long)(cost.run_time_ns / cost.run_count));
	assert_true(cost.run_time_ns > 0);
	assert_int_equal(fr_bpf_measure(bpf, false), 0);
	assert_int_equal(fr_bpf_cost(bpf, FR_CLASS_PROC_EXIT, &cost), 0);
	spawn(COUNT(pids), pids);
	assert_int_equal(fr_bpf_cost(bpf, FR_CLASS_PROC_EXIT, &later), 0);
	assert_int_equal(later.run_count, cost.run_count);
	assert_int_equal(fr_bpf_cost(bpf, FR_CLASS_BLK_ERROR, &cost), -ENODATA);
	fr_bpf_unload(bpf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_probe_says_that_it_is_attached_and_how),
		cmocka_unit_test(test_a_restart_finds_what_happened_meanwhile_and_in_order),
		cmocka_unit_test(test_a_loader_killed_at_any_instant_loses_nothing),
		cmocka_unit_test(test_a_first_start_killed_at_any_instant_stops_no_other),
		cmocka_unit_test(test_what_does_not_fit_is_told_once_also_after_a_restart),
		cmocka_unit_test(test_other_options_replace_pins_but_first_comes_what_they_hold),
		cmocka_unit_test(test_a_replacement_killed_at_any_instant_loses_nothing),
		cmocka_unit_test(test_an_event_that_is_not_wanted_any_more_leaves_the_kernel),
		cmocka_unit_test(test_without_btf_classic_tracepoints_tell_what_they_can),
		cmocka_unit_test(test_without_btf_and_tracefs_each_probe_says_why),
		cmocka_unit_test(test_without_bpffs_events_come_and_nothing_stays),
		cmocka_unit_test(test_two_recorders_do_not_read_one_ring_buffer),
		cmocka_unit_test(test_without_privilege_the_loader_says_so),
		cmocka_unit_test(test_an_unknown_event_is_refused),
		cmocka_unit_test(test_reading_stops_where_it_is_told_and_goes_on_there),
		cmocka_unit_test(test_a_quiet_event_is_late_by_a_period_at_most_and_a_death_is_not),
		cmocka_unit_test(test_the_kernel_counts_what_the_programs_cost_while_it_is_told_to),
	};

	bpf_test_world();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
