/* SPDX-License-Identifier: MIT */
/* witness.h - what the demo's tills have committed, told outside of any ring: a shared file of this struct. */
#ifndef TESTS_DEMO_WITNESS_H
#define TESTS_DEMO_WITNESS_H

#include <stdint.h>

#define WITNESS_TILLS	4u
#define WITNESS_THREADS 3u
#define WITNESS_ORDERS	4000u /* after so many, a till meets its fate */

struct witness {
	uint32_t pid[WITNESS_TILLS];
	uint64_t count[WITNESS_TILLS][WITNESS_THREADS]; /* orders 1..count are committed */
};

#endif
