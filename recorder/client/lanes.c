/* SPDX-License-Identifier: MIT */
/*
 * lanes.c - which thread may write where: see "LANES" and "HAND-OVER" in client.h.
 *
 * Lock-free and safe in signal handlers throughout. A handler that interrupts these functions on its own thread finds a
 * holder that is not 0, or `taking` set, and borrows.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recorder/client/client.h"
#include "recorder/core/host.h"
#include "recorder/core/testpoint.h"

#define LOOK_AGAIN 256 /* a thread without a lane looks for one again after so many borrowed records */

__thread struct fr_thread fr_thread __attribute__((tls_model("initial-exec")));

static pthread_key_t exit_key;
static bool exit_key_made;

/* The thread's number; asked again while nobody has noticed that this is another process. A handler may do it, too. */
static uint32_t own_tid(const struct fr_client *client)
{
	if (fr_thread.generation != client->generation)
		fr_thread.tid = (uint32_t)syscall(SYS_gettid);
	return fr_thread.tid;
}

/* Whether the frame at that address can't be there any more, now that its thread is at `here`. */
static bool frame_is_gone(uint64_t frame, uint64_t here)
{
	stack_t stack;

	/* what this frame interrupted is still there, and lies above it; on a signal stack, anywhere */
	return frame > 1 && here >= frame && sigaltstack(NULL, &stack) == 0 && !(stack.ss_flags & SS_ONSTACK);
}

/* A lane that this thread holds and finds busy: true when what made it busy is gone. Then it is free. */
static bool lane_recover(struct fr_client_lane *lane, uint64_t here)
{
	if (!frame_is_gone(lane->lane.busy, here))
		return false;
	lane->lane.busy = here; /* so that a handler that comes now leaves it alone */
	FR_TESTPOINT("lane-remarked");
	fr_barrier_signal();
	fr_lane_cover_torn(&lane->lane, fr_clock_refresh(&lane->clock));
	return true;
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
	FR_TESTPOINT("lane-taken");
	if (lane->lane.busy) /* its clock may have been left half-way, too */
		fr_lane_cover_torn(&lane->lane, fr_clock_refresh(&lane->clock));
	return true;
}

