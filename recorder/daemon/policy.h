/* SPDX-License-Identifier: MIT */
/*
 * policy.h - the daemon's side of gates: configuration first, then what `flightrec set` said, later over earlier.
 *
 * Owns: STATE/gates and its public copy RUNTIME/gates, and that a change reaches every ring of a living writer. The text and
 * the protocol are core/gates.h's. A rule that goes leaves gates as they are.
 */
#ifndef RECORDER_DAEMON_POLICY_H
#define RECORDER_DAEMON_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "recorder/core/gates.h"

struct daemon;
struct writer;

struct policy {
	char text[FR_GATES_TEXT_MAX];
	size_t size;
};

/* Puts the configuration's rules and the remembered ones together, stores them, and applies them. At start and reload. */
int policy_load(struct daemon *daemon);
/* One order of a client. Returns how many rings changed, or negative errno. */
int policy_set(struct daemon *daemon, const char *selector, unsigned level, uint64_t keywords,
	       const char *source);
/* To the ring of one writer that was there before us. */
void policy_apply(struct daemon *daemon, const struct writer *writer);

#endif
