/* SPDX-License-Identifier: MIT */
/*
 * unit_parallel.h - many small checks on all processors: one process each, whose failure is the
 * test's.
 */
#ifndef TESTS_UNIT_UNIT_PARALLEL_H
#define TESTS_UNIT_UNIT_PARALLEL_H

#include "tests/unit/unit.h"

/* Every how-manieth check is worth its time: under a sanitizer fewer. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNIT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNIT_SANITIZED 1
#endif
#endif
#ifndef UNIT_SANITIZED
#define UNIT_SANITIZED 0
#endif

/* Calls check(0), check(1), ... check(count - 1), each once, in any order. */
void unit_parallel(uint64_t count, void (*check)(uint64_t i));

/*
 * Zeroed memory that these processes share with the test, for what they count (by
 * __atomic_fetch_add). Never freed.
 */
void *unit_shared(size_t size);

#endif
