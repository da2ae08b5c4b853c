/* SPDX-License-Identifier: MIT */
/*
 * attempt.h - marks a source before it is parsed, so that poison is known by what it did to the reader.
 *
 * Owns: spool/attempts. A mark is durable before the first byte is parsed and goes, durably, when
 * parsing is over, well or badly: it stands for milliseconds, so that two power cuts are not taken
 * for poison unless both fall into them. What is found at the next start:
 *
 *	no mark		fresh: parse it
 *	"unfinished 1"	a reader ended inside, nobody knows why (killed, power cut): parse it once more, after the others
 *	"unfinished 2"	twice: set it aside unread
 *	"crashed N"	a reader crashed in it, with signal N: set it aside unread, now, on the second try
 */
#ifndef PSTORE_ATTEMPT_H
#define PSTORE_ATTEMPT_H

#include "pstore/spool.h"

struct fr_attempt {
	unsigned unfinished; /* earlier attempts that did not finish */
	int signal;	     /* 0, or what the reader died of */
};

#define FR_ATTEMPTS_MAX 2

/* What earlier runs left; all zero when nothing. */
void fr_attempt_read(const struct fr_spool *spool, const char *source, struct fr_attempt *ret_attempt);
bool fr_attempt_is_poison(const struct fr_attempt *attempt);
/* One line for people and for .why. */
void fr_attempt_why(const struct fr_attempt *attempt, char *why, size_t size);

int fr_attempt_begin(const struct fr_spool *spool, const char *source, const struct fr_attempt *earlier); /* durable */
void fr_attempt_end(const struct fr_spool *spool, const char *source);

/* Drops all marks whose names begin so: every source of that kind was dealt with, whose marks are left is gone. */
void fr_attempt_sweep(const struct fr_spool *spool, const char *prefix);

/* The reader with this process id just died of this signal: its marks say so from now. Returns how many there were. */
unsigned fr_attempt_blame(const struct fr_spool *spool, pid_t pid, int signal);

#endif
