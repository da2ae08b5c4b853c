/* SPDX-License-Identifier: MIT */
/* intern.c - see intern.h. */
#include "uploader/intern.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const sql[FR_INTERN_COUNT] = {
	[FR_INTERN_BOOT_GET] = "SELECT id, seq FROM boot WHERE boot_id = ?",
	[FR_INTERN_BOOT_PUT] = "INSERT INTO boot (boot_id, seq, machine_id) VALUES (?, ?, ?)",
	[FR_INTERN_BOOT_SEQ] = "UPDATE boot SET seq = ? WHERE id = ?",
	[FR_INTERN_RING_GET] = "SELECT id FROM ring WHERE ring_id = ?",
	[FR_INTERN_RING_PUT] = "INSERT INTO ring (ring_id, boot, kind, process, policy, ident_flags, created_ns, creator, hostname)"
			       " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[FR_INTERN_PROCESS_GET] = "SELECT id FROM process WHERE boot = ? AND pid = ? AND start_time_ns = ? AND ppid = ? AND"
				  " uid = ? AND gid = ? AND comm = ? AND exe = ? AND cgroup = ?",
	[FR_INTERN_PROCESS_PUT] = "INSERT INTO process (boot, pid, start_time_ns, ppid, uid, gid, comm, exe, cgroup)"
				  " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[FR_INTERN_PROVIDER_GET] = "SELECT id FROM provider WHERE guid = ? AND name = ? AND major = ? AND minor = ?",
	[FR_INTERN_PROVIDER_PUT] = "INSERT INTO provider (guid, name, major, minor) VALUES (?, ?, ?, ?)",
	[FR_INTERN_DESCRIPTOR_GET] = "SELECT id FROM descriptor WHERE name = ? AND provider = ? AND level = ? AND"
				     " keywords = ? AND fields = ? AND known = ?",
	[FR_INTERN_DESCRIPTOR_PUT] = "INSERT INTO descriptor (name, provider, level, keywords, fields, known)"
				     " VALUES (?, ?, ?, ?, ?, ?)",
	[FR_INTERN_NAME_GET] = "SELECT id FROM name WHERE text = ?",
	[FR_INTERN_NAME_PUT] = "INSERT INTO name (text) VALUES (?)",
	[FR_INTERN_STREAM_GET] = "SELECT id FROM stream WHERE ring = ? AND lane = ? AND high = ?",
	[FR_INTERN_STREAM_PUT] = "INSERT INTO stream (ring, lane, high) VALUES (?, ?, ?)",
};

void fr_intern_done(struct fr_intern *intern)
{
	for (unsigned i = 0; i < FR_INTERN_COUNT; i++)
		sqlite3_finalize(intern->statement[i]);
	memset(intern->statement, 0, sizeof(intern->statement));
}

static int get(struct fr_intern *intern, enum fr_intern_statement which, sqlite3_stmt **ret_statement)
{
	int r = 0;

	if (!intern->statement[which])
		r = fr_db_prepare(intern->index, sql[which], &intern->statement[which]);
	*ret_statement = intern->statement[which];
	return r;
}

/* Looks up; when there is none, inserts with the same values bound. `bind` binds from the first parameter on. */
static int64_t look_up_or_put(struct fr_intern *intern, enum fr_intern_statement look_up, enum fr_intern_statement put,
			      void (*bind)(sqlite3_stmt *statement, const void *key), const void *key)
{
	sqlite3_stmt *statement;
	int64_t id = 0;
	int r = get(intern, look_up, &statement);

	if (r < 0)
		return r;
	bind(statement, key);
	r = fr_db_step(statement);
	if (r == 1)
		id = sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	if (r)
		return r < 0 ? r : id;
	r = get(intern, put, &statement);
	if (r < 0)
		return r;
	bind(statement, key);
	r = fr_db_run(statement);
	return r < 0 ? r : sqlite3_last_insert_rowid(intern->index->db);
}

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
	sqlite3_bind_text(statement, at, text ? text : "", -1, SQLITE_STATIC);
}

