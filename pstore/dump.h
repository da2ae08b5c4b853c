/* SPDX-License-Identifier: MIT */
/*
 * dump.h - one dump of the kernel's log: its parts in order, and its life as a ring.
 *
 * Owns: how lines become events. kernel.log for each line that is no event yet, at the time the line shows; kernel.panic
 * where the kernel says that it gave up.
 *
 * CLOCK. The kernel stamps its lines with the scheduler's clock, which is near CLOCK_MONOTONIC but neither disciplined by
 * NTP nor counting in suspend. The time that the boot had spent in suspend is added when a ring of that boot tells it; the
 * rest is within 100 ms and 500 ppm of the uptime, and the ring's source descriptor says so.
 */
#ifndef PSTORE_DUMP_H
#define PSTORE_DUMP_H

#include "pstore/boots.h"
#include "pstore/dmesg.h"
#include "pstore/seen.h"

#define FR_DUMP_PARTS_MAX 1024u
#define FR_DUMP_LINES_MAX 100000u /* the newest; older ones are in the text only, and counted */

struct fr_dump_part {
	struct fr_dmesg_part part;
	const char *place; /* "pstore/dmesg-ramoops-0" */
	size_t file;	   /* harvest's */
};

struct fr_dump {
	char backend[64];  /* "ramoops" */
	uint64_t stamp;	   /* what the name tells of the time, in the backend's way; 0 */
	char why[16];
	uint32_t number;
	bool opaque;	   /* compressed, and the kernel could not inflate it: kept, not read */
	uint64_t written_ns, archived_ns; /* wall clock, see fr_boots_find() */
	uint8_t ring_id[16];
	struct fr_dump_part *part; /* oldest text first */
	size_t parts;
};

/* Sorts the parts and makes the ring id of their content. */
void fr_dump_settle(struct fr_dump *dump);

struct fr_dump_result {
	uint64_t lines;	  /* events kernel.log */
	uint64_t known;	  /* lines that were events already */
	bool panic;	  /* there is an event kernel.panic */
	char text[160];	  /* what it says; "" without */
};

/*
 * Writes the dump into a ring in memory, or where that is forbidden in an unnamed file in `dir`, as of this boot (NULL: a boot
 * that we don't know, its id made from content). Returns a descriptor, or a negative errno.
 */
int fr_dump_ring(const struct fr_dump *dump, const struct fr_boot *boot, const struct fr_seen *seen, int dir,
		 struct fr_dump_result *ret_result);

/* The boot id of a dump whose boot is not known. */
void fr_dump_boot_id(const struct fr_dump *dump, const struct fr_boot *boot, uint8_t boot_id[16]);

#endif
