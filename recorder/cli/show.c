/* SPDX-License-Identifier: MIT */
/*
 * show.c - `flightrec show`: the timeline of everything that was recorded.
 */
#include "recorder/cli/show.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/cli/cli.h"
#include "recorder/cli/progress.h"
#include "recorder/cli/when.h"
#include "recorder/core/host.h"

#define LAST_ON_TERMINAL 1000
#define LAST_TO_FOLLOW	 10

static const char help[] =
	"Reads the index, what is not indexed yet, and the rings of living processes; or\n"
	"only the FILEs: rings, segments, or directories of them, of any machine, which\n"
	"needs neither root nor index.\n"
	"\n"
	"Which events:\n"
	"  -b, --boot BOOT        0 this boot, -1 the one before, its number, or the\n"
	"                         beginning of its id\n"
	"  -S, --since TIME       '2026-11-20 07:14', 07:14:02.5, today, '5 min ago',\n"
	"                         90s, or +12.5 (seconds since boot)\n"
	"  -U, --until TIME       likewise\n"
	"  -p, --pid PID          of one process\n"
	"  -c, --comm GLOB        whose process or thread is called so\n"
	"  -P, --provider GLOB    a provider's name, or its GUID\n"
	"  -e, --event GLOB       the event's name\n"
	"  -l, --level LEVEL      this level and graver ones: critical, error, warning,\n"
	"                         info, verbose or 1 to 5\n"
	"  -g, --grep TEXT        whose fields contain the text, upper or lower case\n"
	"      --session GLOB     of a session with that name\n"
	"      --around INCIDENT[:SECONDS]\n"
	"                         the 30 (or so many) seconds before a death, and\n"
	"                         at most 1 after\n"
	"  -n, --last N           only the newest N; 0 is all (default: 1000 on a\n"
	"                         terminal, 10 with --follow, else all)\n"
	"\n"
	"How:\n"
	"  -f, --follow           go on with new events as they come\n"
	"  -j, --json             one object a line, complete\n"
	"      --losses           list everything that is missing, and why\n"
	"      --boot-time        seconds since boot instead of the time of day\n"
	"      --utc              time of day in UTC\n"
	"      --color WHEN       auto, always or never (also: NO_COLOR)\n"
	"      --state DIR        another state directory\n"
	"\n"
	"Examples:\n"
	"  flightrec show -f --level warning       watch what goes wrong\n"
	"  flightrec show -b -1 -n 200             the end of the previous boot\n"
	"  flightrec show --around 3f9a            the last moments of incident 3f9a...\n"
	"  flightrec show --since '10 min ago' --comm 'postgres*' --grep timeout\n"
	"  flightrec show crashed.ring --json | jq .fields\n";

enum { OPT_SESSION = 256, OPT_AROUND, OPT_LOSSES, OPT_BOOT_TIME, OPT_UTC, OPT_COLOR, OPT_STATE };

static const struct option options[] = {
	{ "boot", required_argument, NULL, 'b' },     { "since", required_argument, NULL, 'S' },
	{ "until", required_argument, NULL, 'U' },    { "pid", required_argument, NULL, 'p' },
	{ "comm", required_argument, NULL, 'c' },     { "provider", required_argument, NULL, 'P' },
	{ "event", required_argument, NULL, 'e' },    { "level", required_argument, NULL, 'l' },
	{ "grep", required_argument, NULL, 'g' },     { "session", required_argument, NULL, OPT_SESSION },
	{ "around", required_argument, NULL, OPT_AROUND }, { "last", required_argument, NULL, 'n' },
	{ "follow", no_argument, NULL, 'f' },	      { "json", no_argument, NULL, 'j' },
	{ "losses", no_argument, NULL, OPT_LOSSES },  { "boot-time", no_argument, NULL, OPT_BOOT_TIME },
	{ "utc", no_argument, NULL, OPT_UTC },	      { "color", required_argument, NULL, OPT_COLOR },
	{ "colour", required_argument, NULL, OPT_COLOR },
	{ "state", required_argument, NULL, OPT_STATE }, { "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int take_time(struct show *show, const char *text, bool until)
{
	struct fr_query *query = &show->match.query;
	struct fr_when when;

	if (fr_when_parse(text, fr_clock_real_ns(), until, &when) < 0)
		return fr_usage("show", "--%s %s: want a time such as '2026-11-20 07:14:02', 07:14, '5 min ago', 90s or +12.5",
				until ? "until" : "since", text);
	if (until && when.since_boot)
		query->until_boot_ns = when.ns;
	else if (until)
		query->until_real_ns = when.ns;
	else if (when.since_boot)
		query->since_boot_ns = when.ns;
	else
		query->since_real_ns = when.ns;
	return FR_EXIT_GOOD;
}

static int take_number(const char *option, const char *text, unsigned long max, uint64_t *ret)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value > max)
		return fr_usage("show", "--%s %s: want a number", option, text);
	*ret = value;
	return FR_EXIT_GOOD;
}

