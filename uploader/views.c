/* SPDX-License-Identifier: MIT */
/*
 * views.c - see views.h.
 *
 * SQLite has no function that reads an integer out of a blob, so a field is read digit by digit out of its hexadecimal text: `h`
 * is that of the fixed block, `p` the payload. FORMAT.md, "Payload", says where a field lies. Only names come from recorded
 * data, and these are quoted. Views that would be too large (many versions of an event with many strings) are left out.
 */
#include "uploader/views.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recorder/core/encode.h"

#define VIEWS_MAX    2000
#define VERSIONS_MAX 50	 /* of one event in one view: the newest */
#define COLUMNS_MAX  128
#define SQL_MAX	     (900u << 10)
#define NAME_MAX_    64

struct column {
	uint8_t type;
	char name[NAME_MAX_];
};

struct version {
	int64_t descriptor;
	unsigned count;
	struct column field[FR_FIELDS_MAX];
};

static void view_name(const char *event, char name[NAME_MAX_])
{
	size_t i;

	for (i = 0; i < NAME_MAX_ - 1 && *event; i++, event++) {
		unsigned char c = (unsigned char)*event;

		name[i] = (char)(c < 0x80 && isalnum(c) ? tolower(c) : '_');
	}
	name[i] = 0;
}

static void put_name(FILE *sql, const char *name)
{
	fputc('"', sql);
	for (; *name; name++) {
		if (*name == '"')
			fputc('"', sql);
		fputc(*name, sql);
	}
	fputc('"', sql);
}

/* The fields of a descriptor; names are made unique, as SQL compares them. */
static void parse_version(struct version *version, int64_t descriptor, const char *fields)
{
	version->descriptor = descriptor;
	version->count = 0;
	while (*fields && version->count < FR_FIELDS_MAX) {
		struct column *column = &version->field[version->count];
		const char *end = strchr(fields, '\n'), *tab = strchr(fields, '\t'), *stop;
		size_t length;

		if (!end || !tab || tab > end)
			return;
		stop = memchr(tab + 1, '\t', (size_t)(end - tab - 1));
		length = (size_t)((stop ? stop : end) - tab - 1);
		column->type = (uint8_t)atoi(fields);
		snprintf(column->name, sizeof(column->name) - 12, "%.*s", (int)length, tab + 1);
		if (!*column->name)
			snprintf(column->name, sizeof(column->name), "field");
		for (unsigned i = 0; i < version->count; i++)
			if (!strcasecmp(version->field[i].name, column->name))
				snprintf(column->name + strlen(column->name), 12, "_%u", version->count);
		version->count++;
		fields = end + 1;
	}
}

/* An unsigned little-endian number of `width` bytes at `offset` of the fixed block; 8 bytes come out signed. */
static void put_number(FILE *sql, uint32_t offset, uint32_t width)
{
	fputc('(', sql);
	for (uint32_t i = 0; i < width; i++) {
		uint32_t digit = 2 * (offset + i) + 1;

		fprintf(sql, "%s(instr(x,substr(h,%u,1))<<%u)|(instr(x,substr(h,%u,1))<<%u)", i ? "|" : "", digit, 8 * i + 4,
			digit + 1, 8 * i);
	}
	fputc(')', sql);
}

static void put_field(FILE *sql, const uint8_t *types, const uint32_t *offset, unsigned at, uint32_t fixed)
{
	uint32_t width = fr_type_width(types[at]), end = offset[at] + width;

	fprintf(sql, "CASE WHEN length(p)>=%u THEN ", end);
	if (fr_type_is_variable(types[at])) {
		fputs(types[at] == FRM_BYTES ? "substr(p,1+" : "CAST(substr(p,1+", sql);
		fprintf(sql, "%u", fixed);
		for (unsigned i = 0; i < at; i++) {
			if (fr_type_is_variable(types[i])) {
				fputc('+', sql);
				put_number(sql, offset[i], 4);
			}
		}
		fputc(',', sql);
		put_number(sql, offset[at], 4);
		fputs(types[at] == FRM_BYTES ? ")" : ") AS TEXT)", sql);
	} else if (types[at] == FRM_F64) {
		fputs("(SELECT CASE WHEN b>>52&2047=2047 THEN NULL ELSE (CASE WHEN b<0 THEN -1.0 ELSE 1.0 END)*"
		      "CASE WHEN b>>52&2047=0 THEN (b&4503599627370495)*pow(2.0,-1074) ELSE"
		      " (4503599627370496|(b&4503599627370495))*pow(2.0,(b>>52&2047)-1075) END END FROM (SELECT ",
		      sql);
		put_number(sql, offset[at], 8);
		fputs(" AS b))", sql);
	} else {
		put_number(sql, offset[at], width);
		if (types[at] >= FRM_I8 && types[at] < FRM_I64)
			fprintf(sql, "<<%u>>%u", 64 - 8 * width, 64 - 8 * width);
	}
	fputs(" END", sql);
}

