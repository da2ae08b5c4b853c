/* SPDX-License-Identifier: MIT */
/* probes.c - see probes.h. */
#include "recorder/daemon/probes.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "bpf/loader.h"
#include "recorder/core/crc.h"
#include "recorder/core/host.h"
#include "recorder/daemon/daemon.h"

#define LOOK_MS	       1000 /* drops are told, and the programs' time */
#define MEASURE_EACH   20 /* looks: for one of so many the kernel times the programs, which costs the tasks that it traces */
#define PAUSED_LOOK_MS 2
#define PAUSED_FILL    12 /* percent of the kernel's buffer that a pause may fill */
#define WAKEUP_BYTES   (256u << 10) /* awake, the reader takes cache lines from who records */
#define BURST	       4096
#define IN_USE_WAIT_MS 1000
#define RETRY_MS       30000
#define CLOSE_DRAINS   64
#define CLOSE_WAIT_MS  10000
#define NAMES_MAX      CONFIG_EVENTS_MAX

static void bpf_log(void *ctx, int level, const char *line)
{
	(void)ctx;
	if (level == 0)
		log_line(LOG_PRIO_WARNING, "eBPF: %s", line);
}

/* One name for each state directory: a second recorder in a scratch directory does not touch the machine's. */
static void choose_pin_dir(struct daemon *daemon, char *path, size_t size)
{
	if (strcmp(daemon->state, "/var/lib/flightrec") == 0)
		snprintf(path, size, "%s", FR_BPF_PIN_DIR);
	else
		snprintf(path, size, "%s-%08x", FR_BPF_PIN_DIR,
			 fr_crc32c(0, daemon->state, strlen(daemon->state)));
}

static unsigned wanted_events(const struct config *config, const char *names[NAMES_MAX])
{
	unsigned count = 0;

	for (unsigned i = 0; i < fr_catalogue_count && count < NAMES_MAX; i++) {
		const struct fr_catalogue_event *event = &fr_catalogue[i];
		bool on = event->default_on;

		if (event->role != FR_ROLE_EBPF)
			continue;
		for (unsigned k = 0; k < config->event_count; k++) {
			if (config->event[k].id == event->id)
				on = config->event[k].on;
		}
		if (on)
			names[count++] = event->name;
	}
	return count;
}

static int take(void *ctx, const struct fr_kevent *sample, size_t size)
{
	struct probes *probes = ctx;
	struct daemon *daemon = probes->daemon;
	struct resume *resume = &daemon->resume;
	struct fr_kevent_values values;

	probes->taken++;
	if (fr_kevent_values(sample, size, 0, &values) < 0) {
		probes->refused++;
		return 0;
	}
	if (probes->skip_first) {
		probes->skip_first = false;
		if (values.stamp.time_ns == resume->kernel_time_ns &&
		    values.stamp.tid == resume->kernel_tid &&
		    values.stamp.cpu == resume->kernel_cpu)
			return 0;
	}
	if (own_record(&daemon->own, OWN_KERNEL, &values.stamp, values.value, values.count) == 0) {
		resume->kernel_time_ns = values.stamp.time_ns;
		resume->kernel_tid = values.stamp.tid;
		resume->kernel_cpu = values.stamp.cpu;
	}
	return probes->may_pause && own_wants_pause(&daemon->own, OWN_KERNEL) ? -ECANCELED : 0;
}

static void tell_drops(struct probes *probes)
{
	for (unsigned class_no = 0; class_no < FR_CLASS_COUNT; class_no++) {
		const struct fr_catalogue_event *event = fr_catalogue_by_class(class_no);
		uint64_t drops = fr_bpf_drops(probes->bpf, class_no);

		if (drops == 0 || !event || !probes->daemon->own.open)
			continue;
		own_loss(&probes->daemon->own, FRM_LOSS_KERNEL_BUFFER, drops, event->name);
		fr_bpf_drops_told(probes->bpf, class_no, drops);
	}
}

/*
 * The kernel's buffer keeps what the ring has no room for while a drain is under way. But what doesn't
 * fit there is lost, and it is the newest: rather the ring forgets its oldest.
 */
