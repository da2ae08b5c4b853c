/* SPDX-License-Identifier: MIT */
/*
 * show_losses.c - what is not in the timeline, by cause: a sum that is always said, and with --losses each of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/cli/cli.h"
#include "recorder/cli/show.h"
#include "recorder/core/paths.h"
#include "uploader/index.h"

struct line {
	const char *cause, *ring, *comm, *lane, *first, *count, *pid;
};

static void print_line(struct show *show, const struct line *line)
{
	struct fr_out FR_OUT_CLEANUP out = { 0 };
	bool placed = line->lane && line->first;

	if (show->renderer.json) {
		fr_out_put(&out, "{\"loss\":");
		fr_out_json(&out, line->cause);
		fr_out_printf(&out, ",\"count\":%s,\"ring\":", line->count);
		fr_out_json(&out, line->ring);
		if (placed)
			fr_out_printf(&out, ",\"lane\":%s,\"first_seq\":%s", line->lane, line->first);
		if (line->pid)
			fr_out_printf(&out, ",\"pid\":%s,\"comm\":", line->pid);
		if (line->pid)
			fr_out_json(&out, line->comm ? line->comm : "");
		fr_out_put(&out, "}\n");
	} else {
		fr_out_printf(&out, "lost %10s %-11s ", line->count, line->cause);
		fr_out_escaped(&out, line->comm ? line->comm : "?", strlen(line->comm ? line->comm : "?"));
		if (line->pid)
			fr_out_printf(&out, "[%s]", line->pid);
		fr_out_printf(&out, " ring %.12s", line->ring ? line->ring : "?");
		if (placed)
			fr_out_printf(&out, " lane %s from number %s", line->lane, line->first);
		fr_out_char(&out, '\n');
	}
	fr_term_write_wrapped(&show->renderer.term, &out, 28);
}

static void print_of_image(struct show *show, const struct fr_image *image)
{
	const struct frm_super *super = fr_image_super(image);
	char ring[33], lane[16], first[24], count[24], pid[16];

	fr_hex(ring, super->ring_id, 16);
	snprintf(pid, sizeof(pid), "%u", super->pid);
	for (size_t i = 0; i < fr_image_loss_count(image); i++) {
		const struct fr_loss *loss = fr_image_loss(image, i);
		bool placed = loss->lane != FRM_LANE_NONE;

		snprintf(lane, sizeof(lane), "%u", loss->lane);
		snprintf(first, sizeof(first), "%llu", (unsigned long long)loss->first_seq);
		snprintf(count, sizeof(count), "%llu", (unsigned long long)loss->count);
		print_line(show, &(struct line){ fr_loss_name(loss->cause), ring, super->comm, placed ? lane : NULL,
						 placed ? first : NULL, count, pid });
	}
}

void show_count_losses(struct show *show, const struct fr_image *image)
{
	for (size_t i = 0; i < fr_image_loss_count(image); i++) {
		const struct fr_loss *loss = fr_image_loss(image, i);

		if ((unsigned)loss->cause < FRM_LOSS_COUNT)
			show->lost[loss->cause] += loss->count;
		show->damaged |= loss->cause == FRM_LOSS_DAMAGED;
	}
}

static int print_row(void *data, int columns, const char *const *names, const char *const *values, const int *types)
{
	(void)columns, (void)names, (void)types;
	print_line(data, &(struct line){ values[0], values[1], values[2], values[3], values[4], values[5], values[6] });
	return 0;
}

static int count_row(void *data, int columns, const char *const *names, const char *const *values, const int *types)
{
	struct show *show = data;

	(void)columns, (void)names, (void)types;
	for (unsigned cause = 0; values[0] && values[1] && cause < FRM_LOSS_COUNT; cause++)
		if (strcmp(fr_loss_name(cause), values[0]) == 0)
			show->lost[cause] += strtoull(values[1], NULL, 10);
	return 0;
}

/* What the index holds of losses, as far as boot and process are asked for. */
static void ask_index(struct show *show, const char *columns, const char *tail, fr_index_row row, void *data)
{
	struct fr_out FR_OUT_CLEANUP sql = { 0 };
	char boot[33];

	fr_out_printf(&sql, "SELECT %s FROM losses WHERE 1", columns);
	if (show->match.one_boot) {
		fr_hex(boot, show->match.boot_id, 16);
		fr_out_printf(&sql, " AND boot = '%s'", boot);
	}
	if (show->match.query.pid)
		fr_out_printf(&sql, " AND pid = %u", show->match.query.pid);
	fr_out_put(&sql, tail);
	fr_index_sql(show->index, sql.data, row, data, NULL);
}

