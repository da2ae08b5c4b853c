/* SPDX-License-Identifier: MIT */
/*
 * index.c - `flightrec index`: brings the index up to date with the spool, keeps both below their cap, answers SQL.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/cli/cli.h"
#include "recorder/cli/out.h"
#include "recorder/cli/progress.h"
#include "recorder/core/ini.h"
#include "recorder/core/paths.h"
#include "uploader/index.h"
#include "uploader/retention.h"

static const char help[] =
	"Takes new segments of STATE/spool into STATE/index.db, then drops the oldest if\n"
	"there is more than the configuration allows ([retention] max_size, max_age). The\n"
	"index can be made again from the spool at any time, and is by itself when it is\n"
	"damaged or of an older version.\n"
	"\n"
	"Options:\n"
	"      --rebuild        make it again from nothing\n"
	"      --sql QUERY      then answer a SELECT over the views boots, processes,\n"
	"                       sessions, events, incidents, losses, segments, and\n"
	"                       event_NAME for each event that was recorded (proc.exit\n"
	"                       is event_proc_exit; columns are the event's fields)\n"
	"      --max-size SIZE  of spool and index together, such as 500M; instead of the\n"
	"                       configuration's (1G)\n"
	"      --max-age TIME   of a segment, such as 30d; instead of the configuration's\n"
	"                       (no limit)\n"
	"      --keep           drop nothing\n"
	"      --state DIR      another state directory\n"
	"  -j, --json           one object; with --sql one a row\n"
	"  -h, --help\n"
	"\n"
	"Exit codes: 0 good, 3 good, and segments were found that can't be read, 4 --sql\n"
	"found no row, 1 failed.\n"
	"\n"
	"Examples:\n"
	"  flightrec index\n"
	"  flightrec index --sql 'SELECT wall, comm, event, fields FROM events LIMIT 20'\n"
	"  flightrec index --sql 'SELECT * FROM event_proc_exit WHERE signal <> 0'\n"
	"  sqlite3 /var/lib/flightrec/index.db 'SELECT * FROM losses'\n";

struct options {
	const char *state, *sql;
	bool rebuild, json, keep;
	struct fr_retention limits;
};

/* ------------------------------------------------------------------ configuration */

static int take_entry(void *ctx, const struct fr_ini_entry *entry, char *why, size_t why_size)
{
	struct fr_retention *limits = ctx;
	uint64_t ms;
	int r;

	if (strcmp(entry->section, "retention"))
		return FR_INI_NOT_MINE;
	if (!strcmp(entry->key, "max_size"))
		return *entry->value ? fr_ini_size(entry->value, 1 << 20, UINT64_MAX / 2, &limits->max_bytes, why, why_size) : 0;
	if (strcmp(entry->key, "max_age"))
		return FR_INI_UNKNOWN_KEY;
	if (!*entry->value)
		return 0;
	r = fr_ini_duration(entry->value, 60000, UINT64_MAX / 2000000, &ms, why, why_size);
	if (!r)
		limits->max_age_s = ms / 1000;
	return r;
}

static void warn(void *ctx, const char *text)
{
	(void)ctx;
	fr_warning("%s", text);
}

static int read_limits(struct fr_retention *limits)
{
	struct fr_ini_reader reader = { .entry = take_entry, .warning = warn, .ctx = limits };
	char error[FR_INI_TEXT_MAX];
	int r;

	*limits = (struct fr_retention){ .max_bytes = 1 << 30 };
	r = fr_ini_load_config(&reader, error, sizeof(error));
	if (r < 0)
		fr_error("%s", error);
	return r;
}

/* ------------------------------------------------------------------ SQL */

struct rows {
	bool json;
	uint64_t count;
	struct fr_out out;
};

