/* SPDX-License-Identifier: MIT */
/*
 * incidents.c - `flightrec incidents`: every death that left evidence, with its cause.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "recorder/cli/cli.h"
#include "recorder/cli/out.h"
#include "recorder/cli/progress.h"
#include "recorder/cli/term.h"
#include "recorder/core/paths.h"
#include "uploader/incident.h"

static const char help[] =
	"The deaths of processes and kernels, oldest first: those that the kernel told of\n"
	"(eBPF), those that left a ring open, and panics found in pstore. New segments of\n"
	"the spool are indexed first. What the daemon itself saw of a death is in the\n"
	"spool within two seconds of it; before that an incident may say \"vanished\".\n"
	"\n"
	"Options:\n"
	"  -b, --boot BOOT  only of this boot: current, previous, -2, its number, or the\n"
	"                   beginning of its id\n"
	"  -n, --last N     only the newest N\n"
	"      --no-update  of the index as it is\n"
	"      --state DIR  another state directory\n"
	"      --utc        times in UTC\n"
	"      --color WHEN auto, always or never (also: NO_COLOR)\n"
	"  -j, --json       one object a line\n"
	"  -h, --help\n"
	"\n"
	"Exit codes: 0 good, 4 there is no incident, 1 failed.\n"
	"\n"
	"Examples:\n"
	"  flightrec incidents --boot previous\n"
	"  flightrec show --around 3f9a        what happened around incident 3f9a...\n";

struct options {
	const char *state, *boot;
	uint64_t last;
	bool json, utc, no_update;
	struct fr_term term;
};

static void put_time(struct fr_out *out, const struct fr_incident *incident, bool utc)
{
	time_t seconds = (time_t)(incident->real_ns / 1000000000u);
	struct tm tm;
	char text[32];

	if (!incident->real_ns || !(utc ? gmtime_r(&seconds, &tm) : localtime_r(&seconds, &tm))) {
		fr_out_printf(out, "%" PRIu64 ".%06" PRIu64 " s after boot", incident->time_ns / 1000000000u,
			      incident->time_ns / 1000 % 1000000);
		return;
	}
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	fr_out_printf(out, "%s.%03" PRIu64 "%s", text, incident->real_ns / 1000000 % 1000, utc ? "Z" : "");
}

static void put_lost(struct fr_out *out, const struct fr_incident *incident)
{
	const char *before = ", lost ";
	char number[32];

	for (unsigned i = 0; i < FRM_LOSS_COUNT; i++) {
		if (!incident->lost[i])
			continue;
		fr_out_printf(out, "%s%s %s", before, fr_count_text(number, incident->lost[i]), fr_loss_name((enum frm_loss)i));
		before = ", ";
	}
}

/* id  time  boot  who  cause, and on a second line what is left of it */
static void put_line(struct fr_out *out, const struct fr_incident *incident, bool utc,
		     const struct fr_term *term)
{
	const char *plain = fr_paint(term, FR_PLAIN);
	char number[32];

	fr_out_printf(out, "%s%s%s  ", fr_paint(term, FR_BOLD), incident->id, plain);
	put_time(out, incident, utc);
	if (incident->boot_seq)
		fr_out_printf(out, "  boot %" PRIu64, incident->boot_seq);
	fr_out_put(out, "  ");
	fr_out_escaped(out, incident->comm, strlen(incident->comm));
	if (!incident->kernel)
		fr_out_printf(out, "[%" PRIu32 "]", incident->pid);
	fr_out_printf(out, "  %s", fr_paint(term, FR_RED));
	fr_out_escaped(out, incident->cause, strlen(incident->cause));
	fr_out_printf(out, "%s\n%14s%sevidence: %s; %s event%s kept", plain, "",
		      fr_paint(term, FR_DIM), incident->evidence,
		      fr_count_text(number, incident->recovered),
		      incident->recovered == 1 ? "" : "s");
	put_lost(out, incident);
	fr_out_printf(out, "%s\n", plain);
}

static void put_hex(struct fr_out *out, const char *key, const uint8_t id[16])
{
	static const uint8_t none[16];
	char hex[33];

	fr_hex(hex, id, 16);
	fr_out_printf(out, memcmp(id, none, 16) ? ",\"%s\":\"%s\"" : ",\"%s\":null", key, hex);
}

static void put_json(struct fr_out *out, const struct fr_incident *incident)
{
	fr_out_printf(out, "{\"id\":\"%s\",\"kind\":\"%s\",\"boot_seq\":%" PRIu64, incident->id,
		      incident->kernel ? "kernel" : "process", incident->boot_seq);
	put_hex(out, "boot", incident->boot_id);
	fr_out_printf(out, ",\"time_ns\":%" PRIu64, incident->time_ns);
	if (incident->real_ns)
		fr_out_printf(out, ",\"real_ns\":%" PRIu64, incident->real_ns);
	if (!incident->kernel)
		fr_out_printf(out, ",\"pid\":%" PRIu32 ",\"start_time_ns\":%" PRIu64, incident->pid, incident->start_time_ns);
	fr_out_put(out, ",\"comm\":");
	fr_out_json(out, incident->comm);
	fr_out_put(out, ",\"exe\":");
	fr_out_json(out, incident->exe);
	fr_out_put(out, ",\"cause\":");
	fr_out_json(out, incident->cause);
	fr_out_printf(out, ",\"evidence\":\"%s\"", incident->evidence);
	put_hex(out, "ring", incident->ring_id);
	fr_out_printf(out, ",\"recovered\":%" PRIu64 ",\"lost\":{", incident->recovered);
	for (unsigned i = 0, any = 0; i < FRM_LOSS_COUNT; i++) {
		if (!incident->lost[i])
			continue;
		fr_out_put(out, any++ ? "," : "");
		fr_out_json(out, fr_loss_name((enum frm_loss)i));
		fr_out_printf(out, ":%" PRIu64, incident->lost[i]);
	}
	fr_out_put(out, "}}\n");
}

