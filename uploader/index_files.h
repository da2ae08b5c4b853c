/* SPDX-License-Identifier: MIT */
/*
 * index_files.h - the sealed segments of the spool, as an update of the index finds them.
 *
 * Owns: the list, and its order: ring by ring, part by part.
 */
#ifndef UPLOADER_INDEX_FILES_H
#define UPLOADER_INDEX_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "recorder/core/segment.h"

struct fr_index_file {
	char name[FR_SEGMENT_NAME];
	uint64_t size, mtime_ns;
	uint64_t disk_bytes; /* that it takes */
};

struct fr_index_files {
	struct fr_index_file *file;
	size_t count, room;
};

/*
 * A spool that is not there has no segments. -ENOMEM, or what the disk says; what was listed is in
 * `files` in any case.
 */
int fr_index_files_list(const char *state_dir, struct fr_index_files *files);
void fr_index_files_done(struct fr_index_files *files);
/* The segment of that name, or NULL. */
const struct fr_index_file *fr_index_files_find(const struct fr_index_files *files, const char *name);

#endif
