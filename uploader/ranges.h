/* SPDX-License-Identifier: MIT */
/*
 * ranges.h - sets of record numbers, as sorted runs: what is there, what is missing, what was sent.
 *
 * Owns: their arithmetic. A set is all zero at first; it is "tidy" (sorted, without overlap, merged) after
 * fr_ranges_tidy(), which all functions but fr_ranges_add() need of their arguments and leave in their results.
 */
#ifndef UPLOADER_RANGES_H
#define UPLOADER_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fr_run {
	uint64_t first, last;
};

struct fr_ranges {
	struct fr_run *run;
	size_t count, room;
};

void fr_ranges_done(struct fr_ranges *set); /* frees; leaves an empty set */
#define FR_RANGES __attribute__((cleanup(fr_ranges_done)))

int fr_ranges_add(struct fr_ranges *set, uint64_t first, uint64_t last); /* first <= last; -ENOMEM */
void fr_ranges_tidy(struct fr_ranges *set);
int fr_ranges_merge(struct fr_ranges *set, const struct fr_ranges *other);    /* set := set or other */
int fr_ranges_subtract(struct fr_ranges *set, const struct fr_ranges *other); /* set := set and not other */
int fr_ranges_intersect(struct fr_ranges *set, const struct fr_ranges *other);
uint64_t fr_ranges_size(const struct fr_ranges *set);
bool fr_ranges_has(const struct fr_ranges *set, uint64_t number);

#endif
