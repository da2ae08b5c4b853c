/* SPDX-License-Identifier: MIT */
/*
 * ringfile.h - a ring as a file in a directory: made under a temporary name, renamed when complete, so that whoever
 * looks through the directory sees whole rings only.
 *
 * Names: <pid>-<ring id, 32 hex digits>.ring, while being made .<pid>-<random>.new
 */
#ifndef RECORDER_CORE_RINGFILE_H
#define RECORDER_CORE_RINGFILE_H

#include <sys/types.h>

#include "recorder/core/map.h"

#define FR_RING_SUFFIX ".ring"
#define FR_RING_NAME_MAX 64

/*
 * Makes a ring in the directory. Returns an open read-write descriptor (close-on-exec), and its name, or -errno:
 * -EINVAL the geometry, -ENOSPC, -EACCES ... and nothing is left behind.
 */
int fr_ringfile_create(const char *dir, mode_t mode, const struct fr_geometry *geometry, const struct fr_identity *identity,
		       char ret_name[FR_RING_NAME_MAX]);

/*
 * Makes the names durable that lead to that file: its folder, and those above, which may be as new;
 * only the first has to be open to us. 0, or why that one could not be synced. System calls and the
 * stack only: a signal handler may.
 */
int fr_ringfile_sync_names(const char *path);

#endif
