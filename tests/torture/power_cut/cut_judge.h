/* SPDX-License-Identifier: MIT */
/*
 * cut_judge.h - what has to hold when the programs have run on what a power cut left.
 *
 *	- every record that lay in a source is in the index, once, and at the receiver, in one batch; or retention has dropped it, and
 *	  has said so: as sent, and then the receiver has it, or as a loss, and then nobody has it
 *	- the index is whole, says nothing any more, and made again on purpose says the same
 *	- nothing innocent lies in quarantine, nothing half done lies anywhere, a second recovery finds nothing
 *	- boots are numbered in their order, each with a number of its own, also on a machine without a clock
 *
 * A source that was being parsed at both of two power cuts may be in quarantine: that is what the
 * marks are for.
 */
#ifndef TESTS_TORTURE_POWER_CUT_JUDGE_H
#define TESTS_TORTURE_POWER_CUT_JUDGE_H

#include "tests/torture/power_cut/cut_story.h"

/* `sources`: so many had appeared at the cut. Returns how many were set aside after two cuts. */
unsigned cut_judge(const struct story *story, struct machine *machine, size_t sources);

#endif
