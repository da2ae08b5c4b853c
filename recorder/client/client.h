/* SPDX-License-Identifier: MIT */
/*
 * client.h - the inside of libflightrec: the process's ring and who holds which lane.
 *
 * All of struct fr_client and its lanes lies in memory that fork wipes in the child (MADV_WIPEONFORK): there, every lane has
 * no size and `generation` is 0, so that the fast path refuses by itself, without a check of its own, and the slow path
 * attaches anew. The child's lanes lie elsewhere: the old ones stay wiped for good, for a thread may still point at
 * one. What must outlive a fork (the list of providers, the count of generations) lies outside.
 *
 * LANES. The first own_count lanes are owned: a thread takes one at its first event and keeps it until it exits. The others
 * are shared: borrowed for one record by whoever can't use an own lane - a thread that got none, a signal handler that
 * interrupted its own thread between reserve and commit, a thread that holds a large reservation. `holder` says who: changed
 * by compare-and-swap from 0, back to 0 by a release store. So a lane has one writer at any instant (I7).
 *
 * JUMPS. A handler that interrupts an emit and leaves by siglongjmp leaves a lane busy behind it. `busy` is the address of
 * the frame that reserved (1: a flightrec_reserve() of the application's, which may last); when the same thread is back in a
 * frame that is no deeper, that frame is gone: the lane is covered and used again. A signal handler on a stack of its own
 * can't compare, and borrows. A shared lane is held and not marked while it is being taken or
 * returned: `moving` is the frame that does this. Until it is gone, a handler leaves lanes of its
 * own thread alone; then those are there for the taking.
 *
 * HAND-OVER. A lane that its thread left keeps its content, position and numbers; the next thread goes on behind them, so
 * the dead thread's last words stay until a whole lane length was written after them (I5). Lanes never used go first,
 * then those left longest ago.
 */
#ifndef RECORDER_CLIENT_CLIENT_H
#define RECORDER_CLIENT_CLIENT_H

#include <flightrec/flightrec.h>
#include <pthread.h>
#include <stdbool.h>

#include "recorder/core/clock.h"
#include "recorder/core/map.h"
#include "recorder/core/paths.h"

#define FR_ANCHOR_EVERY_NS 60000000000ull /* how often the ring notes the wall clock */

struct __attribute__((aligned(128))) fr_client_lane { /* two cache lines: neighbours don't disturb each other */
	struct fr_lane lane;
	struct fr_clock clock;
	uint32_t generation; /* of the ring, 1..65535; what event ids are tagged with */
	uint32_t holder;     /* tid; 0: free */
	uint32_t owners;     /* how many had it so far */
	bool own, shared;    /* neither: in a child after fork, where it is wiped */
	uint64_t left_ns;    /* when its last owner left; 0: never used */
	uint32_t durable_owners; /* how many had it when its head was written back */
};

struct fr_client {
	uint32_t generation; /* 0: not attached (never, or in a child after fork); stored last, with release */
	int32_t error;	     /* why there is no ring */
	uint64_t retry_ns;   /* with an error: not tried again before */
	pthread_mutex_t lock; /* attach, providers; zero is unlocked; see fr_client_enter() */
	uint32_t lane_count, own_count;
	uint32_t missed;     /* events of handlers that interrupted the attaching thread */
	bool from_daemon;
	uint32_t durable_changes; /* of ring.changes, how many are on the medium; 0: not even the ring is */
	uint64_t anchor_due_ns;
	struct fr_ring ring;
	char path[FR_PATH_MAX]; /* of a ring of our own; "" when the daemon made it */
	struct fr_client_lane *lane; /* lane_count */
};

/* One per thread. Stale after fork: compare generation. */
struct fr_thread {
	struct fr_client_lane *lane; /* own, or NULL */
	uint32_t tid;
	uint32_t generation;
	uint32_t borrowed; /* since the thread last looked for a lane of its own */
	bool inside;	   /* holds the lock, or waits for it */
	uint64_t taking;   /* the frame that looks for a lane of its own; 0: none does */
	uint64_t moving;   /* the frame that borrows or returns a shared lane, `moved`; 0: none does */
	struct fr_client_lane *moved;
};

extern struct fr_client *fr_client; /* NULL before the first registration */
extern __thread struct fr_thread fr_thread __attribute__((tls_model("initial-exec")));