static int list(struct fr_index *index, const struct options *options)
{
	FR_OUT_CLEANUP struct fr_out out = { 0 };
	struct fr_incidents *incidents;
	struct fr_incident incident;
	uint64_t count = 0, skip;
	int r;

	for (int pass = options->last ? 0 : 1; pass < 2; pass++) { /* first how many there are, then the newest of them */
		incidents = NULL;
		r = fr_incidents_open(index, options->boot, NULL, &incidents);
		if (r == -ENOENT || r == -ENOTUNIQ || r == -EINVAL)
			return fr_fail("--boot %s: %s", options->boot, r == -ENOTUNIQ ? "means several boots" :
				       r == -EINVAL ? "is no boot" : "the index has no such boot");
		skip = options->last && count > options->last ? count - options->last : 0;
		count = 0;
		while (!r && (r = fr_incidents_next(incidents, &incident)) == 1) {
			r = 0;
			if (count++ < skip || !pass)
				continue;
			fr_out_reset(&out);
			if (options->json)
				put_json(&out, &incident);
			else
				put_line(&out, &incident, options->utc, &options->term);
			fr_term_write_wrapped(&options->term, &out, 14);
		}
		fr_incidents_close(incidents);
		if (r < 0)
			return fr_fail("can't read the index: %s", fr_index_strerror(r));
	}
	if (!count)
		fr_error("no incident: nobody is known to have died%s", options->boot ? " in that boot" : "");
	return count ? FR_EXIT_GOOD : FR_EXIT_NOTHING;
}

static int run(const struct options *options)
{
	struct fr_index *index;
	int r, code;

	if (access(options->state, F_OK) < 0 && errno == ENOENT)
		return fr_nothing_recorded(options->state);
	r = fr_index_open(options->state, options->no_update ? FR_INDEX_READ : 0, &index);
	if (!options->no_update && (r == -EACCES || r == -EBUSY)) { /* a reader may have to do with what is there */
		if (r == -EBUSY)
			fr_warning("another process is writing the index: what it has yet to take in is missing here");
		r = fr_index_open(options->state, FR_INDEX_READ, &index);
	} else if (!r && !options->no_update) {
		fr_progress_begin("indexing", FR_PROGRESS_BYTES);
		fr_index_tell(index, fr_progress_at, NULL);
		r = fr_index_update(index, NULL);
		fr_progress_end();
		if (*fr_index_note(index))
			fr_warning("%s", fr_index_note(index));
		if (r < 0)
			fr_index_close(index);
	}
	if (r < 0)
		return fr_fail("can't open %s/index.db: %s", options->state, fr_index_strerror(r));
	code = list(index, options);
	fr_index_close(index);
	return code;
}

int fr_cmd_incidents(int argc, char **argv)
{
	enum { OPT_NO_UPDATE = 256, OPT_STATE, OPT_UTC, OPT_COLOR };
	static const struct option table[] = {
		{ "boot", required_argument, NULL, 'b' },	 { "last", required_argument, NULL, 'n' },
		{ "no-update", no_argument, NULL, OPT_NO_UPDATE }, { "state", required_argument, NULL, OPT_STATE },
		{ "utc", no_argument, NULL, OPT_UTC },		 { "color", required_argument, NULL, OPT_COLOR },
		{ "json", no_argument, NULL, 'j' },		 { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct options options = { 0 };
	const char *color = NULL;
	char state[FR_PATH_MAX], *end;
	int option, r;

	while ((option = getopt_long(argc, argv, "b:n:jh", table, NULL)) != -1) {
		switch (option) {
		case 'b':
			options.boot = optarg;
			break;
		case 'n':
			errno = 0;
			options.last = strtoull(optarg, &end, 10);
			if (*end || end == optarg || errno || !options.last)
				return fr_usage("incidents", "--last %s: want a number", optarg);
			break;
		case OPT_NO_UPDATE:
			options.no_update = true;
			break;
		case OPT_STATE:
			options.state = optarg;
			break;
		case OPT_UTC:
			options.utc = true;
			break;
		case OPT_COLOR:
			color = optarg;
			break;
		case 'j':
			options.json = true;
			break;
		case 'h':
			return fr_help("incidents", help);
		default:
			return fr_usage("incidents", NULL);
		}
	}
	if (optind < argc)
		return fr_usage("incidents", "%s: incidents takes no arguments", argv[optind]);
	if (fr_term_init(&options.term, color) < 0)
		return fr_usage("incidents", "--color %s: want auto, always or never", color);
	if (options.json)
		options.term = (struct fr_term){ 0 };
	if (!options.state) {
		r = fr_path_state(state, sizeof(state), "");
		if (r < 0)
			return fr_fail("no state directory: %s", fr_why(r));
		options.state = state;
	}
	return run(&options);
}
