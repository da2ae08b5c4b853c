/* SPDX-License-Identifier: MIT */
/*
 * store.h - where this machine's rings and segments lie, and how one is opened for reading.
 *
 * Owns: which directories hold rings (STATE/rings, [store] ring_dir of the configuration, $FLIGHTREC_RING_DIR), and
 * whether a ring's writer lives.
 */
#ifndef RECORDER_CLI_STORE_H
#define RECORDER_CLI_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "recorder/core/image.h"
#include "recorder/core/paths.h"

struct fr_store {
	char state[FR_PATH_MAX];
	char rings[3][FR_PATH_MAX]; /* STATE/rings; the configuration's and the environment's, else "" */
	char spool[FR_PATH_MAX];
	int error; /* the first directory that could not be read: negative errno */
	char unreadable[FR_PATH_MAX];
};

/* --state DIR: this program and what it calls look there from now on. */
int fr_store_use(const char *directory);
/* The machine's own. Negative errno when the state directory can't even be named. */
int fr_store_here(struct fr_store *store);
/* [store] ring_dir of the configuration, or "". A configuration that does not hold: negative errno and one line in `error`. */
int fr_store_ring_dir(char path[FR_PATH_MAX], char *error, size_t error_size);
/* A state directory, or one with rings or segments in it, of whatever machine. */
void fr_store_at(struct fr_store *store, const char *directory);

/*
 * Calls `each` for every ring, then for every segment: salvage writes a segment before it releases the ring, so that
 * whatever goes from one to the other meanwhile is seen at least once. Stops when `each` returns non-zero and returns that.
 */
struct fr_store_file {
	const char *path;
	const char *name; /* without the directory */
	bool ring;	  /* else a segment */
};
int fr_store_each(struct fr_store *store, int (*each)(void *ctx, const struct fr_store_file *file), void *ctx);

/* Reads the superblock of a ring (from either copy) or a segment. -EBADMSG: it is neither, or damaged. */
int fr_store_peek(int fd, struct frm_super *ret_super);

struct fr_opened {
	struct fr_image *image;
	bool alive; /* its writer runs: the image was opened FR_IMAGE_LIVE */
	uint64_t file_size;
	bool gone;  /* a process's ring, left open by a writer that is dead */
};
int fr_store_open(const char *path, struct fr_opened *ret_opened);
/* The same, but -ESTALE when `wanted` says no to the superblock: the file is then not read to its end. */
int fr_store_open_if(const char *path, bool (*wanted)(void *ctx, const struct frm_super *super), void *ctx,
		     struct fr_opened *ret_opened);

#endif
