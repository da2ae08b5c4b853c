/* SPDX-License-Identifier: MIT */
/*
 * show_gather.c - what is there to show: the index, what it does not hold yet, and living rings.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "recorder/cli/ask.h"
#include "recorder/cli/cli.h"
#include "recorder/cli/show.h"
#include "recorder/cli/when.h"
#include "recorder/core/host.h"
#include "uploader/incident.h"
#include "uploader/index.h"

static void drop_indexed(struct show *show)
{
	for (size_t i = 0; i < show->indexed_count; i++)
		free(show->indexed[i]);
	free(show->indexed);
	show->indexed = NULL;
	show->indexed_count = 0;
}

void show_done(struct show *show)
{
	fr_timeline_free(show->timeline);
	fr_index_close(show->index);
	drop_indexed(show);
	fr_bootlist_done(&show->boots);
	fr_match_done(&show->match);
	fr_render_done(&show->renderer);
}

int show_each_file(struct show *show, int (*each)(void *ctx, const struct fr_store_file *file), void *ctx)
{
	int result = 0;

	if (!show->file_count)
		return fr_store_each(&show->store, each, ctx);
	for (int i = 0; i < show->file_count && !result; i++) {
		struct stat st;

		if (stat(show->files[i], &st) == 0 && S_ISDIR(st.st_mode)) {
			struct fr_store store;

			fr_store_at(&store, show->files[i]);
			result = fr_store_each(&store, each, ctx);
			if (store.error && !show->store.error) {
				show->store.error = store.error;
				memcpy(show->store.unreadable, store.unreadable, sizeof(store.unreadable));
			}
		} else {
			const struct fr_store_file file = { .path = show->files[i], .name = show->files[i], .ring = true };

			result = each(ctx, &file);
		}
	}
	return result;
}

/* ------------------------------------------------------------------ index */

static int add_indexed(void *data, int columns, const char *const *names, const char *const *values, const int *types)
{
	struct show *show = data;

	(void)columns, (void)names, (void)types;
	if (!values[0])
		return 0;
	if ((show->indexed_count & (show->indexed_count - 1)) == 0) /* room doubles at powers of two */
		show->indexed = fr_cli_realloc(show->indexed, (show->indexed_count ? show->indexed_count * 2 : 1) * sizeof(char *));
	show->indexed[show->indexed_count] = fr_cli_alloc(strlen(values[0]) + 1);
	strcpy(show->indexed[show->indexed_count++], values[0]);
	return 0;
}

