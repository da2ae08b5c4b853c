/* SPDX-License-Identifier: MIT */
/*
 * quarantine.h - sets aside what can't be read: kept as it was, named, with the reason beside it.
 *
 * Owns: spool/quarantine. NAME is the evidence, NAME.why says in one line where it comes from and what was wrong.
 * What takes too much goes again, the oldest first (uploader/aside.h).
 * Moved when it lies on the same file system, else copied, synced and only then removed.
 */
#ifndef PSTORE_QUARANTINE_H
#define PSTORE_QUARANTINE_H

#include "pstore/spool.h"

/*
 * Sets aside the file `name` of directory `dir`. `keep` leaves the source where it is (a foreign archive). Doing it
 * again for the same content adds nothing. `ret_name` (FR_SPOOL_NAME, may be NULL) is its name there. Errors: -EFBIG: larger
 * than a copy is allowed to be; what open, write and unlink say; the source then stays.
 */
int fr_quarantine(const struct fr_spool *spool, int dir, const char *name, const char *source, const char *why, bool keep,
		  char *ret_name);

#endif
