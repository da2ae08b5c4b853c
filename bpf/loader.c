/* SPDX-License-Identifier: MIT */
/*
 * loader.c - the life of the eBPF side: open, read, count, close.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "bpf/loader_impl.h"
#include "recorder/core/atomic.h"

/* libbpf has one log for the program: it belongs to whoever opens at the moment. */
static struct fr_bpf *logging;

void fr_bpf_log(struct fr_bpf *bpf, int level, const char *format, ...)
{
	char line[512];
	va_list args;

	if (!bpf->options.log)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	bpf->options.log(bpf->options.log_ctx, level, line);
}

/* The verifier's last words before its statistics are the reason. */
static void remember(struct fr_bpf *bpf, const char *line)
{
	if (strncmp(line, "--", 2) && strncmp(line, "processed ", 10) &&
	    !strstr(line, "PROG LOAD LOG") && strncmp(line, "libbpf: ", 8) && line[0] != ';')
		snprintf(bpf->last_line, sizeof(bpf->last_line), "%s", line);
}

static int on_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	char *text = NULL, *rest = NULL;

	if (!logging || vasprintf(&text, format, args) < 0)
		return 0;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (level == LIBBPF_WARN)
			remember(logging, line);
		/* it warns of a variant that did not work: the probe's status tells the outcome */
		fr_bpf_log(logging, 2, "%s", line);
	}
	free(text);
	return 0;
}

void fr_bpf_fail(struct fr_bpf *bpf, unsigned class_no, const char *why)
{
	struct fr_bpf_probe *probe = &bpf->hook[class_no].probe;

	probe->state = FR_BPF_FAILED;
	probe->variant = FR_BPF_NONE;
	snprintf(probe->why, sizeof(probe->why), "%s", why);
	fr_bpf_log(bpf, 1, "%s: %s", probe->name, why);
}

#define SIGNAL_BIT(sig) (1ull << ((sig) - 1))

static void choose_knobs(struct fr_bpf *bpf)
{
	static const int always[] = { SIGHUP,  SIGINT,	SIGQUIT, SIGILL,  SIGABRT, SIGBUS, SIGFPE,
				      SIGKILL, SIGSEGV, SIGTERM, SIGXCPU, SIGXFSZ, SIGSYS };
	static const int fault[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS };

	for (unsigned i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		bpf->knobs.signals_always |= SIGNAL_BIT(always[i]);
	for (unsigned i = 0; i < sizeof(fault) / sizeof(fault[0]); i++)
		bpf->knobs.signals_fault |= SIGNAL_BIT(fault[i]);
	bpf->knobs.page_kib = (uint32_t)sysconf(_SC_PAGESIZE) / 1024;
	bpf->knobs.wakeup_bytes = bpf->options.wakeup_bytes;
	if (!bpf->knobs.wakeup_bytes)
		bpf->knobs.wakeup_bytes = bpf->options.ringbuf_bytes / 8;
	bpf->knobs.boot_clock = fr_bpf_kernel_boot_clock();
	if (!bpf->knobs.boot_clock)
		bpf->missing |= FR_BPF_NO_BOOT_CLOCK;
}

static int choose_events(struct fr_bpf *bpf)
{
	const struct fr_bpf_options *o = &bpf->options;

	for (unsigned c = 0; c < FR_CLASS_COUNT; c++) {
		const struct fr_catalogue_event *event = fr_catalogue_by_class(c);
		struct fr_bpf_hook *hook = &bpf->hook[c];

		hook->link_fd = hook->prog_fd = hook->perf_fd = -1;
		hook->probe.event = event->id;
		hook->probe.name = event->name;
		/* wanted, and not attached yet */
		if (!o->events && event->default_on)
			hook->probe.state = FR_BPF_FAILED;
	}
	for (unsigned i = 0; o->events && i < o->event_count; i++) {
		unsigned c = 0;

		while (c < FR_CLASS_COUNT && strcmp(bpf->hook[c].probe.name, o->events[i]) != 0)
			c++;
		if (c == FR_CLASS_COUNT)
			return -EINVAL;
		bpf->hook[c].probe.state = FR_BPF_FAILED;
	}
	return 0;
}

/* The first thing that needs the kernel's consent: the kind of refusal tells what is missing. */
static int make_events(struct fr_bpf *bpf)
{
	bpf->events_fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "fr_events", 0, 0,
					bpf->options.ringbuf_bytes, NULL);
	if (bpf->events_fd >= 0)
		return 0;
	switch (errno) {
	case EPERM:
	case EACCES:
		bpf->missing |= FR_BPF_NO_PRIVILEGE;
		return -EPERM;
	case ENOSYS:
		bpf->missing |= FR_BPF_NO_SYSCALL;
		return -ENOSYS;
	case EINVAL:
		bpf->missing |= FR_BPF_NO_RINGBUF;
		return -EOPNOTSUPP;
	default:
		return -errno;
	}
}

