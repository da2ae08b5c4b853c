/* SPDX-License-Identifier: MIT */
/*
 * match.h - the index's query, asked of events that come straight from a ring or a segment.
 *
 * Owns: that a filter means the same with and without an index. What struct fr_query says in uploader/query.h holds here, except
 * `boot`, `incident` and `last`, which show.c settles first.
 */
#ifndef RECORDER_CLI_MATCH_H
#define RECORDER_CLI_MATCH_H

#include "recorder/cli/out.h"
#include "recorder/core/decode.h"
#include "uploader/query.h"

struct fr_match {
	struct fr_query query;
	bool one_boot;
	uint8_t boot_id[16];
	struct fr_out text;
};

/* False: no event of this ring can match. */
bool fr_match_super(const struct fr_match *match, const struct frm_super *super);
bool fr_match_event(struct fr_match *match, const struct fr_event *event);
void fr_match_done(struct fr_match *match);

#endif
