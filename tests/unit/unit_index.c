/* SPDX-License-Identifier: MIT */
/* unit_index.c - see unit_index.h. */
#include "tests/unit/unit_index.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "recorder/core/encode.h"

uint64_t writer_start_ns(uint32_t pid)
{
	return 100 * SECOND + pid * 10000000ull;
}

void writer_make(struct writer *w, enum frm_kind kind, unsigned tag, uint32_t pid, unsigned boot)
{
	static const struct fr_field_spec fields[] = { { FRM_U64, "id", "" },	    { FRM_I32, "change", "" },
						       { FRM_F64, "price", "" },    { FRM_STR, "customer", "" },
						       { FRM_BYTES, "raw", "hex" }, { FRM_JSON, "more", "" } };
	static const uint8_t guid[16] = { 0x5a, 0x0b };
	struct fr_geometry geometry = { .ring_size = 256 << 10, .lanes = 2 };
	struct fr_identity identity = { .kind = kind, .pid = pid, .ppid = 1, .uid = 1000, .gid = 1000, .boot_seq = boot,
					.start_time_ns = writer_start_ns(pid), .exe = "/usr/bin/proc", .cgroup = "/test",
					.creator = "unit test" };
	int provider;

	memset(w, 0, sizeof(*w));
	memset(identity.ring_id, (int)tag, 16);
	memset(identity.boot_id, (int)boot, 16);
	snprintf(identity.comm, sizeof(identity.comm), "proc%u", tag);
	w->fd = memfd_create("ring", MFD_CLOEXEC);
	assert_int_equal(fr_ring_create(w->fd, &geometry, &identity), 0);
	assert_int_equal(fr_ring_map(w->fd, &w->ring), 0);
	for (int copy = 0; copy < 2; copy++) { /* the wall clock: boot n began at n million seconds */
		struct frm_meta *meta = w->ring.meta[copy];

		meta->super.created_real_ns = (boot * 1000000ull + 50) * SECOND;
		meta->super.created_boot_ns = 50 * SECOND;
		fr_super_sign(&meta->super);
		memset(meta->tables.anchor, 0, sizeof(meta->tables.anchor));
		meta->tables.anchor[0] = (struct frm_anchor){ .boot_ns = 50 * SECOND, .mono_ns = 50 * SECOND,
							      .real_ns = meta->super.created_real_ns };
		fr_anchor_sign(&meta->tables.anchor[0], w->ring.super.ring_id);
	}
	for (unsigned i = 0; i < 2; i++) {
		fr_ring_lane(&w->ring, i, &w->lane[i]);
		fr_ring_lane_owner(&w->ring, &w->lane[i], 0, pid + i, i ? "helper" : "main");
	}
	if (kind == FRM_KIND_PROCESS) {
		provider = fr_ring_declare_provider(&w->ring, guid, "shop", 1, 0);
		w->order = (uint16_t)fr_ring_declare_event(&w->ring, (uint16_t)provider, "shop.order", FRM_LEVEL_WARNING, 0, fields,
							   COUNT(fields));
	}
	assert_int_equal(fr_catalogue_declare(&w->ring, kind == FRM_KIND_PROCESS ? FR_ROLE_CLIENT : FR_ROLES_SYSTEM, &w->ids), 0);
	w->id = w->ring.super.ring_id;
	w->boot = w->ring.super.boot_id;
}

void writer_done(struct writer *w)
{
	fr_ring_unmap(&w->ring);
	close(w->fd);
}

void writer_order(struct writer *w, unsigned lane, uint64_t time_ns, uint64_t number)
{
	struct fr_stamp stamp = { .time_ns = time_ns, .event = w->order, .cpu = (uint16_t)lane, .tid = w->ring.super.pid + lane };
	char customer[32], more[32];
	struct fr_value value[6] = { { .type = FRM_U64, .u = number },		     { .type = FRM_I32, .i = -(int64_t)number },
				     { .type = FRM_F64, .f = (double)number / 8 }, { .type = FRM_STR },
				     { .type = FRM_BYTES },			     { .type = FRM_JSON } };

	value[3].s.data = customer;
	value[3].s.size = (size_t)snprintf(customer, sizeof(customer), "customer %lu", (unsigned long)number);
	value[4].s.data = "\xff\x00\x7f";
	value[4].s.size = number % 4;
	if (value[4].s.size > 3)
		value[4].s.size = 3;
	value[5].s.data = more;
	value[5].s.size = (size_t)snprintf(more, sizeof(more), "{\"n\":%lu}", (unsigned long)number);
	assert_int_equal(fr_emit(&w->lane[lane], &stamp, value, 6), 0);
}