static int make_maps(struct fr_bpf *bpf)
{
	uint32_t key = 0;
	int error;

	if (bpf->resumed)
		return 0;
	error = make_events(bpf);
	if (error)
		return error;
	bpf->counts_fd = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "fr_counts", sizeof(key),
					sizeof(struct fr_kevent_count), FR_KEVENT_ID_END, NULL);
	if (bpf->counts_fd < 0)
		return -errno;
	if (bpf->ledger_fd < 0)
		bpf->ledger_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "fr_ledger", sizeof(key),
						sizeof(bpf->ledger), 1, NULL);
	if (bpf->ledger_fd < 0 ||
	    bpf_map_update_elem(bpf->ledger_fd, &key, &bpf->ledger, BPF_ANY) < 0)
		return -errno;
	fr_bpf_pins_maps(bpf);
	return 0;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Old kernels tell twice of a process whose last threads leave together. */
static bool told_twice(struct fr_bpf *bpf, const struct fr_kevent *event)
{
	if (event->event != FR_EVENT_PROC_EXIT || !event->start_time_ns)
		return false;
	for (unsigned i = 0; i < FR_BPF_EXITS; i++)
		if (bpf->exits[i].pid == event->pid &&
		    bpf->exits[i].start_time_ns == event->start_time_ns)
			return true;
	bpf->exits[bpf->next_exit].pid = event->pid;
	bpf->exits[bpf->next_exit].start_time_ns = event->start_time_ns;
	bpf->next_exit = (bpf->next_exit + 1) % FR_BPF_EXITS;
	return false;
}

static void store_ledger(struct fr_bpf *bpf)
{
	uint32_t key = 0;

	bpf_map_update_elem(bpf->ledger_fd, &key, &bpf->ledger, BPF_ANY);
}

static int on_sample(void *ctx, void *data, size_t size)
{
	struct fr_bpf *bpf = ctx;
	const struct fr_kevent *event = data;
	struct {
		struct fr_kevent head;
		unsigned char rest[1024];
	} copy;

	if (size < sizeof(*event) || event->version != FR_KEVENT_VERSION || event->size != size) {
		/* of another version: it can't be read, so it is lost, and told like a drop */
		if (size >= sizeof(*event) && event->event < FR_KEVENT_ID_END) {
			bpf->ledger.carried[event->event]++;
			store_ledger(bpf);
		}
		return 0;
	}
	if (told_twice(bpf, event))
		return 0;
	if ((event->flags & FR_KEVENT_MONOTONIC) && size <= sizeof(copy)) {
		memcpy(&copy, event, size);
		copy.head.flags &= ~FR_KEVENT_MONOTONIC;
		copy.head.time_ns += clock_ns(CLOCK_BOOTTIME) - clock_ns(CLOCK_MONOTONIC);
		event = &copy.head;
	}
	bpf->taken++;
	bpf->fn_result = bpf->fn(bpf->fn_ctx, event, size);
	return bpf->fn_result || bpf->taken == bpf->max ? -ECANCELED : 0;
}

static void close_previous(struct fr_bpf *bpf)
{
	ring_buffer__free(bpf->previous);
	bpf->previous = NULL;
	while (bpf->previous_count)
		close(bpf->previous_fd[--bpf->previous_count]);
}

int fr_bpf_consume(struct fr_bpf *bpf, unsigned max, fr_bpf_event_fn fn, void *ctx)
{
	uint64_t periods;
	int n = 0;

	if (read(bpf->timer_fd, &periods, sizeof(periods)) < 0 && errno != EAGAIN)
		return -errno;
	bpf->fn = fn;
	bpf->fn_ctx = ctx;
	bpf->taken = 0;
	bpf->max = max;
	bpf->fn_result = 0;
	if (bpf->previous) {
		n = ring_buffer__consume(bpf->previous);
		if (n >= 0) {
			close_previous(bpf);
			fr_bpf_pins_drained(bpf);
		}
	}
	if (n >= 0)
		n = ring_buffer__consume(bpf->ring);
	if (bpf->fn_result)
		return bpf->fn_result;
	return n < 0 && n != -ECANCELED ? n : (int)bpf->taken;
}

/* libbpf reads several ring buffers in the order in which they were added. */
static void open_previous(struct fr_bpf *bpf)
{
	int fd;

	while (bpf->previous_count < sizeof(bpf->previous_fd) / sizeof(bpf->previous_fd[0]) &&
	       (fd = fr_bpf_pins_previous(bpf, bpf->previous_count)) >= 0) {
		bpf->previous_fd[bpf->previous_count++] = fd;
		if (!bpf->previous)
			bpf->previous = ring_buffer__new(fd, on_sample, bpf, NULL);
		else
			ring_buffer__add(bpf->previous, fd, on_sample, bpf);
	}
}

