/* SPDX-License-Identifier: MIT */
/* ranges.c - see ranges.h. */
#include "uploader/ranges.h"

#include <errno.h>
#include <stdlib.h>

void fr_ranges_done(struct fr_ranges *set)
{
	free(set->run);
	*set = (struct fr_ranges){ 0 };
}

int fr_ranges_add(struct fr_ranges *set, uint64_t first, uint64_t last)
{
	struct fr_run *grown;

	if (set->count && set->run[set->count - 1].last != UINT64_MAX && first == set->run[set->count - 1].last + 1) {
		set->run[set->count - 1].last = last;
		return 0;
	}
	if (set->count == set->room) {
		size_t room = set->room ? set->room * 2 : 8;

		grown = realloc(set->run, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		set->run = grown;
		set->room = room;
	}
	set->run[set->count++] = (struct fr_run){ first, last };
	return 0;
}

static int by_first(const void *a, const void *b)
{
	const struct fr_run *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

void fr_ranges_tidy(struct fr_ranges *set)
{
	size_t out = 0;
	bool sorted = true;

	if (!set->count)
		return;
	for (size_t i = 1; i < set->count; i++)
		sorted &= set->run[i - 1].first <= set->run[i].first;
	if (!sorted)
		qsort(set->run, set->count, sizeof(*set->run), by_first);
	for (size_t i = 1; i < set->count; i++) {
		if (set->run[out].last == UINT64_MAX || set->run[i].first <= set->run[out].last + 1) {
			if (set->run[i].last > set->run[out].last)
				set->run[out].last = set->run[i].last;
		} else {
			set->run[++out] = set->run[i];
		}
	}
	set->count = out + 1;
}

int fr_ranges_merge(struct fr_ranges *set, const struct fr_ranges *other)
{
	int r;

	for (size_t i = 0; i < other->count; i++) {
		r = fr_ranges_add(set, other->run[i].first, other->run[i].last);
		if (r < 0)
			return r;
	}
	fr_ranges_tidy(set);
	return 0;
}

/* Keeps of set what lies in other (or, with `inside` false, what does not). */
static int cut(struct fr_ranges *set, const struct fr_ranges *other, bool inside)
{
	struct fr_ranges out = { 0 };
	size_t j = 0;
	int r = 0;

	for (size_t i = 0; i < set->count && !r; i++) {
		uint64_t at = set->run[i].first, last = set->run[i].last;
		bool open = true; /* [at, last] is not decided yet */

		while (j < other->count && other->run[j].last < at)
			j++;
		for (size_t k = j; open && k < other->count && other->run[k].first <= last && !r; k++) {
			uint64_t from = other->run[k].first > at ? other->run[k].first : at;
			uint64_t to = other->run[k].last < last ? other->run[k].last : last;

			if (inside)
				r = fr_ranges_add(&out, from, to);
			else if (from > at)
				r = fr_ranges_add(&out, at, from - 1);
			if (to == last)
				open = false;
			else
				at = to + 1;
		}
		if (open && !inside && !r)
			r = fr_ranges_add(&out, at, last);
	}
	if (r < 0) {
		fr_ranges_done(&out);
		return r;
	}
	fr_ranges_done(set);
	*set = out;
	return 0;
}

int fr_ranges_subtract(struct fr_ranges *set, const struct fr_ranges *other)
{
	return other->count ? cut(set, other, false) : 0;
}

int fr_ranges_intersect(struct fr_ranges *set, const struct fr_ranges *other)
{
	return cut(set, other, true);
}

uint64_t fr_ranges_size(const struct fr_ranges *set)
{
	uint64_t size = 0;

	for (size_t i = 0; i < set->count; i++)
		size += set->run[i].last - set->run[i].first + 1;
	return size;
}

bool fr_ranges_has(const struct fr_ranges *set, uint64_t number)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (set->run[middle].last < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < set->count && set->run[low].first <= number;
}
