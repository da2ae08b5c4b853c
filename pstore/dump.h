/* SPDX-License-Identifier: MIT */
/*
 * dump.h - one dump of the kernel's log: its parts in order, and its life as a ring.
 *
 * Owns: how lines become events. kernel.log for each line that is no event yet, at the time the line shows; kernel.panic
 * where the kernel says that it gave up.
 *
 * CLOCK. The kernel stamps its lines with the scheduler's clock: near CLOCK_MONOTONIC, but it begins at another instant of the
 * boot, NTP does not discipline it, and in suspend it stands still. The time that the boot had spent in suspend is added when a
 * ring of that boot tells it. The rest is within 100 ms and 500 ppm of the uptime, and often less can be shown: no process
 * outlives a panic, so when rings of that boot hold records that look younger than the panic, but not by more than that bound,
 * the panic's clock was slow by at least so much, and all lines are moved. (What other processors record while the panic is
 * being printed is taken for older.) What was added stands in the ring's anchor, between mono_ns and boot_ns; that bound, in
 * its source descriptor.
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

/* How far the kernel log's clock may be off. */
static inline uint64_t fr_dump_clock_error_ns(uint64_t log_ns)
{
	return 100000000u + log_ns / 2000;
}

/* When the kernel said that it panicked, on its log's clock; false when it doesn't say so. */
bool fr_dump_panic_ns(const struct fr_dump *dump, uint64_t *ret_ns);

/*
 * Writes the dump into a ring in memory, or where that is forbidden in an unnamed file in `dir`, as of this boot (NULL: a boot
 * that we don't know, its id made from content). `offset_ns` is added to the log's times. Returns a descriptor, or a
 * negative errno.
 */
int fr_dump_ring(const struct fr_dump *dump, const struct fr_boot *boot, uint64_t offset_ns, const struct fr_seen *seen, int dir,
		 struct fr_dump_result *ret_result);

/* The boot id of a dump whose boot is not known. */
void fr_dump_boot_id(const struct fr_dump *dump, const struct fr_boot *boot, uint8_t boot_id[16]);

#endif
