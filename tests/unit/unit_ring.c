/* SPDX-License-Identifier: MIT */
/* unit_ring.c - see unit_ring.h. */
#include "tests/unit/unit_ring.h"

#include <sys/mman.h>


static uint64_t mix(uint32_t lane, uint64_t seq)
{
	uint64_t seed = seq * UNIT_LANES_MAX + lane;

	return unit_random(&seed);
}

uint32_t unit_text_size(uint32_t lane, uint64_t seq)
{
	return (uint32_t)(mix(lane, seq) % 61);
}

uint32_t unit_record_size(uint32_t lane, uint64_t seq)
{
	return (uint32_t)sizeof(struct frm_record) + 24 + unit_text_size(lane, seq);
}

uint64_t unit_time(uint32_t lane, uint64_t seq)
{
	return UNIT_TIME + 1000 * seq + lane;
}

static void payload_of(uint32_t lane, uint64_t seq, unsigned char *payload)
{
	uint64_t number = lane, bits = mix(lane, seq);
	uint32_t size = unit_text_size(lane, seq), fixed[2] = { size, 0 };

	memcpy(payload, &number, 8);
	memcpy(payload + 8, &seq, 8);
	memcpy(payload + 16, fixed, 8);
	for (uint32_t i = 0; i < size; i++)
		payload[24 + i] = (unsigned char)('a' + (bits >> i % 56) % 26);
}

void unit_identity(struct fr_identity *identity)
{
	*identity = (struct fr_identity){ .kind = FRM_KIND_PROCESS, .pid = 4711, .ppid = 4710, .uid = 1000, .gid = 1001,
					  .start_time_ns = 500000000, .boot_seq = 7, .comm = "unit", .exe = "/usr/bin/unit",
					  .cgroup = "/unit.slice", .hostname = "unithost", .creator = "unit test" };
	for (int i = 0; i < 16; i++) {
		identity->ring_id[i] = (uint8_t)(0xa0 + i);
		identity->boot_id[i] = (uint8_t)(0xb0 + i);
		identity->machine_id[i] = (uint8_t)(0xc0 + i);
	}
}

void unit_ring_make(struct unit_ring *u, uint64_t size, uint32_t lanes, uint32_t policy)
{
	static const struct fr_field_spec fields[] = { { FRM_U64, "lane", "" }, { FRM_U64, "number", "" }, { FRM_STR, "text", "" } };
	static const uint8_t guid[16] = UNIT_PROVIDER_GUID;
	struct fr_geometry geometry = { .ring_size = size, .lanes = lanes, .shared_lanes = 1, .policy = policy };
	struct fr_identity identity;
	int provider, event;

	memset(u, 0, sizeof(*u));
	unit_identity(&identity);
	u->fd = memfd_create("ring", MFD_CLOEXEC);
	assert_true(u->fd >= 0);
	assert_int_equal(fr_ring_create(u->fd, &geometry, &identity), 0);
	assert_int_equal(fr_ring_map(u->fd, &u->ring), 0);
	u->lanes = u->ring.super.lane_count;
	for (uint32_t i = 0; i < u->lanes && i < UNIT_LANES_MAX; i++) {
		fr_ring_lane(&u->ring, i, &u->lane[i]);
		fr_ring_lane_owner(&u->ring, &u->lane[i], 0, 100 + i, "writer");
	}
	provider = fr_ring_declare_provider(&u->ring, guid, "unit.provider", 1, 2);
	assert_true(provider >= 0);
	event = fr_ring_declare_event(&u->ring, (uint16_t)provider, "written", FRM_LEVEL_INFO, 0, fields, COUNT(fields));
	assert_true(event > 0);
	u->event = (uint16_t)event;
}

void unit_ring_free(struct unit_ring *u)
{
	fr_ring_unmap(&u->ring);
	close(u->fd);
}

int unit_reserve(struct unit_ring *u, uint32_t lane, struct fr_reservation *res)
{
	struct fr_lane *l = &u->lane[lane];
	uint64_t seq = l->seq;
	int r = fr_lane_reserve(l, unit_record_size(lane, seq) - (uint32_t)sizeof(struct frm_record), res);

	if (r < 0)
		return r;
	res->record->time_ns = unit_time(lane, seq);
	res->record->event = u->event;
	res->record->cpu = (uint16_t)lane;
	res->record->tid = 100 + lane;
	payload_of(lane, seq, (unsigned char *)(res->record + 1));
	return 0;
}