int64_t fr_intern_boot(struct fr_intern *intern, const uint8_t boot_id[16], uint64_t seq, const uint8_t machine_id[16])
{
	static const uint8_t none[16];
	sqlite3_stmt *statement;
	int64_t id = 0, known_seq = 0;
	int r = get(intern, FR_INTERN_BOOT_GET, &statement);

	if (r < 0)
		return r;
	sqlite3_bind_blob(statement, 1, boot_id, 16, SQLITE_STATIC);
	r = fr_db_step(statement);
	if (r == 1) {
		id = sqlite3_column_int64(statement, 0);
		known_seq = sqlite3_column_int64(statement, 1);
	}
	sqlite3_reset(statement);
	if (r < 0)
		return r;
	if (!r) {
		r = get(intern, FR_INTERN_BOOT_PUT, &statement);
		if (r < 0)
			return r;
		sqlite3_bind_blob(statement, 1, boot_id, 16, SQLITE_STATIC);
		sqlite3_bind_int64(statement, 2, fr_db_clamp(seq));
		if (memcmp(machine_id, none, 16))
			sqlite3_bind_blob(statement, 3, machine_id, 16, SQLITE_STATIC);
		else
			sqlite3_bind_null(statement, 3);
		r = fr_db_run(statement);
		return r < 0 ? r : sqlite3_last_insert_rowid(intern->index->db);
	}
	if (fr_db_clamp(seq) > known_seq) { /* a ring that didn't know it was seen first */
		r = get(intern, FR_INTERN_BOOT_SEQ, &statement);
		if (r < 0)
			return r;
		sqlite3_bind_int64(statement, 1, fr_db_clamp(seq));
		sqlite3_bind_int64(statement, 2, id);
		r = fr_db_run(statement);
	}
	return r < 0 ? r : id;
}

static void bind_process(sqlite3_stmt *statement, const void *data)
{
	const struct fr_process_key *key = data;

	sqlite3_bind_int64(statement, 1, key->boot);
	sqlite3_bind_int64(statement, 2, key->pid);
	sqlite3_bind_int64(statement, 3, fr_db_clamp(key->start_time_ns));
	sqlite3_bind_int64(statement, 4, key->ppid);
	sqlite3_bind_int64(statement, 5, key->uid);
	sqlite3_bind_int64(statement, 6, key->gid);
	bind_text(statement, 7, key->comm);
	bind_text(statement, 8, key->exe);
	bind_text(statement, 9, key->cgroup);
}

int64_t fr_intern_process(struct fr_intern *intern, const struct fr_process_key *key)
{
	return look_up_or_put(intern, FR_INTERN_PROCESS_GET, FR_INTERN_PROCESS_PUT, bind_process, key);
}

int64_t fr_intern_ring(struct fr_intern *intern, const struct frm_super *super, int64_t boot, int64_t process)
{
	sqlite3_stmt *statement;
	int64_t id = 0;
	int r = get(intern, FR_INTERN_RING_GET, &statement);

	if (r < 0)
		return r;
	sqlite3_bind_blob(statement, 1, super->ring_id, 16, SQLITE_STATIC);
	r = fr_db_step(statement);
	if (r == 1)
		id = sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	if (r)
		return r < 0 ? r : id;
	r = get(intern, FR_INTERN_RING_PUT, &statement);
	if (r < 0)
		return r;
	sqlite3_bind_blob(statement, 1, super->ring_id, 16, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 2, boot);
	sqlite3_bind_int64(statement, 3, super->kind);
	sqlite3_bind_int64(statement, 4, process);
	sqlite3_bind_int64(statement, 5, super->policy);
	sqlite3_bind_int64(statement, 6, super->ident_flags);
	sqlite3_bind_int64(statement, 7, fr_db_clamp(super->created_boot_ns));
	bind_text(statement, 8, super->creator);
	bind_text(statement, 9, super->hostname);
	r = fr_db_run(statement);
	return r < 0 ? r : sqlite3_last_insert_rowid(intern->index->db);
}

struct stream_key {
	int64_t ring;
	uint32_t lane, high;
};

