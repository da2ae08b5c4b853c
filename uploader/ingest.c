/* SPDX-License-Identifier: MIT */
/* ingest.c - see ingest.h. Forgetting is in forget.c. */
#include "uploader/ingest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/core/testpoint.h"
#include "uploader/event_rows.h"
#include "uploader/ledger.h"
#include "uploader/witness.h"

#define PROCESS_CACHE 256

enum statement { SEGMENT_PUT, STALE_PUT, ANCHOR_PUT, SESSION_PUT, EXTENT_PUT, CLAIM_PUT, KIND_PUT, PROCESS_PUT,
		 STATEMENTS };

static const char *const sql[STATEMENTS] = {
	[SEGMENT_PUT] = "INSERT INTO segment (name, size, mtime_ns, ring, part, reason, salvaged_real_ns, closed_ns, first_ns,"
			" last_ns, records, source, error, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[STALE_PUT] = "INSERT OR IGNORE INTO stale VALUES (?)",
	[ANCHOR_PUT] = "INSERT OR IGNORE INTO anchor (boot, boot_ns, segment, real_ns) VALUES (?, ?, ?, ?)",
	[SESSION_PUT] = "INSERT OR IGNORE INTO session (segment, number, begin_ns, end_ns, provider, guid, name)"
			" VALUES (?, ?, ?, ?, ?, ?, ?)",
	[EXTENT_PUT] = "INSERT INTO extent VALUES (?, ?, ?, ?)",
	[CLAIM_PUT] = "INSERT INTO claim VALUES (?1, ?2, ?3, ?4, ?5)"
		      " ON CONFLICT DO UPDATE SET count = max(count, excluded.count)",
	[KIND_PUT] = "INSERT INTO segment_descriptor VALUES (?1, ?2, ?3)"
		     " ON CONFLICT DO UPDATE SET events = events + excluded.events",
	[PROCESS_PUT] = "INSERT OR IGNORE INTO segment_process VALUES (?, ?)",
};

/* What an event id of the image being read means. */
struct kind {
	int64_t descriptor; /* 0: not met yet */
	uint64_t events;
	enum fr_witness witness; /* 0: none */
};

struct fr_ingest {
	struct fr_intern intern;
	struct fr_index *index;
	sqlite3_stmt *statement[STATEMENTS];
	struct fr_event_rows rows;
	struct kind *kind; /* by event id; 65536 */
	/* of the segment being read */
	struct fr_image *image;
	const struct frm_super *super;
	int64_t segment, boot, ring, process;
	uint64_t first_ns, last_ns, records;
	struct {
		uint32_t pid;
		uint64_t start_time_ns;
		char comm[16];
		uint32_t ppid;
		int64_t id; /* 0: empty */
	} seen[PROCESS_CACHE];
};

int fr_ingest_new(struct fr_index *index, struct fr_ingest **ret_ingest)
{
	struct fr_ingest *ingest = calloc(1, sizeof(*ingest));
	int r = 0;

	if (!ingest)
		return -ENOMEM;
	ingest->index = ingest->intern.index = index;
	ingest->kind = calloc(UINT16_MAX + 1, sizeof(*ingest->kind));
	if (!ingest->kind)
		r = -ENOMEM;
	for (unsigned i = 0; i < STATEMENTS && !r; i++)
		r = fr_db_prepare(index, sql[i], &ingest->statement[i]);
	if (!r)
		r = fr_event_rows_init(&ingest->rows, index);
	if (r < 0) {
		fr_ingest_free(ingest);
		return r;
	}
	*ret_ingest = ingest;
	return 0;
}

