/* SPDX-License-Identifier: MIT */
/*
 * recover.c - `flightrec recover`: salvage what the dead left behind, harvest pstore; one line for each thing found.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pstore/recover.h"
#include "pstore/source.h"
#include "recorder/cli/cli.h"
#include "recorder/cli/out.h"
#include "recorder/cli/progress.h"
#include "recorder/cli/store.h"
#include "recorder/core/image.h"
#include "recorder/core/ini.h"
#include "recorder/core/paths.h"

static const char help[] =
	"Looks for rings whose writers are gone, for those of earlier boots, and for what\n"
	"the kernel left in pstore, or systemd-pstore in its archive. Rings lie in\n"
	"STATE/rings, and where [store] ring_dir of flightrec.conf(5) says. What is found\n"
	"is copied into segments in STATE/spool; only when a copy is durable is its\n"
	"source removed (systemd's archive is never touched). What can't be read is kept\n"
	"in STATE/spool/quarantine. Doing it again, or being killed meanwhile, harms\n"
	"nothing.\n"
	"\n"
	"Options:\n"
	"      --state DIR      another state directory; the configuration's ring_dir is\n"
	"                       then left out, as it may be another recorder's\n"
	"      --ring-dir DIR   look for rings there, too; may be given again (default:\n"
	"                       $FLIGHTREC_RING_DIR, if set)\n"
	"      --pstore DIR     instead of /sys/fs/pstore ($FLIGHTREC_PSTORE_DIR);\n"
	"                       \"\" leaves it out\n"
	"      --archive DIR    instead of /var/lib/systemd/pstore\n"
	"                       ($FLIGHTREC_PSTORE_ARCHIVE); \"\" leaves it out\n"
	"      --live           also copy what is new in the rings of running processes;\n"
	"                       the rings stay\n"
	"  -j, --json           one object a line, the last one the summary\n"
	"  -h, --help\n"
	"\n"
	"Exit codes: 0 something was recovered, 3 that, and damage was found, 4 nothing\n"
	"was there, 1 failed.\n"
	"\n"
	"Examples:\n"
	"  flightrec recover                       after a crash, before anything else\n"
	"  flightrec recover --ring-dir /mnt/ram   a DAX mount outlived the kernel\n"
	"  flightrec recover --live --json         what all have recorded up to now\n";

struct totals {
	bool json;
	uint64_t found, segments, events, known, alive, aside, left, failed;
	uint64_t lost[FRM_LOSS_COUNT];
	bool damaged;
	const char *state;
	struct fr_out out;
};

static void count(struct totals *totals, const struct fr_found *found)
{
	switch (found->fate) {
	case FR_FATE_SALVAGED:
		totals->segments++;
		totals->events += found->records;
		break;
	case FR_FATE_KNOWN:
		totals->known++;
		break;
	case FR_FATE_ALIVE:
		totals->alive++;
		break;
	case FR_FATE_QUARANTINED:
		totals->aside++;
		totals->damaged = true;
		break;
	case FR_FATE_LEFT:
		totals->left++;
		break;
	default:
		totals->failed++;
	}
	for (size_t i = 0; i < FRM_LOSS_COUNT; i++)
		totals->lost[i] += found->loss[i];
	if (found->meta_damaged || found->loss[FRM_LOSS_DAMAGED])
		totals->damaged = true;
}

static void flush(struct fr_out *out)
{
	fr_out_char(out, '\n');
	fwrite(out->data, 1, out->size, stdout);
	fflush(stdout);
	fr_out_reset(out);
}

/* ", lost 12 overwritten and 1 torn" */
static void put_lost(struct fr_out *out, const uint64_t lost[FRM_LOSS_COUNT])
{
	const char *before = ", lost ";
	char number[32];

	for (size_t i = 0; i < FRM_LOSS_COUNT; i++) {
		if (!lost[i])
			continue;
		fr_out_printf(out, "%s%s %s", before, fr_count_text(number, lost[i]), fr_loss_name((enum frm_loss)i));
		before = " and ";
	}
}

static void put_whose(struct fr_out *out, const struct fr_found *found)
{
	if (found->kind == FRM_KIND_HARVEST) {
		fr_out_put(out, "kernel");
		if (*found->text) {
			fr_out_put(out, " (");
			fr_out_escaped(out, found->text, strlen(found->text));
			fr_out_put(out, ")");
		}
		return;
	}
	fr_out_escaped(out, found->comm, strnlen(found->comm, sizeof(found->comm)));
	fr_out_printf(out, "[%" PRIu32 "] (%s)", found->pid, fr_reason_name((enum frm_reason)found->reason));
}