void writer_say(struct writer *w, unsigned lane, uint64_t time_ns, enum fr_event_id id, const struct said *said)
{
	const struct fr_catalogue_event *event = fr_catalogue_by_id((uint16_t)id);
	struct fr_stamp stamp = { .time_ns = time_ns, .event = w->ids.event[id], .cpu = 0, .tid = w->ring.super.pid };
	struct fr_value value[FR_FIELDS_MAX] = { 0 };

	assert_non_null(event);
	for (unsigned i = 0; i < event->field_count; i++) {
		value[i].type = event->field[i].type;
		if (fr_type_is_variable(value[i].type))
			value[i].s.data = "";
		for (const struct said *one = said; one->name; one++) {
			if (strcmp(one->name, event->field[i].name))
				continue;
			if (one->text) {
				value[i].s.data = one->text;
				value[i].s.size = strlen(one->text);
			} else {
				value[i].u = one->number;
			}
		}
	}
	assert_int_equal(fr_emit(&w->lane[lane], &stamp, value, event->field_count), 0);
}

static void seal_lane(struct fr_segment *segment, const struct fr_image *image, uint32_t lane, uint64_t from, uint64_t to,
		      uint64_t *records)
{
	struct frm_chunk_lane head = { .lane = lane };
	const struct fr_record *record;
	size_t count;

	record = fr_image_lane_records(image, lane, &count);
	for (size_t i = 0; i < count; i++) {
		if (record[i].seq >= from && record[i].seq < to) {
			head.record_count++;
			head.bytes += fr_record_span(record[i].payload_size + (uint32_t)sizeof(struct frm_record));
		}
	}
	memcpy(head.owner, fr_image_lane(image, lane)->owner, sizeof(head.owner));
	assert_int_equal(fr_segment_begin(segment, FRM_CHUNK_LANE, sizeof(head) + head.bytes), 0);
	assert_int_equal(fr_segment_append(segment, &head, sizeof(head)), 0);
	for (size_t i = 0; i < count; i++)
		if (record[i].seq >= from && record[i].seq < to)
			assert_int_equal(fr_segment_append(segment, record[i].head,
							   fr_record_span(record[i].payload_size +
									  (uint32_t)sizeof(struct frm_record))), 0);
	assert_int_equal(fr_segment_end(segment), 0);
	*records += head.record_count;
}

