/* SPDX-License-Identifier: MIT */
/*
 * dmesg.h - the kernel's log as a panic leaves it: split into dumps, parts and lines.
 *
 * Owns: what a dump looks like. When the kernel dumps its log it cuts the newest stretch into parts, newest first, each
 * with a line on top:
 *
 *	Panic#2 Part1			why, which dump of that boot, which part: 1 is the newest
 *	<4>[   61.337421] text		<facility * 8 + severity>[seconds since boot]
 *	<6>[   61.337421][    T1] text	also with the thread or the CPU, where the kernel is built so
 *
 * The text is untrusted, and it lay in memory that flips bits: nothing here fails, a line whose beginning can't be read
 * is taken with the time and severity of the one before it, and the words that name a panic are found with one bad bit in
 * eight.
 */
#ifndef PSTORE_DMESG_H
#define PSTORE_DMESG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FR_DMESG_LINE_MAX 4096u /* the kernel's are below 1024; longer ones are cut into pieces of this */

/* One part: a line like "Panic#2 Part1" and what follows, up to the next one. */
struct fr_dmesg_part {
	char why[16];	 /* "Panic", "Oops" ...; "" when there is no such line */
	uint32_t dump;	 /* 2 */
	uint32_t number; /* 1; 0 when there is no such line */
	const char *head; /* the whole part, with its first line, without zeros and newlines at the end */
	size_t head_size;
	size_t raw_size;  /* the same as it was found, up to the next part */
	const char *text; /* the lines */
	size_t text_size;
	uint8_t id[32];	 /* SHA-256 of the whole part: the same wherever a copy of it is found */
};

/* Steps through the parts of a file. *at starts at 0. False at the end. */
bool fr_dmesg_next_part(const char *text, size_t size, size_t *at, struct fr_dmesg_part *ret_part);

struct fr_dmesg_line {
	uint64_t time_ns; /* of the kernel's log clock, since boot */
	uint8_t severity; /* 0..7 */
	uint8_t facility;
	bool stamped;	  /* false: time and severity are taken over from the line before */
	uint32_t tid;	  /* 0: not known */
	uint16_t cpu;	  /* FRM_CPU_NONE: not known */
	const char *text; /* not terminated; may hold any byte but newline */
	size_t size;
};

/* What goes from line to line. Zero it before the first. */
struct fr_dmesg_state {
	uint64_t time_ns;
	uint8_t severity;
	bool any; /* a stamped line was seen */
};

/* Steps through the lines; empty ones are left out. False at the end. */
bool fr_dmesg_next_line(struct fr_dmesg_state *state, const char *text, size_t size, size_t *at, struct fr_dmesg_line *ret_line);

/*
 * If this line is the kernel's own and says that it gave up or stumbled, what it says: "Fatal exception" of "Kernel panic - not
 * syncing: Fatal exception", the whole line of an "Oops:" or "BUG:". Returns how grave: 3 panic, 2 oops, 1 bug, 0 none.
 */
int fr_dmesg_verdict(const struct fr_dmesg_line *line, const char **ret_text, size_t *ret_size);

#endif
