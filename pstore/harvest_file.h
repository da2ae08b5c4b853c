/* SPDX-License-Identifier: MIT */
/*
 * harvest_file.h - the files of pstore and of systemd's archive, read, judged and split.
 *
 * Owns: what a file's name tells, and that each file is marked before it is parsed.
 */
#ifndef PSTORE_HARVEST_FILE_H
#define PSTORE_HARVEST_FILE_H

#include "pstore/dmesg.h"
#include "pstore/harvest.h"
#include "pstore/known.h"
#include "pstore/source.h"

#define FR_HARVEST_PLACE 320
#define FR_HARVEST_FILE_MAX (16u << 20)	 /* a record of pstore is a few KiB to a few MiB */
#define FR_HARVEST_ALL_MAX  (128u << 20) /* of unknown text in one run; the rest is for the next */

struct fr_harvest_file {
	enum fr_source_kind kind;
	struct fr_evidence evidence;
	char place[FR_HARVEST_PLACE]; /* "pstore/dmesg-efi-164..." */
	char mark[FR_SPOOL_NAME];     /* of the attempt: with its content, for the kernel uses names again */
	char backend[64];   /* "ramoops", "efi"; an archive's dmesg.txt: where it lies */
	uint64_t stamp;	    /* EFI: seconds since 1970, which all parts of a dump share; else 0 */
	bool opaque;
	uint64_t written_ns, archived_ns; /* see fr_boots_find() */
	uint8_t id[32];	    /* SHA-256 of the whole */
	char *bytes;
	size_t size;
	struct fr_dmesg_part *part;
	size_t parts;
	bool parsed;
	bool aside;	    /* it was set aside, or should have been: not ours to release */
	bool released;
};

struct fr_harvest_files {
	struct fr_harvest_file *file;
	size_t count;
	size_t bytes;	     /* held */
	struct fr_known ids; /* of all files and parts that were looked at */
	bool complete;	     /* nothing was left for the next run */
	bool stuck;	     /* something could not be set aside: its mark is still needed */
};

/*
 * Adds what lies below `path` and is not known as a whole. Sets aside what crashed an earlier reader, leaves what is too large, and
 * reports these. Known files of a place that is ours are added all the same, to be released.
 */
int fr_harvest_files_add(struct fr_harvest_files *files, struct fr_spool *spool, enum fr_source_kind kind, const char *path,
			 const struct fr_known *known, fr_found_fn report, void *ctx);
void fr_harvest_files_done(struct fr_harvest_files *files);

#endif