static uint32_t round_ringbuf(uint32_t bytes)
{
	uint32_t size = (uint32_t)sysconf(_SC_PAGESIZE);

	if (!bytes)
		bytes = FR_BPF_RINGBUF_BYTES;
	while (size < bytes && size < 1u << 30)
		size <<= 1;
	return size;
}

/* One descriptor: the ring buffer's, and a timer for what the programs did not wake us for. */
static int make_wakeups(struct fr_bpf *bpf)
{
	const struct timespec period = { .tv_nsec = FR_BPF_PERIOD_MS * 1000000L };
	const struct itimerspec timer = { .it_interval = period, .it_value = period };
	struct epoll_event event = { .events = EPOLLIN };

	bpf->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	bpf->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (bpf->epoll_fd < 0 || bpf->timer_fd < 0 ||
	    timerfd_settime(bpf->timer_fd, 0, &timer, NULL) < 0 ||
	    epoll_ctl(bpf->epoll_fd, EPOLL_CTL_ADD, bpf->timer_fd, &event) < 0 ||
	    epoll_ctl(bpf->epoll_fd, EPOLL_CTL_ADD, ring_buffer__epoll_fd(bpf->ring), &event) < 0)
		return -errno;
	return 0;
}

/* Where reader and writers are; the pages lie so since there are ring buffers. */
static void map_positions(struct fr_bpf *bpf)
{
	long page = sysconf(_SC_PAGESIZE);
	void *read_pos = mmap(NULL, (size_t)page, PROT_READ, MAP_SHARED, bpf->events_fd, 0);
	void *write_pos = mmap(NULL, (size_t)page, PROT_READ, MAP_SHARED, bpf->events_fd, page);

	bpf->read_pos = read_pos == MAP_FAILED ? NULL : read_pos;
	bpf->write_pos = write_pos == MAP_FAILED ? NULL : write_pos;
}

static void unmap_position(const uint64_t *pos)
{
	if (pos)
		munmap((void *)(uintptr_t)pos, (size_t)sysconf(_SC_PAGESIZE));
}

unsigned fr_bpf_fill_percent(const struct fr_bpf *bpf)
{
	if (!bpf->read_pos || !bpf->write_pos)
		return 0;
	/* written by the kernel and by libbpf, each with release */
	return (unsigned)((fr_load_acquire(bpf->write_pos) - fr_load_acquire(bpf->read_pos)) * 100 /
			  bpf->options.ringbuf_bytes);
}

static int open_all(struct fr_bpf *bpf)
{
	const char *dir = bpf->options.pin_dir ? bpf->options.pin_dir : FR_BPF_PIN_DIR;
	int error = choose_events(bpf);

	if (error)
		return error;
	choose_knobs(bpf);
	bpf->build = fr_bpf_build_hash(bpf);

	if (dir[0] && strlen(dir) < sizeof(bpf->pin_dir)) {
		snprintf(bpf->pin_dir, sizeof(bpf->pin_dir), "%s", dir);
		if ((bpf->options.without & FR_BPF_NO_BPFFS) || !fr_bpf_kernel_bpffs(bpf, dir))
			error = -ENOENT;
		else
			error = fr_bpf_pins_open(bpf);
		if (error == -EBUSY)
			return error;
		if (error) {
			bpf->pin_dir[0] = '\0';
			bpf->missing |= FR_BPF_NO_BPFFS;
		}
	}
	error = make_maps(bpf);
	if (error)
		return error;

	bpf->ring = ring_buffer__new(bpf->events_fd, on_sample, bpf, NULL);
	if (!bpf->ring)
		return -errno;
	map_positions(bpf);
	error = make_wakeups(bpf);
	if (error)
		return error;
	open_previous(bpf);
	fr_bpf_attach(bpf);
	fr_bpf_pins_stamp(bpf);
	malloc_trim(0); /* the kernel's types took some megabytes */
	return 0;
}

