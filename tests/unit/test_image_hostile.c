/* SPDX-License-Identifier: MIT */
/*
 * test_image_hostile.c - images made by programs that went mad or mean harm: the reader ends soon, reads nothing outside (run it
 * under AddressSanitizer), and invents nothing. Everything it hands out is looked at, decoded, and put into words.
 */
#include "tests/unit/unit_parallel.h"
#include "tests/unit/unit_ring.h"

#include <sys/mman.h>
#include <time.h>

#include "recorder/core/catalogue.h"
#include "recorder/core/decode.h"
#include "tests/lib/torture.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint64_t touched;

/* How many images of a kind: all under torture. */
static int rounds(int all)
{
	return (int)torture_count((unsigned long)all / (UNIT_SANITIZED ? 40 : 8), (unsigned long)all);
}

/* Reads every byte that an image offers. */
static void touch(struct fr_image *image)
{
	char text[512];
	const char *name;
	size_t size;

	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		const struct fr_record *record = fr_image_record(image, i);
		struct fr_event event;

		for (uint32_t k = 0; k < record->payload_size; k++)
			touched += record->payload[k];
		fr_decode(image, record, &event);
		touched += fr_event_text(&event, text, sizeof(text));
		touched += fr_event_json_fields(&event, text, sizeof(text));
	}
	for (size_t i = 0; i < fr_image_event_desc_count(image); i++) {
		const struct fr_event_desc *desc = fr_image_event_desc(image, i);

		touched += strlen(desc->name);
		for (unsigned k = 0; k < desc->field_count; k++)
			touched += strlen(desc->field[k].name) + strlen(desc->field[k].unit);
	}
	for (size_t i = 0; i < fr_image_provider_count(image); i++)
		touched += strlen(fr_image_provider(image, i)->name);
	for (size_t i = 0; i < fr_image_module_count(image); i++)
		touched += strlen(fr_image_module(image, i)->path);
	for (size_t i = 0; i < fr_image_session_count(image); i++)
		touched += strlen(fr_image_session(image, i)->name);
	for (size_t i = 0; fr_image_text(image, i, &name, &size); i++)
		touched += strlen(name) + size;
	for (size_t i = 0; i < fr_image_loss_count(image); i++)
		touched += fr_image_loss(image, i)->count;
	touched += strlen(fr_image_super(image)->exe) + strlen(fr_image_super(image)->creator);
	touched += fr_image_real_ns(image, 12345);
	assert_non_null(fr_image_timeline(image));
}

static void try_image(const unsigned char *bytes, size_t size)
{
	/* in a block of its own size, so that a sanitizer sees a read beyond it */
	unsigned char *copy = malloc(size ? size : 1);
	struct fr_image *image = NULL;

	memcpy(copy, bytes, size);
	for (unsigned flags = 0; flags < 2; flags++) {
		int r = fr_image_from_memory(copy, size, flags ? FR_IMAGE_LIVE : 0, &image);

		if (r < 0) {
			assert_non_null(fr_image_strerror(r));
			continue;
		}
		touch(image);
		fr_image_close(image);
	}
	free(copy);
}

static unsigned char *sample(struct unit_ring *u)
{
	static const uint8_t module[48 + 8] = { 1, 2, 3 };
	unsigned char *bytes;

	unit_ring_make(u, FRM_RING_MIN, 3, FRM_POLICY_OVERWRITE);
	unit_write_many(u, 0, 30);
	unit_write_many(u, 1, 400);
	fr_ring_session_begin(&u->ring, 0, NULL, "a session");
	fr_ring_declare_raw(&u->ring, FRM_DESC_MODULE, module, sizeof(module));
	bytes = unit_bytes(u);
	unit_ring_free(u);
	return bytes;
}

TEST(test_I8_random_bytes_anywhere)
{
	struct unit_ring u;
	unsigned char *whole = sample(&u), *bytes = malloc(FRM_RING_MIN);
	uint64_t seed = 21;

	for (int round = 0; round < rounds(1500); round++) {
		unsigned changes = 1u << unit_random(&seed) % 12;

		memcpy(bytes, whole, FRM_RING_MIN);
		while (changes--)
			bytes[unit_random(&seed) % FRM_RING_MIN] = (unsigned char)unit_random(&seed);
		try_image(bytes, round % 3 ? FRM_RING_MIN : unit_random(&seed) % FRM_RING_MIN);
	}
	free(whole);
	free(bytes);
}

