/* SPDX-License-Identifier: MIT */
/*
 * progress.h - a line on standard error that shows how far a long command is, on a terminal and
 * only after a second.
 *
 * Owns: that line. A thread of its own draws it, so that it moves while a step takes long; whoever
 * prints something else takes it away first. One at a time. Where standard error is no terminal,
 * nothing of this does anything. Not for a forked worker: somebody may have held the lock just then.
 */
#ifndef RECORDER_CLI_PROGRESS_H
#define RECORDER_CLI_PROGRESS_H

#include <stdint.h>

enum fr_progress_unit {
	FR_PROGRESS_BYTES,
	FR_PROGRESS_EVENTS,
	FR_PROGRESS_SOURCES, /* rings, dumps, files */
};

/* Begins: `what` is a word like "indexing" and outlives it. */
void fr_progress_begin(const char *what, enum fr_progress_unit unit);
/*
 * So much is done of so much; total 0: nobody knows how much it will be. Cheap. The pointer is a
 * context nobody needs.
 */
void fr_progress_at(void *ctx, uint64_t done, uint64_t total);
/* Takes the line away, until the next call of fr_progress_at(). Before anything is printed. */
void fr_progress_hide(void);
/* Takes it away for good. Without a beginning, nothing. */
void fr_progress_end(void);

#endif