static int take_option(struct show *show, int option, const char **ret_color)
{
	struct fr_query *query = &show->match.query;
	uint64_t number;
	int level;

	switch (option) {
	case 'b':
		show->boot = optarg;
		return 0;
	case 'S':
	case 'U':
		return take_time(show, optarg, option == 'U');
	case 'p':
		if (take_number("pid", optarg, UINT_MAX, &number))
			return FR_EXIT_USAGE;
		query->pid = (uint32_t)number;
		return 0;
	case 'c':
		query->comm = optarg;
		return 0;
	case 'P':
		query->provider = optarg;
		return 0;
	case 'e':
		query->event = optarg;
		return 0;
	case 'l':
		level = fr_level_parse(optarg);
		if (level < 1)
			return fr_usage("show", "--level %s: want critical, error, warning, info, verbose or 1 to 5", optarg);
		query->level = (unsigned)level;
		return 0;
	case 'g':
		query->text = optarg;
		return 0;
	case OPT_SESSION:
		query->session = optarg;
		return 0;
	case OPT_AROUND:
		show->around = optarg;
		return 0;
	case 'n':
		return take_number("last", strcmp(optarg, "all") == 0 ? "0" : optarg, ULONG_MAX, &show->last);
	case 'f':
		show->follow = true;
		return 0;
	case 'j':
		show->renderer.json = true;
		return 0;
	case OPT_LOSSES:
		show->losses = true;
		return 0;
	case OPT_BOOT_TIME:
		show->renderer.boot_time = true;
		return 0;
	case OPT_UTC:
		show->renderer.utc = true;
		return 0;
	case OPT_COLOR:
		*ret_color = optarg;
		return 0;
	case OPT_STATE:
		return fr_store_use(optarg) < 0 ? fr_usage("show", "--state: want a directory") : 0;
	}
	return fr_usage("show", NULL);
}

/* ------------------------------------------------------------------ output */

/* Until something is printed: then a pager may have the terminal. */
static void tell_progress(uint64_t events)
{
	if (events % 1024 == 0)
		fr_progress_at(NULL, events, 0);
}

/* The newest lines, while it is not known yet which are the last. */
struct kept {
	struct fr_out line;
	uint8_t boot_id[16];
	uint64_t boot_seq, real_ns;
};

static void print_kept(struct show *show, struct kept *kept, size_t count, size_t first)
{
	struct fr_out FR_OUT_CLEANUP out = { 0 };
	char text[32];

	if (show->last_unasked && !show->follow && !show->renderer.json && count == show->last) {
		fr_out_printf(&out, "%s-- the last %s events; -n 0 shows all --%s\n", fr_paint(&show->renderer.term, FR_DIM),
			      fr_count_text(text, count), fr_paint(&show->renderer.term, FR_PLAIN));
		fr_term_write(&out);
	}
	for (size_t i = 0; i < count; i++) {
		struct kept *one = &kept[(first + i) % count];

		fr_out_reset(&out);
		fr_render_separator(&show->renderer, one->boot_id, one->boot_seq, one->real_ns, &out);
		fr_term_write(&out);
		fr_term_write(&one->line);
	}
}

