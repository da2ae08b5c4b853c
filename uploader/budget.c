/* SPDX-License-Identifier: MIT */
/* budget.c - the day's allowance. */
#include "uploader/budget.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "recorder/core/crc.h"

#define DAY_SECONDS 86400

static void turn_day(struct fr_budget *budget, int64_t now_seconds)
{
	int64_t today = now_seconds / DAY_SECONDS;

	if (today > budget->day || today < budget->day - 1) {
		budget->day = today;
		budget->used = 0;
	}
}

void fr_budget_load(const struct fr_outbox *outbox, uint64_t limit, int64_t now_seconds, struct fr_budget *ret_budget)
{
	struct fr_budget budget = { .limit = limit, .day = now_seconds / DAY_SECONDS };
	struct fr_budget read = budget;
	char text[128];
	uint32_t crc;
	int end = 0;

	if (fr_outbox_get_file(outbox, "budget", text, sizeof text) > 0 &&
	    sscanf(text, "%" SCNd64 " %" SCNu64 "%n %" SCNx32, &read.day, &read.used, &end, &crc) == 3 &&
	    crc == fr_crc32c(0, text, (size_t)end))
		budget = read;
	turn_day(&budget, now_seconds);
	*ret_budget = budget;
}

static int store(const struct fr_outbox *outbox, const struct fr_budget *budget)
{
	char text[128];
	int size = snprintf(text, sizeof text, "%" PRId64 " %" PRIu64, budget->day, budget->used);
	size += snprintf(text + size, sizeof text - (size_t)size, " %08x\n", fr_crc32c(0, text, (size_t)size));
	return fr_outbox_put_file(outbox, "budget", text, (size_t)size);
}

int fr_budget_charge(const struct fr_outbox *outbox, struct fr_budget *budget, int64_t now_seconds, uint64_t bytes)
{
	turn_day(budget, now_seconds);
	if (budget->limit && budget->used + bytes > budget->limit)
		return -EDQUOT;
	budget->used += bytes;
	return store(outbox, budget);
}

int fr_budget_refund(const struct fr_outbox *outbox, struct fr_budget *budget, uint64_t bytes)
{
	if (!bytes)
		return 0;
	budget->used -= bytes < budget->used ? bytes : budget->used;
	return store(outbox, budget);
}

int64_t fr_budget_wait_seconds(const struct fr_budget *budget, int64_t now_seconds)
{
	int64_t next = (budget->day + 1) * DAY_SECONDS;

	return next > now_seconds ? next - now_seconds : 0;
}
