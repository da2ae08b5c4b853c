/* SPDX-License-Identifier: MIT */
/*
 * show_images.c - rings, and segments that the index does not hold yet, as sources of the timeline.
 *
 * Memory: the images that can match are in memory together; with an index these are the living rings and what came since the
 * index was brought up to date.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/cli/cli.h"
#include "recorder/cli/show.h"

static bool wants_super(void *ctx, const struct frm_super *super)
{
	return fr_match_super(ctx, super);
}

static int add_file(void *ctx, const struct fr_store_file *file)
{
	struct show *show = ctx;
	struct fr_opened opened;
	int error;

	if (!show->file_count && !file->ring && show_is_indexed(show, file->name))
		return 0;
	error = fr_store_open_if(file->path, wants_super, &show->match, &opened);
	if (error == -ESTALE)
		return 0;
	if (error == -ENOENT && !show->file_count)
		return 0; /* salvaged meanwhile: its segment comes */
	if (error) {
		if (show->file_count || error != -EACCES) {
			fr_error("cannot read %s: %s", file->path, error == -EACCES ? fr_why(error) : fr_image_strerror(error));
			show->failed = true;
		} else if (!show->store.error) {
			show->store.error = error;
			snprintf(show->store.unreadable, sizeof(show->store.unreadable), "%s", file->path);
		}
		return 0;
	}
	show->images++;
	show->damaged |= fr_image_meta_damage(opened.image) != 0 || fr_image_chunk_damage(opened.image) != 0;
	fr_bootlist_add_super(&show->boots, fr_image_super(opened.image));
	show_count_losses(show, opened.image);
	if ((show->opened_count & (show->opened_count - 1)) == 0)
		show->opened = fr_cli_realloc(show->opened, (show->opened_count ? show->opened_count * 2 : 1) * sizeof(*show->opened));
	show->opened[show->opened_count++] = opened;
	return 0;
}

/* True when the event of that name in the image is about the process. */
static bool tells_of(const struct fr_image *image, const char *name, const struct frm_super *who)
{
	struct fr_event *event = NULL;
	bool found = false;

	for (size_t i = 0; i < fr_image_event_desc_count(image) && !found; i++) {
		const struct fr_event_desc *desc = fr_image_event_desc(image, i);

		if (strcmp(desc->name, name) != 0)
			continue;
		event = event ? event : fr_cli_alloc(sizeof(*event));
		for (size_t j = fr_image_record_count(image); j-- && !found;) {
			const struct fr_value *pid;

			if (fr_image_record(image, j)->event != desc->id)
				continue;
			fr_decode(image, fr_image_record(image, j), event);
			pid = fr_event_field(event, "pid");
			found = pid && pid->type == FRM_U32 && pid->u == who->pid;
		}
	}
	free(event);
	return found;
}

/* Somebody saw the process die: the kernel, the daemon (or it is about to say so), or itself. */
static bool is_witnessed(const struct show *show, const struct fr_opened *dead)
{
	const struct frm_super *who = fr_image_super(dead->image);

	for (size_t i = 0; i < show->opened_count; i++) {
		const struct fr_image *image = show->opened[i].image;

		if (fr_image_super(image)->kind != FRM_KIND_SYSTEM || memcmp(fr_image_super(image)->boot_id, who->boot_id, 16) != 0)
			continue;
		if (show->opened[i].alive || tells_of(image, "proc.exit", who) || tells_of(image, "fr.process_died", who))
			return true;
	}
	for (size_t i = 0; i < fr_image_event_desc_count(dead->image); i++)
		if (strcmp(fr_image_event_desc(dead->image, i)->name, "fr.crash") == 0)
			return true;
	return false;
}

static void make_sources(struct show *show)
{
	for (size_t i = 0; i < show->opened_count; i++) {
		struct fr_opened *one = &show->opened[i];
		bool same_boot = memcmp(fr_image_super(one->image)->boot_id, show->boots.current, 16) == 0;
		unsigned flags = show->renderer.json ? 0 : FR_SOURCE_GAPS;

		if (flags && one->gone && !is_witnessed(show, one))
			flags |= FR_SOURCE_GONE;
		fr_timeline_add(show->timeline, fr_source_image(one->image, &show->match, flags, same_boot ? &show->window : NULL));
	}
	free(show->opened);
	show->opened = NULL;
}

static int newest_first(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return x[0] != y[0] ? (x[0] < y[0] ? 1 : -1) : x[1] != y[1] ? (x[1] < y[1] ? 1 : -1) : 0;
}

/*
 * Of many images only the newest events are wanted: lets each begin where they begin. Copies of an event in ring and
 * segments count more than once, hence the margin.
 */
static void trim(struct show *show)
{
	size_t want = show->last * 3, room = 0, count = 0;
	uint64_t (*keys)[2] = NULL;

	if (show->last > SIZE_MAX / 64)
		return;
	for (size_t i = 0; i < fr_timeline_sources(show->timeline); i++) {
		struct fr_source *source = fr_timeline_source(show->timeline, i);
		const struct fr_image *image = fr_source_image_of(source);
		size_t records = image ? fr_image_record_count(image) : 0, found;
		uint64_t rank = image ? fr_bootlist_rank(&show->boots, fr_image_super(image)->boot_id) : 0, *times;

		if (!records)
			continue;
		records = records < want ? records : want;
		times = fr_cli_alloc(records * sizeof(*times));
		found = fr_source_image_newest(source, times, records);
		if (count + found > room) {
			room = (count + found) * 2;
			keys = fr_cli_realloc(keys, room * sizeof(*keys));
		}
		for (size_t j = 0; j < found; j++, count++) {
			keys[count][0] = rank;
			keys[count][1] = times[j];
		}
		free(times);
	}
	if (count > want) {
		qsort(keys, count, sizeof(*keys), newest_first);
		for (size_t i = 0; i < fr_timeline_sources(show->timeline); i++) {
			struct fr_source *source = fr_timeline_source(show->timeline, i);
			const struct fr_image *image = fr_source_image_of(source);
			uint64_t rank = image ? fr_bootlist_rank(&show->boots, fr_image_super(image)->boot_id) : 0;

			if (image && rank <= keys[want - 1][0])
				fr_source_image_from(source, rank < keys[want - 1][0] ? UINT64_MAX : keys[want - 1][1]);
		}
	}
	free(keys);
}

void show_add_images(struct show *show)
{
	show_each_file(show, add_file, show);
	make_sources(show);
	if (show->last)
		trim(show);
}
