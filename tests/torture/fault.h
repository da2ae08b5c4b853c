/* SPDX-License-Identifier: MIT */
/*
 * fault.h - what the library that makes calls fail (fault.c) and the driver that asks it to
 * (test_faults.c) share: a file that both map.
 *
 * A SITE is a call by name, made from one place and one way through our own code: the same place
 * reached on another way is another site. The driver first
 * lets a program run and learns its sites; then it names one of them, and the library fails that call.
 */
#ifndef TESTS_TORTURE_FAULT_H
#define TESTS_TORTURE_FAULT_H

#include <stdint.h>

#define FAULT_SITES 8192 /* a power of two */
#define FAULT_DEPTH 16

enum fault_kind {
	FAULT_ANY = 1,	  /* everything that can fail */
	FAULT_STORE = 2,  /* what a full, broken or read-only file system refuses */
	FAULT_UNDO = 4,	  /* removes something: a full disk does not refuse it */
	FAULT_GETS = 8,	  /* returns what has to be given back: memory, descriptor, mapping */
};

struct fault_site {
	uint64_t key;	/* 0: free */
	uint32_t order; /* which it was, in time */
	uint32_t count; /* calls */
	uint32_t kinds;
	int32_t held; /* what it returned and nobody gave back, when the programs ended by themselves */
	char call[24];
	uint32_t frame[FAULT_DEPTH]; /* offsets in their modules, innermost first; 0: there is none */
	uint8_t module[FAULT_DEPTH];
};

struct fault_page {
	/* the driver's wish */
	uint64_t target; /* a site's key; 0: none, only count */
	uint32_t nth;	 /* which call of it */
	int32_t error;	 /* an errno; 0: the one that suits the call */
	/* kinds of calls that fail from then on, too: FAULT_STORE, with or without FAULT_UNDO */
	uint32_t onward;
	/* what came of it */
	uint32_t fired;
	uint32_t failed; /* calls that failed */
	uint32_t sites;	 /* used */
	uint32_t calls;
	uint32_t overflow; /* the table is too small */
	char module[64][48];
	struct fault_site site[FAULT_SITES];
};

#endif