static void put_line(struct fr_out *out, const struct fr_found *found)
{
	char number[32];

	if (found->fate == FR_FATE_SALVAGED) {
		put_whose(out, found);
		fr_out_printf(out, ": %s event%s", fr_count_text(number, found->records), found->records == 1 ? "" : "s");
		put_lost(out, found->loss);
		fr_out_printf(out, " -> spool/%s", found->segment);
		if (found->meta_damaged)
			fr_out_put(out, " (its superblock was damaged)");
		if (*found->why)
			fr_out_printf(out, " (%s)", found->why);
		return;
	}
	fr_out_escaped(out, found->path, strlen(found->path));
	switch (found->fate) {
	case FR_FATE_KNOWN:
		fr_out_printf(out, ": recovered before%s", found->released ? ", removed now" : "");
		break;
	case FR_FATE_ALIVE:
		fr_out_put(out, ": its writer runs, left alone");
		break;
	case FR_FATE_QUARANTINED:
		fr_out_put(out, ": set aside: ");
		fr_out_escaped(out, found->why, strlen(found->why));
		fr_out_printf(out, " -> spool/quarantine/%s", found->aside);
		break;
	default:
		fr_out_printf(out, ": %s: ", fr_fate_name((enum fr_fate)found->fate));
		fr_out_escaped(out, found->why, strlen(found->why));
		if (found->error)
			fr_out_printf(out, " (%s)", fr_why(found->error));
	}
}

static void put_hex(struct fr_out *out, const char *key, const uint8_t id[16])
{
	char hex[33];

	fr_hex(hex, id, 16);
	fr_out_printf(out, ",\"%s\":\"%s\"", key, hex);
}

static void put_string(struct fr_out *out, const char *key, const char *value)
{
	fr_out_printf(out, ",\"%s\":", key);
	fr_out_json(out, value);
}

static void put_json_lost(struct fr_out *out, const uint64_t lost[FRM_LOSS_COUNT])
{
	const char *before = ",\"lost\":{";

	for (size_t i = 0; i < FRM_LOSS_COUNT; i++) {
		if (!lost[i])
			continue;
		fr_out_put(out, before);
		fr_out_json(out, fr_loss_name((enum frm_loss)i));
		fr_out_printf(out, ":%" PRIu64, lost[i]);
		before = ",";
	}
	fr_out_put(out, *before == ',' && before[1] ? ",\"lost\":{}" : "}");
}

static void put_json(struct fr_out *out, const struct fr_found *found)
{
	fr_out_printf(out, "{\"what\":\"%s\",\"source\":\"%s\"", fr_fate_name((enum fr_fate)found->fate), found->source);
	put_string(out, "path", found->path);
	if (found->fate == FR_FATE_SALVAGED) {
		put_string(out, "segment", found->segment);
		put_hex(out, "ring", found->ring_id);
		put_hex(out, "boot", found->boot_id);
		fr_out_printf(out, ",\"boot_seq\":%" PRIu64 ",\"reason\":\"%s\",\"part\":%" PRIu32, found->boot_seq,
			      fr_reason_name((enum frm_reason)found->reason), found->part);
		if (found->kind != FRM_KIND_HARVEST)
			fr_out_printf(out, ",\"pid\":%" PRIu32, found->pid);
		put_string(out, "comm", found->comm);
		fr_out_printf(out, ",\"events\":%" PRIu64 ",\"bytes\":%" PRIu64, found->records, found->bytes);
		put_json_lost(out, found->loss);
		if (*found->text)
			put_string(out, "text", found->text);
	}
	if (*found->aside)
		put_string(out, "aside", found->aside);
	if (*found->why)
		put_string(out, "why", found->why);
	if (found->error)
		fr_out_printf(out, ",\"errno\":%d", -found->error);
	fr_out_printf(out, ",\"released\":%s}", found->released ? "true" : "false");
}

static void report(void *ctx, const struct fr_found *found)
{
	struct totals *totals = ctx;

	count(totals, found);
	fr_progress_hide();
	if (totals->json)
		put_json(&totals->out, found);
	else
		put_line(&totals->out, found);
	flush(&totals->out);
	fr_progress_at(NULL, ++totals->found, 0);
}

