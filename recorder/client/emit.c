/* SPDX-License-Identifier: MIT */
/*
 * emit.c - the hot path: reserve, commit, discard.
 *
 * The fast path has one exit to the slow one, for everything that is not "my lane, free, and the event has an id here":
 * a first event, a nested one, a thread without a lane, a child after fork. See ring.h for what a death in between leaves.
 */
#include "recorder/client/client.h"
#include "recorder/core/host.h"
#include "recorder/core/testpoint.h"

/* glibc tells where the kernel keeps the thread's current CPU (restartable sequences): one load instead of a call. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

static inline uint16_t current_cpu(void)
{
#if defined(__x86_64__) || defined(__aarch64__)
	if (&__rseq_size && __rseq_size) {
		const char *self;
		uint32_t cpu;

#if defined(__x86_64__)
		__asm__("movq %%fs:0, %0" : "=r"(self));
#else
		__asm__("mrs %0, tpidr_el0" : "=r"(self));
#endif
		cpu = *(const volatile uint32_t *)(self + __rseq_offset + 4); /* struct rseq, cpu_id */
		return cpu < FRM_CPU_NONE ? (uint16_t)cpu : FRM_CPU_NONE;
	}
#endif
	return FRM_CPU_NONE;
}

/* A new anchor for the lane's clock, and once a minute one for the ring, so that its events can be told in wall-clock time. */
static __attribute__((noinline)) uint64_t time_slow(struct fr_client_lane *lane)
{
	uint64_t now = fr_clock_refresh(&lane->clock), due = fr_load_relaxed(&fr_client->anchor_due_ns);

	if (now >= due && fr_cas_acquire(&fr_client->anchor_due_ns, due, now + FR_ANCHOR_EVERY_NS))
		fr_ring_anchor(&fr_client->ring);
	return now;
}

static inline uint64_t time_of(struct fr_client_lane *lane)
{
	uint64_t now;

	return __builtin_expect(fr_clock_computed(&lane->clock, &now), 1) ? now : time_slow(lane);
}

static inline void *fill(struct flightrec_slot *slot, struct fr_client_lane *lane, const struct fr_reservation *res, uint32_t id,
			 uint32_t session)
{
	struct frm_record *record = res->record;
	uint64_t whole;

	record->time_ns = time_of(lane);
	FR_TESTPOINT("client-timed");
	/* event, cpu and tid in one store: the checksum reads them as one word soon, and would wait for three */
	whole = (uint16_t)id | (uint64_t)current_cpu() << 16 | (uint64_t)fr_thread.tid << 32;
	memcpy(&record->event, &whole, sizeof(whole));
	record->seq_session |= (uint64_t)session << FRM_SESSION_SHIFT;
	slot->lane = lane;
	slot->record = record;
	slot->size = res->size;
	FR_TESTPOINT("client-reserved");
	return record + 1;
}

void *fr_client_reserve(struct flightrec_slot *slot, struct fr_client *client, uint16_t id, uint32_t session, size_t bytes,
			uint64_t mark)
{
	uint64_t here = mark > 1 ? mark : FR_FRAME();
	struct fr_client_lane *lane = fr_lanes_own(client, here);
	struct fr_reservation res;
	int r;

	if (!lane)
		lane = fr_lanes_borrow(client, here);
	if (!lane) {
		fr_ring_count_loss(&client->ring, FRM_LOSS_DISCARDED_BUSY, 1);
		return NULL;
	}
	r = fr_lane_reserve_marked(&lane->lane, bytes < FRM_RECORD_MAX ? (uint32_t)bytes : FRM_RECORD_MAX, mark, &res);
	if (r == 0) {
		if (lane->shared)
			fr_lanes_borrowed(here);
		return fill(slot, lane, &res, id, session);
	}
	if (r == -EMSGSIZE) /* -ENOSPC is counted by the lane */
		fr_ring_count_loss(&client->ring, FRM_LOSS_DISCARDED_SIZE, 1);
	if (lane->shared)
		fr_lanes_return(lane, here);
	return NULL;
}

static __attribute__((noinline)) void *reserve_slow(struct flightrec_slot *slot, struct flightrec_event *event, uint32_t session,
						    size_t bytes, uint64_t mark)
{
	struct fr_client *client = fr_client;
	FR_KEEP_ERRNO;

	if (!client || !event->provider || !event->provider->references || !fr_client_ready(client) ||
	    fr_event_declare(client, event) < 0)
		return NULL;
	return fr_client_reserve(slot, client, (uint16_t)fr_load_relaxed(&event->id), session, bytes, mark);
}

static inline void *reserve(struct flightrec_slot *slot, struct flightrec_event *event, uint32_t session, size_t bytes,
			    uint64_t mark)
{
	struct fr_client_lane *lane = fr_thread.lane;
	uint32_t id = fr_load_relaxed(&event->id);
	struct fr_reservation res;
	int r;

	if (__builtin_expect(!lane || lane->lane.busy || id >> 16 != lane->generation || bytes >= FRM_RECORD_MAX, 0))
		return reserve_slow(slot, event, session, bytes, mark);
	r = fr_lane_reserve_marked(&lane->lane, (uint32_t)bytes, mark, &res);
	if (__builtin_expect(r == 0, 1))
		return fill(slot, lane, &res, id, session);
	return r == -ENOSPC ? NULL : reserve_slow(slot, event, session, bytes, mark); /* that one the lane has counted */
}

FLIGHTREC_API void *flightrec_reserve(struct flightrec_slot *slot, struct flightrec_event *event, uint32_t session, size_t bytes)
{
	return reserve(slot, event, session, bytes, 1);
}

FLIGHTREC_API void *flightrec_reserve_here_(struct flightrec_slot *slot, struct flightrec_event *event, uint32_t session,
					    size_t bytes)
{
	return reserve(slot, event, session, bytes, FR_FRAME());
}

static __attribute__((noinline)) void finish_borrowed(const struct flightrec_slot *slot, uint32_t flags)
{
	struct fr_client_lane *lane = slot->lane;
	struct fr_reservation res = { .lane = &lane->lane, .record = slot->record, .size = slot->size };
	uint64_t here = FR_FRAME();

	if (!lane->shared)
		return; /* reserved before a fork: the record is the parent's to commit */
	fr_lanes_give_back(lane, here);
	fr_lane_commit(&res, flags);
	FR_TESTPOINT("client-committed");
	fr_lanes_return(lane, here);
}

static inline void finish(struct flightrec_slot *slot, uint32_t flags)
{
	struct fr_client_lane *lane = slot->lane;
	struct fr_reservation res = { .lane = &lane->lane, .record = slot->record, .size = slot->size };

	if (__builtin_expect(!lane->own, 0)) {
		finish_borrowed(slot, flags);
		return;
	}
	fr_lane_commit(&res, flags);
	FR_TESTPOINT("client-committed");
}

FLIGHTREC_API int flightrec_commit(struct flightrec_slot *slot)
{
	finish(slot, 0);
	return 0;
}

FLIGHTREC_API void flightrec_discard(struct flightrec_slot *slot)
{
	finish(slot, FRM_RECORD_DISCARDED);
}