static bool wants_pause(struct probes *probes)
{
	return own_wants_pause(&probes->daemon->own, OWN_KERNEL) &&
	       fr_bpf_fill_percent(probes->bpf) < PAUSED_FILL;
}

static void look_paused(void *ctx)
{
	struct probes *probes = ctx;

	if (wants_pause(probes))
		loop_timer_set(&probes->daemon->loop, &probes->pause_timer, PAUSED_LOOK_MS);
	else
		probes_resume(probes);
}

void probes_consume(struct probes *probes)
{
	if (!probes->bpf || probes->paused)
		return;
	probes->may_pause = fr_bpf_fill_percent(probes->bpf) < PAUSED_FILL;
	if (!wants_pause(probes) &&
	    fr_bpf_consume(probes->bpf, BURST, take, probes) != -ECANCELED)
		return;
	probes->paused = true; /* until the drain under way is done, or the buffer fills */
	loop_enable(&probes->daemon->loop, probes->source, false);
	loop_timer_set(&probes->daemon->loop, &probes->pause_timer, PAUSED_LOOK_MS);
}

void probes_resume(struct probes *probes)
{
	if (!probes->bpf || !probes->paused)
		return;
	probes->paused = false;
	loop_timer_stop(&probes->daemon->loop, &probes->pause_timer);
	loop_enable(&probes->daemon->loop, probes->source, true);
	probes_consume(probes);
}

static void ready(void *ctx, uint32_t events)
{
	(void)events;
	probes_consume(ctx);
}

static void look(void *ctx)
{
	struct probes *probes = ctx;
	bool timed = probes->looks++ % MEASURE_EACH == 0;

	probes_consume(probes);
	tell_drops(probes);
	if (fr_bpf_measure(probes->bpf, timed) == 0 && timed)
		probes->measured = true;
	loop_timer_set(&probes->daemon->loop, &probes->timer, LOOK_MS);
}

static void tell_missing(struct daemon *daemon, unsigned missing, int error)
{
	const unsigned fatal = FR_BPF_NO_BUILD | FR_BPF_NO_SYSCALL | FR_BPF_NO_PRIVILEGE |
			       FR_BPF_NO_RINGBUF | FR_BPF_IN_USE;

	if (error < 0 && missing & fatal)
		missing &= fatal; /* what else there would be doesn't matter then */
	if (missing == 0 && error < 0)
		daemon_missing(daemon, "eBPF", "programs could not be loaded: %s",
			       strerror(-error));
	for (unsigned bit = 0; bit < FR_BPF_MISSING_BITS; bit++) {
		if (missing & 1u << bit)
			daemon_missing(daemon, "eBPF", "%s",
				       fr_bpf_missing_text((enum fr_bpf_missing)(1u << bit)));
	}
}

static void tell_probes(struct probes *probes)
{
	struct fr_bpf_probe probe;
	unsigned on = 0, resumed = 0;

	for (unsigned class_no = 0; fr_bpf_probe(probes->bpf, class_no, &probe) == 0; class_no++) {
		on += probe.state == FR_BPF_ATTACHED || probe.state == FR_BPF_RESUMED;
		resumed += probe.state == FR_BPF_RESUMED;
		if (probe.state == FR_BPF_FAILED)
			daemon_missing(probes->daemon, probe.name,
				       "its probe could not be attached: %s", probe.why);
		OWN_SAY(&probes->daemon->own, FR_EVENT_FR_PROBE_STATUS, { .s = probe.name },
			{ .s = fr_bpf_state_name(probe.state) },
			{ .s = fr_bpf_variant_name(probe.variant) }, { .s = probe.why });
	}
	log_line(LOG_PRIO_INFO, "eBPF: %u probes on%s", on,
		 resumed ? ", found running from before" : "");
}

static int open_bpf(struct daemon *daemon, struct fr_bpf **ret_bpf, unsigned *ret_missing)
{
	struct probes *probes = &daemon->probes;
	const char *names[NAMES_MAX];
	struct fr_bpf_options options = {
		.size = sizeof(options),
		.pin_dir = probes->pin_dir,
		.wakeup_bytes = WAKEUP_BYTES,
		.events = names,
		.log = bpf_log,
	};

	options.event_count = wanted_events(&daemon->config, names);
	return fr_bpf_open(&options, ret_bpf, ret_missing);
}