static uint64_t odd_number(uint64_t *seed)
{
	static const uint64_t odd[] = { 0, 1, 7, 8, 511, 512, 4095, 4096, 8192, 12288, 65535, 65536, 1 << 20, 1 << 30, INT32_MAX,
					UINT32_MAX, 1ull << 32, INT64_MAX, 1ull << 63, UINT64_MAX, UINT64_MAX - 7, UINT64_MAX - 4095 };
	uint64_t r = unit_random(seed);

	return r % 4 ? odd[r / 4 % COUNT(odd)] : r % 8 ? r : r % 100000;
}

/* A superblock that is signed but whose numbers are anything. */
TEST(test_I8_superblocks_that_lie)
{
	struct unit_ring u;
	unsigned char *whole = sample(&u), *bytes = malloc(FRM_RING_MIN);
	uint64_t seed = 22;

	for (int round = 0; round < rounds(4000); round++) {
		struct frm_super *a = (struct frm_super *)bytes, *b;
		uint64_t at = 16 + unit_random(&seed) % 6 * 8;

		memcpy(bytes, whole, FRM_RING_MIN);
		for (int i = 0; i < 1 + round % 3; i++) {
			uint64_t value = odd_number(&seed);

			switch (unit_random(&seed) % 6) {
			case 0: a->ring_size = value; break;
			case 1: a->meta_size = (uint32_t)value; break;
			case 2: a->lane_count = (uint32_t)value; break;
			case 3: a->lane_size = value; break;
			case 4: a->shared_lanes = (uint32_t)value; break;
			default: memcpy((char *)a + at, &value, 8);
			}
		}
		fr_super_sign(a);
		b = (struct frm_super *)(bytes + FRM_META_MIN);
		if (round % 2)
			memcpy(b, a, sizeof(*b));
		try_image(bytes, FRM_RING_MIN);
	}
	free(whole);
	free(bytes);
}

/* No superblock, and a lane's head or tail that is signed but whose numbers are anything. */
TEST(test_I8_lane_heads_that_lie)
{
	struct unit_ring u;
	unsigned char *whole = sample(&u), *bytes = malloc(FRM_RING_MIN);
	const struct frm_super super = *(const struct frm_super *)whole;
	uint64_t seed = 24;

	memset(whole, 0, sizeof(super));
	memset(whole + super.meta_size, 0, sizeof(super));
	for (int round = 0; round < rounds(4000); round++) {
		uint64_t tail = round % 2 ? super.lane_size - FRM_LANE_HEAD : 0;
		uint64_t at = fr_super_lane_offset(&super, unit_random(&seed) % 3) + tail;
		struct frm_lane *head = (struct frm_lane *)(bytes + at);

		memcpy(bytes, whole, FRM_RING_MIN);
		if (round % 3)
			head->data_size = odd_number(&seed);
		if (round % 3 != 1)
			head->index = (uint32_t)odd_number(&seed);
		if (round < 8) /* a lane without any size */
			head->data_size = 0ull - 2 * FRM_LANE_HEAD;
		head->crc = fr_crc32c(0, head, offsetof(struct frm_lane, crc));
		try_image(bytes, FRM_RING_MIN);
	}
	free(whole);
	free(bytes);
}

/* Descriptors whose checksums hold and whose counts are anything. */
TEST(test_I8_descriptors_that_lie)
{
	struct unit_ring u;
	unsigned char *whole = sample(&u), *bytes = malloc(FRM_RING_MIN);
	uint64_t seed = 23;

	for (int round = 0; round < rounds(4000); round++) {
		const struct frm_super *super = (const struct frm_super *)whole;
		uint32_t at = 0;

		memcpy(bytes, whole, FRM_RING_MIN);
		while (at + 256 < super->meta_size - 8192) {
			struct frm_desc *desc = (struct frm_desc *)(bytes + 8192 + at);
			uint16_t size = (uint16_t)(8 + unit_random(&seed) % 200);
			unsigned char *body = (unsigned char *)(desc + 1);

			for (uint16_t i = 0; i + 8 < size; i++)
				body[i] = (unsigned char)(unit_random(&seed) % 4 ? unit_random(&seed) % 16 : unit_random(&seed));
			desc->size = size;
			desc->type = (uint16_t)(unit_random(&seed) % 6);
			desc->crc = fr_check_crc(super->ring_id, desc, size, 0);
			at += (size + 7u) & ~7u;
		}
		/* records now mean whatever the descriptors say */
		memset(bytes + super->meta_size + 8192, 0, super->meta_size - 8192);
		try_image(bytes, FRM_RING_MIN);
	}
	free(whole);
	free(bytes);
}

