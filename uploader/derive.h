/* SPDX-License-Identifier: MIT */
/* derive.h - works the table incident out from rings and witnesses; incident.h has the rules. */
#ifndef UPLOADER_DERIVE_H
#define UPLOADER_DERIVE_H

#include "uploader/db.h"

/*
 * Works out again the incidents of every boot in table stale, in one transaction of its own. Depends on what the index
 * holds and on nothing else, so evidence that arrives later corrects what was found before.
 */
int fr_derive_incidents(struct fr_index *index);

#endif
