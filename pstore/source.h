/* SPDX-License-Identifier: MIT */
/*
 * source.h - where evidence lies after a crash: one table of operations for each kind of place.
 *
 *	ring		a directory of rings: STATE/rings, a DAX mount; released by unlink
 *	pstore		/sys/fs/pstore: what the kernel left in RAM, EFI variables, ERST, a block device; released by unlink
 *	archive		/var/lib/systemd/pstore: what systemd-pstore took from there; not ours, never released
 *
 * A new kind of place is a row of this table and a reader of what lies there.
 */
#ifndef PSTORE_SOURCE_H
#define PSTORE_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "pstore/spool.h"

#define FR_SOURCE_PSTORE  "/sys/fs/pstore"
#define FR_SOURCE_ARCHIVE "/var/lib/systemd/pstore"

enum fr_source_kind {
	FR_SOURCE_KIND_RING,
	FR_SOURCE_KIND_PSTORE,
	FR_SOURCE_KIND_ARCHIVE,
	FR_SOURCE_KIND_COUNT,
};

struct fr_evidence {
	char dir[FR_PATH_MAX]; /* where the file lies */
	char name[256];
	uint64_t mtime_ns; /* pstore: when the kernel wrote it, 0 when it didn't know; others: of the file */
	uint64_t size;
};

struct fr_evidence_list {
	struct fr_evidence *item;
	size_t count;
	size_t left_out; /* beyond FR_EVIDENCE_MAX */
};

#define FR_EVIDENCE_MAX 10000u /* pieces a place is read for in one run; the next run takes the others */

struct fr_source_ops {
	const char *name;
	/* Appends what lies below `path`, sorted by name. A place that is not there is empty. */
	int (*enumerate)(const char *path, struct fr_evidence_list *list);
	/* The whole content, at most `most` bytes: -EFBIG. *ret_bytes is the caller's to free. */
	int (*read)(const struct fr_evidence *evidence, size_t most, char **ret_bytes, size_t *ret_size);
	/* Called when its copy is durable. Returns 1 when the source is gone, 0 when it stays, or a negative errno. */
	int (*release)(const struct fr_evidence *evidence);
};

extern const struct fr_source_ops fr_source[FR_SOURCE_KIND_COUNT];

void fr_evidence_done(struct fr_evidence_list *list);

/* The directories to look in: $FLIGHTREC_PSTORE_DIR and $FLIGHTREC_PSTORE_ARCHIVE, else what the machine has. */
const char *fr_source_pstore_dir(void);
const char *fr_source_archive_dir(void);

#endif
