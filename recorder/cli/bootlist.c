/* SPDX-License-Identifier: MIT */
#include "recorder/cli/bootlist.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/cli/out.h"
#include "recorder/core/paths.h"

void fr_bootlist_done(struct fr_bootlist *boots)
{
	free(boots->boot);
	boots->boot = NULL;
	boots->count = 0;
}

static bool is_before(const struct fr_boot *a, const struct fr_boot *b)
{
	if (a->seq && b->seq && a->seq != b->seq)
		return a->seq < b->seq;
	return a->started_real < b->started_real;
}

void fr_bootlist_add(struct fr_bootlist *boots, const uint8_t id[16], uint64_t seq, uint64_t started_real)
{
	struct fr_boot fresh = { .seq = seq, .started_real = started_real };
	size_t at;

	memcpy(fresh.id, id, 16);
	if (fr_bootlist_rank(boots, id))
		return;
	boots->boot = fr_cli_realloc(boots->boot, (boots->count + 1) * sizeof(*boots->boot));
	for (at = boots->count; at && is_before(&fresh, &boots->boot[at - 1]); at--)
		boots->boot[at] = boots->boot[at - 1];
	boots->boot[at] = fresh;
	boots->count++;
}

void fr_bootlist_add_super(struct fr_bootlist *boots, const struct frm_super *super)
{
	uint64_t started = super->created_real_ns > super->created_boot_ns ? super->created_real_ns - super->created_boot_ns : 0;

	fr_bootlist_add(boots, super->boot_id, super->boot_seq, started);
}

uint64_t fr_bootlist_rank(const struct fr_bootlist *boots, const uint8_t id[16])
{
	for (size_t i = boots->count; i--;)
		if (memcmp(boots->boot[i].id, id, 16) == 0)
			return i + 1;
	return 0;
}

static int find_back(const struct fr_bootlist *boots, unsigned long back, uint8_t ret_id[16])
{
	static const uint8_t nobody[16];
	uint64_t current = fr_bootlist_rank(boots, boots->current);

	if (!back && memcmp(boots->current, nobody, 16) != 0) {
		memcpy(ret_id, boots->current, 16); /* also when nothing was recorded in it */
		return 0;
	}
	if (!current) /* all that is known lies before it, unless there is no "it" */
		current = boots->count + (memcmp(boots->current, nobody, 16) != 0);
	if (back >= current)
		return -ENOENT;
	memcpy(ret_id, boots->boot[current - 1 - back].id, 16);
	return 0;
}

static int find_prefix(const struct fr_bootlist *boots, const char *name, uint8_t ret_id[16])
{
	const struct fr_boot *found = NULL;
	char prefix[33];
	size_t size = 0;

	for (; *name; name++) {
		if (*name == '-')
			continue;
		if (!isxdigit((unsigned char)*name) || size == 32)
			return -EINVAL;
		prefix[size++] = (char)tolower((unsigned char)*name);
	}
	if (size < 4)
		return -EINVAL;
	for (size_t i = 0; i < boots->count; i++) {
		char hex[33];

		fr_hex(hex, boots->boot[i].id, 16);
		if (memcmp(hex, prefix, size) != 0)
			continue;
		if (found)
			return -ENOTUNIQ;
		found = &boots->boot[i];
	}
	if (!found)
		return -ENOENT;
	memcpy(ret_id, found->id, 16);
	return 0;
}

int fr_bootlist_find(const struct fr_bootlist *boots, const char *name, uint8_t ret_id[16])
{
	unsigned long number;
	char *end;

	if (strcmp(name, "current") == 0)
		return find_back(boots, 0, ret_id);
	if (strcmp(name, "previous") == 0)
		return find_back(boots, 1, ret_id);
	errno = 0;
	number = strtoul(name + (*name == '-'), &end, 10);
	if (isdigit((unsigned char)name[*name == '-']) && !*end && !errno && strlen(name) < 10) {
		if (*name == '-' || !number)
			return find_back(boots, number, ret_id);
		for (size_t i = 0; i < boots->count; i++) {
			if (boots->boot[i].seq == number) {
				memcpy(ret_id, boots->boot[i].id, 16);
				return 0;
			}
		}
		if (strlen(name) < 4)
			return -ENOENT;
	}
	return find_prefix(boots, name, ret_id);
}
