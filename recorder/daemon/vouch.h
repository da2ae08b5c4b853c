/* SPDX-License-Identifier: MIT */
/*
 * vouch.h - remembers whose ring it was, out of the reach of who writes it.
 *
 * A client can change every byte of its ring, also the superblock that says who it is. So what was written there when the
 * ring was made is kept in STATE/vouched/<name of the ring>, and is put back before the ring is salvaged: the
 * identity in a segment is the kernel's word. It also mends a superblock that was damaged by accident.
 */
#ifndef RECORDER_DAEMON_VOUCH_H
#define RECORDER_DAEMON_VOUCH_H

#include "schemas/fr_format.h"

struct daemon;

int vouch_store(struct daemon *daemon, const char *name, const struct frm_super *super);
int vouch_read(struct daemon *daemon, const char *name, struct frm_super *ret_super);
void vouch_drop(struct daemon *daemon, const char *name);
/* Puts both copies back in the ring file. 1: they had been changed, 0: not, or negative errno. */
int vouch_restore(struct daemon *daemon, const char *name);
/* Forgets rings that are no more. */
void vouch_sweep(struct daemon *daemon);

#endif
