/* SPDX-License-Identifier: MIT */
/*
 * main.c - flightrecd: options, lifetime, signals.
 *
 * LIFE	 1. options, configuration, directories, lock	anything wrong here ends it: a person is watching
 *	 2. where an earlier daemon stopped; own ring; gates
 *	 3. rings that are there: watched again, or salvaged; kernel log; eBPF; socket; READY
 *	 4. the loop, until SIGTERM or SIGINT; SIGHUP reads the configuration again
 *	 5. socket gone; sources read empty; own ring copied and released; eBPF stays in the kernel
 * From 2 on whatever is missing is said once, and the rest goes on. Killed at any instruction, the next start goes on.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "recorder/core/host.h"
#include "recorder/core/ini.h"
#include "recorder/core/testpoint.h"
#include "recorder/daemon/daemon.h"
#include "recorder/daemon/notify.h"
#include "recorder/daemon/places.h"
#include "recorder/daemon/status.h"

#define ANCHOR_MS    300000 /* relation of the clocks, into the own ring */
#define STATUS_MS    30000  /* line for the service manager */
#define RESERVED_FDS 64	    /* besides those of connections and of writers */
#define FINISH_MS    10000  /* for a salvage that is under way at the end */

struct lifetime {
	struct daemon daemon;
	struct loop_timer anchor, watchdog, status;
	uint64_t watchdog_ms;
	int clock_steps;
};

static struct lifetime life;

void daemon_missing(struct daemon *daemon, const char *what, const char *format, ...)
{
	char why[200];
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, sizeof(why), format, ap);
	va_end(ap);
	log_line(LOG_PRIO_WARNING, "%s: %s", what, why);
	if (daemon->missing_count < DAEMON_MISSING_MAX)
		snprintf(daemon->missing[daemon->missing_count++], sizeof(daemon->missing[0]),
			 "%.40s\t%s", what, why);
}

void daemon_found(struct daemon *daemon, const char *what)
{
	size_t length = strlen(what);
	unsigned kept = 0;

	for (unsigned i = 0; i < daemon->missing_count; i++) {
		if (strncmp(daemon->missing[i], what, length) == 0 &&
		    daemon->missing[i][length] == '\t')
			continue;
		if (kept != i)
			memcpy(daemon->missing[kept], daemon->missing[i],
			       sizeof(daemon->missing[0]));
		kept++;
	}
	daemon->missing_count = kept;
}

void daemon_resume_sources(struct daemon *daemon)
{
	probes_resume(&daemon->probes);
	kmsg_resume(&daemon->kmsg);
}

static void open_own_ring(struct daemon *daemon)
{
	int error = own_open(daemon);

	daemon_found(daemon, "own ring");
	if (error < 0)
		daemon_missing(
			daemon, "own ring",
			"it can't be made in %.100s: %s. No kernel events and no kernel log are recorded; make room "
			"and reload",
			daemon->ring_dir, strerror(-error));
}

static void reload(struct daemon *daemon)
{
	struct config *next = malloc(sizeof(*next));
	char why[FR_INI_TEXT_MAX];
	int error;

	notify_reloading();
	error = next ? config_load(daemon->config_path, next, why, sizeof(why)) : -ENOMEM;
	if (error < 0) {
		log_line(LOG_PRIO_ERROR,
			 "configuration not reloaded, the last good one stays in force: %s",
			 next ? why : strerror(-error));
	} else {
		config_keep_fixed(&daemon->config, next);
		daemon->config = *next;
		policy_load(daemon);
		sync_configure(daemon);
		if (!daemon->own.open)
			open_own_ring(daemon);
		log_line(LOG_PRIO_NOTICE, "configuration reloaded");
		OWN_SAY(&daemon->own, FR_EVENT_FR_CONFIG, { .u = 0 }, { .u = 0 }, { .s = "" },
			{ .s = daemon->config_path ? daemon->config_path : fr_ini_config_path() });
	}
	free(next);
	FR_TESTPOINT("reloaded");
	notify_ready(error < 0 ? "configuration is wrong, the last good one is in force"
			       : "configuration reloaded");
}

static void on_signal(void *ctx, int number)
{
	struct daemon *daemon = ctx;

	switch (number) {
	case SIGCHLD:
		worker_reap(&daemon->own.drain, 0);
		worker_reap(&daemon->queue.worker, 0);
		sync_reap(&daemon->sync);
		break;
	case SIGHUP:
		reload(daemon);
		break;
	default:
		snprintf(daemon->stop_reason, sizeof(daemon->stop_reason), "signal %s",
			 number == SIGINT ? "INT" : "TERM");
		daemon->loop.stop = true;
	}
}

