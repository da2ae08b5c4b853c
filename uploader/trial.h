/* SPDX-License-Identifier: MIT */
/*
 * trial.h - a segment that ends its reader ends it once, and is then left out of the index.
 *
 * Owns: what STATE/index.lock holds: a line with a segment's name for each time it was begun and not finished. It is not
 * synced: a reader's end leaves what was written, and of a power cut no segment is guilty. All are called
 * within a write transaction, or with the lock held alone, so that nobody else reads a segment or touches the file meanwhile;
 * but for fr_trial_put_off(), which may see it a moment before or after.
 */
#ifndef UPLOADER_TRIAL_H
#define UPLOADER_TRIAL_H

#include <stdbool.h>

#include "uploader/db.h"

/*
 * Notes that `name` is about to be read. 0: read it; 1: it ends whoever reads it; or a negative errno. A reader may also
 * have been killed without any fault of the segment, so one that was begun before is first read by a child, into nothing.
 */
int fr_trial_begin(struct fr_index *index, const char *name);
/*
 * True for what was begun five times and never finished: read it after all others. It may be innocent (readers were killed,
 * often), so it is not left out; it may end only who has the rest of the index, so it must not stand in others' way.
 */
bool fr_trial_put_off(struct fr_index *index, const char *name);
void fr_trial_end(struct fr_index *index, const char *name); /* it was read, or left out for good */

#endif
