/* SPDX-License-Identifier: MIT */
/*
 * vouch.h - remembers whose ring it was, out of the reach of who writes it.
 *
 * A client can change every byte of its ring, also the superblock that says who it is. So what was written there when the
 * ring was made is kept in STATE/vouched/<name of the ring>, and is put back before the ring is salvaged, by the daemon or
 * by `flightrec recover`: the identity in a segment is the kernel's word. It also mends a superblock that was damaged by
 * accident.
 *
 * Owns: STATE/vouched, which the daemon makes. Only what lies there in our own name is believed, and put into files of our own.
 */
#ifndef PSTORE_VOUCH_H
#define PSTORE_VOUCH_H

#include "schemas/fr_format.h"

/* 0, or a negative errno: -EEXIST, what open and write say. Nothing half written stays. */
int fr_vouch_store(const char *state_dir, const char *name, const struct frm_super *super);
/* -ENOENT: nobody vouches for it; -EPERM: somebody else does; -EBADMSG: what is kept is no superblock. */
int fr_vouch_read(const char *state_dir, const char *name, struct frm_super *ret_super);
void fr_vouch_drop(const char *state_dir, const char *name);
/* Puts both copies back in the file of that name in ring_dir. 1: they had been changed, 0: not, or negative errno, as above. */
int fr_vouch_restore(const char *state_dir, const char *ring_dir, const char *name);
/* Forgets rings that are no more in ring_dir. */
void fr_vouch_sweep(const char *state_dir, const char *ring_dir);

#endif
