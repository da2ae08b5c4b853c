/* SPDX-License-Identifier: MIT */
/*
 * backoff.h - when to try again: exponential with full jitter, bounded, and never before the server's Retry-After.
 *
 * The wait before try n (from 0) is drawn evenly from [0, min(cap, base * 2^n)], so that a fleet that lost its
 * endpoint at one instant does not come back at one instant. A Retry-After is a floor below that draw, not a
 * replacement of it: waiting exactly as told would gather the fleet again.
 */
#ifndef UPLOADER_BACKOFF_H
#define UPLOADER_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define FR_RETRY_AFTER_MAX_MS (24ull * 3600 * 1000) /* a server can't silence a machine for longer */

struct fr_backoff {
	uint64_t base_ms, cap_ms;
	unsigned tries; /* failures in a row */
	uint64_t seed;	/* state of the draw */
};

void fr_backoff_init(struct fr_backoff *backoff, uint64_t base_ms, uint64_t cap_ms);
void fr_backoff_reset(struct fr_backoff *backoff); /* it worked */
uint64_t fr_backoff_bound_ms(const struct fr_backoff *backoff);
/* Counts one more failure and draws the wait. retry_after_ms: 0 when the server said nothing. */
uint64_t fr_backoff_next_ms(struct fr_backoff *backoff, uint64_t retry_after_ms);

/*
 * Reads the value of a Retry-After header: seconds, or a date in any of the three forms HTTP knows, relative to `now`
 * (seconds of the wall clock). A date that has passed is 0. False when it is neither.
 */
bool fr_retry_after_parse(const char *value, int64_t now, uint64_t *ret_ms);

#endif