void fr_ingest_free(struct fr_ingest *ingest)
{
	if (!ingest)
		return;
	fr_intern_done(&ingest->intern);
	fr_event_rows_done(&ingest->rows);
	for (unsigned i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(ingest->statement[i]);
	free(ingest->kind);
	free(ingest);
}

/* ------------------------------------------------------------------ events */

static int meet_kind(struct fr_ingest *ingest, uint16_t event, struct kind *kind)
{
	const struct fr_event_desc *desc = fr_image_event_desc_by_id(ingest->image, event);

	kind->descriptor = fr_intern_descriptor(&ingest->intern, ingest->image, desc, event);
	kind->witness = desc ? fr_witness_kind(ingest->super->kind, ingest->image, desc) : 0;
	return kind->descriptor < 0 ? (int)kind->descriptor : 0;
}

/* A process that this segment speaks of. */
static int64_t intern_process(struct fr_ingest *ingest, const struct fr_process_key *key)
{
	int64_t id = fr_intern_process(&ingest->intern, key);
	int r;

	if (id < 0)
		return id;
	sqlite3_bind_int64(ingest->statement[PROCESS_PUT], 1, ingest->segment);
	sqlite3_bind_int64(ingest->statement[PROCESS_PUT], 2, id);
	r = fr_db_run(ingest->statement[PROCESS_PUT]);
	return r < 0 ? r : id;
}

/* The identity of a record that does not speak of its ring's own process; 0 when it does. */
static int64_t whose(struct fr_ingest *ingest, const struct fr_record *record, uint32_t *ret_tid)
{
	struct fr_event event;
	struct fr_process_key key;
	unsigned slot;
	int64_t id;

	fr_decode(ingest->image, record, &event);
	*ret_tid = event.tid;
	if (event.pid == ingest->super->pid && event.start_time_ns == ingest->super->start_time_ns &&
	    !strcmp(event.comm, ingest->super->comm))
		return 0;
	slot = (event.pid * 2654435761u >> 16) % PROCESS_CACHE;
	if (ingest->seen[slot].id && ingest->seen[slot].pid == event.pid && ingest->seen[slot].ppid == event.ppid &&
	    ingest->seen[slot].start_time_ns == event.start_time_ns &&
	    !strncmp(ingest->seen[slot].comm, event.comm, sizeof(ingest->seen[slot].comm)))
		return ingest->seen[slot].id;
	key = (struct fr_process_key){ ingest->boot, event.pid, event.ppid, event.uid, event.gid, event.start_time_ns,
				       event.comm, "", event.cgroup };
	id = intern_process(ingest, &key);
	if (id < 0)
		return id;
	ingest->seen[slot].pid = event.pid;
	ingest->seen[slot].ppid = event.ppid;
	ingest->seen[slot].start_time_ns = event.start_time_ns;
	snprintf(ingest->seen[slot].comm, sizeof(ingest->seen[slot].comm), "%s", event.comm);
	ingest->seen[slot].id = id;
	return id;
}

/* What the event says of a death, if it says it of a process that was not met otherwise. */
static int put_witness(struct fr_ingest *ingest, enum fr_witness kind, const struct fr_record *record, int64_t id,
		       int64_t process)
{
	struct fr_witness_row row = { .kind = kind, .event = id, .boot = ingest->boot, .ring = ingest->ring,
				      .process = process ? process : ingest->process };
	struct fr_event event;

	fr_decode(ingest->image, record, &event);
	if (!fr_witness_read(&event, &row))
		return 0;
	if (kind == FR_WITNESS_OOM) {
		struct fr_process_key key = { .boot = ingest->boot, .pid = row.pid, .uid = row.uid,
					      .start_time_ns = row.start_time_ns, .comm = row.text, .exe = "", .cgroup = "" };

		row.process = intern_process(ingest, &key);
		if (row.process < 0)
			return (int)row.process;
	}
	return fr_witness_put(ingest->index, &row);
}

/* What stays the same from one record of a lane to the next. */
struct lane_state {
	uint32_t lane;
	uint64_t time;	 /* of the record before, never going back */
	int64_t stream;	 /* of `high` */
	uint64_t high;
	uint32_t tid;	 /* whose name `thread` is, until position `until` */
	uint64_t until;
	int64_t thread;	 /* 0: none */
	struct fr_ranges there, void_, torn, known;
	size_t at_known;
};

static void lane_done(struct lane_state *lane)
{
	fr_ranges_done(&lane->there);
	fr_ranges_done(&lane->void_);
	fr_ranges_done(&lane->torn);
	fr_ranges_done(&lane->known);
}

static int thread_of(struct fr_ingest *ingest, struct lane_state *lane, const struct fr_record *record)
{
	const struct fr_lane_info *info;
	const char *name;

	if (lane->until && record->tid == lane->tid && record->pos < lane->until)
		return 0;
	name = fr_image_thread_name(ingest->image, record);
	lane->thread = name && *name ? fr_intern_name(&ingest->intern, name) : 0;
	if (lane->thread < 0)
		return (int)lane->thread;
	lane->tid = record->tid;
	lane->until = UINT64_MAX;
	info = fr_image_lane(ingest->image, record->lane);
	for (unsigned i = 0; info && i < FRM_OWNERS_MAX && info->owner[i].tid; i++)
		if (info->owner[i].from_pos > record->pos && info->owner[i].from_pos < lane->until)
			lane->until = info->owner[i].from_pos;
	return 0;
}

static int put_event(struct fr_ingest *ingest, struct lane_state *lane, const struct fr_record *record,
		     struct fr_index_stats *stats)
{
	struct kind *kind = &ingest->kind[record->event];
	uint64_t time = record->time_ns > INT64_MAX ? INT64_MAX : record->time_ns, lag = 0;
	struct fr_event_row row = { .boot = ingest->boot, .tid = record->tid, .record = record };
	int r;

	if (!kind->descriptor) {
		r = meet_kind(ingest, record->event, kind);
		if (r < 0)
			return r;
	}
	if (!lane->stream || lane->high != record->seq >> 32) {
		lane->high = record->seq >> 32;
		lane->stream = fr_intern_stream(&ingest->intern, ingest->ring, record->lane, (uint32_t)lane->high);
		if (lane->stream < 0)
			return (int)lane->stream;
	}
	r = thread_of(ingest, lane, record);
	if (r < 0)
		return r;
	if (ingest->super->kind != FRM_KIND_PROCESS) {
		row.process = whose(ingest, record, &row.tid);
		if (row.process < 0)
			return (int)row.process;
	}
	if (time < lane->time)
		lag = lane->time - time;
	lane->time = time + lag;
	row.id = lane->stream << 32 | (int64_t)(record->seq & UINT32_MAX);
	row.time = (int64_t)(time + lag);
	row.descriptor = kind->descriptor;
	row.thread = lane->thread;
	row.lag = (int64_t)lag;
	kind->events++;
	r = fr_event_rows_add(&ingest->rows, &row, stats);
	if (r < 0)
		return r;
	return kind->witness ? put_witness(ingest, kind->witness, record, row.id, row.process) : 0;
}

static int put_claim(struct fr_ingest *ingest, int64_t lane, int cause, int64_t first, uint64_t count)
{
	sqlite3_stmt *put = ingest->statement[CLAIM_PUT];

	sqlite3_bind_int64(put, 1, ingest->segment);
	sqlite3_bind_int64(put, 2, lane);
	sqlite3_bind_int64(put, 3, cause);
	sqlite3_bind_int64(put, 4, first);
	sqlite3_bind_int64(put, 5, fr_db_clamp(count));
	return fr_db_run(put);
}

static int put_lane(struct fr_ingest *ingest, struct lane_state *lane)
{
	sqlite3_stmt *put = ingest->statement[EXTENT_PUT];
	int r = 0;

	fr_ranges_tidy(&lane->there);
	for (size_t i = 0; i < lane->there.count && !r; i++) {
		sqlite3_bind_int64(put, 1, ingest->segment);
		sqlite3_bind_int64(put, 2, lane->lane);
		sqlite3_bind_int64(put, 3, (int64_t)lane->there.run[i].first);
		sqlite3_bind_int64(put, 4, (int64_t)lane->there.run[i].last);
		r = fr_db_run(put);
	}
	fr_ranges_tidy(&lane->void_);
	for (size_t i = 0; i < lane->void_.count && !r; i++)
		r = put_claim(ingest, lane->lane, -1, (int64_t)lane->void_.run[i].first,
			      lane->void_.run[i].last - lane->void_.run[i].first + 1);
	fr_ranges_tidy(&lane->torn);
	for (size_t i = 0; i < lane->torn.count && !r; i++)
		r = put_claim(ingest, lane->lane, FRM_LOSS_TORN, (int64_t)lane->torn.run[i].first,
			      lane->torn.run[i].last - lane->torn.run[i].first + 1);
	return r;
}

static int ingest_lane(struct fr_ingest *ingest, uint32_t number, struct fr_index_stats *stats)
{
	struct lane_state lane = { .lane = number };
	uint64_t first = UINT64_MAX, last = 0;
	const struct fr_record *records;
	size_t count;
	uint32_t tid;
	int r;

	records = fr_image_lane_records(ingest->image, number, &count);
	for (size_t i = 0; i < count; i++) {
		first = records[i].seq < first ? records[i].seq : first;
		last = records[i].seq > last ? records[i].seq : last;
	}
	if (!count)
		return 0;
	r = fr_ingest_present(ingest->index, ingest->ring, lane.lane, ingest->segment, first, last, &lane.known);
	for (size_t i = 0; i < count && !r; i++) {
		const struct fr_record *record = &records[i];
		unsigned flags = record->flags;

		if (flags & (FRM_RECORD_DISCARDED | FRM_RECORD_TORN) >> 24) {
			r = fr_ranges_add(flags & FRM_RECORD_TORN >> 24 ? &lane.torn : &lane.void_, record->seq, record->seq);
			continue;
		}
		ingest->records++;
		if (record->time_ns < ingest->first_ns)
			ingest->first_ns = record->time_ns;
		if (record->time_ns > ingest->last_ns)
			ingest->last_ns = record->time_ns;
		r = fr_ranges_add(&lane.there, record->seq, record->seq);
		if (!r && lane.known.count && fr_ranges_has(&lane.known, record->seq)) {
			stats->duplicates++;
			/* what hangs on the segment hangs on this one, too */
			if (!ingest->kind[record->event].descriptor)
				r = meet_kind(ingest, record->event, &ingest->kind[record->event]);
			ingest->kind[record->event].events++;
			if (!r && ingest->super->kind != FRM_KIND_PROCESS && whose(ingest, record, &tid) < 0)
				r = -EIO;
			lane.time = record->time_ns > lane.time && record->time_ns <= INT64_MAX ? record->time_ns : lane.time;
		} else if (!r) {
			r = put_event(ingest, &lane, record, stats);
		}
	}
	if (!r)
		r = put_lane(ingest, &lane);
	lane_done(&lane);
	return r;
}

/* ------------------------------------------------------------------ what hangs on a segment */

static int put_clocks_and_sessions(struct fr_ingest *ingest)
{
	const struct fr_image *image = ingest->image;
	sqlite3_stmt *put = ingest->statement[ANCHOR_PUT];
	int r = 0;

	sqlite3_bind_int64(put, 1, ingest->boot);
	sqlite3_bind_int64(put, 3, ingest->segment);
	for (size_t i = 0; i <= fr_image_anchor_count(image) && !r; i++) {
		const struct frm_anchor *anchor = i ? fr_image_anchor(image, i - 1) : NULL;
		uint64_t boot_ns = anchor ? anchor->boot_ns : ingest->super->created_boot_ns;
		uint64_t real_ns = anchor ? anchor->real_ns : ingest->super->created_real_ns;

		if (!real_ns || real_ns > INT64_MAX || boot_ns > INT64_MAX)
			continue;
		sqlite3_bind_int64(put, 2, (int64_t)boot_ns);
		sqlite3_bind_int64(put, 4, (int64_t)real_ns);
		r = fr_db_run(put);
	}
	put = ingest->statement[SESSION_PUT];
	for (size_t i = 0; i < fr_image_session_count(image) && !r; i++) {
		const struct frm_session *session = fr_image_session(image, i);
		const struct fr_provider *provider = fr_image_provider_by_id(image, session->provider);
		static const uint8_t none[16];
		int64_t id = provider ? fr_intern_provider(&ingest->intern, provider) : 0;

		if (id < 0)
			return (int)id;
		sqlite3_bind_int64(put, 1, ingest->segment);
		sqlite3_bind_int64(put, 2, session->number);
		sqlite3_bind_int64(put, 3, fr_db_clamp(session->begin_ns));
		sqlite3_bind_int64(put, 4, fr_db_clamp(session->end_ns));
		fr_db_bind_or_null(put, 5, id, id);
		if (memcmp(session->guid, none, 16))
			sqlite3_bind_blob(put, 6, session->guid, 16, SQLITE_STATIC);
		else
			sqlite3_bind_null(put, 6);
		sqlite3_bind_text(put, 7, session->name, (int)strnlen(session->name, sizeof(session->name)), SQLITE_STATIC);
		r = fr_db_run(put);
	}
	return r;
}

static int put_losses_and_kinds(struct fr_ingest *ingest)
{
	sqlite3_stmt *put = ingest->statement[KIND_PUT];
	int r = 0;

	for (size_t i = 0; i < fr_image_loss_count(ingest->image) && !r; i++) {
		const struct fr_loss *loss = fr_image_loss(ingest->image, i);
		/* records that the segment promised and no longer has are damaged somewhere in their lane */
		bool placeless = loss->cause == FRM_LOSS_DAMAGED && !loss->first_seq && !loss->from_pos && !loss->to_pos;

		if (!loss->count || loss->cause >= FRM_LOSS_COUNT || loss->first_seq > FRM_SEQ_MASK)
			continue;
		if (loss->lane == FRM_LANE_NONE)
			r = put_claim(ingest, -1, loss->cause, -1, loss->count);
		else if (loss->lane < FRM_LANES_MAX)
			r = put_claim(ingest, loss->lane, loss->cause, placeless ? -1 : (int64_t)loss->first_seq, loss->count);
	}
	for (size_t i = 0; i <= UINT16_MAX && !r; i++) {
		if (ingest->kind[i].descriptor) {
			sqlite3_bind_int64(put, 1, ingest->segment);
			sqlite3_bind_int64(put, 2, ingest->kind[i].descriptor);
			sqlite3_bind_int64(put, 3, (int64_t)ingest->kind[i].events);
			r = fr_db_run(put);
		}
	}
	return r;
}

static int put_segment(struct fr_ingest *ingest, const char *name, uint64_t size, uint64_t mtime_ns, const char *error)
{
	const struct frm_segment *head = ingest->image ? fr_image_segment(ingest->image) : NULL;
	sqlite3_stmt *put = ingest->statement[SEGMENT_PUT];
	const char *source = NULL;
	size_t source_size = 0;
	int r;

	sqlite3_clear_bindings(put);
	sqlite3_bind_text(put, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(put, 2, fr_db_clamp(size));
	sqlite3_bind_int64(put, 3, fr_db_clamp(mtime_ns));
	sqlite3_bind_int64(put, 11, (int64_t)ingest->records);
	sqlite3_bind_text(put, 13, error, -1, SQLITE_STATIC);
	sqlite3_bind_int64(put, 14, ingest->segment);
	if (head) {
		sqlite3_bind_int64(put, 4, ingest->ring);
		sqlite3_bind_int64(put, 5, head->part);
		sqlite3_bind_int64(put, 6, head->reason);
		sqlite3_bind_int64(put, 7, fr_db_clamp(head->salvaged_real_ns));
		sqlite3_bind_int64(put, 8, fr_db_clamp(fr_image_state(ingest->image)->closed_boot_ns));
		if (ingest->records) {
			sqlite3_bind_int64(put, 9, fr_db_clamp(ingest->first_ns));
			sqlite3_bind_int64(put, 10, fr_db_clamp(ingest->last_ns));
		}
		if (fr_image_text(ingest->image, 0, &source, &source_size))
			sqlite3_bind_text(put, 12, source, -1, SQLITE_STATIC);
	}
	r = fr_db_run(put);
	sqlite3_clear_bindings(put);
	return r;
}

static int ingest_image(struct fr_ingest *ingest, struct fr_index_stats *stats)
{
	const struct frm_super *super = ingest->super;
	struct fr_process_key key;
	int r = 0;

	ingest->boot = fr_intern_boot(&ingest->intern, super->boot_id, super->boot_seq, super->machine_id);
	if (ingest->boot < 0)
		return (int)ingest->boot;
	key = (struct fr_process_key){ ingest->boot, super->pid, super->ppid, super->uid, super->gid, super->start_time_ns,
				       super->comm, super->exe, super->cgroup };
	ingest->process = fr_intern_process(&ingest->intern, &key);
	if (ingest->process < 0)
		return (int)ingest->process;
	ingest->ring = fr_intern_ring(&ingest->intern, super, ingest->boot, ingest->process);
	if (ingest->ring < 0)
		return (int)ingest->ring;
	for (uint32_t lane = 0; lane < fr_image_lane_count(ingest->image) && !r; lane++)
		r = ingest_lane(ingest, lane, stats);
	if (!r)
		r = fr_event_rows_flush(&ingest->rows, stats);
	if (!r)
		r = put_clocks_and_sessions(ingest);
	if (!r)
		r = put_losses_and_kinds(ingest);
	if (!r) {
		sqlite3_bind_int64(ingest->statement[STALE_PUT], 1, ingest->boot);
		r = fr_db_run(ingest->statement[STALE_PUT]);
	}
	return r;
}

static int begin_segment(struct fr_ingest *ingest)
{
	memset(ingest->kind, 0, (UINT16_MAX + 1) * sizeof(*ingest->kind));
	memset(ingest->seen, 0, sizeof(ingest->seen));
	ingest->first_ns = UINT64_MAX;
	ingest->last_ns = ingest->records = 0;
	ingest->rows.count = 0; /* of one that failed */
	return fr_db_int(ingest->index, "SELECT ifnull(max(id), 0) + 1 FROM segment", &ingest->segment);
}

int fr_ingest_leave_out(struct fr_ingest *ingest, const char *name, uint64_t size, uint64_t mtime_ns, const char *error,
			struct fr_index_stats *stats)
{
	int r = begin_segment(ingest);

	if (!r)
		r = put_segment(ingest, name, size, mtime_ns, error);
	stats->segments_bad += !r;
	stats->segments += !r;
	return r;
}

int fr_ingest_segment(struct fr_ingest *ingest, const char *name, uint64_t size, uint64_t mtime_ns,
		      struct fr_index_stats *stats)
{
	char path[FR_PATH_MAX + 64];
	const char *error = NULL;
	int r = begin_segment(ingest);

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/spool/%s", ingest->index->state, name);
	FR_TESTPOINT(name); /* by its own name: a segment that nobody reads to the end */
	r = fr_image_open_path(path, 0, &ingest->image);
	if (r == -ENOENT)
		return 0; /* dropped since the directory was read */
	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EIO)
		return r;
	if (r < 0) {
		ingest->image = NULL;
		error = fr_image_strerror(r);
	} else if (fr_image_type(ingest->image) != FR_IMAGE_SEGMENT) {
		error = "a ring, not a segment";
		fr_image_close(ingest->image);
		ingest->image = NULL;
	}
	if (ingest->image) {
		ingest->super = fr_image_super(ingest->image);
		r = ingest_image(ingest, stats);
		if (!r)
			r = put_segment(ingest, name, size, mtime_ns, NULL);
		if (!r)
			r = fr_ledger_ring(ingest->index, ingest->super->ring_id);
		stats->records += ingest->records;
	} else {
		r = put_segment(ingest, name, size, mtime_ns, error);
		stats->segments_bad++;
	}
	fr_image_close(ingest->image);
	ingest->image = NULL;
	if (!r)
		stats->segments++;
	return r;
}
