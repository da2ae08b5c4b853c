/* SPDX-License-Identifier: MIT */
/* unit_story.h - what a run of recovery tells, kept for the test to ask. */
#ifndef TESTS_UNIT_UNIT_STORY_H
#define TESTS_UNIT_UNIT_STORY_H

#include "pstore/recover.h"
#include "tests/unit/unit_scratch.h"

struct story {
	struct fr_found found[64];
	size_t count;
	int error;
};

static inline void story_note(void *ctx, const struct fr_found *found)
{
	struct story *story = ctx;

	assert_true(story->count < COUNT(story->found));
	story->found[story->count++] = *found;
}

static inline void scratch_recover(const struct scratch *s, struct story *story)
{
	struct fr_recover recover = { .state_dir = s->state, .pstore_dir = s->pstore, .archive_dir = s->archive,
				      .report = story_note, .ctx = story };

	memset(story, 0, sizeof(*story));
	story->error = fr_recover(&recover);
}

static inline unsigned story_count(const struct story *story, enum fr_fate fate)
{
	unsigned count = 0;

	for (size_t i = 0; i < story->count; i++)
		count += story->found[i].fate == (uint32_t)fate;
	return count;
}

static inline const struct fr_found *story_first(const struct story *story, enum fr_fate fate)
{
	for (size_t i = 0; i < story->count; i++)
		if (story->found[i].fate == (uint32_t)fate)
			return &story->found[i];
	fail_msg("nothing was %s", fr_fate_name(fate));
	return NULL;
}

#endif