int fr_bpf_open(const struct fr_bpf_options *options, struct fr_bpf **ret_bpf,
		unsigned *ret_missing)
{
	struct fr_bpf *bpf = calloc(1, sizeof(*bpf));
	size_t size = options->size < sizeof(*options) ? options->size : sizeof(*options);
	int error;

	*ret_missing = 0;
	if (!bpf)
		return -ENOMEM;
	memcpy(&bpf->options, options, size);
	bpf->options.ringbuf_bytes = round_ringbuf(bpf->options.ringbuf_bytes);
	bpf->pin_fd = bpf->events_fd = bpf->counts_fd = bpf->ledger_fd = bpf->stats_fd = -1;
	bpf->epoll_fd = bpf->timer_fd = -1;

	libbpf_set_print(on_libbpf); /* not put back: later calls shall be as silent */
	logging = bpf;
	error = open_all(bpf);
	logging = NULL;

	*ret_missing = bpf->missing;
	if (error) {
		fr_bpf_close(bpf);
		return error;
	}
	*ret_bpf = bpf;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void fr_bpf_close(struct fr_bpf *bpf)
{
	if (!bpf)
		return;
	ring_buffer__free(bpf->ring);
	close_previous(bpf);
	unmap_position(bpf->read_pos);
	unmap_position(bpf->write_pos);
	for (unsigned c = 0; c < FR_CLASS_COUNT; c++) {
		if (!bpf->hook[c].probe.name)
			break;
		close_fd(bpf->hook[c].link_fd);
		close_fd(bpf->hook[c].prog_fd);
		close_fd(bpf->hook[c].perf_fd);
	}
	close_fd(bpf->events_fd);
	close_fd(bpf->counts_fd);
	close_fd(bpf->ledger_fd);
	close_fd(bpf->stats_fd);
	close_fd(bpf->pin_fd);
	close_fd(bpf->epoll_fd);
	close_fd(bpf->timer_fd);
	free(bpf);
}

void fr_bpf_unload(struct fr_bpf *bpf)
{
	if (!bpf)
		return;
	fr_bpf_pins_remove(bpf);
	fr_bpf_close(bpf);
}

bool fr_bpf_resumed(const struct fr_bpf *bpf)
{
	return bpf->resumed;
}

int fr_bpf_fd(const struct fr_bpf *bpf)
{
	return bpf->epoll_fd;
}

int fr_bpf_count(const struct fr_bpf *bpf, unsigned class_no, struct fr_kevent_count *ret_count)
{
	struct fr_kevent_count sum = { 0 }, *count;
	int cpus = libbpf_num_possible_cpus(), error = 0;
	uint32_t id;

	if (class_no >= FR_CLASS_COUNT)
		return -ENOENT;
	if (cpus < 0)
		return cpus;
	count = calloc((size_t)cpus, sizeof(*count));
	if (!count)
		return -ENOMEM;
	id = fr_bpf_event_id(class_no);
	if (bpf_map_lookup_elem(bpf->counts_fd, &id, count) < 0)
		error = -errno;
	for (int cpu = 0; !error && cpu < cpus; cpu++) {
		sum.emitted += count[cpu].emitted;
		sum.dropped += count[cpu].dropped;
	}
	free(count);
	if (!error)
		*ret_count = sum;
	return error;
}

uint64_t fr_bpf_drops(const struct fr_bpf *bpf, unsigned class_no)
{
	struct fr_kevent_count count = { 0 };
	uint64_t all, told;

	if (fr_bpf_count(bpf, class_no, &count) < 0)
		return 0;
	all = count.dropped + bpf->ledger.carried[fr_bpf_event_id(class_no)];
	told = bpf->ledger.told[fr_bpf_event_id(class_no)];
	return all > told ? all - told : 0;
}

int fr_bpf_drops_told(struct fr_bpf *bpf, unsigned class_no, uint64_t count)
{
	uint32_t key = 0;

	if (class_no >= FR_CLASS_COUNT)
		return -ENOENT;
	bpf->ledger.told[fr_bpf_event_id(class_no)] += count;
	return bpf_map_update_elem(bpf->ledger_fd, &key, &bpf->ledger, BPF_ANY) < 0 ? -errno : 0;
}

int fr_bpf_probe(const struct fr_bpf *bpf, unsigned class_no, struct fr_bpf_probe *ret_probe)
{
	if (class_no >= FR_CLASS_COUNT)
		return -ENOENT;
	*ret_probe = bpf->hook[class_no].probe;
	return 0;
}

int fr_bpf_cost(const struct fr_bpf *bpf, unsigned class_no, struct fr_bpf_cost *ret_cost)
{
	struct bpf_prog_info info = { 0 };
	uint32_t length = sizeof(info);

	if (class_no >= FR_CLASS_COUNT || bpf->hook[class_no].prog_fd < 0)
		return -ENODATA;
	if (bpf_obj_get_info_by_fd(bpf->hook[class_no].prog_fd, &info, &length) < 0)
		return -errno;
	ret_cost->run_count = info.run_cnt;
	ret_cost->run_time_ns = info.run_time_ns;
	return 0;
}

int fr_bpf_measure(struct fr_bpf *bpf, bool on)
{
	if (on == (bpf->stats_fd >= 0))
		return 0;
	if (!on) {
		close(bpf->stats_fd);
		bpf->stats_fd = -1;
		return 0;
	}
	bpf->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	return bpf->stats_fd < 0 ? -errno : 0;
}
