/* SPDX-License-Identifier: MIT */
/*
 * timeline.h - several sources as one: boot by boot, by time, each event once.
 *
 * Owns: the order between sources, and that an event which lies in a ring, in a segment and in the index is shown once: its
 * key is (ring, lane, seq). Copies have the same time, so they meet close together; the last 65,536 keys are remembered.
 */
#ifndef RECORDER_CLI_TIMELINE_H
#define RECORDER_CLI_TIMELINE_H

#include "recorder/cli/bootlist.h"
#include "recorder/cli/source.h"

struct fr_timeline;

/* `boots` says which boot came first; it must outlive the timeline. */
struct fr_timeline *fr_timeline_new(const struct fr_bootlist *boots);
void fr_timeline_free(struct fr_timeline *timeline); /* closes its sources; NULL is fine */
void fr_timeline_add(struct fr_timeline *timeline, struct fr_source *source); /* takes it over */
size_t fr_timeline_sources(const struct fr_timeline *timeline);
struct fr_source *fr_timeline_source(const struct fr_timeline *timeline, size_t i);

/* 1 an event, good until the next call; 0 no more; or the negative errno of a source, which is then at its end. */
int fr_timeline_next(struct fr_timeline *timeline, const struct fr_event **ret_event);

#endif