static int attach(struct daemon *daemon)
{
	struct probes *probes = &daemon->probes;
	int error = open_bpf(daemon, &probes->bpf, &probes->missing);

	malloc_trim(0); /* the kernel's type information was here for a moment */
	if (error < 0) {
		probes->bpf = NULL;
		return error;
	}
	probes->skip_first = fr_bpf_resumed(probes->bpf) && daemon->resume.kernel_time_ns != 0;
	return 0;
}

static void go_on(struct probes *probes)
{
	struct daemon *daemon = probes->daemon;
	int error;

	tell_probes(probes);
	error = loop_add(&daemon->loop, fr_bpf_fd(probes->bpf), EPOLLIN, ready, probes,
			 &probes->source);
	if (error < 0)
		log_line(LOG_PRIO_WARNING,
			 "eBPF: events can't be waited for (%s): they are read each second",
			 strerror(-error));
	probes->timer.fire = look;
	look(probes);
}

/* The pins were another's. It may be the last worker of a daemon that was killed, or a whole other recorder. */
static void try_again(void *ctx)
{
	struct probes *probes = ctx;

	if (attach(probes->daemon) == 0) {
		log_line(LOG_PRIO_NOTICE, "eBPF: the programs are free now");
		daemon_found(probes->daemon, "eBPF");
		go_on(probes);
	} else {
		loop_timer_set(&probes->daemon->loop, &probes->timer, RETRY_MS);
	}
}

void probes_open(struct daemon *daemon)
{
	struct probes *probes = &daemon->probes;
	struct timespec nap = { .tv_nsec = 20000000 };
	int error;

	probes->daemon = daemon;
	probes->timer.ctx = probes;
	probes->pause_timer.ctx = probes;
	probes->pause_timer.fire = look_paused;
	choose_pin_dir(daemon, probes->pin_dir, sizeof(probes->pin_dir));
	if (daemon->no_bpf || !daemon->config.bpf) {
		daemon_missing(
			daemon, "eBPF",
			"switched off (%s): no kernel events, and causes of death only as far as the parent or the "
			"ring tells",
			daemon->no_bpf ? "--no-bpf" : "[bpf] enable = no");
		return;
	}
	error = attach(daemon);
	for (int tries = IN_USE_WAIT_MS / 20;
	     error < 0 && probes->missing & FR_BPF_IN_USE && tries > 0; tries--) {
		nanosleep(&nap, NULL);
		error = attach(daemon);
	}
	tell_missing(daemon, probes->missing, error);
	if (error == 0) {
		go_on(probes);
	} else if (probes->missing & FR_BPF_IN_USE) {
		probes->timer.fire = try_again;
		loop_timer_set(&daemon->loop, &probes->timer, RETRY_MS);
	}
}

void probes_close(struct probes *probes, bool unload)
{
	loop_timer_stop(&probes->daemon->loop, &probes->timer);
	if (!probes->bpf)
		return;
	probes_consume(probes);
	for (int i = 0; i < CLOSE_DRAINS && probes->paused; i++) /* a drain's end resumes */
		worker_reap(&probes->daemon->own.drain, CLOSE_WAIT_MS);
	tell_drops(probes);
	loop_timer_stop(&probes->daemon->loop, &probes->pause_timer);
	loop_remove(&probes->daemon->loop, probes->source);
	if (unload)
		fr_bpf_unload(probes->bpf);
	else
		fr_bpf_close(probes->bpf);
	probes->bpf = NULL;
}

int probes_unload_pins(struct daemon *daemon)
{
	struct probes *probes = &daemon->probes;
	struct fr_bpf *bpf;
	unsigned missing;
	struct stat st;
	int error;

	choose_pin_dir(daemon, probes->pin_dir, sizeof(probes->pin_dir));
	if (stat(probes->pin_dir, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	error = open_bpf(daemon, &bpf, &missing);
	if (error == 0)
		fr_bpf_unload(bpf);
	return error;
}