static void lane_leave(struct fr_client_lane *lane)
{
	fr_store_relaxed(&lane->left_ns, fr_clock_boot_ns());
	FR_TESTPOINT("lane-dated");
	fr_store_release(&lane->holder, 0);
	FR_TESTPOINT("lane-left");
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

int fr_lanes_setup(struct fr_client *client, uint32_t generation)
{
	uint32_t count = client->ring.super.lane_count;
	struct fr_client_lane *lanes;
	struct fr_clock clock;
	int r;

	lanes = mmap(NULL, count * sizeof(*lanes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (lanes == MAP_FAILED)
		return -errno;
	r = fr_client_wipe_in_child(lanes, count * sizeof(*lanes), true);
	if (r < 0) {
		munmap(lanes, count * sizeof(*lanes));
		return r;
	}
	if (!exit_key_made)
		exit_key_made = pthread_key_create(&exit_key, thread_exits) == 0;
	fr_clock_init(&clock);
	client->lane_count = count;
	client->own_count = count - client->ring.super.shared_lanes;
	for (uint32_t i = 0; i < count; i++) {
		struct fr_client_lane *lane = &lanes[i];

		*lane = (struct fr_client_lane){ .clock = clock, .generation = generation };
		lane->own = i < client->own_count;
		lane->shared = !lane->own;
		fr_ring_lane(&client->ring, i, &lane->lane);
	}
	client->lane = lanes;
	return 0;
}

static struct fr_client_lane *take_own(struct fr_client *client, uint32_t tid)
{
	struct fr_client_lane *oldest;
	uint64_t oldest_left, left;

	for (uint32_t i = 0; i < client->own_count; i++) /* taken once, and then jumped away from this */
		if (fr_load_relaxed(&client->lane[i].holder) == tid && lane_take(&client->lane[i], tid, tid))
			return &client->lane[i];
	do { /* those never used were left at 0 */
		oldest = NULL;
		oldest_left = 0;
		for (uint32_t i = 0; i < client->own_count; i++) {
			struct fr_client_lane *lane = &client->lane[i];

			if (fr_load_relaxed(&lane->holder))
				continue;
			left = fr_load_relaxed(&lane->left_ns);
			if (!oldest || left < oldest_left) {
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

/* The thread's lane; looks for one now and then if it has none. No handler does this meanwhile. */
static struct fr_client_lane *settle_thread(struct fr_client *client)
{
	uint32_t tid = own_tid(client);
	struct fr_client_lane *lane;
	char name[16] = "";

	if (fr_thread.generation != client->generation) {
		fr_thread.lane = NULL;
		fr_thread.borrowed = 0;
		fr_barrier_signal();
		fr_thread.generation = client->generation;
	}
	if (fr_thread.lane || fr_thread.borrowed++ % LOOK_AGAIN)
		return fr_thread.lane;
	lane = take_own(client, tid);
	if (!lane)
		return NULL;
	prctl(PR_GET_NAME, name);
	fr_ring_lane_owner(&client->ring, &lane->lane, lane->owners++, tid, name);
	FR_TESTPOINT("lane-entered");
	if (exit_key_made)
		pthread_setspecific(exit_key, client);
	fr_barrier_signal();
	fr_thread.lane = lane;
	FR_TESTPOINT("lane-settled");
	return lane;
}

struct fr_client_lane *fr_lanes_own(struct fr_client *client, uint64_t here)
{
	struct fr_client_lane *lane;

	if (fr_thread.taking) {
		if (!frame_is_gone(fr_thread.taking, here))
			return NULL; /* a handler that interrupted this */
		fr_thread.borrowed = 0; /* it was jumped away from: look at once, not some time later */
	}
	fr_thread.taking = here;
	fr_barrier_signal();
	lane = settle_thread(client);
	fr_barrier_signal();
	fr_thread.taking = 0;
	return lane && (!lane->lane.busy || lane_recover(lane, here)) ? lane : NULL;
}

/* False: this is a handler that interrupted its own thread while that one moved a lane. */
static bool move_begins(uint64_t here)
{
	if (fr_thread.moving && !frame_is_gone(fr_thread.moving, here))
		return false;
	fr_thread.moved = NULL;
	fr_barrier_signal();
	fr_thread.moving = here;
	fr_barrier_signal();
	return true;
}

static void move_ends(uint64_t here)
{
	fr_barrier_signal();
	if (fr_thread.moving == here)
		fr_thread.moving = 0;
}

/* A shared lane that this thread holds: true when it was jumped away from. `dropped` was being moved then. */
static bool lane_was_left(const struct fr_client_lane *lane, const struct fr_client_lane *dropped,
			  uint64_t here)
{
	return lane == dropped || !lane->lane.busy || frame_is_gone(lane->lane.busy, here);
}

static bool borrow(struct fr_client_lane *lane, uint32_t from, uint32_t tid, bool alone)
{
	if (alone)
		fr_thread.moved = lane;
	fr_barrier_signal();
	return lane_take(lane, from, tid);
}

struct fr_client_lane *fr_lanes_borrow(struct fr_client *client, uint64_t here)
{
	uint32_t tid = own_tid(client), count = client->lane_count - client->own_count;
	const struct fr_client_lane *dropped = fr_thread.moving ? fr_thread.moved : NULL;
	bool alone = move_begins(here);

	for (uint32_t i = 0; i < count; i++) {
		struct fr_client_lane *lane = &client->lane[client->own_count + (tid + i) % count];

		if (fr_load_relaxed(&lane->holder) == 0 && borrow(lane, 0, tid, alone))
			return lane;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct fr_client_lane *lane = &client->lane[client->own_count + i];
		uint32_t holder = fr_load_relaxed(&lane->holder);

		if (holder == tid ? alone && lane_was_left(lane, dropped, here)
				  : holder && holder_is_gone(holder))
			if (borrow(lane, holder, tid, alone))
				return lane;
	}
	move_ends(here);
	return NULL;
}

void fr_lanes_borrowed(uint64_t here)
{
	move_ends(here);
}

void fr_lanes_give_back(struct fr_client_lane *lane, uint64_t here)
{
	if (move_begins(here))
		fr_thread.moved = lane;
	fr_barrier_signal();
}

void fr_lanes_return(struct fr_client_lane *lane, uint64_t here)
{
	fr_store_release(&lane->holder, 0);
	FR_TESTPOINT("lane-returned");
	move_ends(here);
}
