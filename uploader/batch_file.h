/* SPDX-License-Identifier: MIT */
/* batch_file.h - a batch as the bytes of an outbox file, and back. outbox.h has the layout. */
#ifndef UPLOADER_BATCH_FILE_H
#define UPLOADER_BATCH_FILE_H

#include "uploader/batch.h"

/* Everything before the body. */
void fr_batch_file_head(struct fr_text *text, const struct fr_batch *batch);
/* Reads a whole file. `bytes` must be terminated behind `size`. -EBADMSG: not as it was written; -ENOMEM. */
int fr_batch_file_read(const char *bytes, size_t size, struct fr_batch *ret_batch);
/* The same of its first lines only: id, database, machine, boot, parent, half, created_ns, events. Checks no sums. */
int fr_batch_file_peek(const char *bytes, struct fr_batch *ret_batch, const char **ret_rest);

#endif
