/* SPDX-License-Identifier: MIT */
/*
 * places.h - where the daemon works: its directories, that it is alone there, what the ring directory is made of.
 */
#ifndef RECORDER_DAEMON_PLACES_H
#define RECORDER_DAEMON_PLACES_H

#include <stdbool.h>

struct daemon;

int places_make(struct daemon *daemon); /* state, runtime, rings; says what fails */
int places_lock(struct daemon *daemon); /* one daemon for a state directory; says what fails */
/* Does a mapping hold what the CPU stores without a write-back of pages? Asked of the kernel, not assumed. */
bool places_measure_dax(const char *dir);
/* Each living writer costs a descriptor: how many may be open after raising the limit as far as it goes. */
unsigned places_raise_limits(void);

#endif