/* Events of the daemon's ring carry an identity in fields that may have any type. */
TEST(test_I8_kernel_events_whose_identity_has_odd_types)
{
	static const char *const names[] = { "pid", "tid", "ppid", "uid", "start_time_ns", "comm" };
	struct fr_identity identity;

	for (unsigned type = 0; type < 16; type++) {
		struct fr_geometry geometry = { .ring_size = FRM_RING_MIN, .lanes = 2 };
		struct fr_field_spec fields[6];
		struct fr_image *image = NULL;
		struct unit_ring u = { 0 };
		int event;

		unit_identity(&identity);
		identity.kind = FRM_KIND_SYSTEM;
		u.fd = memfd_create("ring", MFD_CLOEXEC);
		assert_int_equal(fr_ring_create(u.fd, &geometry, &identity), 0);
		assert_int_equal(fr_ring_map(u.fd, &u.ring), 0);
		for (int i = 0; i < 6; i++)
			fields[i] = (struct fr_field_spec){ (uint8_t)type, names[i], "" };
		fr_ring_declare_provider(&u.ring, fr_catalogue_provider[FR_PROVIDER_KERNEL].guid, "kernel", 1, 0);
		event = fr_ring_declare_event(&u.ring, 0, "odd", 3, 0, fields, 6);
		fr_ring_lane(&u.ring, 0, &u.lane[0]);
		for (uint32_t size = 0; size < 200; size++) {
			struct fr_reservation res = { 0 };

			assert_int_equal(fr_lane_reserve(&u.lane[0], size, &res), 0);
			memset(res.record + 1, 0x41, size);
			res.record->event = (uint16_t)event;
			fr_lane_commit(&res, 0);
		}
		assert_int_equal(fr_image_open(u.fd, 0, &image), 0);
		touch(image);
		fr_image_close(image);
		unit_ring_free(&u);
	}
}

/*
 * Every multiple of 8 of a lane says: here begins a record of a quarter of the lane. Each word is a position that fits its
 * place, and a size and checksum for the one before it.
 */
TEST(test_I8_a_lane_made_to_waste_time_is_given_up)
{
	struct unit_ring u;
	struct fr_image *image;
	uint64_t size;
	double begun;

	unit_ring_make(&u, 64 << 20, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 1, 100);
	size = u.lane[0].size;
	for (uint64_t off = 0; off < size; off += 8) {
		uint64_t high = (uint64_t)u.lane[0].max_record << 32, word = high + (off + size - high % size) % size;

		memcpy(u.lane[0].data + off, &word, 8);
	}
	begun = now();
	image = unit_image(&u, 0);
	assert_true(now() - begun < 200); /* unbounded, it takes hours */
	assert_int_equal(fr_image_lane(image, 0)->records, 0);
	assert_int_equal(fr_image_lane(image, 1)->records, 100);
	fr_image_close(image);
	unit_ring_free(&u);
}

TEST(test_I8_a_descriptor_log_made_to_waste_time_is_read_in_time)
{
	struct unit_ring u;
	struct fr_image *image = NULL;
	unsigned char *bytes;
	double begun;

	unit_ring_make(&u, 64 << 20, 2, FRM_POLICY_OVERWRITE);
	bytes = unit_bytes(&u);
	for (int copy = 0; copy < 2; copy++) {
		unsigned char *log = bytes + copy * u.ring.super.meta_size + 8192;

		for (uint32_t at = 0; at + 8 <= u.ring.log_size; at += 8) {
			struct frm_desc desc = { .crc = at, .size = 65528, .type = 2 };

			memcpy(log + at, &desc, 8);
		}
	}
	begun = now();
	assert_int_equal(fr_image_from_memory(bytes, u.ring.size, 0, &image), 0);
	assert_true(now() - begun < 200); /* unbounded, it takes hours */
	fr_image_close(image);
	free(bytes);
	unit_ring_free(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I8_random_bytes_anywhere),
		cmocka_unit_test(test_I8_superblocks_that_lie),
		cmocka_unit_test(test_I8_lane_heads_that_lie),
		cmocka_unit_test(test_I8_descriptors_that_lie),
		cmocka_unit_test(test_I8_kernel_events_whose_identity_has_odd_types),
		cmocka_unit_test(test_I8_a_lane_made_to_waste_time_is_given_up),
		cmocka_unit_test(test_I8_a_descriptor_log_made_to_waste_time_is_read_in_time),
	};

	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (!failed)
		torture_row("hostile images", 2 * (unsigned)(rounds(1500) + 2 * rounds(4000)), "images",
			    "random bytes, superblocks and descriptors that lie: each read in time or refused, nothing read outside");
	return failed;
}
