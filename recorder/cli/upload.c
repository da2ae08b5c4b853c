/* SPDX-License-Identifier: MIT */
/*
 * upload.c - `flightrec upload`: sends what was not sent yet, once or for as long as it runs.
 *
 * Owns: the command's options, its words, and that nothing is sent before an endpoint is configured.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/cli/cli.h"
#include "recorder/cli/out.h"
#include "recorder/cli/progress.h"
#include "recorder/core/host.h"
#include "recorder/core/paths.h"
#include "uploader/upload.h"

#ifndef HAVE_CURL

int fr_cmd_upload(int argc, char **argv)
{
	(void)argc, (void)argv;
	return fr_fail("this build of flightrec was made without upload; build it where libcurl and libzstd are installed");
}

#else

static atomic_bool stop;

static void on_signal(int number)
{
	(void)number;
	atomic_store_explicit(&stop, true, memory_order_relaxed);
}

static const char help[] =
	"Nothing leaves the machine before an endpoint is set: in section [upload] of the\n"
	"configuration, as FLIGHTREC_UPLOAD_ENDPOINT in the environment, or here. What\n"
	"was acknowledged is never sent again; what the day's budget\n"
	"(budget_bytes_per_day) does not cover waits, and is no failure.\n"
	"\n"
	"Options:\n"
	"      --once              send what there is, then end (default)\n"
	"      --watch             go on, and look for more every `interval`\n"
	"      --endpoint URL      where to: https://host or https://host/path (http://\n"
	"                          only to this machine)\n"
	"      --database GUID     the database that the endpoint files it under\n"
	"      --token-file FILE   bearer token, one line\n"
	"      --ca-file FILE      authorities for the server's certificate, PEM\n"
	"  -o, --option KEY=VALUE  any other key of section [upload], see\n"
	"                          flightrec.conf(5)\n"
	"      --state DIR         another state directory\n"
	"  -j, --json              one object a run instead of text\n"
	"  -q, --quiet             only what went wrong\n"
	"\n"
	"Exit codes: 0 sent and acknowledged, or waiting for tomorrow's budget, 1 failed,\n"
	"4 upload is off, or there was nothing to send.\n"
	"\n"
	"Examples:\n"
	"  flightrec upload\n"
	"  flightrec upload --endpoint https://fleet.example.com --token-file token \\\n"
	"                   --database 6f1f3f0e-8a51-4f0e-b3f5-5b9d6a4d6d10\n"
	"  flightrec upload --watch -o interval=5min -o budget_bytes_per_day=50M\n";

struct arguments {
	struct fr_upload_config config;
	char state[FR_PATH_MAX];
	bool watch, json, quiet;
};

enum { ENDPOINT = 256, DATABASE, TOKEN_FILE, CA_FILE, STATE, WATCH, ONCE, HELP };

static const struct option options[] = {
	{ "once", no_argument, NULL, ONCE },
	{ "watch", no_argument, NULL, WATCH },
	{ "endpoint", required_argument, NULL, ENDPOINT },
	{ "database", required_argument, NULL, DATABASE },
	{ "token-file", required_argument, NULL, TOKEN_FILE },
	{ "ca-file", required_argument, NULL, CA_FILE },
	{ "option", required_argument, NULL, 'o' },
	{ "state", required_argument, NULL, STATE },
	{ "json", no_argument, NULL, 'j' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, HELP },
	{ 0 },
};

/* -1: go on; else the exit code. */
static int set_key(struct arguments *arguments, const char *key, const char *value)
{
	char why[FR_INI_TEXT_MAX] = "";
	int r = fr_upload_config_set(&arguments->config, key, value, why, sizeof why);

	if (r == FR_INI_UNKNOWN_KEY)
		return fr_usage("upload", "there is no key `%s` in [upload]", key);
	return r < 0 ? fr_usage("upload", "%s = %s: %s", key, value, why) : -1;
}

static int set_option(struct arguments *arguments, char *text)
{
	char *equals = strchr(text, '=');

	if (!equals)
		return fr_usage("upload", "-o %s: want KEY=VALUE", text);
	*equals = '\0';
	return set_key(arguments, text, equals + 1);
}

