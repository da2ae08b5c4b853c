/* SPDX-License-Identifier: MIT */
/* index_boots.h - the boots in the index, oldest first, and how a person names one. */
#ifndef UPLOADER_INDEX_BOOTS_H
#define UPLOADER_INDEX_BOOTS_H

#include "uploader/db.h"

struct fr_boot {
	int64_t id; /* row */
	uint8_t boot_id[16];
	uint64_t seq, started_real_ns; /* 0 unknown */
	int64_t least_offset, most_offset; /* of the wall clock to this boot's, by its anchors */
	bool anchored;
};

struct fr_index_boots {
	struct fr_boot *boot;
	size_t count;
};

int fr_index_boots_read(struct fr_index *index, struct fr_index_boots *boots);
void fr_index_boots_done(struct fr_index_boots *boots);
/* As struct fr_query says of `boot`; its place in `boots`. -ENOENT, -ENOTUNIQ, -EINVAL. */
int fr_index_boots_find(const struct fr_index_boots *boots, const char *text, size_t *ret_at);

#endif
