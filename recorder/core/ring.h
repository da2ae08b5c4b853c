/* SPDX-License-Identifier: MIT */
/*
 * ring.h - reserve and commit: the writing side of a lane.
 *
 * Owns: what one writer does to one lane. Freestanding (I16): no libc, integers only, the same source for user
 * space and kernel; everything is inline because an event is written in about the time of two calls.
 *
 * PROTOCOL, for the one writer that holds the lane (who holds it is settled elsewhere: client/lanes.c)
 *
 *	1. busy := mark                  whoever interrupts the writer from now on leaves this lane alone
 *	2. next_pos, next_seq := after   published with release: everything up to the previous record is complete
 *	3. header and payload stored     in any order
 *	4. crc stored                    from here on, and not before, the record is valid
 *	5. busy := 0
 *
 * WHAT A DEATH LEAVES: before 2 nothing; from 2 to 4 a record that next_seq proves to have been reserved and whose
 * crc does not hold, and in its place up to one record's length of the oldest records gone, as they would be anyway;
 * after 4 a valid record. No other record is touched (I2), also by a writer that goes on much later
 * (I4); nobody waits (I3). Since a record's place, length and checksum prove it, no order of stores
 * matters to a reader of the dead; step 2's release is for readers of the living. A testpoint
 * stands after each store that somebody else could see: tests/crash/points/ kills, stops, cancels
 * and jumps at each of them.
 *
 * The private side keeps reserved_pos, _seq and _size so that a thread that takes over a lane left busy (its thread was
 * cancelled) can cover what was reserved; they are stored before anything else changes, size last.
 */
#ifndef RECORDER_CORE_RING_H
#define RECORDER_CORE_RING_H

#include "recorder/core/atomic.h"
#include "recorder/core/crc.h"
#include "recorder/core/testpoint.h"
#include "schemas/fr_format.h"

#ifndef __KERNEL__
#include <errno.h>
#include <stdbool.h>
#endif

/* The writer's private side of a lane. All zero means: nothing can be written here. */
struct fr_lane {
	unsigned char *data;
	uint64_t size;	     /* bytes of data; 0 in a child after fork, whose copy of this is wiped */
	uint64_t pos;	     /* where the next record goes, counted since the lane's birth */
	uint64_t off;	     /* pos modulo size */
	uint64_t seq;	     /* the next record's number */
	uint64_t discarded;
	uint64_t reserved_pos; /* the record being written; a successor has to cover it ... */
	uint64_t reserved_seq;
	uint32_t reserved_size; /* ... unless this is 0 */
	uint32_t seed;	     /* CRC32C of ring id, boot id and lane number */
	uint32_t policy;     /* FRM_POLICY_* */
	uint32_t max_record; /* bytes, header included */
	uint64_t busy;	     /* 0: free; else the mark that its writer gave at reserve */
	struct frm_lane *head, *tail;
};

/* What stands between reserve and commit. */
struct fr_reservation {
	struct fr_lane *lane;
	struct frm_record *record;
	uint32_t size; /* bytes of header and payload */
};

static inline uint32_t fr_record_span(uint32_t size)
{
	return (size + FRM_RECORD_ALIGN - 1) & ~(FRM_RECORD_ALIGN - 1);
}

/* Largest record a lane of that much data takes: a quarter of it, so that a lap always holds several. */
static inline uint32_t fr_lane_max_record(uint64_t data_size)
{
	uint64_t quarter = data_size / 4 & ~(uint64_t)(FRM_RECORD_ALIGN - 1);

	return quarter < FRM_RECORD_MAX ? (uint32_t)quarter : FRM_RECORD_MAX;
}

/* CRC32C seed of a lane's records, so that a record of another ring, boot or lane never passes for one of this. */
static inline uint32_t fr_lane_seed(const uint8_t ring_id[16], const uint8_t boot_id[16], uint32_t lane)
{
	uint32_t crc = fr_crc32c(0, ring_id, 16);

	crc = fr_crc32c(crc, boot_id, 16);
	return fr_crc32c(crc, &lane, sizeof(lane));
}

/*
 * Reserves `payload` bytes in a lane that the caller holds and that is not busy. Wait-free. Returns 0, and the
 * lane is busy until commit; or -EMSGSIZE, -ENOSPC (policy discard, lane full), -ENXIO (no lane behind it).
 * The caller fills record->time_ns, event, cpu, tid, the session and the payload. `mark` (not 0) is what `busy` shows
 * meanwhile to whoever interrupts the caller.
 */