static int set_state(struct arguments *arguments, const char *dir)
{
	if (strlen(dir) >= sizeof arguments->state)
		return fr_usage("upload", "--state: the path is too long");
	strcpy(arguments->state, dir);
	return -1;
}

static void warn(void *ctx, const char *text)
{
	(void)ctx;
	fr_warning("%s", text);
}

static int parse(struct arguments *arguments, int argc, char **argv)
{
	int option, done = -1;

	while (done < 0 && (option = getopt_long(argc, argv, "o:qjh", options, NULL)) != -1) {
		switch (option) {
		case ENDPOINT:
			done = set_key(arguments, "endpoint", optarg);
			break;
		case DATABASE:
			done = set_key(arguments, "database", optarg);
			break;
		case TOKEN_FILE:
			done = set_key(arguments, "token_file", optarg);
			break;
		case CA_FILE:
			done = set_key(arguments, "ca_file", optarg);
			break;
		case 'o':
			done = set_option(arguments, optarg);
			break;
		case STATE:
			done = set_state(arguments, optarg);
			break;
		case WATCH:
		case ONCE:
			arguments->watch = option == WATCH;
			break;
		case 'j':
			arguments->json = true;
			break;
		case 'q':
			arguments->quiet = true;
			break;
		case 'h':
		case HELP:
			return fr_help("upload", help);
		default:
			return fr_usage("upload", NULL);
		}
	}
	if (done < 0 && optind < argc)
		return fr_usage("upload", "`%s`: upload takes no arguments", argv[optind]);
	return done;
}

static void say(void *ctx, const char *text)
{
	const struct arguments *arguments = ctx;

	if (!arguments->quiet)
		fr_warning("%s", text);
}

static const char *state_of(int r, const struct fr_upload_report *report)
{
	switch (r) {
	case 0:
		return report->events_acked || report->events_set_aside ? "sent" : "nothing";
	case -EDQUOT:
		return "budget";
	case -EAGAIN:
		return "unreachable";
	case -EPERM:
		return "misconfigured";
	case -EINTR:
		return "stopped";
	default:
		return "failed";
	}
}

static void print_json(int r, const struct fr_upload_report *report)
{
	__attribute__((cleanup(fr_out_done))) struct fr_out out = { 0 };

	fr_out_printf(&out, "{\"state\":\"%s\",\"batches_acked\":%" PRIu64 ",\"batches_duplicate\":%" PRIu64, state_of(r, report),
		      report->batches_acked, report->batches_duplicate);
	fr_out_printf(&out, ",\"events_acked\":%" PRIu64 ",\"events_set_aside\":%" PRIu64 ",\"retries\":%" PRIu64,
		      report->events_acked, report->events_set_aside, report->retries);
	fr_out_printf(&out, ",\"bytes_sent\":%" PRIu64 ",\"batches_waiting\":%" PRIu64 ",\"events_waiting\":%" PRIu64
		      ",\"events_pending\":%" PRIu64 ",\"why\":", report->bytes_sent, report->batches_waiting,
		      report->events_waiting, report->events_pending);
	fr_out_json(&out, report->why);
	fr_out_put(&out, "}\n");
	fwrite(out.data, 1, out.size, stdout);
	fflush(stdout);
}

static void print_text(int r, const struct fr_upload_report *report)
{
	char events[32], batches[32], bytes[32], rest[32];

	if (r == 0 && !report->events_acked && !report->events_set_aside) {
		puts("nothing to send");
	} else {
		printf("acknowledged: %s event%s in %s batch%s", fr_count_text(events, report->events_acked),
		       report->events_acked == 1 ? "" : "s", fr_count_text(batches, report->batches_acked),
		       report->batches_acked == 1 ? "" : "es");
		if (report->batches_duplicate)
			printf(", %" PRIu64 " of them known there already", report->batches_duplicate);
		printf("; %s sent", fr_size_text(bytes, report->bytes_sent));
		if (report->events_acked)
			printf(", %.1f bytes an event", (double)report->bytes_sent / (double)report->events_acked);
		puts("");
	}
	if (report->events_set_aside)
		printf("set aside:    %s events that the endpoint refuses, in outbox/rejected/\n",
		       fr_count_text(rest, report->events_set_aside));
	if (report->events_waiting + report->events_pending)
		printf("left:         %s%s events, %" PRIu64 " of them in %" PRIu64 " batch%s of the outbox\n",
		       report->events_pending == FR_UPLOAD_COUNT_MAX ? "more than " : "",
		       fr_count_text(rest, report->events_waiting + report->events_pending), report->events_waiting,
		       report->batches_waiting, report->batches_waiting == 1 ? "" : "es");
	if (r == -EDQUOT)
		printf("%s\n", report->why);
	fflush(stdout);
}