int unit_write(struct unit_ring *u, uint32_t lane)
{
	struct fr_reservation res;
	int r = unit_reserve(u, lane, &res);

	if (r == 0)
		fr_lane_commit(&res, 0);
	return r;
}

void unit_write_many(struct unit_ring *u, uint32_t lane, uint64_t count)
{
	while (count--)
		assert_int_equal(unit_write(u, lane), 0);
}

bool unit_is_genuine(const struct fr_record *record)
{
	unsigned char want[128];

	if (record->flags)
		return true; /* a mark carries nothing */
	payload_of(record->lane, record->seq, want);
	return record->payload_size == unit_record_size(record->lane, record->seq) - sizeof(struct frm_record) &&
	       record->time_ns == unit_time(record->lane, record->seq) && record->tid == 100 + record->lane &&
	       record->cpu == record->lane && !memcmp(record->payload, want, record->payload_size);
}

unsigned char *unit_bytes(const struct unit_ring *u)
{
	unsigned char *bytes = malloc(u->ring.size);

	assert_non_null(bytes);
	assert_int_equal(pread(u->fd, bytes, u->ring.size, 0), u->ring.size);
	return bytes;
}

struct fr_image *unit_image(const struct unit_ring *u, unsigned flags)
{
	struct fr_image *image = NULL;

	assert_int_equal(fr_image_open(u->fd, flags, &image), 0);
	return image;
}

static void mark(unsigned char *seen, uint64_t count, uint64_t first, uint64_t n, uint32_t lane, const char *what)
{
	for (uint64_t seq = first; seq < first + n; seq++) {
		if (seq >= count)
			fail_msg("lane %u: %s %llu is beyond the newest reserved, %llu", lane, what, (unsigned long long)seq,
				 (unsigned long long)count);
		if (seen[seq]++)
			fail_msg("lane %u: number %llu is accounted for twice, now as %s", lane, (unsigned long long)seq, what);
	}
}

static void account(const struct fr_image *image, uint32_t lane, uint64_t lost[FRM_LOSS_COUNT], bool live)
{
	const struct fr_lane_info *info = fr_image_lane(image, lane);
	unsigned char *seen = calloc(1, info->next_seq + 1);
	const struct fr_record *records;
	uint64_t pos = 0;
	size_t count;

	assert_non_null(seen);
	if (lost)
		memset(lost, 0, FRM_LOSS_COUNT * sizeof(*lost));
	records = fr_image_lane_records(image, lane, &count);
	for (size_t i = 0; i < count; i++) {
		const struct fr_record *record = &records[i];

		if (!unit_is_genuine(record))
			fail_msg("lane %u: record %llu is not what was written", lane, (unsigned long long)record->seq);
		assert_true(i == 0 || record->pos >= pos);
		pos = record->pos + 1;
		if (!(record->flags & FRM_RECORD_TORN >> 24)) /* which is a loss */
			mark(seen, info->next_seq, record->seq, 1, lane, "record");
	}
	for (size_t i = 0; i < fr_image_loss_count(image); i++) {
		const struct fr_loss *loss = fr_image_loss(image, i);

		if (loss->lane != lane || loss->cause > FRM_LOSS_DAMAGED)
			continue;
		mark(seen, info->next_seq, loss->first_seq, loss->count, lane, fr_loss_name(loss->cause));
		if (lost)
			lost[loss->cause] += loss->count;
	}
	for (uint64_t seq = 0; seq < info->next_seq; seq++)
		if (!seen[seq] && !(live && seq + 1 == info->next_seq))
			fail_msg("lane %u: number %llu is neither there nor lost", lane, (unsigned long long)seq);
	free(seen);
}

void unit_account(const struct fr_image *image, uint32_t lane, uint64_t lost[FRM_LOSS_COUNT])
{
	account(image, lane, lost, false);
}

void unit_account_live(const struct fr_image *image, uint32_t lane, uint64_t lost[FRM_LOSS_COUNT])
{
	account(image, lane, lost, true);
}

bool unit_has(const struct fr_image *image, uint32_t lane, uint64_t seq)
{
	const struct fr_record *records;
	size_t count;

	records = fr_image_lane_records(image, lane, &count);
	for (size_t i = 0; i < count; i++)
		if (records[i].seq == seq)
			return true;
	return false;
}
