/* SPDX-License-Identifier: MIT */
/*
 * harvest.h - the kernel's last words become events.
 *
 * Owns: which files of pstore and of systemd's archive make one dump, whose boot it is, and its way into a segment.
 *
 * PROTOCOL, under the spool's lock
 *	1. each file: attempt marked, read, split into parts and lines once, attempt cleared
 *	2. parts that belong together make a dump; its ring id is made from their content
 *	3. lines and verdict are written into a ring in memory, which is salvaged like any other; the text goes along verbatim
 *	4. the dump's parts are noted as known, durably			(known.h)
 *	5. files of which every part is known are released		(the archive is not ours, and stays)
 * Killed between 3 and 4, the next run makes the same ring id and finds its segment; between 4 and 5, it finds the note.
 */
#ifndef PSTORE_HARVEST_H
#define PSTORE_HARVEST_H

#include "pstore/boots.h"
#include "pstore/found.h"
#include "pstore/spool.h"

typedef void (*fr_found_fn)(void *ctx, const struct fr_found *found);

/*
 * Harvests both places, each of which may be NULL or absent. Calls `report` for each dump and each file set aside. Returns 0,
 * or a negative errno when the spool fails.
 */
int fr_harvest(struct fr_spool *spool, const struct fr_boots *boots, const char *pstore_dir, const char *archive_dir,
	       fr_found_fn report, void *ctx);

#endif
