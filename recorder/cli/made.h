/* SPDX-License-Identifier: MIT */
/*
 * made.h - events that are on no medium: show makes them of what is not there (render.h has their names).
 */
#ifndef RECORDER_CLI_MADE_H
#define RECORDER_CLI_MADE_H

#include "recorder/core/decode.h"

/* Turns an event into one of ours without fields: process, boot, time and place stay. */
void fr_made_ours(struct fr_event *event, const char *name, unsigned level);
void fr_made_number(struct fr_event *event, const char *name, uint64_t value);
void fr_made_string(struct fr_event *event, const char *name, const char *value); /* borrowed */

/* Makes of an event nearby one that says what is missing from `first_seq` on. */
void fr_made_loss(struct fr_event *event, const struct fr_loss *loss, uint64_t first_seq);

#endif
