/* SPDX-License-Identifier: MIT */
/*
 * bootlist.h - the boots that events were seen of, in their order, and how a person names one.
 */
#ifndef RECORDER_CLI_BOOTLIST_H
#define RECORDER_CLI_BOOTLIST_H

#include <stddef.h>
#include <stdint.h>

#include "schemas/fr_format.h"

struct fr_boot {
	uint8_t id[16];
	uint64_t seq;	       /* 0 unknown */
	uint64_t started_real; /* wall clock when it began, 0 unknown: sorts boots that have no number */
};

struct fr_bootlist {
	struct fr_boot *boot; /* oldest first */
	size_t count;
	uint8_t current[16]; /* what "0" means; zero: the newest */
};

void fr_bootlist_add(struct fr_bootlist *boots, const uint8_t id[16], uint64_t seq, uint64_t started_real);
void fr_bootlist_add_super(struct fr_bootlist *boots, const struct frm_super *super);
void fr_bootlist_done(struct fr_bootlist *boots);

/* Place in the order, from 1; 0 for a boot that was never added. */
uint64_t fr_bootlist_rank(const struct fr_bootlist *boots, const uint8_t id[16]);

/*
 * "0" or "current", "-1" or "previous", "-2" ..., "7" (its number), else a prefix of its id. -ENOENT no such boot, -ENOTUNIQ the
 * prefix means several, -EINVAL it can't be one.
 */
int fr_bootlist_find(const struct fr_bootlist *boots, const char *name, uint8_t ret_id[16]);

#endif
