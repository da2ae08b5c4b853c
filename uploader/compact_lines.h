/* SPDX-License-Identifier: MIT */
/*
 * compact_lines.h - a log of evidence as a shorter text that says the same; what that means,
 * compact.h says.
 */
#ifndef UPLOADER_COMPACT_LINES_H
#define UPLOADER_COMPACT_LINES_H

#include "uploader/compact.h"

/*
 * Reads the log `fd`, which the index has read to its end, and the spool's directory. *ret_text is
 * the caller's to free.
 */
int fr_compact_lines(struct fr_index *index, const char *file, int fd, const struct fr_compact *how,
		     char **ret_text, size_t *ret_size);

#endif
