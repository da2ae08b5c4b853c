/* SPDX-License-Identifier: MIT */
/*
 * own.h - the daemon's own ring: kernel events, the kernel's log and what the daemon has to say of itself.
 *
 * Owns: one ring of kind SYSTEM with a lane for each source, so that none can evict another's last words, and when its
 * records go to the spool: before half a lane is unsaved, shortly after a writer's death, in the configured
 * interval when something is new, at the end. In a flood that would fill the disk, only the newest
 * go there. Copying is done by a worker from the file; recording goes on meanwhile.
 *
 * Without a ring (disk full) everything here does nothing and says so once; opening is tried again at each reload.
 */
#ifndef RECORDER_DAEMON_OWN_H
#define RECORDER_DAEMON_OWN_H

#include "recorder/core/catalogue.h"
#include "recorder/core/ringfile.h"
#include "recorder/daemon/worker.h"

enum own_lane {
	OWN_KERNEL, /* samples of eBPF */
	OWN_LOG,    /* /dev/kmsg */
	OWN_SELF,   /* fr.* */
	OWN_LANES,
};

struct daemon;

struct own {
	struct daemon *daemon;
	bool open;
	struct fr_ring ring;
	struct fr_lane lane[OWN_LANES];
	struct fr_catalogue_ids ids;
	char name[FR_RING_NAME_MAX];
	uint64_t saved[OWN_LANES];  /* positions that are in the spool */
	uint64_t saving[OWN_LANES]; /* what the running drain will have saved */
	struct worker drain;
	struct loop_timer timer;
	uint64_t draining_ns, drained_ns; /* when the last drain began, and ended */
	uint64_t credit_bytes, credited_ns; /* what a flood may still put into the spool */
	bool hurried;			    /* a drain is planned because a lane is half full */
	uint64_t drains, drain_failures;
	int last_error; /* of a drain; said once until it changes */
};

int own_open(struct daemon *daemon);

/* Records one event of the catalogue. Wait-free; 0, or why not (-ENXIO without a ring; gate shut is 0). */
int own_record(struct own *own, enum own_lane lane, const struct fr_stamp *stamp,
	       const struct fr_value *values, unsigned count);

/* One of fr.*: values in the order of events.def, `u` for numbers and `s` for texts. Stamped now. */
struct own_value {
	uint64_t u;
	const char *s;
};
void own_say(struct own *own, uint16_t event, const struct own_value *values, unsigned count);
#define OWN_SAY(own, event, ...)                                                                   \
	own_say(own, event, (struct own_value[]){ __VA_ARGS__ },                                   \
		sizeof((struct own_value[]){ __VA_ARGS__ }) / sizeof(struct own_value))
/* A loss: into the ledger and into the stream. */
void own_loss(struct own *own, enum frm_loss cause, uint64_t count, const char *what);

/*
 * True when the lane is nearly full of what a running drain has yet to save: a source that can wait should. Not for long: then
 * the oldest gives way after all, because the newest tells more.
 */
bool own_wants_pause(const struct own *own, enum own_lane lane);
/* Drains after so long, or earlier if that is planned already. */
void own_drain_within(struct own *own, uint64_t ms);
/* The ring's end: marked as left in order, copied, released. Waits for the worker. */
void own_close(struct own *own);

#endif
