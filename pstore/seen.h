/* SPDX-License-Identifier: MIT */
/*
 * seen.h - lines of a boot's kernel log that are events already: drained by the daemon, or harvested from another dump.
 *
 * An oops that is followed by a panic leaves two dumps whose texts overlap, and the daemon may have copied a line before
 * the kernel died. Each line becomes one event; every dump's text is kept whole besides.
 */
#ifndef PSTORE_SEEN_H
#define PSTORE_SEEN_H

#include "pstore/spool.h"

struct fr_seen_line {
	uint64_t hash; /* of its text */
	uint64_t time_ns; /* on the clock of the kernel's log */
};

struct fr_seen {
	struct fr_seen_line *line; /* sorted */
	size_t count, room;
	bool panic; /* the boot's kernel.panic is among them */
	bool offset_known;  /* another dump of that boot was harvested, */
	uint64_t offset_ns; /* and this was added to its times */
	uint64_t newest_ns; /* of what rings of that boot hold, within the window below; 0: nothing */
};

/*
 * Reads the segments in the spool that hold the end of that boot: lines of its kernel's log, and in the window ]from, to] on
 * CLOCK_BOOTTIME the last sign of life of anybody.
 */
int fr_seen_load(const struct fr_spool *spool, const uint8_t boot_id[16], uint64_t from_ns, uint64_t to_ns, struct fr_seen *seen);
void fr_seen_done(struct fr_seen *seen);
bool fr_seen_has(const struct fr_seen *seen, uint64_t time_ns, const char *text, size_t size);

#endif
