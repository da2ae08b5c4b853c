/* SPDX-License-Identifier: MIT */
/*
 * salvage_queue.h - rings whose writer is gone, one after the other through pstore's salvage, in a worker.
 *
 * Owns: the order (those that were never tried first), what is tried again and when, and the line that tells.
 */
#ifndef RECORDER_DAEMON_SALVAGE_QUEUE_H
#define RECORDER_DAEMON_SALVAGE_QUEUE_H

#include "recorder/daemon/log.h"
#include "recorder/daemon/worker.h"

struct daemon;
struct writer;

struct salvage_queue {
	struct daemon *daemon;
	struct worker worker;
	struct writer *current; /* in the worker; stays in the table until it ends */
	struct loop_timer retry;
	struct log_limit lines;
	uint64_t salvaged, quarantined, failed, records;
};

/* Starts the next, if none is under way. */
void salvage_queue_run(struct salvage_queue *queue);
/* Its file is gone, whoever took it. */
void salvage_queue_forget(struct writer *writer);
/* Waits up to wait_ms for the one under way. */
void salvage_queue_finish(struct salvage_queue *queue, unsigned wait_ms);
unsigned salvage_queue_length(const struct salvage_queue *queue);

#endif
