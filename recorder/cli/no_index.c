/* SPDX-License-Identifier: MIT */
/*
 * no_index.c - stands in for uploader/ in a build without SQLite: there is no index, and show reads the spool instead.
 */
#include <errno.h>

#include "uploader/incident.h"
#include "uploader/index.h"
#include "uploader/query.h"

int fr_index_open(const char *state_dir, unsigned flags, struct fr_index **ret_index)
{
	(void)state_dir, (void)flags, (void)ret_index;
	return -ENOENT;
}

void fr_index_close(struct fr_index *index)
{
	(void)index;
}

const char *fr_index_strerror(int error)
{
	(void)error;
	return "this build has no SQLite";
}

int fr_index_sql(struct fr_index *index, const char *sql, fr_index_row row, void *data, char **ret_error)
{
	(void)index, (void)sql, (void)row, (void)data, (void)ret_error;
	return -ENOSYS;
}

int fr_query_open(struct fr_index *index, const struct fr_query *query, struct fr_cursor **ret_cursor)
{
	(void)index, (void)query, (void)ret_cursor;
	return -ENOSYS;
}

int fr_query_next(struct fr_cursor *cursor, struct fr_event *ret_event)
{
	(void)cursor, (void)ret_event;
	return 0;
}

void fr_query_close(struct fr_cursor *cursor)
{
	(void)cursor;
}

int fr_incidents_open(struct fr_index *index, const char *boot, const char *id, struct fr_incidents **ret_list)
{
	(void)index, (void)boot, (void)id, (void)ret_list;
	return -ENOSYS;
}

int fr_incidents_next(struct fr_incidents *list, struct fr_incident *ret_incident)
{
	(void)list, (void)ret_incident;
	return 0;
}

void fr_incidents_close(struct fr_incidents *list)
{
	(void)list;
}
