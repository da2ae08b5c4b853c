/* SPDX-License-Identifier: MIT */
/*
 * life.h - a writer's life that passes every testpoint of the ring and of the library, over and
 * over: to be killed, stopped or jumped out of at any of them.
 *
 * Each of its main threads owns a lane and writes the oracle's events (tests/crash/oracle.h).
 * Between them, all else that a program may do happens, and is recorded as "noise": nested and
 * borrowed records, discarded ones, sessions, providers that come and go, threads that live shortly
 * or end inside a record, jumps out of records, records that are too large.
 */
#ifndef TESTS_CRASH_POINTS_LIFE_H
#define TESTS_CRASH_POINTS_LIFE_H

#include "tests/crash/oracle.h"

#define LIFE_NOISE_MAX 65536

/* What the test knows of the noise: shared with the writer. */
struct noise {
	uint32_t next;
	uint8_t state[LIFE_NOISE_MAX]; /* 0 never, 1 begun, 2 committed */
};

struct life {
	struct witness *witness;
	struct noise *noise;
	unsigned threads; /* main threads, 1 to 3 */
	unsigned events;  /* of each */
	bool discard;	  /* the ring refuses when it is full: nothing but records that are small */
};

/* Lives to the end, unregisters, and returns; or dies where FLIGHTREC_TESTPOINT says. */
void life_run(const struct life *life);
/* One more event of a main thread, by whoever calls; false when it was refused. */
bool life_emit(struct witness *witness, uint32_t thread);
/* One record of noise; false when it was refused. */
bool life_noise(struct noise *noise);
/*
 * A record in the middle of which another one is made (false: that one was refused); a record that
 * is jumped out of, in one of three states.
 */
bool life_nested(struct noise *noise);
void life_jump(unsigned how);
/* Registers the provider and notes the ring's path. */
void life_begin(struct witness *witness);
void life_end(void);
/* Ends the calling thread's part with a record left open in its own lane, and one in a borrowed one. */
void life_leave_two_open(void);
/* Of the noise nothing is invented or there twice; and nothing is missing unless the ring lapped. */
void life_judge_noise(const struct witness *witness, const struct noise *noise, bool lapped);

/* Names of the testpoints of a group of tests/lib/testpoints.sh. */
size_t life_points(const char *group, char (*names)[48], size_t most);

#endif
