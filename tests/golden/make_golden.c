/* SPDX-License-Identifier: MIT */
/*
 * make_golden.c - made tests/golden/v1.0.ring and v1.0.frs, once. They are never made again: a version that reads them otherwise
 * than v1.0.ring.txt and v1.0.frs.txt say is wrong. A newer format gets files of its own (make golden GOLDEN=v1.1).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/core/check.h"
#include "recorder/core/encode.h"
#include "recorder/core/map.h"
#include "recorder/core/segment.h"
#include "tests/unit/unit_dump.h"

#define BOOT_NS 5000000000000ull
#define REAL_NS 1700000000000000000ull

static const struct fr_field_spec all_types[] = {
	{ FRM_U8, "u8", "" },	 { FRM_U64, "u64", "ns" },   { FRM_I16, "i16", "" },	 { FRM_STR, "str", "" },  { FRM_U16, "u16", "hex" },
	{ FRM_F64, "f64", "" },	 { FRM_I8, "i8", "" },	     { FRM_BYTES, "bytes", "" }, { FRM_U32, "u32", "B" }, { FRM_I64, "i64", "" },
	{ FRM_JSON, "json", "" }, { FRM_I32, "i32", "errno" },
};

static void write_one(struct fr_lane *lane, uint16_t event, uint16_t session)
{
	uint64_t n = lane->seq;
	char text[64], json[32];
	struct fr_stamp stamp = { .time_ns = BOOT_NS + n * 1001 + lane->head->index, .event = event, .cpu = (uint16_t)(n % 4),
				  .session = session, .tid = 900 + lane->head->index };
	struct fr_value values[12] = { 0 };

	for (int i = 0; i < 12; i++)
		values[i].type = all_types[i].type;
	snprintf(text, sizeof(text), "text of number %lu %.*s", (unsigned long)n, (int)(n % 30), "..............................");
	snprintf(json, sizeof(json), "{\"n\":%lu}", (unsigned long)n);
	values[0].u = n & 0xff;
	values[1].u = n << 33;
	values[2].i = -(int64_t)(n % 30000);
	values[3].s.data = text;
	values[3].s.size = strlen(text);
	values[4].u = n & 0xffff;
	values[5].f = (double)n / 8;
	values[6].i = -1;
	values[7].s.data = text + 3;
	values[7].s.size = n % 5;
	values[8].u = (uint32_t)(n * 77);
	values[9].i = INT64_MIN + (int64_t)n;
	values[10].s.data = json;
	values[10].s.size = strlen(json);
	values[11].i = -5;
	fr_emit(lane, &stamp, values, 12);
}

static void fix_times(struct fr_ring *ring)
{
	for (int copy = 0; copy < 2; copy++) {
		struct frm_meta *meta = ring->meta[copy];

		meta->super.created_boot_ns = BOOT_NS - 1000;
		meta->super.created_real_ns = REAL_NS - 1000;
		memset(meta->super.creator, 0, sizeof(meta->super.creator));
		strcpy(meta->super.creator, "make_golden 1.0");
		fr_super_sign(&meta->super);
		for (unsigned i = 0; i < 3; i++) {
			meta->tables.anchor[i] = (struct frm_anchor){ BOOT_NS + i * 100000, REAL_NS + i * 100007, BOOT_NS - 4000 + i * 100000, 0, 0 };
			fr_anchor_sign(&meta->tables.anchor[i], ring->super.ring_id);
		}
		for (unsigned i = 1; i <= 2; i++) {
			meta->tables.session[i].begin_ns = BOOT_NS + i;
			meta->tables.session[i].end_ns = i == 1 ? BOOT_NS + 5000 : 0;
			fr_session_sign(&meta->tables.session[i], ring->super.ring_id);
		}
	}
}

static void make_ring(int fd)
{
	struct fr_geometry geometry = { .ring_size = FRM_RING_MIN, .lanes = 4, .shared_lanes = 1 };
	struct fr_identity identity = { .kind = FRM_KIND_PROCESS, .pid = 4711, .ppid = 1, .uid = 1000, .gid = 100, .start_time_ns = 123450000000,
					.flags = FRM_IDENT_VOUCHED, .boot_seq = 42, .comm = "golden", .exe = "/usr/bin/golden",
					.cgroup = "/golden.slice", .hostname = "goldhost", .creator = "make_golden" };
	static const uint8_t guid[16] = "golden provider", session_guid[16] = "golden session.";
	struct {
		frm_le64 start, end, offset;
		uint8_t build_id[20], build_id_len, reserved;
		frm_le16 path_len;
		char path[16];
	} module = { 0x400000, 0x500000, 0x1000, "twenty bytes of id..", 20, 0, 15, "/usr/bin/golden" };
	struct fr_reservation res = { 0 };
	struct fr_lane lane[4];
	struct fr_ring ring;
	uint16_t event;

	for (int i = 0; i < 16; i++) {
		identity.ring_id[i] = (uint8_t)(0x10 + i);
		identity.boot_id[i] = (uint8_t)(0x20 + i);
		identity.machine_id[i] = (uint8_t)(0x30 + i);
	}
	if (fr_ring_create(fd, &geometry, &identity) < 0 || fr_ring_map(fd, &ring) < 0)
		abort();
	fr_ring_declare_provider(&ring, guid, "golden.provider", 3, 4);
	event = (uint16_t)fr_ring_declare_event(&ring, 0, "all types", FRM_LEVEL_WARNING, 0x8000000000000full >> 8, all_types, 12);
	fr_ring_declare_event(&ring, 0, "nothing", FRM_LEVEL_CRITICAL, 0, NULL, 0);
	fr_ring_declare_raw(&ring, FRM_DESC_SOURCE, "where it comes from", 19);
	fr_ring_declare_raw(&ring, FRM_DESC_MODULE, &module, 48 + 15);
	fr_ring_session_begin(&ring, 0, session_guid, "first session");
	fr_ring_session_begin(&ring, 0, NULL, "second session");
	fr_ring_count_loss(&ring, FRM_LOSS_DISCARDED_BUSY, 3);
	*fr_ring_gate(&ring, 0) = ~0ull << 8 | 0x1e;
	fix_times(&ring);
	for (uint32_t i = 0; i < 4; i++) {
		fr_ring_lane(&ring, i, &lane[i]);
		fr_ring_lane_owner(&ring, &lane[i], 0, 900 + i, i == 3 ? "borrower" : "first owner");
	}
	for (int i = 0; i < 12; i++)
		write_one(&lane[0], event, (uint16_t)(i % 3));
	for (int i = 0; i < 150; i++) { /* laps, a discarded record, one that was torn and covered, a second owner */
		if (i == 140 || i == 145) {
			fr_lane_reserve(&lane[1], 100, &res);
			memset(res.record + 1, 'x', 100);
			res.record->time_ns = BOOT_NS;
			if (i == 140)
				fr_lane_commit(&res, FRM_RECORD_DISCARDED);
			else
				fr_lane_cover_torn(&lane[1], BOOT_NS + 999);
			fr_ring_lane_owner(&ring, &lane[1], 1, 950, "second owner");
		}
		write_one(&lane[1], event, 2);
	}
	for (int i = 0; i < 60; i++)
		write_one(&lane[2], i % 7 ? event : 99, 0);
	fr_lane_reserve(&lane[2], 100, &res); /* died here */
	memset(res.record + 1, 'y', 50);
	memset(lane[2].data + 1000, 0xff, 100); /* damage */
	fr_ring_unmap(&ring);
}

