/* SPDX-License-Identifier: MIT */
/* unit_batch.h - batches of invented events, for tests of the uploader. */
#ifndef TESTS_UNIT_UNIT_BATCH_H
#define TESTS_UNIT_UNIT_BATCH_H

#include "tests/unit/unit.h"
#include "uploader/batch.h"

/* Event `seq` of `lane`; fields number (u64) and text (str). */
void unit_event(struct fr_event *event, uint32_t lane, uint64_t seq);
struct fr_batch_maker *unit_maker(uint64_t events_max);
/* `lanes` lanes of `each` events; every `gap`-th number is missing (0: none). */
void unit_batch(struct fr_batch *batch, uint32_t lanes, uint64_t each, uint64_t gap);
/* The body as text: free it with fr_text_done(). */
void unit_raw(const struct fr_batch *batch, struct fr_text *text);

#endif