static int compare_indexed(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

bool show_is_indexed(const struct show *show, const char *name)
{
	return show->indexed_count &&
	       bsearch(&name, show->indexed, show->indexed_count, sizeof(char *), compare_indexed) != NULL;
}

static int add_boot(void *data, int columns, const char *const *names, const char *const *values, const int *types)
{
	struct show *show = data;
	uint8_t id[16];

	(void)columns, (void)names, (void)types;
	if (values[0] && fr_uuid_parse(id, values[0]) == 0)
		fr_bootlist_add(&show->boots, id, values[1] ? strtoull(values[1], NULL, 10) : 0,
			     values[2] ? strtoull(values[2], NULL, 10) : 0);
	return 0;
}

static void open_index(struct show *show)
{
	int error = fr_index_open(show->store.state, FR_INDEX_READ, &show->index);

	if (error) {
		show->index = NULL;
		if (error != -ENOENT)
			fr_warning("%s/index.db is not used: %s; reading the spool instead", show->store.state,
				   fr_index_strerror(error));
		return;
	}
	error = fr_index_sql(show->index, "SELECT name FROM segments", add_indexed, show, NULL);
	if (!error)
		error = fr_index_sql(show->index, "SELECT boot, boot_seq, started_real_ns FROM boots", add_boot, show, NULL);
	if (error) {
		fr_warning("%s/index.db is not used: %s; reading the spool instead", show->store.state, fr_why(error));
		fr_index_close(show->index);
		show->index = NULL;
		drop_indexed(show);
		return;
	}
	if (show->indexed_count)
		qsort(show->indexed, show->indexed_count, sizeof(char *), compare_indexed);
}

/* ------------------------------------------------------------------ boot and incident */

static int add_boot_of_file(void *ctx, const struct fr_store_file *file)
{
	struct show *show = ctx;
	struct frm_super super;
	FILE *stream;

	if (!show->file_count && !file->ring && show_is_indexed(show, file->name))
		return 0;
	stream = fopen(file->path, "re");
	if (stream && fr_store_peek(fileno(stream), &super) == 0)
		fr_bootlist_add_super(&show->boots, &super);
	if (stream)
		fclose(stream);
	return 0;
}

static int settle_boot(struct show *show)
{
	int error;

	if ((!show->file_count || show->follow) && fr_host_boot_id(show->boots.current) < 0)
		memset(show->boots.current, 0, 16);
	if (!show->boot)
		return FR_EXIT_GOOD;
	show_each_file(show, add_boot_of_file, show);
	error = fr_bootlist_find(&show->boots, show->boot, show->match.boot_id);
	show->match.one_boot = !error;
	if (!error)
		return FR_EXIT_GOOD;
	if (error == -EINVAL)
		return fr_usage("show", "--boot %s: want a boot's number, at least 4 digits of its id, 0 or -1, -2, ...", show->boot);
	if (error == -ENOTUNIQ)
		return fr_fail("--boot %s means several boots; give more digits", show->boot);
	fr_error("nothing is recorded of boot %s", show->boot);
	for (size_t i = show->boots.count; i-- && show->boots.count - i <= 5;) {
		const struct fr_boot *boot = &show->boots.boot[i];
		char id[37], day[16] = "?", time[20] = "";

		fr_uuid_text(id, boot->id);
		if (boot->started_real)
			fr_when_format(boot->started_real, false, day, time);
		fprintf(stderr, "  there is %s", id);
		if (boot->seq)
			fprintf(stderr, ", number %llu", (unsigned long long)boot->seq);
		fprintf(stderr, ", begun %s %.8s\n", day, time);
	}
	return FR_EXIT_NOTHING;
}

#define WAKE_MS	  50
#define BEFORE_NS 30000000000ull
#define AFTER_NS  1000000000ull

static int settle_incident(struct show *show)
{
	struct fr_incidents *list;
	struct fr_incident incident, another;
	uint64_t before = BEFORE_NS, time_ns;
	char id[64];
	const char *colon = strchr(show->around, ':');
	size_t size = colon ? (size_t)(colon - show->around) : strlen(show->around);
	int found;

	if (size >= sizeof(id) || !size || (colon && fr_when_parse_length(colon + 1, &before) < 0))
		return fr_usage("show", "--around %s: want an incident of `flightrec incidents`, or INCIDENT:SECONDS", show->around);
	if (!show->index)
		return fr_fail("--around needs the index: run `flightrec index` first");
	memcpy(id, show->around, size);
	id[size] = '\0';
	found = fr_incidents_open(show->index, NULL, id, &list);
	if (found < 0)
		return fr_fail("cannot look up incident %s: %s", id, fr_why(found));
	found = fr_incidents_next(list, &incident);
	if (found == 1 && fr_incidents_next(list, &another) == 1)
		found = -ENOTUNIQ;
	fr_incidents_close(list);
	if (found == -ENOTUNIQ)
		return fr_fail("--around %s means several incidents; give more digits", id);
	if (found < 0)
		return fr_fail("cannot look up incident %s: %s", id, fr_why(found));
	if (!found) {
		fr_error("there is no incident %s; `flightrec incidents` lists them", id);
		return FR_EXIT_NOTHING;
	}
	time_ns = incident.time_ns;
	if (!time_ns)
		return fr_fail("it is not known when incident %s happened", id);
	memcpy(show->match.boot_id, incident.boot_id, 16);
	show->match.one_boot = true;
	show->match.query.since_boot_ns = time_ns > before ? time_ns - before : 1;
	show->match.query.until_boot_ns = time_ns + (before < AFTER_NS ? before : AFTER_NS);
	return FR_EXIT_GOOD;
}

/* ------------------------------------------------------------------ all */

static int add_index(struct show *show)
{
	struct fr_query query = show->match.query;
	struct fr_indexed_loss *losses = NULL;
	struct fr_incidents *incidents;
	size_t count = 0;
	struct fr_cursor *cursor;
	char boot[33];
	int error;

	if (show->match.one_boot) {
		fr_hex(boot, show->match.boot_id, 16);
		query.boot = boot;
	}
	query.last = show->last;
	error = fr_query_open(show->index, &query, &cursor);
	if (error == -ENOENT)
		return FR_EXIT_GOOD; /* the boot is known from a ring only */
	if (error)
		return fr_fail("cannot read %s/index.db: %s; `flightrec index --rebuild` makes it anew", show->store.state,
			       fr_why(error));
	if (!show->renderer.json)
		count = show_indexed_losses(show, &losses);
	fr_timeline_add(show->timeline, fr_source_index(cursor, &show->match, losses, count));
	if (!show->renderer.json && fr_incidents_open(show->index, query.boot, NULL, &incidents) == 0)
		fr_timeline_add(show->timeline, fr_source_incidents(incidents, &show->match));
	return FR_EXIT_GOOD;
}

/*
 * The daemon fetches what eBPF recorded once a second, and before it answers a question: so that what just happened is shown, it
 * is asked one. No daemon, or one that is busy, is no reason to wait.
 */
static void wake_daemon(void)
{
	struct fr_proto_request request = { .op = FR_PROTO_STATUS };
	char *text = fr_cli_alloc(FR_PROTO_TEXT_MAX + 1);
	struct fr_proto_answer answer = { 0 };

	fr_ask(&request, &answer, text, WAKE_MS);
	free(text);
}

int show_gather(struct show *show)
{
	int result, error = 0;

	if (!show->file_count)
		error = fr_store_here(&show->store);
	if (error)
		return fr_fail("cannot find the state directory: %s; set FLIGHTREC_STATE_DIR", fr_why(error));
	if (show->file_count && show->around)
		return fr_usage("show", "--around looks into this machine's index; it does not go with files");
	if (!show->file_count && !show->follow)
		wake_daemon();
	if (!show->file_count)
		open_index(show);
	result = settle_boot(show);
	if (!result && show->around)
		result = settle_incident(show);
	if (result)
		return result;
	show->timeline = fr_timeline_new(&show->boots);
	if (show->follow)
		show->window.until_ns = fr_clock_boot_ns() - SHOW_LAG_NS;
	show_add_images(show);
	return show->index ? add_index(show) : FR_EXIT_GOOD;
}
