/* SPDX-License-Identifier: MIT */
/*
 * cut_story.h - what happens on the machine before its power is cut: rings and a kernel's last
 * words are recovered, indexed, uploaded, dropped by age and by size; a ring is drained while it
 * lives; over four boots.
 */
#ifndef TESTS_TORTURE_POWER_CUT_STORY_H
#define TESTS_TORTURE_POWER_CUT_STORY_H

#include "tests/torture/power_cut/disk.h"
#include "tests/torture/power_cut/machine.h"

#define STORY_PANIC                                                     \
	"Panic#2 Part1\n<6>[   11.000000] hello\n<4>[   12.400000] odd\n" \
	"<0>[   13.000001] Kernel panic - not syncing: cut\n"

/*
 * A record that a source held, and the source: the how manieth that appeared (0: it lay there when
 * the story began).
 */
struct key {
	char text[64]; /* ring lane number */
	size_t source;
};

/* A boot of which the logs say that so much was dropped unsent. */
#define STORY_OLD_BOOT	  "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0"
#define STORY_OLD_DROPPED 600

struct story {
	struct machine machine;
	bool clock;
	struct disk *disk;
	struct key *key;
	size_t keys, sources, old_source; /* that is when the logs say so */
	char harvested[33];	    /* the ring that STORY_PANIC becomes */
	char fleet[MACHINE_PATH]; /* what the receiver had in the end */
};

/* Plays it below `work`, with a clock or with one that begins anew in each boot. */
void story_make(struct story *story, const char *work, bool clock);
void story_done(struct story *story);

/* The next boot; a day later, if there is a clock to tell. */
void story_boot(struct machine *machine, char which, bool clock);

#endif
