/* SPDX-License-Identifier: MIT */
/* bootlist.h - the boots in the index, oldest first, and how a person names one. */
#ifndef UPLOADER_BOOTLIST_H
#define UPLOADER_BOOTLIST_H

#include "uploader/db.h"

struct fr_boot {
	int64_t id; /* row */
	uint8_t boot_id[16];
	uint64_t seq, started_real_ns; /* 0 unknown */
	int64_t least_offset, most_offset; /* of the wall clock to this boot's, by its anchors */
	bool anchored;
};

struct fr_bootlist {
	struct fr_boot *boot;
	size_t count;
};

int fr_bootlist_read(struct fr_index *index, struct fr_bootlist *boots);
void fr_bootlist_done(struct fr_bootlist *boots);
/* As struct fr_query says of `boot`; its place in `boots`. -ENOENT, -ENOTUNIQ, -EINVAL. */
int fr_bootlist_find(const struct fr_bootlist *boots, const char *text, size_t *ret_at);

#endif
