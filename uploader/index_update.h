/* SPDX-License-Identifier: MIT */
/*
 * index_update.h - what an update of the index does, in its order: forget what is gone, read the logs, take in the new
 * segments, work out losses and incidents, make the views.
 *
 * Owns: that order, and the round over the new segments.
 */
#ifndef UPLOADER_INDEX_UPDATE_H
#define UPLOADER_INDEX_UPDATE_H

#include "uploader/db.h"

/* Counts in *stats, from zero. 0, or a negative errno: what was committed before stays, if the database has a journal. */
int fr_index_run_update(struct fr_index *index, struct fr_index_stats *stats);

#endif
