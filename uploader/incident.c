/* SPDX-License-Identifier: MIT */
/* incident.c - reads the table incident; derive.c makes it. See incident.h. */
#include "uploader/incident.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uploader/index_boots.h"
#include "uploader/resolve.h"

struct fr_incidents {
	struct fr_index *index;
	struct fr_index_boots boots;
	size_t at, end; /* boots still to be read */
	bool in_boot;
	char prefix[16];
	sqlite3_stmt *find, *lost, *recovered;
	struct fr_resolver *resolver; /* for the wall clock */
};

enum { ID, KERNEL, BOOT_ID, BOOT_SEQ, TIME, PID, START, RING_ID, COMM, EXE, CAUSE, EVIDENCE, RING, BOOT };

int fr_incidents_open(struct fr_index *index, const char *boot, const char *id, struct fr_incidents **ret_list)
{
	struct fr_incidents *list = calloc(1, sizeof(*list));
	int r = list ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	list->index = index;
	if (id) {
		size_t length = strlen(id);

		if (!length || length > 12 || strspn(id, "0123456789abcdefABCDEF") != length) {
			free(list);
			return -ENOENT;
		}
		for (size_t i = 0; i <= length; i++)
			list->prefix[i] = (char)tolower((unsigned char)id[i]);
	}
	r = fr_index_boots_read(index, &list->boots);
	list->end = list->boots.count;
	if (!r && boot) {
		r = fr_index_boots_find(&list->boots, boot, &list->at);
		list->end = list->at + 1;
	}
	if (!r)
		r = fr_resolver_new(index, &list->resolver);
	if (!r)
		r = fr_db_prepare(index,
				  "SELECT i.id, i.kernel, b.boot_id, b.seq, i.time, ifnull(p.pid, 0), ifnull(p.start_time_ns, 0),"
				  " r.ring_id, p.comm, p.exe, i.cause, i.evidence, i.ring, i.boot FROM incident i"
				  " JOIN boot b ON b.id = i.boot LEFT JOIN process p ON p.id = i.process"
				  " LEFT JOIN ring r ON r.id = i.ring WHERE i.boot = ?1 AND substr(i.id, 1, length(?2)) = ?2"
				  " ORDER BY i.time, i.id",
				  &list->find);
	if (!r)
		r = fr_db_prepare(index, "SELECT cause, sum(count) FROM loss WHERE CASE WHEN ?1 THEN boot_id = ?2 ELSE ring_id = ?3 END"
					 " GROUP BY cause", &list->lost);
	if (!r)
		r = fr_db_prepare(index, "SELECT ifnull(sum(events), 0) FROM ring WHERE CASE WHEN ?1 THEN boot = ?2 ELSE id = ?3 END",
				  &list->recovered);
	if (r < 0) {
		fr_incidents_close(list);
		return r;
	}
	*ret_list = list;
	return 0;
}

void fr_incidents_close(struct fr_incidents *list)
{
	if (!list)
		return;
	sqlite3_finalize(list->find);
	sqlite3_finalize(list->lost);
	sqlite3_finalize(list->recovered);
	fr_resolver_free(list->resolver);
	fr_index_boots_done(&list->boots);
	free(list);
}

static int read_counts(struct fr_incidents *list, struct fr_incident *incident)
{
	int r;

	sqlite3_bind_int(list->lost, 1, incident->kernel);
	sqlite3_bind_blob(list->lost, 2, incident->boot_id, 16, SQLITE_STATIC);
	sqlite3_bind_blob(list->lost, 3, incident->ring_id, 16, SQLITE_STATIC);
	while ((r = fr_db_step(list->lost)) == 1) {
		int cause = sqlite3_column_int(list->lost, 0);

		if (cause >= 0 && cause < FRM_LOSS_COUNT)
			incident->lost[cause] = (uint64_t)sqlite3_column_int64(list->lost, 1);
	}
	sqlite3_reset(list->lost);
	if (r < 0)
		return r;
	sqlite3_bind_int(list->recovered, 1, incident->kernel);
	sqlite3_bind_int64(list->recovered, 2, sqlite3_column_int64(list->find, BOOT));
	sqlite3_bind_int64(list->recovered, 3, sqlite3_column_int64(list->find, RING));
	r = fr_db_step(list->recovered);
	if (r == 1)
		incident->recovered = (uint64_t)sqlite3_column_int64(list->recovered, 0);
	sqlite3_reset(list->recovered);
	return r < 0 ? r : 0;
}

int fr_incidents_next(struct fr_incidents *list, struct fr_incident *ret_incident)
{
	struct fr_incident incident = { 0 };
	int r;

	for (;;) {
		if (!list->in_boot) {
			if (list->at == list->end)
				return 0;
			sqlite3_bind_int64(list->find, 1, list->boots.boot[list->at++].id);
			sqlite3_bind_text(list->find, 2, list->prefix, -1, SQLITE_STATIC);
			list->in_boot = true;
		}
		r = fr_db_step(list->find);
		if (r < 0)
			return r;
		if (r)
			break;
		sqlite3_reset(list->find);
		list->in_boot = false;
	}
	snprintf(incident.id, sizeof(incident.id), "%s", fr_db_text(list->find, ID));
	incident.kernel = sqlite3_column_int(list->find, KERNEL);
	fr_db_id(list->find, BOOT_ID, incident.boot_id);
	incident.boot_seq = (uint64_t)sqlite3_column_int64(list->find, BOOT_SEQ);
	incident.time_ns = (uint64_t)sqlite3_column_int64(list->find, TIME);
	incident.pid = (uint32_t)sqlite3_column_int64(list->find, PID);
	incident.start_time_ns = (uint64_t)sqlite3_column_int64(list->find, START);
	fr_db_id(list->find, RING_ID, incident.ring_id);
	incident.comm = incident.kernel ? "kernel" : fr_db_text(list->find, COMM);
	incident.exe = fr_db_text(list->find, EXE);
	incident.cause = fr_db_text(list->find, CAUSE);
	incident.evidence = fr_db_text(list->find, EVIDENCE);
	r = fr_resolve_real_ns(list->resolver, sqlite3_column_int64(list->find, BOOT), incident.time_ns, &incident.real_ns);
	if (!r)
		r = read_counts(list, &incident);
	if (r < 0)
		return r;
	*ret_incident = incident;
	return 1;
}
