/* SPDX-License-Identifier: MIT */
/* schema.c - schemas/index.sql, as part of the program. */
#include "uploader/db.h"

const char fr_index_schema[] =
#include "schemas/index_sql.h" /* made from schemas/index.sql by module.mk */
	;
