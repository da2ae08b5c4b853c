/* SPDX-License-Identifier: MIT */
/* source.c - see source.h. */
#include "pstore/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "recorder/core/ringfile.h"
#include "recorder/core/testpoint.h"

#define ARCHIVE_DEPTH 3	    /* systemd-pstore makes <time>/<count>/ at most */
#define STALE_SECONDS (600) /* a ring that is being made takes milliseconds */

static bool ends_with(const char *name, const char *suffix)
{
	size_t length = strlen(name), end = strlen(suffix);

	return length > end && !strcmp(name + length - end, suffix);
}

static int append(struct fr_evidence_list *list, const char *dir, const char *name, const struct stat *st)
{
	struct fr_evidence *item;

	if (list->count >= FR_EVIDENCE_MAX) {
		list->left_out++;
		return 0;
	}
	if (!(list->count & (list->count - 1))) {
		item = realloc(list->item, (list->count ? 2 * list->count : 1) * sizeof(*item));
		if (!item)
			return -ENOMEM;
		list->item = item;
	}
	item = &list->item[list->count];
	if ((size_t)snprintf(item->dir, sizeof(item->dir), "%s", dir) >= sizeof(item->dir) ||
	    (size_t)snprintf(item->name, sizeof(item->name), "%s", name) >= sizeof(item->name))
		return 0;
	item->mtime_ns = st->st_mtim.tv_sec > 0 ? (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec : 0;
	item->size = st->st_size > 0 ? (uint64_t)st->st_size : 0;
	list->count++;
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct fr_evidence *one = a, *other = b;
	int order = strcmp(one->dir, other->dir);

	return order ? order : strcmp(one->name, other->name);
}

static bool is_ring(const char *name)
{
	return name[0] != '.' && ends_with(name, FR_RING_SUFFIX);
}

static bool is_dmesg(const char *name)
{
	/* console-, pmsg-, ftrace- and mce- records come here when there are readers for them; they stay until then */
	return !strncmp(name, "dmesg-", 6);
}

static bool is_archived_dmesg(const char *name)
{
	return is_dmesg(name) || !strcmp(name, "dmesg.txt");
}

/* Regular files below `path` that `wanted` takes, down to `depth` levels of directories. */
static int walk(const char *path, bool (*wanted)(const char *name), int depth, struct fr_evidence_list *list)
{
	DIR *dir FR_CLOSEDIR = opendir(path);
	struct dirent *entry;
	int error = 0;

	if (!dir)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	while (!error && (errno = 0, entry = readdir(dir))) {
		char below[FR_PATH_MAX];
		struct stat st;

		if (entry->d_name[0] == '.')
			continue;
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			error = errno == ENOENT ? 0 : -errno;
		else if (S_ISREG(st.st_mode) && wanted(entry->d_name))
			error = append(list, path, entry->d_name, &st);
		else if (S_ISDIR(st.st_mode) && depth > 0 &&
			 (size_t)snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) < sizeof(below))
			error = walk(below, wanted, depth - 1, list);
	}
	return error || entry ? error : -errno;
}

static int walk_sorted(const char *path, bool (*wanted)(const char *name), int depth, struct fr_evidence_list *list)
{
	size_t before = list->count;
	int error = walk(path, wanted, depth, list);

	if (list->count > before)
		qsort(list->item + before, list->count - before, sizeof(*list->item), by_place);
	return error;
}

/* Rings whose maker was killed before they had their name: nothing was ever recorded in them. */
static void sweep_unfinished(const char *path)
{
	DIR *dir FR_CLOSEDIR = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct stat st;

		if (entry->d_name[0] == '.' && ends_with(entry->d_name, ".new") &&
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		    st.st_mtim.tv_sec + STALE_SECONDS < time(NULL))
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
}

static int enumerate_rings(const char *path, struct fr_evidence_list *list)
{
	sweep_unfinished(path);
	return walk_sorted(path, is_ring, 0, list);
}

static int enumerate_pstore(const char *path, struct fr_evidence_list *list)
{
	return walk_sorted(path, is_dmesg, 0, list);
}

static int enumerate_archive(const char *path, struct fr_evidence_list *list)
{
	return walk_sorted(path, is_archived_dmesg, ARCHIVE_DEPTH, list);
}

static int open_dir(const struct fr_evidence *evidence)
{
	int dir = open(evidence->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return dir < 0 ? -errno : dir;
}

/* Reads to the end whatever the size in the inode says: pseudo file systems don't always tell. */
static int read_file(const struct fr_evidence *evidence, size_t most, char **ret_bytes, size_t *ret_size)
{
	int dir FR_CLOSE = open_dir(evidence);
	int fd FR_CLOSE = -1;
	char *bytes FR_FREE = NULL;
	size_t size = 0, room = 0;

	if (dir < 0)
		return dir;
	fd = fr_spool_open_file(dir, evidence->name);
	if (fd < 0)
		return fd;
	for (;;) {
		ssize_t n;

		if (size == room) {
			char *larger = realloc(bytes, room ? 2 * room : 65536);

			if (!larger)
				return -ENOMEM;
			bytes = larger;
			room = room ? 2 * room : 65536;
		}
		n = read(fd, bytes + size, room - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		size += (size_t)n;
		if (size > most)
			return -EFBIG;
	}
	*ret_bytes = bytes;
	*ret_size = size;
	bytes = NULL;
	return 0;
}

static int release_file(const struct fr_evidence *evidence)
{
	int dir FR_CLOSE = open_dir(evidence);
	int error = dir < 0 ? dir : fr_spool_drop(dir, evidence->name, true);

	FR_TESTPOINT("evidence-released");
	return error < 0 && error != -ENOENT ? error : 1;
}

static int release_nothing(const struct fr_evidence *evidence)
{
	(void)evidence;
	return 0;
}

const struct fr_source_ops fr_source[FR_SOURCE_KIND_COUNT] = {
	[FR_SOURCE_KIND_RING] = { "ring", enumerate_rings, read_file, release_file },
	[FR_SOURCE_KIND_PSTORE] = { "pstore", enumerate_pstore, read_file, release_file },
	[FR_SOURCE_KIND_ARCHIVE] = { "archive", enumerate_archive, read_file, release_nothing },
};

void fr_evidence_done(struct fr_evidence_list *list)
{
	free(list->item);
	*list = (struct fr_evidence_list){ 0 };
}

const char *fr_source_pstore_dir(void)
{
	const char *dir = getenv("FLIGHTREC_PSTORE_DIR");

	return dir && *dir ? dir : FR_SOURCE_PSTORE;
}

const char *fr_source_archive_dir(void)
{
	const char *dir = getenv("FLIGHTREC_PSTORE_ARCHIVE");

	return dir && *dir ? dir : FR_SOURCE_ARCHIVE;
}