static int put_row(void *data, int columns, const char *const *names, const char *const *values, const int *types)
{
	struct rows *rows = data;
	struct fr_out *out = &rows->out;

	for (int i = 0; !rows->json && !rows->count && i < columns; i++) {
		fr_out_put(out, i ? "\t" : "");
		fr_out_escaped(out, names[i], strlen(names[i]));
		if (i == columns - 1)
			fr_out_char(out, '\n');
	}
	for (int i = 0; i < columns; i++) {
		if (rows->json) {
			fr_out_char(out, i ? ',' : '{');
			fr_out_json(out, names[i]);
			fr_out_char(out, ':');
			if (values[i] && types[i] == FR_SQL_NUMBER)
				fr_out_put(out, values[i]);
			else
				fr_out_json(out, values[i]);
		} else {
			fr_out_put(out, i ? "\t" : "");
			if (values[i])
				fr_out_escaped(out, values[i], strlen(values[i]));
		}
	}
	fr_out_put(out, rows->json ? "}\n" : "\n");
	rows->count++;
	if (fwrite(out->data, 1, out->size, stdout) != out->size)
		return -EPIPE;
	fr_out_reset(out);
	return 0;
}

static int answer(struct fr_index *index, const struct options *options)
{
	struct rows rows = { .json = options->json };
	char *error = NULL;
	int r = fr_index_sql(index, options->sql, put_row, &rows, &error);

	fr_out_done(&rows.out);
	if (r == -EPIPE)
		r = 0; /* the reader went away */
	if (r < 0)
		fr_error("can't answer that: %s", error ? error : fr_why(r));
	free(error);
	return r < 0 ? FR_EXIT_FAILED : rows.count ? FR_EXIT_GOOD : FR_EXIT_NOTHING;
}

/* ------------------------------------------------------------------ what was done */

static void put_summary(const struct options *options, const struct fr_index_stats *stats,
			const struct fr_retention_stats *dropped)
{
	char a[32], b[32];

	if (options->json) {
		printf("{\"segments\":%" PRIu64 ",\"segments_bad\":%" PRIu64 ",\"records\":%" PRIu64
		       ",\"events\":%" PRIu64 ",\"duplicates\":%" PRIu64 ",\"incidents\":%" PRIu64
		       ",\"seconds\":%.3f,\"dropped\":{\"segments\":%" PRIu64 ",\"bytes\":%" PRIu64
		       ",\"events\":%" PRIu64 ",\"events_unsent\":%" PRIu64
		       ",\"quarantined\":%" PRIu64 "},\"bytes\":%" PRIu64 "}\n",
		       stats->segments, stats->segments_bad, stats->records, stats->events,
		       stats->duplicates, stats->incidents, (double)stats->elapsed_ns * 1e-9,
		       dropped->segments, dropped->bytes, dropped->events, dropped->events_unsent,
		       dropped->set_aside, dropped->bytes_after);
		return;
	}
	printf("%s event%s from %" PRIu64 " segment%s in %s; %" PRIu64 " incident%s in all\n", fr_count_text(a, stats->events),
	       stats->events == 1 ? "" : "s", stats->segments, stats->segments == 1 ? "" : "s",
	       fr_duration_text(b, stats->elapsed_ns), stats->incidents, stats->incidents == 1 ? "" : "s");
	if (stats->segments_bad)
		printf("%" PRIu64 " segment%s can't be read: flightrec index --sql 'SELECT name, error FROM segments WHERE error"
		       " IS NOT NULL'\n", stats->segments_bad, stats->segments_bad == 1 ? "" : "s");
	if (dropped->segments)
		printf("dropped the oldest %" PRIu64 " segment%s (%s, %s events)", dropped->segments,
		       dropped->segments == 1 ? "" : "s", fr_size_text(a, dropped->bytes), fr_count_text(b, dropped->events));
	if (dropped->segments)
		printf(dropped->events_unsent ? ", %s events of it never sent\n" : "\n", fr_count_text(a, dropped->events_unsent));
}

