/* SPDX-License-Identifier: MIT */
/* found.c - see found.h. */
#include "pstore/found.h"

#include <stdio.h>
#include <string.h>

#include "recorder/core/paths.h"

const char *fr_fate_name(enum fr_fate fate)
{
	static const char *const name[] = {
		[FR_FATE_SALVAGED] = "salvaged", [FR_FATE_KNOWN] = "known", [FR_FATE_ALIVE] = "alive",
		[FR_FATE_QUARANTINED] = "quarantined", [FR_FATE_LEFT] = "left", [FR_FATE_FAILED] = "failed",
	};

	return (size_t)fate < sizeof(name) / sizeof(*name) && name[fate] ? name[fate] : "unknown";
}

const char *fr_reason_name(enum frm_reason reason)
{
	static const char *const name[] = {
		[FRM_REASON_DRAIN] = "drain", [FRM_REASON_CLOSED] = "closed", [FRM_REASON_DIED] = "died",
		[FRM_REASON_BOOT_END] = "boot-end", [FRM_REASON_HARVEST] = "harvest",
	};

	return (size_t)reason < sizeof(name) / sizeof(*name) && name[reason] ? name[reason] : "unknown";
}

void fr_found_path(struct fr_found *found, const char *dir, const char *name)
{
	char path[FR_PATH_MAX + 256];
	size_t length = (size_t)snprintf(path, sizeof(path), "%s%s%s", dir, *name ? "/" : "", name), skip;

	if (length >= sizeof(path))
		length = sizeof(path) - 1;
	skip = length >= sizeof(found->path) ? length - sizeof(found->path) + 1 : 0;
	memcpy(found->path, path + skip, length - skip + 1);
}