#define GAPS_MAX 100000 /* that are placed in the timeline; the sum counts all */

struct gaps {
	struct fr_indexed_loss *gap;
	size_t count;
};

static int add_gap(void *data, int columns, const char *const *names, const char *const *values, const int *types)
{
	struct fr_indexed_loss gap = { 0 };
	struct gaps *gaps = data;

	(void)columns, (void)names, (void)types;
	if (!values[0] || !values[1] || !values[2] || !values[3] || !values[4] || fr_unhex(gap.ring_id, 16, values[1]) < 0)
		return 0;
	while ((unsigned)gap.loss.cause < FRM_LOSS_COUNT && strcmp(fr_loss_name(gap.loss.cause), values[0]) != 0)
		gap.loss.cause++;
	gap.loss.lane = (uint32_t)strtoul(values[2], NULL, 10);
	gap.loss.first_seq = strtoull(values[3], NULL, 10);
	gap.loss.count = strtoull(values[4], NULL, 10);
	if ((gaps->count & (gaps->count - 1)) == 0)
		gaps->gap = fr_cli_realloc(gaps->gap, (gaps->count ? gaps->count * 2 : 1) * sizeof(*gaps->gap));
	gaps->gap[gaps->count++] = gap;
	return 0;
}

size_t show_indexed_losses(struct show *show, struct fr_indexed_loss **ret_losses)
{
	struct gaps gaps = { 0 };
	char tail[96];

	snprintf(tail, sizeof(tail), " AND lane IS NOT NULL AND cause <> '%s' LIMIT %d", fr_loss_name(FRM_LOSS_OVERWRITTEN), GAPS_MAX);
	ask_index(show, "cause, ring, lane, first_seq, count", tail, add_gap, &gaps);
	*ret_losses = gaps.gap;
	return gaps.count;
}

static void print_sum(struct show *show)
{
	struct fr_out FR_OUT_CLEANUP out = { 0 };
	char count[32];
	bool any = false;

	fr_out_printf(&out, "%s-- lost:", fr_paint(&show->renderer.term, FR_YELLOW));
	for (unsigned cause = 0; cause < FRM_LOSS_COUNT; cause++) {
		if (!show->lost[cause] || (cause == FRM_LOSS_OVERWRITTEN && !show->losses))
			continue;
		fr_out_printf(&out, "%s %s %s", any ? "," : "", fr_count_text(count, show->lost[cause]), fr_loss_name(cause));
		any = true;
	}
	if (!any && show->losses)
		fr_out_put(&out, " nothing");
	fr_out_printf(&out, "%s --%s\n", show->losses ? "" : " (--losses lists them)", fr_paint(&show->renderer.term, FR_PLAIN));
	if (any || show->losses)
		fr_term_write(&out);
}

void show_print_losses(struct show *show)
{
	if (show->losses) {
		for (size_t i = 0; i < fr_timeline_sources(show->timeline); i++) {
			const struct fr_image *image = fr_source_image_of(fr_timeline_source(show->timeline, i));

			if (image)
				print_of_image(show, image);
		}
		if (show->index)
			ask_index(show, "cause, ring, comm, lane, first_seq, count, pid", " ORDER BY boot_seq, ring, lane, first_seq",
				  print_row, show);
	}
	if (show->index)
		ask_index(show, "cause, sum(count)", " GROUP BY cause", count_row, show);
	if (!show->renderer.json)
		print_sum(show);
}