static int run(const struct options *options)
{
	struct fr_retention_stats dropped = { 0 };
	struct fr_index_stats stats = { 0 };
	struct fr_index *index;
	int r, code;

	fr_progress_begin("indexing", FR_PROGRESS_BYTES);
	if (options->rebuild) {
		r = fr_index_rebuild(options->state, fr_progress_at, NULL, &stats);
		if (r < 0)
			return fr_fail("can't rebuild %s/index.db: %s", options->state, fr_index_strerror(r));
	}
	r = fr_index_open(options->state, 0, &index);
	if (r < 0)
		return fr_fail("can't open %s/index.db: %s", options->state, fr_index_strerror(r));
	fr_index_tell(index, fr_progress_at, NULL);
	if (!options->rebuild)
		r = fr_index_update(index, &stats);
	if (*fr_index_note(index))
		fr_warning("%s", fr_index_note(index));
	if (!r && !options->keep)
		r = fr_retention_run(index, &options->limits, &dropped);
	fr_progress_end();
	if (dropped.set_aside)
		fr_warning("%" PRIu64 " source%s that can't be read had to go from"
			   " %s/spool/quarantine, which may be a quarter of max_size;"
			   " spool/retention.log says which",
			   dropped.set_aside, dropped.set_aside == 1 ? "" : "s", options->state);
	if (r < 0)
		code = fr_fail("can't index %s/spool: %s", options->state, fr_index_strerror(r));
	else if (options->sql)
		code = answer(index, options);
	else {
		put_summary(options, &stats, &dropped);
		code = stats.segments_bad ? FR_EXIT_DAMAGED : FR_EXIT_GOOD;
	}
	fr_index_close(index);
	return code;
}

int fr_cmd_index(int argc, char **argv)
{
	enum { OPT_REBUILD = 256, OPT_SQL, OPT_MAX_SIZE, OPT_MAX_AGE, OPT_KEEP, OPT_STATE };
	static const struct option table[] = {
		{ "rebuild", no_argument, NULL, OPT_REBUILD },	      { "sql", required_argument, NULL, OPT_SQL },
		{ "max-size", required_argument, NULL, OPT_MAX_SIZE }, { "max-age", required_argument, NULL, OPT_MAX_AGE },
		{ "keep", no_argument, NULL, OPT_KEEP },	      { "state", required_argument, NULL, OPT_STATE },
		{ "json", no_argument, NULL, 'j' },		      { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct options options = { 0 };
	const char *size = NULL, *age = NULL;
	char state[FR_PATH_MAX], why[FR_INI_TEXT_MAX];
	uint64_t ms;
	int option, r;

	while ((option = getopt_long(argc, argv, "jh", table, NULL)) != -1) {
		switch (option) {
		case OPT_REBUILD:
			options.rebuild = true;
			break;
		case OPT_SQL:
			options.sql = optarg;
			break;
		case OPT_MAX_SIZE:
			size = optarg;
			break;
		case OPT_MAX_AGE:
			age = optarg;
			break;
		case OPT_KEEP:
			options.keep = true;
			break;
		case OPT_STATE:
			options.state = optarg;
			break;
		case 'j':
			options.json = true;
			break;
		case 'h':
			return fr_help("index", help);
		default:
			return fr_usage("index", NULL);
		}
	}
	if (optind < argc)
		return fr_usage("index", "%s: index takes no arguments", argv[optind]);
	if (read_limits(&options.limits) < 0)
		return FR_EXIT_FAILED;
	if (size && fr_ini_size(size, 0, UINT64_MAX / 2, &options.limits.max_bytes, why, sizeof(why)) < 0)
		return fr_usage("index", "--max-size %s: %s", size, why);
	if (age && fr_ini_duration(age, 1000, UINT64_MAX / 2000000, &ms, why, sizeof(why)) < 0)
		return fr_usage("index", "--max-age %s: %s", age, why);
	if (age)
		options.limits.max_age_s = ms / 1000;
	if (!options.state) {
		r = fr_path_state(state, sizeof(state), "");
		if (r < 0)
			return fr_fail("no state directory: %s", fr_why(r));
		options.state = state;
	}
	return run(&options);
}