static void put_version(FILE *sql, const struct version *version, const struct column *columns, unsigned count)
{
	uint32_t offset[FR_FIELDS_MAX], fixed;
	uint8_t types[FR_FIELDS_MAX];
	unsigned known = 0;

	for (; known < version->count && fr_type_width(version->field[known].type); known++)
		types[known] = version->field[known].type;
	if (known < version->count)
		known = 0; /* a type of the future: the layout is unknown */
	fixed = fr_payload_layout(types, known, offset);
	fputs("SELECT _boot_seq,_time_ns,_real_ns,_level,_pid,_tid,_comm,_ring,_lane,_seq", sql);
	for (unsigned i = 0; i < count; i++) {
		unsigned at = 0;

		while (at < known && strcasecmp(version->field[at].name, columns[i].name))
			at++;
		fputc(',', sql);
		if (at < known)
			put_field(sql, types, offset, at, fixed);
		else
			fputs("NULL", sql);
		fputs(" AS ", sql);
		put_name(sql, columns[i].name);
	}
	fprintf(sql,
		" FROM (SELECT b.seq AS _boot_seq,e.time_ns AS _time_ns,e.real_ns AS _real_ns,d.level AS _level,q.pid AS _pid,"
		"e.tid AS _tid,q.comm AS _comm,e.ring AS _ring,e.lane AS _lane,e.seq AS _seq,e.payload AS p,"
		"hex(substr(e.payload,1,%u)) AS h,'123456789ABCDEF' AS x FROM resolved e JOIN boot b ON b.id=e.boot"
		" JOIN process q ON q.id=e.process JOIN descriptor d ON d.id=e.descriptor WHERE e.descriptor=%lld)",
		fixed, (long long)version->descriptor);
}

static int make_view(struct fr_index *index, const char *name, const struct version *versions, unsigned count)
{
	struct column columns[COLUMNS_MAX];
	unsigned column_count = 0;
	char *text = NULL;
	size_t size = 0;
	FILE *sql = open_memstream(&text, &size);
	int r = 0;

	if (!sql)
		return -ENOMEM;
	for (unsigned v = 0; v < count; v++) {
		for (unsigned f = 0; f < versions[v].count; f++) {
			unsigned at = 0;

			while (at < column_count && strcasecmp(columns[at].name, versions[v].field[f].name))
				at++;
			if (at == column_count && column_count < COLUMNS_MAX)
				columns[column_count++] = versions[v].field[f];
		}
	}
	fprintf(sql, "CREATE VIEW event_%s AS ", name);
	for (unsigned v = 0; v < count; v++) {
		fputs(v ? " UNION ALL " : "", sql);
		put_version(sql, &versions[v], columns, column_count);
	}
	if (fclose(sql) != 0)
		r = -ENOMEM;
	else if (size < SQL_MAX) {
		r = fr_db_exec(index, text);
		if (r == -EINVAL || r == -E2BIG)
			r = 0; /* a name or a size that SQLite does not take: the event is still in `events` */
	}
	free(text);
	return r;
}

static int drop_views(struct fr_index *index)
{
	FR_STMT find = NULL;
	int r;

	for (;;) {
		char text[256];

		r = fr_db_prepare(index, "SELECT name FROM sqlite_schema WHERE type = 'view' AND name GLOB 'event_*' LIMIT 1",
				  &find);
		if (!r)
			r = fr_db_step(find);
		if (r <= 0)
			return r;
		snprintf(text, sizeof(text), "DROP VIEW \"%s\"", fr_db_text(find, 0));
		sqlite3_finalize(find);
		find = NULL;
		r = fr_db_exec(index, text);
		if (r < 0)
			return r;
	}
}

static int make_all(struct fr_index *index)
{
	struct version *versions = calloc(VERSIONS_MAX, sizeof(*versions));
	char current[NAME_MAX_] = "", name[NAME_MAX_];
	unsigned count = 0, views = 0;
	FR_STMT find = NULL;
	int r = versions ? drop_views(index) : -ENOMEM;

	if (!r) /* fr_view() gives the name below, so that all versions of an event come together */
		r = fr_db_prepare(index, "SELECT id, name, fields FROM descriptor WHERE known ORDER BY fr_view(name), id DESC", &find);
	while (!r && (r = fr_db_step(find)) == 1 && views < VIEWS_MAX) {
		view_name(fr_db_text(find, 1), name);
		r = 0;
		if (count && strcmp(name, current)) {
			r = make_view(index, current, versions, count);
			views++;
			count = 0;
		}
		strcpy(current, name);
		if (count < VERSIONS_MAX)
			parse_version(&versions[count++], sqlite3_column_int64(find, 0), fr_db_text(find, 2));
	}
	if (r >= 0 && count)
		r = make_view(index, current, versions, count);
	free(versions);
	return r < 0 ? r : 0;
}

static void sql_view(sqlite3_context *context, int count, sqlite3_value **values)
{
	const char *text = count == 1 ? (const char *)sqlite3_value_text(values[0]) : NULL;
	char name[NAME_MAX_];

	view_name(text ? text : "", name);
	sqlite3_result_text(context, name, -1, SQLITE_TRANSIENT);
}

int fr_views_make(struct fr_index *index)
{
	uint64_t made;
	int64_t now;
	int r = fr_db_progress(index, "views", &made);

	if (!r)
		r = fr_db_int(index, "SELECT ifnull(max(id), 0) * 1000003 + count(*) FROM descriptor", &now);
	if (r < 0 || (uint64_t)now == made)
		return r;
	r = fr_db_error(sqlite3_create_function(index->db, "fr_view", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, sql_view,
						NULL, NULL));
	if (!r)
		r = fr_db_begin(index);
	if (!r)
		r = make_all(index);
	if (!r)
		r = fr_db_set_progress(index, "views", (uint64_t)now);
	if (!r)
		return fr_db_commit(index);
	fr_db_rollback(index);
	return r;
}