/* The wall clock was set: a new relation of the clocks, at once. */
static void clock_stepped(void *ctx, uint32_t events)
{
	struct lifetime *all = ctx;
	struct itimerspec far = { .it_value.tv_sec = INT32_MAX };
	uint64_t count;
	ssize_t got = read(all->clock_steps, &count, sizeof(count));

	(void)events;
	(void)got;
	if (all->daemon.own.open)
		fr_ring_anchor(&all->daemon.own.ring);
	timerfd_settime(all->clock_steps, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}

static void watch_clock(struct lifetime *all)
{
	struct itimerspec far = { .it_value.tv_sec = INT32_MAX };

	all->clock_steps = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (all->clock_steps < 0)
		return;
	timerfd_settime(all->clock_steps, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
	loop_add(&all->daemon.loop, all->clock_steps, EPOLLIN, clock_stepped, all, NULL);
}

static void anchor(void *ctx)
{
	struct lifetime *all = ctx;

	if (all->daemon.own.open)
		fr_ring_anchor(&all->daemon.own.ring);
	loop_timer_set(&all->daemon.loop, &all->anchor, ANCHOR_MS);
}

static void watchdog(void *ctx)
{
	struct lifetime *all = ctx;

	notify_alive();
	loop_timer_set(&all->daemon.loop, &all->watchdog, all->watchdog_ms / 2);
}

static void tell_status(void *ctx)
{
	struct lifetime *all = ctx;
	char line[128];

	status_line(&all->daemon, line, sizeof(line));
	notify_status(line);
	loop_timer_set(&all->daemon.loop, &all->status, STATUS_MS);
}

/* The first start in a boot says so. Why the machine was reset is for harvest to find out. */
static void say_boot(struct daemon *daemon)
{
	const struct resume *resume = &daemon->resume;
	char boot[37];

	fr_uuid_text(boot, daemon->boot_id);
	if (resume->first_in_boot)
		OWN_SAY(&daemon->own, FR_EVENT_FR_BOOT, { .u = daemon->boot_seq },
			{ .u = resume->previous_stopped }, { .s = boot },
			{ .s = resume->previous_boot }, { .s = "" });
}

static int start(struct lifetime *all)
{
	struct daemon *daemon = &all->daemon;
	struct utsname kernel = { 0 };
	char line[128];
	int error;

	if (fr_host_boot_id(daemon->boot_id) < 0)
		log_line(LOG_PRIO_WARNING,
			 "/proc/sys/kernel/random/boot_id can't be read: is /proc mounted?");
	daemon->boot_seq = fr_host_boot_seq(daemon->state, daemon->boot_id);
	daemon->ring_dir_dax = places_measure_dax(daemon->ring_dir);
	error = loop_open(&daemon->loop, on_signal, daemon);
	if (error < 0) {
		log_line(LOG_PRIO_ERROR,
			 "epoll, timerfd and signalfd are needed and can't be had: %s",
			 strerror(-error));
		return error;
	}
	daemon->queue.daemon = daemon;
	resume_find(daemon);
	resume_store(daemon, false);
	open_own_ring(daemon);
	say_boot(daemon);
	uname(&kernel);
	OWN_SAY(&daemon->own, FR_EVENT_FR_START, { .u = (uint64_t)getpid() }, { .s = FR_VERSION },
		{ .s = kernel.release });
	policy_load(daemon);
	writers_open(daemon);
	sync_start(daemon);
	kmsg_open(daemon);
	probes_open(daemon);
	error = server_open(daemon);
	if (error < 0)
		daemon_missing(
			daemon, "socket",
			"%.100s/socket can't be opened: %s. Programs make ring files of their own; restart when the path "
			"is free",
			daemon->runtime, strerror(-error));
	watch_clock(all);
	all->anchor = (struct loop_timer){ .fire = anchor, .ctx = all };
	loop_timer_set(&daemon->loop, &all->anchor, ANCHOR_MS);
	all->watchdog_ms = notify_watchdog_ms();
	all->watchdog = (struct loop_timer){ .fire = watchdog, .ctx = all };
	if (all->watchdog_ms)
		watchdog(all);
	all->status = (struct loop_timer){ .fire = tell_status, .ctx = all };
	loop_timer_set(&daemon->loop, &all->status, STATUS_MS);
	status_line(daemon, line, sizeof(line));
	notify_ready(line);
	log_line(LOG_PRIO_INFO, "version %s ready: rings in %s (%s), socket %s/socket", FR_VERSION,
		 daemon->ring_dir, daemon->ring_dir_dax ? "dax" : "file", daemon->runtime);
	FR_TESTPOINT("ready");
	return 0;
}

static void stop(struct lifetime *all)
{
	struct daemon *daemon = &all->daemon;

	notify_stopping();
	log_line(LOG_PRIO_INFO, "stopping (%s)", daemon->stop_reason);
	server_close(daemon);
	salvage_queue_finish(&daemon->queue, FINISH_MS);
	probes_close(&daemon->probes, daemon->config.unload_at_stop);
	kmsg_close(&daemon->kmsg);
	OWN_SAY(&daemon->own, FR_EVENT_FR_STOP, { .s = daemon->stop_reason });
	resume_store(daemon, true);
	own_close(&daemon->own);
	sync_stop(&daemon->sync);
	writers_close(daemon);
	if (all->clock_steps >= 0)
		close(all->clock_steps);
	loop_close(&daemon->loop);
}

static const char help[] =
	"flightrecd - the flight recorder's daemon: hands out rings, records the kernel, salvages rings of the dead\n"
	"\n"
	"Usage: flightrecd [OPTION...]\n"
	"\n"
	"  --config FILE   read FILE and FILE.d/*.conf (default /etc/flightrec/flightrec.conf, $FLIGHTREC_CONFIG)\n"
	"  --state DIR     keep rings and spool below DIR ($FLIGHTREC_STATE_DIR)\n"
	"  --runtime DIR   put the socket into DIR ($FLIGHTREC_RUNTIME_DIR)\n"
	"  --no-bpf        record no kernel events\n"
	"  --unload        remove eBPF programs that an earlier daemon left in the kernel, and exit\n"
	"  --foreground    accepted for clarity: it always stays in the foreground\n"
	"  --version       print the version\n"
	"  --help          print this\n"
	"\n"
	"SIGHUP reads the configuration again, SIGTERM stops. Exit: 0 good, 1 failed, 2 usage.\n"
	"\n"
	"  flightrecd --state /tmp/fr --runtime /tmp/fr    try it beside the system's, also without root\n";

enum option_id {
	OPT_CONFIG = 256,
	OPT_STATE,
	OPT_RUNTIME,
	OPT_NO_BPF,
	OPT_UNLOAD,
	OPT_FOREGROUND,
	OPT_VERSION,
	OPT_HELP
};

static const struct option options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "runtime", required_argument, NULL, OPT_RUNTIME },
	{ "no-bpf", no_argument, NULL, OPT_NO_BPF },
	{ "unload", no_argument, NULL, OPT_UNLOAD },
	{ "foreground", no_argument, NULL, OPT_FOREGROUND },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

/* A path as it is from the root, because the daemon's own directory is nobody's business. */
static int absolute(const char *given, char path[FR_PATH_MAX])
{
	char here[FR_PATH_MAX] = "";

	if (given[0] != '/' && !getcwd(here, sizeof(here)))
		return -errno;
	return snprintf(path, FR_PATH_MAX, "%s%s%s", here, *here ? "/" : "", given) >= FR_PATH_MAX
		       ? -ENAMETOOLONG
		       : 0;
}

/* Returns an exit status, or -1 to go on. */
static int parse(int argc, char **argv, struct daemon *daemon, bool *ret_unload)
{
	int option, error = 0;

	while (error == 0 && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case OPT_CONFIG:
			daemon->config_path = optarg;
			break;
		case OPT_STATE:
			error = absolute(optarg, daemon->state);
			break;
		case OPT_RUNTIME:
			error = absolute(optarg, daemon->runtime);
			break;
		case OPT_NO_BPF:
			daemon->no_bpf = true;
			break;
		case OPT_UNLOAD:
			*ret_unload = true;
			break;
		case OPT_FOREGROUND:
			break;
		case OPT_VERSION:
			puts("flightrecd " FR_VERSION);
			return 0;
		case OPT_HELP:
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "flightrecd: it takes no argument \"%s\"; see flightrecd --help\n",
			argv[optind]);
		return 2;
	}
	if (error == 0 && !*daemon->state)
		error = fr_path_state(daemon->state, FR_PATH_MAX, "");
	if (error == 0 && !*daemon->runtime)
		error = fr_path_runtime(daemon->runtime, FR_PATH_MAX, "");
	if (error < 0) {
		log_line(LOG_PRIO_ERROR,
			 "no directory to work in: %s. Give --state and --runtime, or set HOME",
			 strerror(-error));
		return 1;
	}
	return -1;
}

