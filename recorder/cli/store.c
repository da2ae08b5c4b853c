/* SPDX-License-Identifier: MIT */
#include "recorder/cli/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/core/check.h"
#include "recorder/core/host.h"
#include "recorder/core/ini.h"

#define RING_DIRS (sizeof(((struct fr_store *)0)->rings) / FR_PATH_MAX)

static int take_ring_dir(void *ctx, const struct fr_ini_entry *entry, char *why, size_t why_size)
{
	if (strcmp(entry->section, "store") != 0 || strcmp(entry->key, "ring_dir") != 0)
		return FR_INI_NOT_MINE;
	return fr_ini_string(entry->value, ctx, FR_PATH_MAX, why, why_size);
}

int fr_store_use(const char *directory)
{
	char here[FR_PATH_MAX], path[2 * FR_PATH_MAX];

	if (!*directory)
		return -EINVAL;
	if (*directory == '/')
		return setenv("FLIGHTREC_STATE_DIR", directory, 1) < 0 ? -errno : 0;
	if (!getcwd(here, sizeof(here)))
		return -errno;
	snprintf(path, sizeof(path), "%s/%s", here, directory);
	return setenv("FLIGHTREC_STATE_DIR", path, 1) < 0 ? -errno : 0;
}

int fr_store_ring_dir(char path[FR_PATH_MAX], char *error, size_t error_size)
{
	const struct fr_ini_reader reader = { .entry = take_ring_dir, .ctx = path };
	int result;

	path[0] = '\0';
	result = fr_ini_load_config(&reader, error, error_size);
	if (result < 0)
		path[0] = '\0';
	return result;
}

int fr_store_here(struct fr_store *store)
{
	char ignored[FR_INI_TEXT_MAX]; /* the daemon says what is wrong with it */
	const char *given;
	int error;

	memset(store, 0, sizeof(*store));
	error = fr_path_state(store->state, sizeof(store->state), "");
	if (!error)
		error = fr_path_state(store->rings[0], sizeof(store->rings[0]), "rings");
	if (!error)
		error = fr_path_state(store->spool, sizeof(store->spool), "spool");
	if (error)
		return error;
	fr_store_ring_dir(store->rings[1], ignored, sizeof(ignored));
	given = getenv("FLIGHTREC_RING_DIR");
	if (given && strlen(given) < sizeof(store->rings[2]))
		strcpy(store->rings[2], given);
	for (size_t i = 1; i < RING_DIRS; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(store->rings[i], store->rings[j]) == 0)
				store->rings[i][0] = '\0';
	return 0;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

void fr_store_at(struct fr_store *store, const char *directory)
{
	memset(store, 0, sizeof(*store));
	snprintf(store->state, sizeof(store->state), "%s", directory);
	if (snprintf(store->rings[0], sizeof(store->rings[0]), "%s/rings", directory) >= FR_PATH_MAX ||
	    !is_directory(store->rings[0]))
		snprintf(store->rings[0], sizeof(store->rings[0]), "%s", directory);
	if (snprintf(store->spool, sizeof(store->spool), "%s/spool", directory) >= FR_PATH_MAX || !is_directory(store->spool))
		snprintf(store->spool, sizeof(store->spool), "%s", directory);
}

static bool ends_with(const char *name, const char *end)
{
	size_t size = strlen(name), want = strlen(end);

	return size > want && strcmp(name + size - want, end) == 0;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int each_in(struct fr_store *store, const char *directory, bool ring, int (*each)(void *ctx, const struct fr_store_file *file),
		   void *ctx)
{
	struct dirent **names;
	char path[FR_PATH_MAX + 256];
	int count, result = 0;

	count = scandir(directory, &names, NULL, compare_names);
	if (count < 0) {
		if (errno != ENOENT && errno != ENOTDIR && !store->error) {
			store->error = -errno;
			snprintf(store->unreadable, sizeof(store->unreadable), "%s", directory);
		}
		return 0;
	}
	for (int i = 0; i < count; i++) {
		const struct fr_store_file file = { .path = path, .name = names[i]->d_name, .ring = ring };

		if (!result && names[i]->d_name[0] != '.' && ends_with(names[i]->d_name, ring ? ".ring" : ".frs")) {
			snprintf(path, sizeof(path), "%s/%s", directory, names[i]->d_name);
			result = each(ctx, &file);
		}
		free(names[i]);
	}
	free(names);
	return result;
}

int fr_store_each(struct fr_store *store, int (*each)(void *ctx, const struct fr_store_file *file), void *ctx)
{
	int result = 0;

	for (size_t i = 0; i < RING_DIRS && !result; i++)
		if (store->rings[i][0])
			result = each_in(store, store->rings[i], true, each, ctx);
	return result ? result : each_in(store, store->spool, false, each, ctx);
}

int fr_store_peek(int fd, struct frm_super *ret_super)
{
	struct frm_super super;
	off_t second;

	if (pread(fd, &super, sizeof(super), 0) != (ssize_t)sizeof(super))
		return -EBADMSG;
	if (super.magic == FRM_MAGIC_SEGMENT &&
	    pread(fd, &super, sizeof(super), sizeof(struct frm_segment) + sizeof(struct frm_chunk)) != (ssize_t)sizeof(super))
		return -EBADMSG;
	if (fr_super_check(&super) == 0) {
		*ret_super = super;
		return 0;
	}
	/* where copy B lies is what copy A should have said: it is looked for at each page */
	for (second = FRM_META_MIN; second <= (off_t)FRM_META_MAX; second += FRM_PAGE) {
		if (pread(fd, &super, sizeof(super), second) != (ssize_t)sizeof(super))
			return -EBADMSG;
		if (super.meta_size == second && fr_super_check(&super) == 0) {
			*ret_super = super;
			return 0;
		}
	}
	return -EBADMSG;
}

/* True when the image says that it was left open by a process. */
static bool is_left_open(const struct fr_image *image)
{
	const struct frm_segment *segment = fr_image_segment(image);

	if (fr_image_super(image)->kind != FRM_KIND_PROCESS || fr_image_state(image)->closed_boot_ns)
		return false;
	return !segment || segment->reason == FRM_REASON_DIED || segment->reason == FRM_REASON_BOOT_END;
}

int fr_store_open_if(const char *path, bool (*wanted)(void *ctx, const struct frm_super *super), void *ctx,
		     struct fr_opened *ret_opened)
{
	struct fr_opened opened = { 0 };
	struct frm_super super;
	struct stat st;
	int fd, error;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	error = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EBADMSG;
	if (error) {
		close(fd);
		return error;
	}
	error = fr_store_peek(fd, &super);
	if (!error && wanted && !wanted(ctx, &super)) {
		close(fd);
		return -ESTALE;
	}
	opened.file_size = (uint64_t)st.st_size;
	opened.alive = !error && fr_host_writer_alive(&super);
	error = fr_image_open(fd, opened.alive ? FR_IMAGE_LIVE : 0, &opened.image);
	close(fd);
	if (error)
		return error;
	if (wanted && !wanted(ctx, fr_image_super(opened.image))) {
		fr_image_close(opened.image);
		return -ESTALE;
	}
	opened.gone = !opened.alive && is_left_open(opened.image);
	*ret_opened = opened;
	return 0;
}

int fr_store_open(const char *path, struct fr_opened *ret_opened)
{
	return fr_store_open_if(path, NULL, NULL, ret_opened);
}
