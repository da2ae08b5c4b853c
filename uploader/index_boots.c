/* SPDX-License-Identifier: MIT */
/* index_boots.c - see index_boots.h. */
#include "uploader/index_boots.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recorder/core/host.h"

void fr_index_boots_done(struct fr_index_boots *boots)
{
	free(boots->boot);
	*boots = (struct fr_index_boots){ 0 };
}

/* By number where both have one, else by the wall clock. */
static bool before(const struct fr_boot *a, const struct fr_boot *b)
{
	if (a->seq && b->seq && a->seq != b->seq)
		return a->seq < b->seq;
	return a->started_real_ns != b->started_real_ns ? a->started_real_ns < b->started_real_ns :
							   memcmp(a->boot_id, b->boot_id, 16) < 0;
}

int fr_index_boots_read(struct fr_index *index, struct fr_index_boots *boots)
{
	FR_STMT find = NULL;
	size_t room = 0;
	int r = fr_db_prepare(index,
			      "SELECT b.id, b.boot_id, b.seq, (SELECT a.real_ns - a.boot_ns FROM anchor a WHERE a.boot = b.id"
			      "	ORDER BY a.boot_ns, a.real_ns LIMIT 1), (SELECT min(real_ns - boot_ns) FROM anchor WHERE boot = b.id),"
			      " (SELECT max(real_ns - boot_ns) FROM anchor WHERE boot = b.id) FROM boot b",
			      &find);

	*boots = (struct fr_index_boots){ 0 };
	while (!r && (r = fr_db_step(find)) == 1) {
		struct fr_boot boot = { .id = sqlite3_column_int64(find, 0),
					.seq = (uint64_t)sqlite3_column_int64(find, 2),
					.started_real_ns = (uint64_t)sqlite3_column_int64(find, 3),
					.least_offset = sqlite3_column_int64(find, 4),
					.most_offset = sqlite3_column_int64(find, 5),
					.anchored = sqlite3_column_type(find, 3) != SQLITE_NULL };
		size_t at = boots->count;

		fr_db_id(find, 1, boot.boot_id);
		r = 0;
		if (boots->count == room) {
			struct fr_boot *grown;

			room = room ? room * 2 : 16;
			grown = realloc(boots->boot, room * sizeof(*grown));
			if (!grown) {
				r = -ENOMEM;
				break;
			}
			boots->boot = grown;
		}
		/* insertion: `before` is no total order, so this has to end whatever it says */
		while (at > 0 && before(&boot, &boots->boot[at - 1])) {
			boots->boot[at] = boots->boot[at - 1];
			at--;
		}
		boots->boot[at] = boot;
		boots->count++;
	}
	if (r < 0)
		fr_index_boots_done(boots);
	return r;
}

/* So many boots before the current one; when that is not in the index, the newest is one before it. */
static int find_relative(const struct fr_index_boots *boots, unsigned long back, size_t *ret_at)
{
	size_t current = boots->count;
	uint8_t boot_id[16];

	if (fr_host_boot_id(boot_id) == 0)
		for (size_t i = 0; i < boots->count; i++)
			if (!memcmp(boots->boot[i].boot_id, boot_id, 16))
				current = i;
	if (back > current || (!back && current == boots->count))
		return -ENOENT;
	*ret_at = current - back;
	return 0;
}

int fr_index_boots_find(const struct fr_index_boots *boots, const char *text, size_t *ret_at)
{
	size_t length = strlen(text), found = 0, count = 0;
	char hex[33], digits[33];
	unsigned long number;
	char *end;

	if (!strcmp(text, "current") || !strcmp(text, "0"))
		return find_relative(boots, 0, ret_at);
	if (!strcmp(text, "previous"))
		return find_relative(boots, 1, ret_at);
	errno = 0;
	number = strtoul(text[0] == '-' ? text + 1 : text, &end, 10);
	if (text[0] == '-')
		return *end || errno || end == text + 1 ? -EINVAL : find_relative(boots, number, ret_at);
	for (size_t i = 0; i < boots->count && !*end && end != text && !errno; i++) {
		if (boots->boot[i].seq == number) {
			*ret_at = i;
			return 0;
		}
	}
	for (length = 0; *text; text++) { /* a prefix of an id, with or without dashes */
		if (*text == '-')
			continue;
		if (!isxdigit((unsigned char)*text) || length == 32)
			return -EINVAL;
		digits[length++] = *text;
	}
	if (length < 4)
		return -ENOENT;
	for (size_t i = 0; i < boots->count; i++) {
		fr_hex(hex, boots->boot[i].boot_id, 16);
		if (!strncasecmp(hex, digits, length)) {
			found = i;
			count++;
		}
	}
	if (count != 1)
		return count ? -ENOTUNIQ : -ENOENT;
	*ret_at = found;
	return 0;
}
