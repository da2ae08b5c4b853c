/* SPDX-License-Identifier: MIT */
/*
 * budget.h - how many bytes may still be sent today.
 *
 * Owns: STATE/outbox/budget, one line: day (since 1970, UTC) bytes CRC32C. Bytes are charged before they are sent, so that a
 * machine that is killed again and again does not send more than it may. A new day begins with the wall clock's date; a
 * clock that is set back by less than two days does not give the day twice.
 */
#ifndef UPLOADER_BUDGET_H
#define UPLOADER_BUDGET_H

#include "uploader/outbox.h"

struct fr_budget {
	uint64_t limit; /* bytes a day; 0: none */
	int64_t day;
	uint64_t used;
};

/* A missing or damaged file is a day on which nothing was sent yet. */
void fr_budget_load(const struct fr_outbox *outbox, uint64_t limit, int64_t now_seconds, struct fr_budget *ret_budget);
/* -EDQUOT: not today. Else charged, durably. */
int fr_budget_charge(const struct fr_outbox *outbox, struct fr_budget *budget, int64_t now_seconds, uint64_t bytes);
/* What was charged and then not sent, such as to an endpoint that could not be reached. */
int fr_budget_refund(const struct fr_outbox *outbox, struct fr_budget *budget, uint64_t bytes);
/* Seconds until a new day begins. */
int64_t fr_budget_wait_seconds(const struct fr_budget *budget, int64_t now_seconds);

#endif
