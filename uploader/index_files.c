/* SPDX-License-Identifier: MIT */
/* index_files.c - see index_files.h. */
#include "uploader/index_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "recorder/core/paths.h"

void fr_index_files_done(struct fr_index_files *files)
{
	free(files->file);
	*files = (struct fr_index_files){ 0 };
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct fr_index_file *)a)->name, ((const struct fr_index_file *)b)->name);
}

int fr_index_files_list(const char *state_dir, struct fr_index_files *files)
{
	char path[FR_PATH_MAX + 16];
	struct dirent *entry;
	struct stat st;
	DIR *dir;
	int r = 0;

	snprintf(path, sizeof(path), "%s/spool", state_dir);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (!r && (errno = 0, entry = readdir(dir))) {
		struct fr_index_file *file;

		if (fr_segment_parse_name(entry->d_name, NULL, NULL) < 0)
			continue;
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			r = errno == ENOENT ? 0 : -errno; /* any other error does not say that it is gone */
			continue;
		}
		if (!S_ISREG(st.st_mode))
			continue;
		if (files->count == files->room) {
			size_t room = files->room ? files->room * 2 : 64;
			struct fr_index_file *grown = realloc(files->file, room * sizeof(*grown));

			if (!grown) {
				r = -ENOMEM;
				break;
			}
			files->file = grown;
			files->room = room;
		}
		file = &files->file[files->count++];
		memcpy(file->name, entry->d_name, strnlen(entry->d_name, sizeof(file->name) - 1) + 1);
		file->name[sizeof(file->name) - 1] = 0;
		file->size = (uint64_t)st.st_size;
		file->disk_bytes = (uint64_t)st.st_blocks * 512;
		file->mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
	}
	if (!r && errno)
		r = -errno;
	closedir(dir);
	if (!r && files->count)
		qsort(files->file, files->count, sizeof(*files->file), by_name);
	return r;
}

const struct fr_index_file *fr_index_files_find(const struct fr_index_files *files, const char *name)
{
	struct fr_index_file key;

	snprintf(key.name, sizeof(key.name), "%s", name);
	return files->count ? bsearch(&key, files->file, files->count, sizeof(key), by_name) : NULL;
}