static void make_segment(int dir, const char *ring_path, const char *to)
{
	struct frm_loss_entry loss = { 1, FRM_LOSS_OVERWRITTEN, 0, 100, 0, 0 };
	static const char text[] = "\7\0\0\0dmesg-0<4>[    1.234567] a line of the kernel's\n";
	struct frm_segment head = { .magic = FRM_MAGIC_SEGMENT, .version_major = 1, .part = 2, .reason = FRM_REASON_DIED,
				    .salvaged_real_ns = REAL_NS + 77, .salvaged_boot_ns = 99, .salvage_boot_id = { 9 } };
	struct fr_image *image = NULL;
	struct fr_segment *segment = NULL;
	char name[FR_SEGMENT_NAME];
	uint64_t records = 0;

	if (fr_image_open_path(ring_path, 0, &image) < 0)
		abort();
	memcpy(head.ring_id, fr_image_super(image)->ring_id, 16);
	memcpy(head.boot_id, fr_image_super(image)->boot_id, 16);
	head.crc = fr_check_crc(NULL, &head, sizeof(head), offsetof(struct frm_segment, crc));
	fr_segment_create(dir, &head, &segment);
	fr_segment_chunk(segment, FRM_CHUNK_META, fr_image_meta(image), fr_image_super(image)->meta_size);
	for (uint32_t lane = 0; lane < 2; lane++) {
		struct frm_chunk_lane chunk = { .lane = lane };
		const struct fr_record *record;
		size_t count;

		record = fr_image_lane_records(image, lane, &count);
		for (size_t i = 0; i < count; i++)
			chunk.bytes += fr_record_span(40 + record[i].payload_size);
		chunk.record_count = (uint32_t)count;
		memcpy(chunk.owner, fr_image_lane(image, lane)->owner, sizeof(chunk.owner));
		fr_segment_begin(segment, FRM_CHUNK_LANE, sizeof(chunk) + chunk.bytes);
		fr_segment_append(segment, &chunk, sizeof(chunk));
		for (size_t i = 0; i < count; i++)
			fr_segment_append(segment, record[i].head, fr_record_span(40 + record[i].payload_size));
		fr_segment_end(segment);
		records += count;
	}
	fr_segment_chunk(segment, FRM_CHUNK_LOSSES, &loss, sizeof(loss));
	fr_segment_chunk(segment, FRM_CHUNK_TEXT, text, sizeof(text) - 1);
	fr_segment_chunk(segment, 77, "a chunk of the future", 21);
	if (fr_segment_seal(segment, records, NULL) < 0)
		abort();
	fr_segment_name(name, head.ring_id, head.part);
	if (renameat(dir, name, AT_FDCWD, to) < 0)
		abort();
	fr_image_close(image);
}

static void dump(const char *path)
{
	struct fr_image *image = NULL;
	char name[512];
	FILE *to;

	snprintf(name, sizeof(name), "%s.txt", path);
	to = fopen(name, "wx");
	if (!to || fr_image_open_path(path, 0, &image) < 0)
		abort();
	unit_dump(image, to);
	fclose(to);
	fr_image_close(image);
}

int main(int argc, char **argv)
{
	char ring[256], segment[256];
	int fd, dir;

	if (argc < 3)
		return 2;
	snprintf(ring, sizeof(ring), "%s/%s.ring", argv[1], argv[2]);
	snprintf(segment, sizeof(segment), "%s/%s.frs", argv[1], argv[2]);
	fd = open(ring, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || dir < 0) {
		perror(ring);
		return 1;
	}
	make_ring(fd);
	make_segment(dir, ring, segment);
	dump(ring);
	dump(segment);
	close(fd);
	close(dir);
	return 0;
}