void writer_seal(struct writer *w, const struct scratch *s, uint32_t part, enum frm_reason reason, const uint64_t *from,
		 const uint64_t *to)
{
	struct frm_loss_entry losses[64];
	struct fr_segment *segment;
	struct frm_segment head;
	struct fr_image *image;
	uint64_t records = 0;
	size_t count = 0;
	int dir;

	assert_int_equal(fr_path_make(s->spool, 0700), 0);
	dir = open(s->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	assert_int_equal(fr_image_open(w->fd, 0, &image), 0);
	fr_segment_head(&head, w->id, w->boot, part, reason);
	head.salvaged_real_ns = (w->ring.super.boot_seq * 1000000 + 1000 + part * 1000) * SECOND;
	head.crc = fr_check_crc(NULL, &head, sizeof(head), offsetof(struct frm_segment, crc));
	assert_int_equal(fr_segment_create(dir, &head, &segment), 0);
	assert_int_equal(fr_segment_chunk(segment, FRM_CHUNK_META, fr_image_meta(image), fr_image_super(image)->meta_size), 0);
	for (uint32_t lane = 0; lane < fr_image_lane_count(image) && lane < 2; lane++)
		seal_lane(segment, image, lane, from ? from[lane] : 0, to ? to[lane] : UINT64_MAX, &records);
	for (size_t i = 0; i < fr_image_loss_count(image); i++) {
		const struct fr_loss *loss = fr_image_loss(image, i);

		assert_true(count < COUNT(losses));
		losses[count++] = (struct frm_loss_entry){ loss->lane, loss->cause, loss->first_seq, loss->count, loss->from_pos,
							   loss->to_pos };
	}
	assert_int_equal(fr_segment_chunk(segment, FRM_CHUNK_LOSSES, losses, count * sizeof(*losses)), 0);
	assert_int_equal(fr_segment_seal(segment, records, NULL), 0);
	fr_image_close(image);
	close(dir);
}

void index_machine(const struct scratch *s)
{
	struct writer w;

	for (unsigned boot = 1; boot <= 2; boot++) {
		writer_make(&w, FRM_KIND_PROCESS, boot * 16, 100 + boot, boot);
		for (uint64_t i = 0; i < 50; i++)
			writer_order(&w, i % 2, 200 * SECOND + i * 1000, i);
		writer_seal(&w, s, 0, FRM_REASON_DIED, NULL, NULL);
		writer_done(&w);
		writer_make(&w, FRM_KIND_SYSTEM, boot * 16 + 1, 50, boot);
		writer_say(&w, 0, 150 * SECOND, FR_EVENT_FR_START, (struct said[]){ { "pid", 50, NULL }, { NULL, 0, NULL } });
		writer_say(&w, 0, 201 * SECOND, FR_EVENT_PROC_EXIT,
			   (struct said[]){ { "pid", 100 + boot, NULL }, { "tid", 100 + boot, NULL }, { "comm", 0, "gone" },
					    { "start_time_ns", writer_start_ns(100 + boot) + 123, NULL }, { "signal", 9, NULL },
					    { "group_dead", 1, NULL }, { "known", 1, NULL }, { NULL, 0, NULL } });
		fr_ring_session_begin(&w.ring, 0, NULL, "shift");
		writer_seal(&w, s, 0, FRM_REASON_DRAIN, NULL, NULL);
		writer_done(&w);
	}
}

struct fr_index *index_now(const struct scratch *s, struct fr_index_stats *ret_stats)
{
	struct fr_index *index;

	assert_int_equal(fr_index_open(s->state, 0, &index), 0);
	assert_int_equal(fr_index_update(index, ret_stats), 0);
	return index;
}

static int put_row(void *data, int columns, const char *const *names UNUSED, const char *const *values, const int *types UNUSED)
{
	for (int i = 0; i < columns; i++)
		fprintf(data, "%s%s", i ? "|" : "", values[i] ? values[i] : "-");
	fputc('\n', data);
	return 0;
}

static void ask_into(struct fr_index *index, const char *sql, FILE *stream)
{
	char *error = NULL;
	int r = fr_index_sql(index, sql, put_row, stream, &error);

	if (r < 0)
		fail_msg("%s: %s", sql, error);
}

char *index_ask(struct fr_index *index, const char *sql)
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	ask_into(index, sql, stream);
	fclose(stream);
	return text;
}

void assert_answer(struct fr_index *index, const char *sql, const char *expected)
{
	char *text = index_ask(index, sql);

	assert_string_equal(text, expected);
	free(text);
}

char *index_dump(struct fr_index *index)
{
	static const char *const all[] = {
		"SELECT * FROM boots ORDER BY 1, 2",
		"SELECT * FROM processes ORDER BY 2, 3, 4",
		"SELECT * FROM sessions ORDER BY 2, 3, 6, 10",
		("SELECT boot_seq, boot, time_ns, real_ns, wall, level, level_name, provider, event, pid, tid, comm, thread, ppid, uid,"
		 " gid, start_time_ns, cgroup, cpu, session, ring, lane, seq, keywords, payload, order_ns, fields FROM events"
		 " ORDER BY ring, lane, seq"),
		("SELECT id, kind, boot, time_ns, real_ns, pid, comm, exe, start_time_ns, cause, evidence, ring, recovered,"
		 " lost_overwritten, lost_torn, lost_damaged, lost_other FROM incidents ORDER BY id"),
		"SELECT * FROM losses ORDER BY 2, 3, 6, 7, 8",
		"SELECT * FROM segments ORDER BY name",
		"SELECT name FROM sqlite_schema WHERE type = 'view' AND name GLOB 'event_*' ORDER BY 1",
	};
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	for (size_t i = 0; i < COUNT(all); i++)
		ask_into(index, all[i], stream);
	fclose(stream);
	return text;
}
