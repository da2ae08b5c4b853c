/* SPDX-License-Identifier: MIT */
/*
 * known.h - which foreign evidence is in a segment already, by its content.
 *
 * Owns: spool/harvested. One file for each harvested dump, named after its ring id, written when the segment is durable
 * and before any source goes: lines "part <sha256>" and "file <sha256>". So the same text found again - in pstore after a
 * kill, in systemd's archive, under another name - adds nothing, also after retention has dropped the segment. A note goes
 * when it is 30 days old and its content lies nowhere any more.
 */
#ifndef PSTORE_KNOWN_H
#define PSTORE_KNOWN_H

#include "pstore/spool.h"

struct fr_known {
	uint8_t (*id)[32];
	size_t count, room;
};

int fr_known_load(const struct fr_spool *spool, struct fr_known *known);
void fr_known_done(struct fr_known *known);
bool fr_known_has(const struct fr_known *known, const uint8_t id[32]);
int fr_known_add(struct fr_known *known, const uint8_t id[32]); /* in memory only; -ENOMEM */

/* Writes the note `name` with these ids, durably. */
int fr_known_note(const struct fr_spool *spool, const char *name, const uint8_t (*part)[32], size_t parts,
		  const uint8_t (*file)[32], size_t files);
/* Drops old notes of which nothing is in `present`. */
void fr_known_prune(const struct fr_spool *spool, const struct fr_known *present);

#endif
