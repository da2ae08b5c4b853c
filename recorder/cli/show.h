/* SPDX-License-Identifier: MIT */
/*
 * show.h - what the parts of `flightrec show` share: options, gathering, losses, following.
 */
#ifndef RECORDER_CLI_SHOW_H
#define RECORDER_CLI_SHOW_H

#include "recorder/cli/bootlist.h"
#include "recorder/cli/match.h"
#include "recorder/cli/render.h"
#include "recorder/cli/store.h"
#include "recorder/cli/timeline.h"

struct show {
	/* asked for */
	char **files;
	int file_count;
	const char *boot, *around;
	uint64_t last; /* 0: all */
	bool last_unasked; /* nobody asked for `last`: say that there may be more */
	bool follow, losses;
	/* used */
	struct fr_match match;
	struct fr_renderer renderer;
	struct fr_store store; /* without files */
	struct fr_bootlist boots;
	struct fr_index *index; /* NULL: none, or not to be used */
	char **indexed; /* names of segments that the index holds, sorted */
	size_t indexed_count;
	struct fr_timeline *timeline;
	struct fr_opened *opened; /* until they become sources of the timeline */
	size_t opened_count;
	struct fr_window window; /* when following: what comes later is follow.c's */
	/* found */
	uint64_t shown, images;
	uint64_t lost[FRM_LOSS_COUNT];
	bool damaged, failed;
};

/* show_gather.c: opens what there is into show->timeline; a filter by boot or incident is settled. Exit code. */
int show_gather(struct show *show);
void show_done(struct show *show);
/* Calls `each` for every ring and segment asked for: of the files given, or of this machine. */
int show_each_file(struct show *show, int (*each)(void *ctx, const struct fr_store_file *file), void *ctx);

bool show_is_indexed(const struct show *show, const char *name);

/* show_images.c */
void show_add_images(struct show *show);

/* show_losses.c */
size_t show_indexed_losses(struct show *show, struct fr_indexed_loss **ret_losses); /* gaps; free() them */
void show_count_losses(struct show *show, const struct fr_image *image);
void show_print_losses(struct show *show); /* the sum, and with --losses each */

/* When following, events are shown so much later: the daemon fetches what eBPF recorded once a second. */
#define SHOW_LAG_NS 1100000000ull

/* follow.c: goes on until --until is over, it is killed, or nobody reads it. Exit code. */
int show_follow(struct show *show);

#endif