static inline int fr_lane_reserve_marked(struct fr_lane *lane, uint32_t payload, uint64_t mark, struct fr_reservation *res)
{
	uint32_t size = (uint32_t)sizeof(struct frm_record) + payload, span = fr_record_span(size);
	uint64_t pos, off;

	if (__builtin_expect(payload > lane->max_record || size > lane->max_record, 0))
		return lane->size ? -EMSGSIZE : -ENXIO;

	lane->busy = mark;
	FR_TESTPOINT("reserve-busy");
	fr_barrier_signal(); /* step 1 before all else, as seen by a signal handler on this thread */

	pos = lane->pos;
	off = lane->off;
	if (off + span > lane->size) { /* the record would wrap: leave the rest of this lap as it is */
		pos += lane->size - off;
		off = 0;
	}
	if (__builtin_expect(lane->policy == FRM_POLICY_DISCARD, 0) && /* I15 */ pos + span > lane->size) {
		lane->discarded++;
		lane->tail->discarded = lane->discarded;
		FR_TESTPOINT("refusal-counted-once");
		lane->head->discarded = lane->discarded;
		FR_TESTPOINT("refusal-counted");
		fr_barrier_signal();
		lane->busy = 0;
		FR_TESTPOINT("refusal-done");
		return -ENOSPC;
	}
	res->lane = lane;
	res->record = (struct frm_record *)(lane->data + off);
	res->size = size;
	lane->reserved_pos = pos;
	lane->reserved_seq = lane->seq;
	FR_TESTPOINT("reserve-aimed");
	fr_barrier_signal();
	lane->reserved_size = size; /* from here on, whoever finds the lane busy and left can set it right */
	FR_TESTPOINT("reserve-noted");
	fr_barrier_signal();
	lane->pos = pos + span;
	lane->off = off + span;
	FR_TESTPOINT("reserve-moved");

	/* step 2; pairs with the acquire of next_pos in a live reader */
	lane->head->next_seq = lane->seq + 1;
	FR_TESTPOINT("reserve-numbered");
	fr_store_release(&lane->head->next_pos, pos + span);
	FR_TESTPOINT("reserve-published");

	res->record->pos = pos;
	FR_TESTPOINT("reserve-placed");
	res->record->seq_session = lane->seq & FRM_SEQ_MASK;
	FR_TESTPOINT("reserve-labelled");
	lane->seq++;
	FR_TESTPOINT("reserve-counted");
	if (size != span) /* the rounding is zero; the payload is written after this and may not reach it */
		*(uint64_t *)((unsigned char *)res->record + span - 8) = 0;
	FR_TESTPOINT("reserve-rounded");
	return 0;
}

static inline int fr_lane_reserve(struct fr_lane *lane, uint32_t payload, struct fr_reservation *res)
{
	return fr_lane_reserve_marked(lane, payload, 1, res);
}

/* Commits: from the store of crc on the record is valid, with `flags` (FRM_RECORD_* or 0). Wait-free. */
static inline void fr_lane_commit(struct fr_reservation *res, uint32_t flags)
{
	struct frm_record *record = res->record;
	struct fr_lane *lane = res->lane;
	uint64_t second;

	record->size_flags = res->size | flags;
	second = (uint64_t)record->size_flags << 32; /* crc counts as zero */
	FR_TESTPOINT("commit-sized");
	fr_barrier_signal();
	record->crc = fr_crc32c_record(lane->seed, record->pos, second,
				       (const unsigned char *)record + 16, fr_record_span(res->size) - 16);
	FR_TESTPOINT("commit-valid");
	fr_barrier_signal();
	lane->reserved_size = 0;
	FR_TESTPOINT("commit-settled");
	fr_barrier_signal();
	lane->busy = 0;
	FR_TESTPOINT("commit-done");
}

/* The record that a writer had reserved is valid already: it ended between steps 4 and 5. */
static inline bool fr_lane_reserved_is_valid(const struct fr_lane *lane, const struct frm_record *record)
{
	return record->pos == lane->reserved_pos && (record->size_flags & FRM_RECORD_SIZE_MASK) == lane->reserved_size &&
	       (record->seq_session & FRM_SEQ_MASK) == (lane->reserved_seq & FRM_SEQ_MASK) &&
	       record->crc == fr_crc32c_record(lane->seed, record->pos, (uint64_t)record->size_flags << 32,
					       (const unsigned char *)record + 16, fr_record_span(lane->reserved_size) - 16);
}

/*
 * Takes over a busy lane whose writer ended somewhere between steps 1 and 5 (thread cancelled, or jumped out of). If it had
 * reserved, covers that with a record marked torn, under the number it had, so that the loss is named and the lane goes on.
 */
static inline void fr_lane_cover_torn(struct fr_lane *lane, uint64_t time_ns)
{
	/* as large as what it covers: the newest record must end where next_pos says */
	struct fr_reservation res = { .lane = lane, .size = lane->reserved_size };
	uint64_t off = lane->reserved_pos % lane->size;

	if (!lane->reserved_size) {
		lane->busy = 0;
		FR_TESTPOINT("cover-needless");
		return;
	}
	/* it may have ended between any two of the stores of its reserve */
	lane->pos = lane->reserved_pos + fr_record_span(lane->reserved_size);
	lane->off = off + fr_record_span(lane->reserved_size);
	lane->seq = lane->reserved_seq + 1;
	FR_TESTPOINT("cover-moved");
	lane->head->next_seq = lane->seq;
	FR_TESTPOINT("cover-numbered");
	fr_store_release(&lane->head->next_pos, lane->pos);
	FR_TESTPOINT("cover-published");
	res.record = (struct frm_record *)(lane->data + off);
	if (fr_lane_reserved_is_valid(lane, res.record)) {
		lane->reserved_size = 0;
		FR_TESTPOINT("cover-kept");
		fr_barrier_signal();
		lane->busy = 0;
		return;
	}
	res.record->pos = lane->reserved_pos;
	FR_TESTPOINT("cover-placed");
	res.record->seq_session = lane->reserved_seq & FRM_SEQ_MASK;
	res.record->time_ns = time_ns;
	res.record->event = 0;
	res.record->cpu = FRM_CPU_NONE;
	res.record->tid = 0;
	if (lane->reserved_size % FRM_RECORD_ALIGN) /* it may not have come to that either */
		*(uint64_t *)((unsigned char *)res.record + fr_record_span(lane->reserved_size) - 8) = 0;
	FR_TESTPOINT("cover-filled");
	fr_lane_commit(&res, FRM_RECORD_TORN);
}

#endif
