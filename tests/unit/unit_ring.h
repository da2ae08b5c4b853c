/* SPDX-License-Identifier: MIT */
/*
 * unit_ring.h - rings whose every record can be checked: content follows from (lane, number), so that whatever a reader
 * brings back is either exactly what was written or invented.
 */
#ifndef TESTS_UNIT_UNIT_RING_H
#define TESTS_UNIT_UNIT_RING_H

#include "recorder/core/check.h"
#include "recorder/core/image.h"
#include "recorder/core/map.h"
#include "tests/unit/unit.h"

#define UNIT_LANES_MAX 64
#define UNIT_TIME 1000000000ull /* of the first record */
#define UNIT_PROVIDER_GUID { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 }

struct unit_ring {
	int fd;
	struct fr_ring ring;
	uint32_t lanes;
	struct fr_lane lane[UNIT_LANES_MAX];
	uint16_t event; /* u64 lane, u64 number, str text */
};

/* A ring in memory with known ids. Its event is declared. */
void unit_ring_make(struct unit_ring *u, uint64_t size, uint32_t lanes, uint32_t policy);
void unit_ring_free(struct unit_ring *u);
void unit_identity(struct fr_identity *identity);

/* Bytes of text that the record of that number carries, and the record's size. */
uint32_t unit_text_size(uint32_t lane, uint64_t seq);
uint32_t unit_record_size(uint32_t lane, uint64_t seq);
uint64_t unit_time(uint32_t lane, uint64_t seq);

/* Reserves and fills the lane's next record, without commit; what reserve says. */
int unit_reserve(struct unit_ring *u, uint32_t lane, struct fr_reservation *res);
/* The same and commits. */
int unit_write(struct unit_ring *u, uint32_t lane);
void unit_write_many(struct unit_ring *u, uint32_t lane, uint64_t count);

/* True when the record is what unit_write() wrote under its lane and number. */
bool unit_is_genuine(const struct fr_record *record);

/* The file's bytes (free them), and images of them. */
unsigned char *unit_bytes(const struct unit_ring *u);
struct fr_image *unit_image(const struct unit_ring *u, unsigned flags);

/*
 * Fails the test unless each number below the lane's next_seq is either one record or in exactly one range of losses
 * (I6), no record is beyond, all records are genuine and in order. Returns how many numbers are lost by each cause.
 */
void unit_account(const struct fr_image *image, uint32_t lane, uint64_t lost[FRM_LOSS_COUNT]);
/* The same for a ring read while it is written: its newest number may be neither yet. */
void unit_account_live(const struct fr_image *image, uint32_t lane, uint64_t lost[FRM_LOSS_COUNT]);
/* True when the lane holds a record of that number. */
bool unit_has(const struct fr_image *image, uint32_t lane, uint64_t seq);

#endif
