/* SPDX-License-Identifier: MIT */
/* store.c - see store.h. */
#include "tests/fuzz/store.h"

#include <sqlite3.h>

#include "tests/fuzz/fuzz.h"

struct fr_store *empty_store(void)
{
	static struct fr_store *store;

	if (!store)
		HOLDS(fr_store_open(":memory:", &store) == 0);
	HOLDS(sqlite3_exec(
		      fr_store_db(store),
		      "delete from events; delete from batches; delete from lanes; delete from kinds;"
		      " delete from processes",
		      NULL, NULL, NULL) == SQLITE_OK);
	return store;
}
