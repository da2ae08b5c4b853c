/* SPDX-License-Identifier: MIT */
/*
 * salvage_queue.h - rings whose writer is gone, one after the other through pstore's salvage, in a worker.
 *
 * Owns: the order (those that were never tried first), what is tried again and when, the line that
 * tells, and how much of the spool a user's rings took of late.
 */
#ifndef RECORDER_DAEMON_SALVAGE_QUEUE_H
#define RECORDER_DAEMON_SALVAGE_QUEUE_H

#include "recorder/daemon/log.h"
#include "recorder/daemon/worker.h"

struct daemon;
struct writer;

#define SPENT_USERS 32 /* who are remembered at a time */

struct salvage_spent {
	uint32_t uid;
	uint64_t at_ns;
	double bytes;
};

struct salvage_queue {
	struct daemon *daemon;
	struct worker worker;
	struct writer *current; /* in the worker; stays in the table until it ends */
	struct loop_timer retry;
	struct log_limit lines, troubles;
	struct salvage_spent spent[SPENT_USERS];
	uint64_t salvaged, quarantined, failed, records;
};

/* Starts the next, if none is under way. */
void salvage_queue_run(struct salvage_queue *queue);
/* Its file is gone, whoever took it. */
void salvage_queue_forget(struct writer *writer);
/* Waits up to wait_ms for the one under way. */
void salvage_queue_finish(struct salvage_queue *queue, unsigned wait_ms);
/*
 * Bytes of the spool that a user's rings took, and that don't seem to be forgiven yet: [store]
 * user_bytes_max are in ten minutes, in which the spool is brought below its cap again. A program
 * that crashes in a loop, or means it, can't fill the disk in between.
 */
uint64_t salvage_queue_spent(const struct salvage_queue *queue, uint32_t uid);
unsigned salvage_queue_length(const struct salvage_queue *queue);

#endif
