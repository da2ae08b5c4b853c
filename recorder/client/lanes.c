/* SPDX-License-Identifier: MIT */
/*
 * lanes.c - which thread may write where: see "LANES" and "HAND-OVER" in client.h.
 *
 * Lock-free and safe in signal handlers throughout. A handler that interrupts these functions on its own thread finds a
 * holder that is not 0, or a thread without a lane, and borrows.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recorder/client/client.h"
#include "recorder/core/host.h"

#define LOOK_AGAIN 256 /* a thread without a lane looks for one again after so many borrowed records */

__thread struct fr_thread fr_thread __attribute__((tls_model("initial-exec")));

static pthread_key_t exit_key;
static bool exit_key_made;

uint32_t fr_lanes_tid(struct fr_client *client)
{
	if (fr_thread.generation != client->generation) {
		fr_thread.tid = (uint32_t)syscall(SYS_gettid);
		fr_thread.lane = NULL;
		fr_thread.borrowed = 0;
		fr_barrier_signal();
		fr_thread.generation = client->generation;
	}
	return fr_thread.tid;
}

/* A holder that went without leaving: a thread cancelled or ended behind the library's back. */
static bool holder_is_gone(uint32_t tid)
{
	return syscall(SYS_tgkill, getpid(), (pid_t)tid, 0) < 0 && errno == ESRCH;
}

/* Takes a lane from `from` (0, or a holder that is gone). Pairs with the release in lane_leave() and fr_lanes_return(). */
static bool lane_take(struct fr_client_lane *lane, uint32_t from, uint32_t tid)
{
	if (!fr_cas_acquire(&lane->holder, from, tid))
		return false;
	if (lane->lane.busy)
		fr_lane_cover_torn(&lane->lane, fr_clock_now(&lane->clock));
	return true;
}

static void lane_leave(struct fr_client_lane *lane)
{
	fr_store_relaxed(&lane->left_ns, fr_clock_boot_ns());
	fr_store_release(&lane->holder, 0);
}

/* Runs when a thread exits; the key's value only makes it run. */
static void thread_exits(void *value)
{
	struct fr_client_lane *lane = fr_thread.lane;

	(void)value;
	fr_thread.lane = NULL;
	fr_barrier_signal();
	if (lane && fr_load_relaxed(&lane->holder) == fr_thread.tid)
		lane_leave(lane);
}

void fr_lanes_setup(struct fr_client *client)
{
	struct fr_clock clock;

	if (!exit_key_made)
		exit_key_made = pthread_key_create(&exit_key, thread_exits) == 0;
	fr_clock_init(&clock);
	for (uint32_t i = 0; i < client->lane_count; i++) {
		struct fr_client_lane *lane = &client->lane[i];

		*lane = (struct fr_client_lane){ .clock = clock, .generation = client->generation, .shared = i >= client->own_count };
		fr_ring_lane(&client->ring, i, &lane->lane);
	}
}

static struct fr_client_lane *take_own(struct fr_client *client, uint32_t tid)
{
	struct fr_client_lane *oldest;
	uint64_t oldest_left, left;

	if (fr_load_relaxed(&client->fresh) < client->own_count) {
		uint32_t index = fr_add(&client->fresh, 1);

		if (index < client->own_count && lane_take(&client->lane[index], 0, tid))
			return &client->lane[index];
	}
	do {
		oldest = NULL;
		oldest_left = 0;
		for (uint32_t i = 0; i < client->own_count; i++) {
			struct fr_client_lane *lane = &client->lane[i];

			if (fr_load_relaxed(&lane->holder))
				continue;
			left = fr_load_relaxed(&lane->left_ns);
			if (left && (!oldest || left < oldest_left)) {
				oldest = lane;
				oldest_left = left;
			}
		}
		if (oldest && lane_take(oldest, 0, tid))
			return oldest;
	} while (oldest);
	for (uint32_t i = 0; i < client->own_count; i++) {
		uint32_t holder = fr_load_relaxed(&client->lane[i].holder);

		if (holder && holder != tid && holder_is_gone(holder) && lane_take(&client->lane[i], holder, tid))
			return &client->lane[i];
	}
	return NULL;
}

struct fr_client_lane *fr_lanes_own(struct fr_client *client)
{
	uint32_t tid = fr_lanes_tid(client);
	struct fr_client_lane *lane = fr_thread.lane;
	char name[16] = "";

	if (lane || (fr_thread.borrowed && fr_thread.borrowed++ % LOOK_AGAIN))
		return lane;
	fr_thread.borrowed = 1; /* a handler that comes now borrows */
	lane = take_own(client, tid);
	if (!lane)
		return NULL;
	prctl(PR_GET_NAME, name);
	fr_ring_lane_owner(&client->ring, &lane->lane, lane->owners++, tid, name);
	if (exit_key_made)
		pthread_setspecific(exit_key, client);
	fr_barrier_signal();
	fr_thread.lane = lane;
	return lane;
}

struct fr_client_lane *fr_lanes_borrow(struct fr_client *client)
{
	uint32_t tid = fr_lanes_tid(client), count = client->lane_count - client->own_count;

	for (uint32_t i = 0; i < count; i++) {
		struct fr_client_lane *lane = &client->lane[client->own_count + (tid + i) % count];

		if (fr_load_relaxed(&lane->holder) == 0 && lane_take(lane, 0, tid))
			return lane;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct fr_client_lane *lane = &client->lane[client->own_count + i];
		uint32_t holder = fr_load_relaxed(&lane->holder);

		if (holder && holder != tid && holder_is_gone(holder) && lane_take(lane, holder, tid))
			return lane;
	}
	return NULL;
}

void fr_lanes_return(struct fr_client_lane *lane)
{
	fr_store_release(&lane->holder, 0);
}
