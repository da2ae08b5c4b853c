/* SPDX-License-Identifier: MIT */
/* outbox.c - batches as files: appear whole, stay as they are, go last. Owns: every name below STATE/outbox. */
#include "uploader/outbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/core/paths.h"
#include "recorder/core/testpoint.h"
#include "recorder/core/write.h"
#include "uploader/batch_file.h"

#define FILE_MAX_BYTES (128u << 20)
#define PEEK_BYTES     512 /* holds the first lines of a batch's file */

struct name {
	char text[64];
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

static DIR *open_folder(const struct fr_outbox *outbox, const char *folder)
{
	int fd = openat(outbox->dir, *folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), error;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0) {
		error = errno;
		close(fd);
		errno = error;
	}
	return dir;
}

static void free_bytes(char **bytes)
{
	free(*bytes);
}

static struct name name_of(const char *folder, const uint8_t id[16], const char *suffix)
{
	struct name name;
	char hex[33];

	fr_hex(hex, id, 16);
	snprintf(name.text, sizeof name.text, "%s%s%s%s", folder, *folder ? "/" : "", hex, suffix);
	return name;
}

static int sync_folder(const struct fr_outbox *outbox, const char *folder)
{
	__attribute__((cleanup(close_fd))) int fd =
		openat(outbox->dir, *folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_tmp(const struct fr_outbox *outbox, const char *tmp, const void *first, size_t first_size,
		     const void *second, size_t second_size)
{
	__attribute__((cleanup(close_fd))) int fd =
		openat(outbox->dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	int r;

	if (fd < 0)
		return -errno;
	r = fr_write_all(fd, first, first_size);
	if (r == 0)
		r = fr_write_all(fd, second, second_size);
	FR_TESTPOINT("outbox-written");
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	FR_TESTPOINT("outbox-synced");
	return r;
}

static int put(const struct fr_outbox *outbox, const char *tmp, const char *name, const void *first, size_t first_size,
	       const void *second, size_t second_size)
{
	int r = write_tmp(outbox, tmp, first, first_size, second, second_size);

	if (r == 0 && renameat(outbox->dir, tmp, outbox->dir, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(outbox->dir, tmp, 0);
		return r;
	}
	FR_TESTPOINT("outbox-renamed");
	return sync_folder(outbox, "");
}

int fr_outbox_put_file(const struct fr_outbox *outbox, const char *name, const void *bytes, size_t size)
{
	char tmp[64];

	if ((size_t)snprintf(tmp, sizeof tmp, "%s.tmp", name) >= sizeof tmp)
		return -ENAMETOOLONG;
	return put(outbox, tmp, name, bytes, size, NULL, 0);
}

int fr_outbox_get_file(const struct fr_outbox *outbox, const char *name, char *buf, size_t size)
{
	__attribute__((cleanup(close_fd))) int fd = openat(outbox->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return (int)n;
}

int fr_outbox_put(const struct fr_outbox *outbox, const struct fr_batch *batch)
{
	__attribute__((cleanup(fr_text_done))) struct fr_text head = { 0 };
	struct name name = name_of("", batch->id, ".frb"), tmp = name_of("", batch->id, ".tmp");

	fr_batch_file_head(&head, batch);
	if (head.failed)
		return -ENOMEM;
	return put(outbox, tmp.text, name.text, head.data, head.size, batch->body, batch->body_size);
}

int fr_outbox_remove(const struct fr_outbox *outbox, const uint8_t id[16])
{
	struct name name = name_of("", id, ".frb");

	if (unlinkat(outbox->dir, name.text, 0) < 0 && errno != ENOENT)
		return -errno;
	FR_TESTPOINT("outbox-removed");
	return sync_folder(outbox, "");
}

int fr_outbox_cut(const struct fr_outbox *outbox, const struct fr_batch *parent, const struct fr_batch half[2])
{
	int r = fr_outbox_put(outbox, &half[0]);

	FR_TESTPOINT("outbox-first-half");
	if (r == 0)
		r = fr_outbox_put(outbox, &half[1]);
	FR_TESTPOINT("outbox-second-half");
	if (r == 0)
		return fr_outbox_remove(outbox, parent->id);
	for (int i = 0; i < 2; i++) /* the parent stays, so no half may */
		fr_outbox_remove(outbox, half[i].id);
	return r;
}

static int move(const struct fr_outbox *outbox, const uint8_t id[16], const char *folder)
{
	struct name from = name_of("", id, ".frb"), to = name_of(folder, id, ".frb");
	int r;

	if (renameat(outbox->dir, from.text, outbox->dir, to.text) < 0)
		return -errno;
	r = sync_folder(outbox, folder);
	return r < 0 ? r : sync_folder(outbox, "");
}

int fr_outbox_reject(const struct fr_outbox *outbox, const uint8_t id[16], const char *why)
{
	struct name name = name_of("rejected", id, ".why");
	__attribute__((cleanup(close_fd))) int fd =
		openat(outbox->dir, name.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd >= 0) /* a note for people: the batch is set aside with or without it */
		(void)(fr_write_all(fd, why, strlen(why)) == 0 && fr_write_all(fd, "\n", 1) == 0 && fsync(fd));
	FR_TESTPOINT("outbox-why");
	return move(outbox, id, "rejected");
}

int fr_outbox_set_damaged(const struct fr_outbox *outbox, const uint8_t id[16])
{
	return move(outbox, id, "damaged");
}

static int read_file(const struct fr_outbox *outbox, const char *name, size_t most, char **ret_bytes, size_t *ret_size)
{
	__attribute__((cleanup(close_fd))) int fd = openat(outbox->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	__attribute__((cleanup(free_bytes))) char *bytes = NULL;
	struct stat st;
	size_t size, used = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX_BYTES)
		return -EBADMSG;
	size = (size_t)st.st_size < most ? (size_t)st.st_size : most;
	bytes = malloc(size + 1);
	if (!bytes)
		return -ENOMEM;
	while (used < size) {
		ssize_t n = read(fd, bytes + used, size - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		used += (size_t)n;
	}
	bytes[used] = '\0';
	*ret_bytes = bytes;
	*ret_size = used;
	bytes = NULL;
	return 0;
}

int fr_outbox_get(const struct fr_outbox *outbox, const char *folder, const uint8_t id[16], struct fr_batch *ret_batch)
{
	struct name name = name_of(folder, id, ".frb");
	__attribute__((cleanup(free_bytes))) char *bytes = NULL;
	size_t size;
	int r = read_file(outbox, name.text, FILE_MAX_BYTES, &bytes, &size);

	if (r == 0)
		r = fr_batch_file_read(bytes, size, ret_batch);
	if (r == 0 && memcmp(ret_batch->id, id, 16) != 0) {
		fr_batch_done(ret_batch);
		r = -EBADMSG;
	}
	return r;
}

static int by_age(const void *a, const void *b)
{
	const struct fr_outbox_entry *x = a, *y = b;
	int r;

	if (x->created_ns != y->created_ns)
		return x->created_ns < y->created_ns ? -1 : 1;
	r = memcmp(x->parent, y->parent, 16);
	if (!r)
		r = (int)x->half - (int)y->half;
	return r ? r : memcmp(x->id, y->id, 16);
}

/* The first lines of a file; of a damaged one no more than its id, which makes it come first. */
static void peek(const struct fr_outbox *outbox, const char *name, struct fr_outbox_entry *entry)
{
	__attribute__((cleanup(free_bytes))) char *bytes = NULL;
	struct fr_batch batch;
	size_t size;

	if (read_file(outbox, name, PEEK_BYTES, &bytes, &size) < 0 || fr_batch_file_peek(bytes, &batch, NULL) < 0)
		return;
	memcpy(entry->parent, batch.parent, 16);
	entry->half = batch.half;
	entry->created_ns = batch.created_ns;
}

int fr_outbox_list(const struct fr_outbox *outbox, const char *folder, struct fr_outbox_entry **ret_entry,
		   size_t *ret_count)
{
	__attribute__((cleanup(close_folder))) DIR *dir = open_folder(outbox, folder);
	struct fr_outbox_entry *entries = NULL;
	size_t count = 0, room = 0;
	struct dirent *file;

	if (!dir)
		return -errno;
	while ((file = readdir(dir))) {
		struct fr_outbox_entry entry = { 0 };
		char hex[33], path[80];

		if (strlen(file->d_name) != 36 || strcmp(file->d_name + 32, ".frb") != 0)
			continue;
		memcpy(hex, file->d_name, 32);
		hex[32] = '\0';
		if (fr_unhex(entry.id, 16, hex) < 0)
			continue;
		snprintf(path, sizeof path, "%s%s%.36s", folder, *folder ? "/" : "", file->d_name);
		peek(outbox, path, &entry);
		if (count == room) {
			void *more = realloc(entries, (room = room ? 2 * room : 16) * sizeof *entries);

			if (!more) {
				free(entries);
				return -ENOMEM;
			}
			entries = more;
		}
		entries[count++] = entry;
	}
	if (count)
		qsort(entries, count, sizeof *entries, by_age);
	*ret_entry = entries;
	*ret_count = count;
	return 0;
}

static void free_entries(struct fr_outbox_entry **entries)
{
	free(*entries);
}

/* Finishes or undoes a cut that a kill interrupted: see CUTTING in outbox.h. */
static int settle_cuts(const struct fr_outbox *outbox)
{
	__attribute__((cleanup(free_entries))) struct fr_outbox_entry *entry = NULL;
	size_t count;
	int r = fr_outbox_list(outbox, "", &entry, &count);

	for (size_t p = 0; r == 0 && p < count; p++) {
		const struct fr_outbox_entry *half[2] = { NULL, NULL };
		struct fr_batch parent = { 0 };

		for (size_t i = 0; i < count; i++)
			if (i != p && memcmp(entry[i].parent, entry[p].id, 16) == 0)
				half[entry[i].half] = &entry[i];
		if (!half[0] && !half[1])
			continue;
		if (half[0] && half[1]) {
			r = fr_outbox_remove(outbox, entry[p].id);
		} else if (fr_outbox_get(outbox, "", entry[p].id, &parent) == 0) {
			r = fr_outbox_remove(outbox, (half[0] ? half[0] : half[1])->id);
			fr_batch_done(&parent);
		}
	}
	return r;
}

static int sweep_tmp(const struct fr_outbox *outbox)
{
	__attribute__((cleanup(close_folder))) DIR *dir = open_folder(outbox, "");
	struct dirent *file;

	if (!dir)
		return -errno;
	while ((file = readdir(dir))) {
		size_t size = strlen(file->d_name);

		if (size > 4 && strcmp(file->d_name + size - 4, ".tmp") == 0 &&
		    unlinkat(outbox->dir, file->d_name, 0) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

/*
 * Whoever may enter the outbox may also enter its folders, so that root can run by hand what a service of another user
 * does every day.
 */
static int make_folder(int at, const char *name)
{
	struct stat st;

	if (mkdirat(at, name, 0770) < 0)
		return errno == EEXIST ? 0 : -errno;
	/* where the umask took nothing, nothing is changed: a service may be forbidden to set a mode with setgid */
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & 0770) != 0770)
		(void)!fchmodat(at, name, (st.st_mode & 07777) | 0770, 0);
	return 0;
}

int fr_outbox_open(const char *state_dir, struct fr_outbox *ret_outbox)
{
	struct fr_outbox outbox = { -1, -1 };
	char path[FR_PATH_MAX];
	int r;

	if ((size_t)snprintf(path, sizeof path, "%s/outbox", state_dir) >= sizeof path)
		return -ENAMETOOLONG;
	r = fr_path_make(path, 0700);
	if (r < 0)
		return r;
	outbox.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (outbox.dir < 0)
		return -errno;
	outbox.lock = openat(outbox.dir, "lock", O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (outbox.lock < 0)
		r = -errno;
	else if (flock(outbox.lock, LOCK_EX | LOCK_NB) < 0)
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (r == 0)
		r = make_folder(outbox.dir, "rejected");
	if (r == 0)
		r = make_folder(outbox.dir, "damaged");
	if (r == 0)
		r = sweep_tmp(&outbox);
	if (r == 0)
		r = settle_cuts(&outbox);
	if (r < 0) {
		fr_outbox_close(&outbox);
		return r;
	}
	*ret_outbox = outbox;
	return 0;
}

void fr_outbox_close(struct fr_outbox *outbox)
{
	if (outbox->lock >= 0)
		close(outbox->lock);
	if (outbox->dir >= 0)
		close(outbox->dir);
	outbox->dir = outbox->lock = -1;
}
