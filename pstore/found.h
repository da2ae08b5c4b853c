/* SPDX-License-Identifier: MIT */
/*
 * found.h - what became of one source of evidence: the one struct that salvage and harvest report with.
 *
 * It has no pointers, so a worker process can send it through a pipe.
 */
#ifndef PSTORE_FOUND_H
#define PSTORE_FOUND_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/core/segment.h"

enum fr_fate {
	FR_FATE_SALVAGED = 1, /* copied into a segment */
	FR_FATE_KNOWN,	      /* nothing in it that a segment does not hold already */
	FR_FATE_ALIVE,	      /* its writer runs: left alone */
	FR_FATE_QUARANTINED,  /* can't be read: set aside */
	FR_FATE_LEFT,	      /* can't be read by this version, or not now: left where it is */
	FR_FATE_FAILED,	      /* could be read, but not copied: left where it is, `error` says why */
};

struct fr_found {
	uint32_t fate; /* enum fr_fate */
	int32_t error; /* negative errno; 0 */
	char source[16];   /* "ring", "pstore", "archive" */
	char path[512];	   /* cut at the front when it is longer */
	char why[256];	   /* for QUARANTINED, LEFT, FAILED: for a person */
	char segment[FR_SEGMENT_NAME]; /* name in the spool, or "" */
	char aside[208];   /* name in the quarantine, or "" */
	uint8_t ring_id[16], boot_id[16];
	uint64_t boot_seq;
	uint32_t kind;	   /* enum frm_kind */
	uint32_t reason;   /* enum frm_reason */
	uint32_t part;
	uint32_t pid;
	char comm[16];
	uint64_t records;  /* events in the segment */
	uint64_t bytes;	   /* of the segment */
	uint64_t loss[FRM_LOSS_COUNT]; /* named in the segment */
	uint64_t first_ns, last_ns;    /* CLOCK_BOOTTIME of the oldest and the newest record */
	bool meta_damaged; /* one of the two superblocks was, or both */
	bool released;	   /* the source is gone */
	char text[160];	   /* harvest: what the kernel said it died of */
};

/* "salvaged", "known", ... */
const char *fr_fate_name(enum fr_fate fate);
/* "drain", "closed", "died", "boot-end", "harvest" */
const char *fr_reason_name(enum frm_reason reason);

void fr_found_path(struct fr_found *found, const char *dir, const char *name);

#endif
