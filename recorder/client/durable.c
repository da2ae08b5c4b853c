/* SPDX-License-Identifier: MIT */
/*
 * durable.c - a record that is on the medium before the call returns: events of level
 * FLIGHTREC_CRITICAL, and flightrec_commit_durable().
 *
 * The calling thread has the kernel write back the pages that hold the record, by msync: that needs
 * no descriptor, and is a plain system call, so that a signal handler may do it. A record alone is
 * worth nothing; therefore (I20), in this order,
 *
 *	1. the whole ring, and the names that lead to its file	once for each ring
 *	2. both metas			when anything was declared, begun or noted since the last time
 *					(fr_ring.changes)
 *	3. the lane's head and tail	when the lane has another owner since the last time
 *	4. the record's pages
 *
 * What was written back is noted only after it was: two threads may do the same twice, and none
 * relies on what another has only begun. Nothing of this touches the path of other events. On a DAX
 * mapping the kernel flushes the processor's caches instead of pages: the same call, for the same
 * promise.
 *
 * The names of a ring that the library made are synced here. A ring that the daemon made lies where
 * an application may not look: the daemon syncs its name (recorder/daemon/sync.h).
 */
#include <sys/auxv.h>
#include <sys/mman.h>

#include "recorder/client/client.h"
#include "recorder/core/ringfile.h"
#include "recorder/core/testpoint.h"

static int write_back(const void *from, size_t size)
{
	uintptr_t page = getauxval(AT_PAGESZ), start = (uintptr_t)from & ~(page - 1),
		  end = (uintptr_t)from + size;

	return msync((void *)start, end - start, MS_SYNC) < 0 ? -errno : 0;
}

static int sync_ring(struct fr_client *client)
{
	const struct fr_ring *ring = &client->ring;
	/*
	 * The first pairs with the release below, the second with fr_ring_changed(): by an exchange,
	 * which sees the newest count, as who has an event's id must see that it was declared.
	 */
	uint32_t done = fr_load_acquire(&client->durable_changes);
	uint32_t changes = fr_add_acquire(&client->ring.changes, 0);
	int r = 0;

	if (done == changes)
		return 0;
	if (!done) {
		r = write_back(ring->base, ring->size);
		if (r == 0 && client->path[0])
			r = fr_ringfile_sync_names(client->path);
	} else {
		r = write_back(ring->base, 2 * (size_t)ring->super.meta_size);
	}
	if (r == 0)
		fr_store_release(&client->durable_changes, changes);
	return r;
}

static int sync_owner(struct fr_client_lane *lane)
{
	uint32_t owners = fr_load_relaxed(&lane->owners);
	int r;

	if (fr_load_relaxed(&lane->durable_owners) == owners)
		return 0;
	r = write_back(lane->lane.head, FRM_LANE_HEAD);
	if (r == 0)
		r = write_back(lane->lane.tail, FRM_LANE_HEAD);
	if (r == 0)
		fr_store_relaxed(&lane->durable_owners, owners);
	return r;
}

FLIGHTREC_API int flightrec_commit_durable(struct flightrec_slot *slot)
{
	struct fr_client_lane *lane = slot->lane;
	int r;
	FR_KEEP_ERRNO;

	if (!lane->own && !lane->shared)
		return 0; /* reserved before a fork: the record is the parent's to commit */
	flightrec_commit(slot);
	r = sync_ring(fr_client);
	if (r == 0)
		r = sync_owner(lane);
	if (r == 0)
		r = write_back(slot->record, fr_record_span(slot->size));
	FR_TESTPOINT("client-durable");
	return r;
}
