/* SPDX-License-Identifier: MIT */
/* views.h - the views event_<name>: typed fields for any sqlite3, decoded from the payload in plain SQL. */
#ifndef UPLOADER_VIEWS_H
#define UPLOADER_VIEWS_H

#include "uploader/db.h"

/* Makes them anew when the kinds of events in the index are others than those the views were made for. */
int fr_views_make(struct fr_index *index);

#endif