static int unload(struct daemon *daemon)
{
	int error = probes_unload_pins(daemon);

	if (error < 0)
		log_line(
			LOG_PRIO_ERROR,
			"eBPF programs below %s can't be removed: %s. Stop the daemon first; it takes root",
			daemon->probes.pin_dir, strerror(-error));
	return error < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct daemon *daemon = &life.daemon;
	char why[FR_INI_TEXT_MAX];
	unsigned descriptors, reserved;
	bool only_unload = false;
	int status;

	log_open();
	daemon->lock = daemon->server.socket = daemon->kmsg.fd = daemon->writers.watch =
		daemon->writers.sizes = life.clock_steps = -1;
	status = parse(argc, argv, daemon, &only_unload);
	if (status >= 0)
		return status;
	if (config_load(daemon->config_path, &daemon->config, why, sizeof(why)) < 0) {
		log_line(LOG_PRIO_ERROR, "configuration: %s", why);
		return 1;
	}
	if (only_unload)
		return unload(daemon);
	umask(022);
	descriptors = places_raise_limits();
	reserved = 2 * (unsigned)daemon->config.connections_max + RESERVED_FDS;
	daemon->writers.pidfds_max = descriptors > reserved ? descriptors - reserved : 0;
	daemon->start_ns = fr_clock_boot_ns();
	if (places_make(daemon) < 0 || places_lock(daemon) < 0 || start(&life) < 0)
		return 1;
	status = loop_run(&daemon->loop);
	if (status < 0)
		snprintf(daemon->stop_reason, sizeof(daemon->stop_reason), "epoll: %.40s",
			 strerror(-status));
	stop(&life);
	return status < 0;
}