static void put_summary(struct totals *totals)
{
	struct fr_out *out = &totals->out;
	char number[32];

	if (totals->json) {
		fr_out_printf(out, "{\"what\":\"summary\",\"segments\":%" PRIu64 ",\"events\":%" PRIu64, totals->segments, totals->events);
		put_json_lost(out, totals->lost);
		fr_out_printf(out, ",\"known\":%" PRIu64 ",\"alive\":%" PRIu64 ",\"quarantined\":%" PRIu64 ",\"left\":%" PRIu64
			      ",\"failed\":%" PRIu64 "}", totals->known, totals->alive, totals->aside, totals->left, totals->failed);
		flush(out);
		return;
	}
	if (!totals->segments)
		fr_out_put(out, "nothing to recover");
	else
		fr_out_printf(out, "recovered %s event%s in %" PRIu64 " segment%s", fr_count_text(number, totals->events),
			      totals->events == 1 ? "" : "s", totals->segments, totals->segments == 1 ? "" : "s");
	put_lost(out, totals->lost);
	if (totals->aside)
		fr_out_printf(out, "; %" PRIu64 " set aside", totals->aside);
	if (totals->left)
		fr_out_printf(out, "; %" PRIu64 " left where %s", totals->left, totals->left == 1 ? "it is" : "they are");
	if (totals->failed)
		fr_out_printf(out, "; %" PRIu64 " failed", totals->failed);
	if (totals->alive)
		fr_out_printf(out, "; %" PRIu64 " still being written", totals->alive);
	flush(out);
}

static int exit_code(const struct totals *totals)
{
	if (totals->failed)
		return FR_EXIT_FAILED;
	if (totals->damaged)
		return FR_EXIT_DAMAGED;
	return totals->segments || totals->known ? FR_EXIT_GOOD : FR_EXIT_NOTHING;
}

static int run(struct fr_recover *recover, struct totals *totals)
{
	int error;

	recover->report = report;
	recover->ctx = totals;
	fr_progress_begin("recovering", FR_PROGRESS_SOURCES);
	error = fr_recover(recover);
	fr_progress_end();
	if (error == -EINTR)
		return fr_fail("recovery was killed in the middle; nothing is lost, run it again");
	if (error < 0)
		return fr_fail("can't recover into %s/spool: %s", recover->state_dir, fr_why(error));
	put_summary(totals);
	return exit_code(totals);
}

int fr_cmd_recover(int argc, char **argv)
{
	enum { OPT_STATE = 256, OPT_RING_DIR, OPT_PSTORE, OPT_ARCHIVE, OPT_LIVE };
	static const struct option options[] = {
		{ "state", required_argument, NULL, OPT_STATE },     { "ring-dir", required_argument, NULL, OPT_RING_DIR },
		{ "pstore", required_argument, NULL, OPT_PSTORE },   { "archive", required_argument, NULL, OPT_ARCHIVE },
		{ "live", no_argument, NULL, OPT_LIVE },	     { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },		     { NULL, 0, NULL, 0 },
	};
	struct fr_recover recover = { .pstore_dir = fr_source_pstore_dir(), .archive_dir = fr_source_archive_dir() };
	struct totals totals = { 0 };
	char state[FR_PATH_MAX], configured[FR_PATH_MAX] = "", why[FR_INI_TEXT_MAX];
	const char **dirs = fr_cli_alloc(((size_t)argc + 2) * sizeof(*dirs));
	const char *from_environment = getenv("FLIGHTREC_RING_DIR");
	int option, result = -1;

	while (result < 0 && (option = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		switch (option) {
		case OPT_STATE:
			recover.state_dir = optarg;
			break;
		case OPT_RING_DIR:
			dirs[recover.ring_dirs++] = optarg;
			break;
		case OPT_PSTORE:
			recover.pstore_dir = *optarg ? optarg : NULL;
			break;
		case OPT_ARCHIVE:
			recover.archive_dir = *optarg ? optarg : NULL;
			break;
		case OPT_LIVE:
			recover.live = true;
			break;
		case 'j':
			totals.json = true;
			break;
		case 'h':
			result = fr_help("recover", help);
			break;
		default:
			result = fr_usage("recover", NULL);
		}
	}
	if (result < 0 && optind < argc)
		result = fr_usage("recover", "%s: recover takes no arguments; `flightrec show FILE` reads one file", argv[optind]);
	if (result < 0 && !recover.state_dir) {
		int error = fr_path_state(state, sizeof(state), "");

		if (error < 0)
			result = fr_fail("no state directory: %s", fr_why(error));
		recover.state_dir = state;
		if (fr_store_ring_dir(configured, why, sizeof(why)) < 0)
			fr_warning("%s; its ring_dir, if it names one, is left out", why);
	}
	if (result < 0) {
		if (!recover.ring_dirs && from_environment && *from_environment)
			dirs[recover.ring_dirs++] = from_environment;
		if (*configured)
			dirs[recover.ring_dirs++] = configured;
		recover.ring_dir = dirs;
		result = run(&recover, &totals);
	}
	fr_out_done(&totals.out);
	free(dirs);
	return result;
}