static int print_last(struct show *show)
{
	const struct fr_event *event;
	struct kept *kept = NULL;
	size_t count = 0, at = 0;
	int result;

	while ((result = fr_timeline_next(show->timeline, &event)) == 1) {
		struct kept *one;

		if (count < show->last) {
			if ((count & (count - 1)) == 0)
				kept = fr_cli_realloc(kept, (count ? count * 2 : 1) * sizeof(*kept));
			kept[count++] = (struct kept){ 0 };
			at = 0;
			one = &kept[count - 1];
		} else {
			one = &kept[at];
			at = (at + 1) % count;
		}
		fr_out_reset(&one->line);
		fr_render_line(&show->renderer, event, &one->line);
		memcpy(one->boot_id, event->boot_id, 16);
		one->boot_seq = event->boot_seq;
		one->real_ns = event->real_ns;
		tell_progress(++show->shown);
	}
	if (show->shown > count)
		show->shown = count;
	print_kept(show, kept, count, at);
	for (size_t i = 0; i < count; i++)
		fr_out_done(&kept[i].line);
	free(kept);
	return result;
}

static int print_all(struct show *show)
{
	struct fr_out FR_OUT_CLEANUP out = { 0 };
	const struct fr_event *event;
	int result;

	while ((result = fr_timeline_next(show->timeline, &event)) == 1) {
		fr_render_event(&show->renderer, event, &out);
		show->shown++;
		if (out.size > 16384) {
			fr_progress_end();
			fr_term_write(&out);
			fr_out_reset(&out);
		}
	}
	fr_term_write(&out);
	return result;
}

static bool is_filtered(const struct show *show)
{
	const struct fr_query *q = &show->match.query;

	return show->boot || show->around || q->since_boot_ns || q->until_boot_ns || q->since_real_ns || q->until_real_ns ||
	       q->pid || q->comm || q->provider || q->event || q->level || q->text || q->session;
}

/* One line why there is nothing to see. */
static int say_nothing(const struct show *show)
{
	if (show->failed)
		return FR_EXIT_FAILED;
	if (show->store.error)
		return fr_fail("cannot read %s: %s", show->store.unreadable, fr_why(show->store.error));
	if (show->images || show->index)
		fr_error(is_filtered(show) ? "no event matches" : "no event is recorded yet");
	else if (is_filtered(show) && !show->file_count)
		fr_error("no event matches in %s", show->store.state);
	else if (show->file_count)
		fr_error("there is no ring and no segment in %s", show->files[0]);
	else
		return fr_nothing_recorded(show->store.state);
	return FR_EXIT_NOTHING;
}

static int run(struct show *show)
{
	int result, error;

	fr_progress_begin("reading", FR_PROGRESS_EVENTS);
	result = show_gather(show);
	if (result == FR_EXIT_NOTHING && show->follow)
		result = FR_EXIT_GOOD;
	if (result)
		return result;
	error = show->last ? print_last(show) : print_all(show);
	fr_progress_end();
	if (error < 0)
		fr_error("the timeline breaks off here: %s", fr_why(error));
	if (show->follow)
		return show_follow(show);
	if (show->shown || show->losses)
		show_print_losses(show);
	fr_term_flush();
	if (error < 0)
		return FR_EXIT_FAILED;
	if (!show->shown)
		return say_nothing(show);
	if (show->store.error)
		fr_warning("not all was read: %s: %s", show->store.unreadable, fr_why(show->store.error));
	if (show->failed)
		return FR_EXIT_FAILED;
	return show->file_count && show->damaged ? FR_EXIT_DAMAGED : FR_EXIT_GOOD;
}

int fr_cmd_show(int argc, char **argv)
{
	struct show show = { .last = UINT64_MAX };
	const char *color = NULL;
	int option, result;

	while ((option = getopt_long(argc, argv, "b:S:U:p:c:P:e:l:g:n:fjh", options, NULL)) != -1) {
		if (option == 'h')
			return fr_help("show", help);
		result = take_option(&show, option, &color);
		if (result)
			return result;
	}
	show.files = argv + optind;
	show.file_count = argc - optind;
	if (fr_term_init(&show.renderer.term, color) < 0)
		return fr_usage("show", "--color %s: want auto, always or never", color);
	show.last_unasked = show.last == UINT64_MAX;
	if (show.last_unasked)
		show.last = show.follow ? LAST_TO_FOLLOW : show.renderer.term.tty ? LAST_ON_TERMINAL : 0;
	result = run(&show);
	show_done(&show);
	return result;
}
