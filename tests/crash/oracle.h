/* SPDX-License-Identifier: MIT */
/*
 * oracle.h - what a dead writer must have left, known from outside its ring.
 *
 * THE WITNESS is a shared page that each thread stores to after each commit. It is no part of the ring and survives the
 * writer, because the test holds it too. When the writer is dead the ring is read, and then
 *
 *	nothing is invented	each record's text follows from its thread and number, and no number is larger than the
 *				witness's by more than the one record whose commit was not yet witnessed
 *	nothing comes twice	each number of each thread at most once, in order
 *	nothing is missing	a thread with a lane of its own has all its numbers from its oldest to the witness's; a lane has no
 *				number missing between its oldest and its newest record but what its writer tore
 *	losses are named	each lane's numbers are whole (I6), none is "damaged"
 */
#ifndef TESTS_CRASH_ORACLE_H
#define TESTS_CRASH_ORACLE_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <flightrec/flightrec.h>

#include "recorder/core/decode.h"
#include "recorder/core/image.h"

#define ORACLE_THREADS 16

/* Says what is not so, and ends the test. */
#define REQUIRE(condition, ...)                                                                  \
	do {                                                                                     \
		if (!(condition)) {                                                              \
			fprintf(stderr, "%s:%d: %s:", __FILE__, __LINE__, #condition);          \
			fprintf(stderr, " " __VA_ARGS__);                                        \
			fputc('\n', stderr);                                                     \
			exit(1);                                                                 \
		}                                                                                \
	} while (0)

/* One event of a thread: "thread" says whose, "number" counts from 0, "text" follows from both. */
#define ORACLE_FIELDS(F) F(u32, thread, "") F(u64, number, "") F(str, text, "")

struct witness {
	uint32_t ready;	   /* threads that recorded at least once */
	uint32_t stop;
	uint64_t lost;	   /* emits that said -ENOBUFS */
	char ring_path[256];
	uint64_t committed[2 * ORACLE_THREADS]; /* numbers below are committed */
	uint32_t in_reserve[2 * ORACLE_THREADS]; /* 1: reserved on purpose and never committed */
};

void *oracle_shared(size_t size); /* zeros that a forked child shares */
struct witness *witness_new(void);
void witness_reset(struct witness *witness);

void oracle_text(uint32_t thread, uint64_t number, char text[256]); /* 0 to 200 characters */
uint64_t oracle_random(uint64_t *seed);
void oracle_sleep_us(uint64_t us);

/* State below TMPDIR, of this test only; rings of that size and so many lanes (0: default) for programs started from now on. */
void oracle_environment(const char *name, const char *ring_size, unsigned lanes);
/* Runs it in a process of its own, for so many seconds at most (0: as long as it takes). Returns how that ended. */
int oracle_child(unsigned seconds, void (*body)(void));
/* Notes the ring's path in the witness; call after flightrec_register(). */
void witness_ring(struct witness *witness);

struct verdict {
	uint64_t recovered;  /* events */
	uint64_t torn;
	uint64_t laps;	     /* of the lane that went round most often */
	uint64_t overwritten;
	uint64_t busy;	     /* discarded: no lane was free */
};

enum {
	ORACLE_OWN_LANES = 1,	/* each thread had a lane of its own: its numbers are whole to the witness's */
	ORACLE_NEVER_LAPPED = 2, /* and nothing was overwritten: all numbers from 0 */
	ORACLE_CLOSED = 4,	/* the writer left in order */
	ORACLE_EXTRA = 8,	/* events of other kinds may be there */
	ORACLE_MAYBE_CLOSED = 16, /* it may have left in order, or not */
};
/* Judges the ring the witness names. Ends the test if anything is wrong. */
struct verdict oracle_judge(const struct witness *witness, unsigned threads, unsigned flags);
/* The same for an image. */
struct verdict oracle_judge_image(const struct fr_image *image, const struct witness *witness, unsigned threads, unsigned flags);

#endif