static int run(const struct arguments *arguments, struct fr_upload *upload)
{
	struct fr_upload_report report;
	int r;

	if (!arguments->quiet && !arguments->watch)
		fr_progress_begin("uploading", FR_PROGRESS_EVENTS);
	r = fr_upload_run(upload, &report);
	fr_progress_end();
	if (arguments->watch && r == 0 && !report.events_acked && !report.events_set_aside)
		return FR_EXIT_NOTHING; /* goes on for days: only what happens is worth a line */
	if (arguments->json)
		print_json(r, &report);
	else if (!arguments->quiet)
		print_text(r, &report);
	if (r < 0 && r != -EDQUOT && r != -EINTR)
		fr_error("%s", *report.why ? report.why : fr_why(r));
	if (r < 0)
		return r == -EDQUOT || (r == -EINTR && arguments->watch) ? FR_EXIT_GOOD : FR_EXIT_FAILED;
	return report.events_acked || report.events_set_aside ? FR_EXIT_GOOD : FR_EXIT_NOTHING;
}

static int watch(const struct arguments *arguments, struct fr_upload *upload)
{
	int result = FR_EXIT_GOOD;

	while (!atomic_load(&stop)) {
		uint64_t until, now;

		result = run(arguments, upload);
		until = fr_clock_mono_ns() / 1000000 + arguments->config.interval_ms;
		if (result == FR_EXIT_FAILED) /* set up wrongly: asking more often mends nothing */
			until += arguments->config.retry_cap_ms;
		while (!atomic_load(&stop) && (now = fr_clock_mono_ns() / 1000000) < until)
			poll(NULL, 0, until - now < 1000 ? (int)(until - now) : 1000);
	}
	return result == FR_EXIT_NOTHING ? FR_EXIT_GOOD : result;
}

static int switched_off(void)
{
	fprintf(stderr,
		"flightrec: upload is off: no endpoint is set, and nothing leaves this machine.\n"
		"To switch it on, write to %s.d/50-upload.conf\n"
		"  [upload]\n"
		"  endpoint = https://fleet.example.com\n"
		"  database = the GUID of your database there\n"
		"or see `flightrec upload --help`.\n",
		fr_ini_config_path());
	return FR_EXIT_NOTHING;
}

int fr_cmd_upload(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	struct sigaction action = { .sa_handler = on_signal };
	struct fr_upload_hooks hooks = { .say = say, .ctx = &arguments, .at = fr_progress_at, .stop = &stop };
	struct fr_upload *upload;
	char text[FR_INI_TEXT_MAX + FR_PATH_MAX] = "";
	int r = fr_upload_config_load(&arguments.config, warn, NULL, text, sizeof text), done;

	if (r < 0 && !(argc > 1 && strcmp(argv[1], "--help") == 0))
		return fr_fail("%s", text);
	done = parse(&arguments, argc, argv);
	if (done >= 0)
		return done;
	if (!*arguments.config.endpoint)
		return switched_off();
	r = *arguments.state ? 0 : fr_path_state(arguments.state, sizeof arguments.state, "");
	if (r < 0)
		return fr_fail("no state directory: %s; name one with --state or FLIGHTREC_STATE_DIR", fr_why(r));
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	hooks.patient = arguments.watch;
	r = fr_upload_open(&arguments.config, arguments.state, &hooks, &upload, text, sizeof text);
	if (r < 0)
		return fr_fail("%s", *text ? text : fr_why(r));
	done = arguments.watch ? watch(&arguments, upload) : run(&arguments, upload);
	fr_upload_close(upload);
	return done;
}

#endif
