/* SPDX-License-Identifier: MIT */
/*
 * recover.h - everything that is left of the dead, from every place, into the spool.
 *
 * Owns: the order of things, and the worker. What parses untrusted bytes runs in a child process; when it crashes, the marks
 * it left (attempt.h) tell in what, the parent starts another, which sets that aside, and goes on with the rest. Rings that a
 * daemon vouches for (vouch.h) are salvaged in its words.
 */
#ifndef PSTORE_RECOVER_H
#define PSTORE_RECOVER_H

#include "pstore/harvest.h"

struct fr_recover {
	const char *state_dir;
	const char *const *ring_dir; /* besides STATE/rings */
	size_t ring_dirs;
	const char *pstore_dir, *archive_dir; /* NULL: not read */
	bool live;    /* also copy what rings of the living hold */
	bool inline_; /* no worker: for who is one already */
	fr_found_fn report;
	void *ctx;
};

/*
 * Recovers. Blocks on the spool's lock. Returns 0 when all that was found has been reported, whatever its fate; or a negative
 * errno: the spool's, or -EINTR: the worker was killed from outside. May be called again any time.
 */
int fr_recover(const struct fr_recover *recover);

#endif
