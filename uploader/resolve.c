/* SPDX-License-Identifier: MIT */
/* resolve.c - see resolve.h. Caches are direct-mapped: a row lives in the slot of its id, and makes room for the next. */
#include "uploader/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS	    512
#define PROCESSES   256
#define DESCRIPTORS 512
#define NAMES	    512
#define SESSIONS    64

struct stream {
	int64_t id, ring, process;
	uint32_t lane;
	uint64_t high, boot_seq;
	uint8_t ring_id[16], boot_id[16];
};

struct process {
	int64_t id;
	uint32_t pid, ppid, uid, gid;
	uint64_t start_time_ns;
	char comm[16], cgroup[256];
};

struct descriptor {
	int64_t id;
	struct fr_event_desc desc;
	struct fr_field_desc field[FR_FIELDS_MAX];
	bool known;
	uint8_t guid[16];
	char *name, *provider, *fields; /* allocated; fields backs the names of `field` */
};

struct name {
	int64_t id;
	char text[16];
};

struct session {
	int64_t ring; /* 0: empty slot */
	uint16_t number;
	uint64_t from_ns, to_ns; /* the session of that number between these, to_ns exclusive */
	char name[88];
};

enum statement { GET_STREAM, GET_PROCESS, GET_DESCRIPTOR, GET_NAME, GET_SESSION, GET_NEXT_SESSION, GET_ANCHOR,
		 GET_NEXT_ANCHOR, STATEMENTS };

static const char *const sql[STATEMENTS] = {
	[GET_STREAM] = "SELECT s.ring, s.lane, s.high, r.ring_id, r.process, b.boot_id, b.seq FROM stream s"
		       " JOIN ring r ON r.id = s.ring JOIN boot b ON b.id = r.boot WHERE s.id = ?",
	[GET_PROCESS] = "SELECT pid, ppid, uid, gid, start_time_ns, comm, cgroup FROM process WHERE id = ?",
	[GET_DESCRIPTOR] = "SELECT d.name, d.level, d.keywords, d.fields, d.known, v.name, v.guid FROM descriptor d"
			   " JOIN provider v ON v.id = d.provider WHERE d.id = ?",
	[GET_NAME] = "SELECT text FROM name WHERE id = ?",
	[GET_SESSION] = "SELECT x.name, x.begin_ns FROM segment s CROSS JOIN session x ON x.segment = s.id"
			" WHERE s.ring = ? AND x.number = ? AND x.begin_ns <= ? ORDER BY x.begin_ns DESC LIMIT 1",
	[GET_NEXT_SESSION] = "SELECT min(x.begin_ns) FROM segment s CROSS JOIN session x ON x.segment = s.id"
			     " WHERE s.ring = ? AND x.number = ? AND x.begin_ns > ?",
	[GET_ANCHOR] = "SELECT boot_ns, min(real_ns) FROM anchor WHERE boot = ?1 AND boot_ns ="
		       " (SELECT max(boot_ns) FROM anchor WHERE boot = ?1 AND boot_ns <= ?2)",
	[GET_NEXT_ANCHOR] = "SELECT boot_ns, min(real_ns) FROM anchor WHERE boot = ?1 AND boot_ns ="
			    " (SELECT min(boot_ns) FROM anchor WHERE boot = ?1 AND boot_ns > ?2)",
};

struct fr_resolver {
	struct fr_index *index;
	sqlite3_stmt *statement[STATEMENTS];
	struct stream stream[STREAMS];
	struct process process[PROCESSES];
	struct descriptor descriptor[DESCRIPTORS];
	struct name name[NAMES];
	struct session session[SESSIONS];
	struct {
		int64_t boot; /* 0: empty */
		uint64_t from_ns, to_ns; /* to_ns exclusive */
		bool known;
		int64_t offset; /* real - boot */
	} clock;
};

int fr_resolver_new(struct fr_index *index, struct fr_resolver **ret_resolver)
{
	struct fr_resolver *resolver = calloc(1, sizeof(*resolver));
	int r = 0;

	if (!resolver)
		return -ENOMEM;
	resolver->index = index;
	for (unsigned i = 0; i < STATEMENTS && !r; i++)
		r = fr_db_prepare(index, sql[i], &resolver->statement[i]);
	if (r < 0) {
		fr_resolver_free(resolver);
		return r;
	}
	*ret_resolver = resolver;
	return 0;
}