static void bind_stream(sqlite3_stmt *statement, const void *data)
{
	const struct stream_key *key = data;

	sqlite3_bind_int64(statement, 1, key->ring);
	sqlite3_bind_int64(statement, 2, key->lane);
	sqlite3_bind_int64(statement, 3, key->high);
}

int64_t fr_intern_stream(struct fr_intern *intern, int64_t ring, uint32_t lane, uint32_t high)
{
	struct stream_key key = { ring, lane, high };
	int64_t id = look_up_or_put(intern, FR_INTERN_STREAM_GET, FR_INTERN_STREAM_PUT, bind_stream, &key);

	return id > INT32_MAX ? -EOVERFLOW : id;
}

static void bind_name(sqlite3_stmt *statement, const void *data)
{
	bind_text(statement, 1, data);
}

int64_t fr_intern_name(struct fr_intern *intern, const char *text)
{
	return look_up_or_put(intern, FR_INTERN_NAME_GET, FR_INTERN_NAME_PUT, bind_name, text);
}

static void bind_provider(sqlite3_stmt *statement, const void *data)
{
	const struct fr_provider *provider = data;

	sqlite3_bind_blob(statement, 1, provider->guid, 16, SQLITE_STATIC);
	bind_text(statement, 2, provider->name);
	sqlite3_bind_int64(statement, 3, provider->version_major);
	sqlite3_bind_int64(statement, 4, provider->version_minor);
}

int64_t fr_intern_provider(struct fr_intern *intern, const struct fr_provider *provider)
{
	return look_up_or_put(intern, FR_INTERN_PROVIDER_GET, FR_INTERN_PROVIDER_PUT, bind_provider, provider);
}

struct descriptor_key {
	const char *name, *fields;
	int64_t provider, level, keywords;
	bool known;
};

static void bind_descriptor(sqlite3_stmt *statement, const void *data)
{
	const struct descriptor_key *key = data;

	bind_text(statement, 1, key->name);
	sqlite3_bind_int64(statement, 2, key->provider);
	sqlite3_bind_int64(statement, 3, key->level);
	sqlite3_bind_int64(statement, 4, key->keywords);
	bind_text(statement, 5, key->fields);
	sqlite3_bind_int64(statement, 6, key->known);
}

/* A name as a word of a line: control characters, which could end it, become '_'. */
static void put_word(FILE *stream, const char *text)
{
	for (; text && *text; text++)
		fputc((unsigned char)*text < 0x20 ? '_' : *text, stream);
}

int64_t fr_intern_descriptor(struct fr_intern *intern, const struct fr_image *image, const struct fr_event_desc *desc,
			     uint16_t event)
{
	static const struct fr_provider unknown = { .name = "" };
	const struct fr_provider *provider = desc ? fr_image_provider_by_id(image, desc->provider) : NULL;
	struct descriptor_key key = { .known = desc };
	char *fields = NULL, made[16];
	size_t size = 0;
	FILE *stream;
	int64_t id;

	key.provider = fr_intern_provider(intern, provider ? provider : &unknown);
	if (key.provider < 0)
		return key.provider;
	stream = open_memstream(&fields, &size);
	if (!stream)
		return -ENOMEM;
	if (desc) {
		key.name = desc->name;
		key.level = desc->level;
		key.keywords = fr_db_clamp(desc->keywords);
		for (unsigned i = 0; i < desc->field_count && i < FR_FIELDS_MAX; i++) {
			fprintf(stream, "%u\t", desc->field[i].type);
			put_word(stream, desc->field[i].name);
			fputc('\t', stream);
			put_word(stream, desc->field[i].unit);
			fputc('\n', stream);
		}
	} else {
		snprintf(made, sizeof(made), "event-%u", event);
		key.name = made;
	}
	if (fclose(stream) != 0) {
		free(fields);
		return -ENOMEM;
	}
	key.fields = fields;
	id = look_up_or_put(intern, FR_INTERN_DESCRIPTOR_GET, FR_INTERN_DESCRIPTOR_PUT, bind_descriptor, &key);
	free(fields);
	return id;
}
