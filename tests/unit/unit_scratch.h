/* SPDX-License-Identifier: MIT */
/*
 * unit_scratch.h - a machine's directories in a scratch folder, evidence to put there, and what then lies in the spool.
 */
#ifndef TESTS_UNIT_UNIT_SCRATCH_H
#define TESTS_UNIT_UNIT_SCRATCH_H

#include <time.h>

#include "recorder/core/segment.h"
#include "tests/unit/unit_ring.h"

struct scratch {
	char root[64];
	char state[96], rings[112], spool[112], quarantine[128], pstore[96], archive[96];
};

void scratch_make(struct scratch *s);
void scratch_remove(struct scratch *s);

/* Small files. read: the caller frees; NULL when it is not there. */
void scratch_put(const char *dir, const char *name, const void *bytes, size_t size);
void scratch_put_text(const char *dir, const char *name, const char *text);
char *scratch_get(const char *dir, const char *name, size_t *ret_size);
bool scratch_has(const char *dir, const char *name);
unsigned scratch_count(const char *dir, const char *suffix); /* files whose names end like this */
/* Sets when a file was changed, in seconds of the wall clock. */
void scratch_date(const char *dir, const char *name, time_t when);

/* Puts a unit ring into a directory under the name it would have; `name` may be NULL. */
void scratch_put_ring(const char *dir, const struct unit_ring *u, char name[64]);

/* A ring file of this machine with `count` records "line <number>", of a boot (NULL: this one) with that number. */
void scratch_make_ring(const char *dir, uint32_t pid, const uint8_t boot_id[16], uint64_t boot_seq, uint64_t created_real_ns,
		       unsigned count, uint8_t ring_id[16]);

/* One more record "last" in lane 1 of such a ring, at that time. */
void scratch_append_ring(const char *dir, uint32_t pid, const uint8_t ring_id[16], uint64_t time_ns);

/* The segment of that ring and part; fails the test when it can't be read. */
struct fr_image *scratch_segment(const struct scratch *s, const uint8_t ring_id[16], uint32_t part);

/* How often the text is an event kernel.log in the segments of the spool; `boot_id` (may be NULL) is that of the last. */
unsigned scratch_count_lines(const struct scratch *s, const char *text, uint8_t boot_id[16]);
/* The same for kernel.panic. */
unsigned scratch_count_panics(const struct scratch *s, const char *reason, uint8_t boot_id[16]);

#endif