/* The address of the calling function's frame. */
#define FR_FRAME() ((uint64_t)(uintptr_t)__builtin_dwarf_cfa())

/* "No function sets errno": put first in whatever may make a system call. */
static inline void fr_errno_restore(const int *saved)
{
	errno = *saved;
}
#define FR_KEEP_ERRNO __attribute__((cleanup(fr_errno_restore), unused)) const int fr_errno_ = errno

/*
 * attach.c: makes the process's ring, by the daemon or alone, if it has none. What failed may pass
 * - a full disk, too many open files - so it is tried again, but not within FR_ATTACH_AGAIN_NS:
 * whoever emits would wait each time. The lock is held.
 */
#define FR_ATTACH_AGAIN_NS 1000000000ull
int fr_client_attach(struct fr_client *client);
int fr_client_setup(void); /* makes fr_client itself */
/* Sees to it that this memory - fr_client, or its lanes - is zero in a child after fork. */
int fr_client_wipe_in_child(void *memory, size_t size, bool lanes);
/*
 * Takes the lock, and holds off cancellation until fr_client_leave(). False in a signal handler that interrupted its own
 * thread in here: it would wait for itself.
 */
bool fr_client_enter(struct fr_client *client, int *ret_cancel);
void fr_client_leave(struct fr_client *client, int cancel);
/* True when there is a ring; makes it in a child after fork. */
bool fr_client_ready(struct fr_client *client);

/* handshake.c: asks a daemon for a ring: its descriptor; -ENOENT or the like when none answers. */
int fr_client_ask_daemon(uint64_t ring_size, uint32_t lanes, uint32_t policy);

/* room.c: removes rings of the dead, oldest first, until `needed` more bytes fit into `most`. Best effort; blocks. */
void fr_client_make_room(const char *rings, const char *state, uint64_t needed, uint64_t most);

/* lanes.c */
/* The thread's lane, taken if need be, and not busy; or NULL. `here`: FR_FRAME() of whoever emits. */
struct fr_client_lane *fr_lanes_own(struct fr_client *client, uint64_t here);
/* A shared lane, held until fr_lanes_return(); or NULL. fr_lanes_borrowed() says that it is marked busy. */
struct fr_client_lane *fr_lanes_borrow(struct fr_client *client, uint64_t here);
void fr_lanes_borrowed(uint64_t here);
/* Before its mark goes, and when that is done. */
void fr_lanes_give_back(struct fr_client_lane *lane, uint64_t here);
void fr_lanes_return(struct fr_client_lane *lane, uint64_t here);
int fr_lanes_setup(struct fr_client *client, uint32_t generation); /* after the ring is mapped */

/* provider.c: declares all registered providers in a new ring and opens their gates. The lock is held. */
void fr_providers_redeclare(struct fr_client *client);
/* Sees to it that the event has an id in the present ring. 0, or -errno (the loss is counted). */
int fr_event_declare(struct fr_client *client, struct flightrec_event *event);

/* emit.c: reserve for events that have no static struct flightrec_event: an id of this ring. `mark`: FR_FRAME(), or 1. */
void *fr_client_reserve(struct flightrec_slot *slot, struct fr_client *client, uint16_t id, uint32_t session, size_t bytes,
			uint64_t mark);

/* builtin.c: ids of the events of the catalogue that the library writes under an application's provider. */
enum fr_builtin {
	FR_BUILTIN_TEXT = 0, /* + level - 1 */
	FR_BUILTIN_JSON = 5, /* + level - 1 */
	FR_BUILTIN_SESSION_BEGIN = 10,
	FR_BUILTIN_SESSION_ATTRIBUTE,
	FR_BUILTIN_SESSION_END,
	FR_BUILTIN_CRASH,
};
struct fr_value;
/* Records one; values as in the catalogue's fields. Returns as emit does. */
int fr_builtin_emit(struct flightrec_provider *provider, enum fr_builtin which, int level, uint32_t session,
		    const struct fr_value *values, unsigned count);

extern struct flightrec_provider fr_self_provider; /* "flightrec": fr.crash */

/* modules.c: notes what lies where in the address space, so that backtraces mean something elsewhere. */
void fr_modules_declare(struct fr_client *client);
#define FR_FRAME_MAX 64
/* "module+0x1234", or "0x7f..." for what is in no module known. Bytes written; not terminated. Safe in a signal handler. */
size_t fr_modules_name(uint64_t address, char buf[FR_FRAME_MAX]);

#endif