static void descriptor_done(struct descriptor *descriptor)
{
	free(descriptor->name);
	free(descriptor->provider);
	free(descriptor->fields);
	memset(descriptor, 0, sizeof(*descriptor));
}

void fr_resolver_free(struct fr_resolver *resolver)
{
	if (!resolver)
		return;
	for (unsigned i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(resolver->statement[i]);
	for (unsigned i = 0; i < DESCRIPTORS; i++)
		descriptor_done(&resolver->descriptor[i]);
	free(resolver);
}

/* Runs a statement for one row: 1 there is one (reset it afterwards), 0, or negative errno. */
static int one_row(struct fr_resolver *resolver, enum statement which, int64_t a, int64_t b, int64_t c)
{
	sqlite3_stmt *statement = resolver->statement[which];
	int parameters = sqlite3_bind_parameter_count(statement), r;

	sqlite3_bind_int64(statement, 1, a);
	if (parameters > 1)
		sqlite3_bind_int64(statement, 2, b);
	if (parameters > 2)
		sqlite3_bind_int64(statement, 3, c);
	r = fr_db_step(statement);
	if (r <= 0)
		sqlite3_reset(statement);
	return r;
}

static int get_stream(struct fr_resolver *resolver, int64_t id, struct stream **ret_stream)
{
	struct stream *stream = &resolver->stream[(uint64_t)id % STREAMS];
	sqlite3_stmt *row = resolver->statement[GET_STREAM];
	int r;

	if (stream->id != id) {
		r = one_row(resolver, GET_STREAM, id, 0, 0);
		if (r <= 0)
			return r ? r : -EUCLEAN;
		*stream = (struct stream){ .id = id,
					   .ring = sqlite3_column_int64(row, 0),
					   .lane = (uint32_t)sqlite3_column_int64(row, 1),
					   .high = (uint64_t)sqlite3_column_int64(row, 2),
					   .process = sqlite3_column_int64(row, 4),
					   .boot_seq = (uint64_t)sqlite3_column_int64(row, 6) };
		fr_db_id(row, 3, stream->ring_id);
		fr_db_id(row, 5, stream->boot_id);
		sqlite3_reset(row);
	}
	*ret_stream = stream;
	return 0;
}

static int get_process(struct fr_resolver *resolver, int64_t id, struct process **ret_process)
{
	struct process *process = &resolver->process[(uint64_t)id % PROCESSES];
	sqlite3_stmt *row = resolver->statement[GET_PROCESS];
	int r;

	if (process->id != id) {
		r = one_row(resolver, GET_PROCESS, id, 0, 0);
		if (r <= 0)
			return r ? r : -EUCLEAN;
		process->id = id;
		process->pid = (uint32_t)sqlite3_column_int64(row, 0);
		process->ppid = (uint32_t)sqlite3_column_int64(row, 1);
		process->uid = (uint32_t)sqlite3_column_int64(row, 2);
		process->gid = (uint32_t)sqlite3_column_int64(row, 3);
		process->start_time_ns = (uint64_t)sqlite3_column_int64(row, 4);
		snprintf(process->comm, sizeof(process->comm), "%s", fr_db_text(row, 5));
		snprintf(process->cgroup, sizeof(process->cgroup), "%s", fr_db_text(row, 6));
		sqlite3_reset(row);
	}
	*ret_process = process;
	return 0;
}

/* Lines "type<tab>name<tab>unit" into field descriptors; text is cut up in place. */
static void parse_fields(struct descriptor *descriptor)
{
	char *line, *at = descriptor->fields;
	unsigned count = 0;

	while (count < FR_FIELDS_MAX && (line = strsep(&at, "\n")) && *line) {
		struct fr_field_desc *field = &descriptor->field[count++];
		const char *type = strsep(&line, "\t"), *name = strsep(&line, "\t");

		field->type = (uint8_t)atoi(type);
		field->name = name ? name : "";
		field->unit = line ? line : "";
	}
	descriptor->desc.field_count = (uint8_t)count;
	descriptor->desc.field = descriptor->field;
}

static int get_descriptor(struct fr_resolver *resolver, int64_t id, struct descriptor **ret_descriptor)
{
	struct descriptor *descriptor = &resolver->descriptor[(uint64_t)id % DESCRIPTORS];
	sqlite3_stmt *row = resolver->statement[GET_DESCRIPTOR];
	int r;

	if (descriptor->id != id) {
		r = one_row(resolver, GET_DESCRIPTOR, id, 0, 0);
		if (r <= 0)
			return r ? r : -EUCLEAN;
		descriptor_done(descriptor);
		descriptor->name = strdup(fr_db_text(row, 0));
		descriptor->fields = strdup(fr_db_text(row, 3));
		descriptor->provider = strdup(fr_db_text(row, 5));
		descriptor->desc.level = (uint8_t)sqlite3_column_int(row, 1);
		descriptor->desc.keywords = (uint64_t)sqlite3_column_int64(row, 2);
		descriptor->known = sqlite3_column_int(row, 4);
		fr_db_id(row, 6, descriptor->guid);
		sqlite3_reset(row);
		if (!descriptor->name || !descriptor->fields || !descriptor->provider) {
			descriptor_done(descriptor);
			return -ENOMEM;
		}
		parse_fields(descriptor);
		descriptor->id = id;
	}
	*ret_descriptor = descriptor;
	return 0;
}

static int get_name(struct fr_resolver *resolver, int64_t id, const char **ret_text)
{
	struct name *name = &resolver->name[(uint64_t)id % NAMES];
	sqlite3_stmt *row = resolver->statement[GET_NAME];
	int r;

	if (name->id != id) {
		r = one_row(resolver, GET_NAME, id, 0, 0);
		if (r < 0)
			return r;
		snprintf(name->text, sizeof(name->text), "%s", r ? fr_db_text(row, 0) : "");
		name->id = id;
		sqlite3_reset(row);
	}
	*ret_text = name->text;
	return 0;
}

/* The newest session with that number that began before the event. */
static int get_session(struct fr_resolver *resolver, int64_t ring, uint16_t number, uint64_t time, const char **ret_name)
{
	struct session *session = &resolver->session[((uint64_t)ring * 31 + number) % SESSIONS];
	sqlite3_stmt *row = resolver->statement[GET_SESSION];
	int r;

	if (session->ring != ring || session->number != number || time < session->from_ns || time >= session->to_ns) {
		r = one_row(resolver, GET_SESSION, ring, number, fr_db_clamp(time));
		if (r < 0)
			return r;
		session->ring = ring;
		session->number = number;
		snprintf(session->name, sizeof(session->name), "%s", r ? fr_db_text(row, 0) : "");
		session->from_ns = r ? (uint64_t)sqlite3_column_int64(row, 1) : 0;
		sqlite3_reset(row);
		row = resolver->statement[GET_NEXT_SESSION];
		r = one_row(resolver, GET_NEXT_SESSION, ring, number, fr_db_clamp(time));
		if (r < 0)
			return r;
		session->to_ns = r && sqlite3_column_type(row, 0) != SQLITE_NULL ? (uint64_t)sqlite3_column_int64(row, 0) : UINT64_MAX;
		sqlite3_reset(row);
	}
	*ret_name = session->name;
	return 0;
}

/* Fills the clock with the anchor that the statement found: 1, 0 it found none, or negative errno. */
static int take_anchor(struct fr_resolver *resolver, enum statement which, int64_t boot, uint64_t boot_ns, uint64_t *ret_at)
{
	sqlite3_stmt *row = resolver->statement[which];
	int r = one_row(resolver, which, boot, fr_db_clamp(boot_ns), 0);

	if (r == 1) {
		r = sqlite3_column_type(row, 0) != SQLITE_NULL;
		if (r) {
			*ret_at = (uint64_t)sqlite3_column_int64(row, 0);
			resolver->clock.offset = sqlite3_column_int64(row, 1) - sqlite3_column_int64(row, 0);
		}
		sqlite3_reset(row);
	}
	return r;
}

int fr_resolve_real_ns(struct fr_resolver *resolver, int64_t boot, uint64_t boot_ns, uint64_t *ret_real_ns)
{
	uint64_t at = 0, next = UINT64_MAX;
	int before, after;

	if (resolver->clock.boot != boot || boot_ns < resolver->clock.from_ns || boot_ns >= resolver->clock.to_ns) {
		resolver->clock.boot = 0; /* of no boot, until both are known */
		after = take_anchor(resolver, GET_NEXT_ANCHOR, boot, boot_ns, &next);
		before = after < 0 ? after : take_anchor(resolver, GET_ANCHOR, boot, boot_ns, &at);
		if (before < 0)
			return before;
		resolver->clock.boot = boot;
		resolver->clock.known = before || after;
		resolver->clock.from_ns = before ? at : 0;
		resolver->clock.to_ns = after ? next : UINT64_MAX;
	}
	*ret_real_ns = resolver->clock.known ? boot_ns + (uint64_t)resolver->clock.offset : 0;
	return 0;
}

void fr_row_read(sqlite3_stmt *statement, struct fr_row *row)
{
	*row = (struct fr_row){ .id = sqlite3_column_int64(statement, FR_RESOLVE_ID),
				.boot = sqlite3_column_int64(statement, FR_RESOLVE_BOOT),
				.time = sqlite3_column_int64(statement, FR_RESOLVE_TIME),
				.lag = sqlite3_column_int64(statement, FR_RESOLVE_LAG),
				.descriptor = sqlite3_column_int64(statement, FR_RESOLVE_DESCRIPTOR),
				.thread = sqlite3_column_int64(statement, FR_RESOLVE_THREAD),
				.process = sqlite3_column_int64(statement, FR_RESOLVE_PROCESS),
				.tid = (uint32_t)sqlite3_column_int64(statement, FR_RESOLVE_TID),
				.cpu = FRM_CPU_NONE,
				.session = (uint16_t)sqlite3_column_int(statement, FR_RESOLVE_SESSION),
				.flags = (uint16_t)sqlite3_column_int(statement, FR_RESOLVE_FLAGS) };
	if (sqlite3_column_type(statement, FR_RESOLVE_CPU) != SQLITE_NULL)
		row->cpu = (uint16_t)sqlite3_column_int(statement, FR_RESOLVE_CPU);
	row->payload = sqlite3_column_blob(statement, FR_RESOLVE_PAYLOAD);
	row->payload_size = row->payload ? (uint32_t)sqlite3_column_bytes(statement, FR_RESOLVE_PAYLOAD) : 0;
	if (!row->payload)
		row->payload = "";
}

int fr_resolve(struct fr_resolver *resolver, sqlite3_stmt *statement, struct fr_event *ret_event)
{
	struct fr_row row;

	fr_row_read(statement, &row);
	return fr_resolve_row(resolver, &row, ret_event);
}

int fr_resolve_row(struct fr_resolver *resolver, const struct fr_row *row, struct fr_event *ret_event)
{
	struct fr_event *event = ret_event;
	struct descriptor *descriptor;
	struct process *process;
	struct stream *stream;
	uint64_t real_ns;
	int r;

	r = get_stream(resolver, row->id >> 32, &stream);
	if (!r)
		r = get_descriptor(resolver, row->descriptor, &descriptor);
	if (!r)
		r = get_process(resolver, row->process ? row->process : stream->process, &process);
	if (!r)
		r = fr_resolve_real_ns(resolver, row->boot, (uint64_t)(row->time - row->lag), &real_ns);
	if (r < 0)
		return r;

	memset(event, 0, offsetof(struct fr_event, field));
	memcpy(event->ring_id, stream->ring_id, 16);
	memcpy(event->boot_id, stream->boot_id, 16);
	event->lane = stream->lane;
	event->seq = stream->high << 32 | ((uint64_t)row->id & UINT32_MAX);
	event->boot_seq = stream->boot_seq;
	event->time_ns = (uint64_t)(row->time - row->lag);
	event->real_ns = real_ns;
	event->pid = process->pid;
	event->tid = row->tid;
	event->ppid = process->ppid;
	event->uid = process->uid;
	event->gid = process->gid;
	event->start_time_ns = process->start_time_ns;
	event->cpu = row->cpu;
	event->session = row->session;
	event->flags = row->flags;
	event->level = descriptor->desc.level;
	event->keywords = descriptor->desc.keywords;
	event->comm = process->comm;
	event->cgroup = process->cgroup;
	event->thread = event->session_name = "";
	event->provider = descriptor->provider;
	event->provider_guid = descriptor->guid;
	event->name = descriptor->name;
	if (row->thread)
		r = get_name(resolver, row->thread, &event->thread);
	if (!r && event->session)
		r = get_session(resolver, stream->ring, event->session, event->time_ns, &event->session_name);
	event->field_count = fr_decode_payload(descriptor->known ? &descriptor->desc : NULL, row->payload, row->payload_size,
					       event->field);
	return r;
}
