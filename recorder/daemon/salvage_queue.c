/* SPDX-License-Identifier: MIT */
/* salvage_queue.c - see salvage_queue.h. */
#include "recorder/daemon/salvage_queue.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "pstore/attempt.h"
#include "pstore/salvage.h"
#include "pstore/vouch.h"
#include "recorder/core/host.h"
#include "recorder/core/testpoint.h"
#include "recorder/daemon/daemon.h"

#define RETRY_MS   30000
#define FORGIVE_NS 600e9 /* flightrec-index.timer's */

struct outcome {
	uint32_t fate, reason;
	int32_t error;
	int32_t scribbled; /* the superblock had been changed */
	uint64_t records, lost, bytes;
	char aside[200], why[200];
};
_Static_assert(sizeof(struct outcome) <= WORKER_RESULT_MAX, "fits a worker's answer");

static int salvage_job(void *ctx, void *result)
{
	struct salvage_queue *queue = ctx;
	struct daemon *daemon = queue->daemon;
	struct outcome *outcome = result;
	struct fr_spool *spool;
	struct fr_found found;
	int error;

	if (queue->current->vouched)
		outcome->scribbled = fr_vouch_restore(daemon->state, daemon->ring_dir, queue->current->name) > 0;
	error = fr_spool_open(daemon->state, &spool);
	if (error < 0)
		return error;
	error = fr_salvage_ring(spool, daemon->ring_dir, queue->current->name, FR_SALVAGE_DEAD,
				&found);
	fr_spool_close(spool);
	if (error < 0)
		return error;
	outcome->fate = found.fate;
	outcome->reason = found.reason;
	outcome->error = found.error;
	outcome->records = found.records;
	outcome->bytes = found.fate == FR_FATE_SALVAGED ? found.bytes : 0;
	for (unsigned cause = FRM_LOSS_TORN; cause <= FRM_LOSS_DISCARDED_DESC; cause++)
		outcome->lost += found.loss[cause];
	snprintf(outcome->aside, sizeof(outcome->aside), "%.199s", found.aside);
	snprintf(outcome->why, sizeof(outcome->why), "%.199s", found.why);
	return 0;
}

static void again(void *ctx)
{
	salvage_queue_run(ctx);
}

static void put_off(struct salvage_queue *queue, struct writer *writer, uint64_t ms, int error,
		    const char *why)
{
	if (error != writer->last_error && log_allowed(&queue->troubles))
		log_line(
			LOG_PRIO_ERROR,
			"ring %s of process %u (%.15s) can't be salvaged now: %s%s%s. It stays and is tried again; is there "
			"space in %s?",
			writer->name, writer->pid, writer->comm, strerror(-error), *why ? ": " : "",
			why, queue->daemon->state);
	writer->last_error = error;
	writer->not_before_ns = fr_clock_boot_ns() + ms * 1000000;
	queue->failed++;
}

static void tell_salvaged(struct salvage_queue *queue, const struct writer *writer,
			  const struct outcome *outcome)
{
	const char *end = outcome->reason == FRM_REASON_CLOSED	   ? "left in order"
			  : outcome->reason == FRM_REASON_BOOT_END ? "ended with an earlier boot"
								   : "died";

	if (outcome->reason == FRM_REASON_CLOSED && !outcome->scribbled)
		return; /* the ordinary end of a program is no news */
	if (log_allowed(&queue->lines))
		log_line(LOG_PRIO_INFO, "process %u (%.15s) %s: %llu events salvaged%s",
			 writer->pid, writer->comm, end, (unsigned long long)outcome->records,
			 outcome->scribbled
				 ? "; it had changed who its ring says it is, which is put right"
				 : "");
}

static double forgiven(const struct salvage_queue *queue, const struct salvage_spent *spent,
		       uint64_t now)
{
	double left = spent->bytes - (double)(now - spent->at_ns) / FORGIVE_NS *
					     (double)queue->daemon->config.uid_bytes_max;

	return left > 0 ? left : 0;
}

uint64_t salvage_queue_spent(const struct salvage_queue *queue, uint32_t uid)
{
	for (unsigned i = 0; i < SPENT_USERS; i++) {
		if (queue->spent[i].at_ns && queue->spent[i].uid == uid)
			return (uint64_t)forgiven(queue, &queue->spent[i], fr_clock_boot_ns());
	}
	return 0;
}

/* Whoever has least on the slate makes room for somebody new. */
static void spend(struct salvage_queue *queue, uint32_t uid, uint64_t bytes)
{
	struct salvage_spent *slot = &queue->spent[0];
	uint64_t now = fr_clock_boot_ns();

	for (unsigned i = 0; i < SPENT_USERS; i++) {
		struct salvage_spent *spent = &queue->spent[i];

		if (spent->at_ns && spent->uid == uid) {
			slot = spent;
			break;
		}
		if (forgiven(queue, spent, now) < forgiven(queue, slot, now))
			slot = spent;
	}
	*slot = (struct salvage_spent){
		.uid = uid,
		.at_ns = now,
		.bytes = (double)bytes + (slot->at_ns && slot->uid == uid ? forgiven(queue, slot, now) : 0),
	};
}

static void finished(struct salvage_queue *queue, struct writer *writer,
		     const struct outcome *outcome)
{
	struct daemon *daemon = queue->daemon;
	const char *path = daemon->state;

	if (writer->vouched)
		spend(queue, writer->uid, outcome->bytes);
	switch (outcome->fate) {
	case FR_FATE_SALVAGED:
	case FR_FATE_KNOWN:
		queue->salvaged++;
		queue->records += outcome->records;
		tell_salvaged(queue, writer, outcome);
		break;
	case FR_FATE_QUARANTINED:
		queue->quarantined++;
		if (!log_allowed(&queue->troubles))
			break;
		log_line(
			LOG_PRIO_WARNING,
			"ring %s of process %u (%.15s) can't be read: %s. It is set aside as %s/spool/quarantine/%s",
			writer->name, writer->pid, writer->comm, outcome->why, path,
			outcome->aside);
		break;
	case FR_FATE_LEFT:
		if (log_allowed(&queue->troubles))
			log_line(LOG_PRIO_WARNING,
				 "ring %s of process %u (%.15s) is left where it is: %s",
				 writer->name, writer->pid, writer->comm, outcome->why);
		break;
	default:
		put_off(queue, writer, RETRY_MS, outcome->error ? outcome->error : -EIO,
			outcome->why);
		return;
	}
	if (outcome->fate != FR_FATE_LEFT)
		fr_vouch_drop(daemon->state, writer->name);
	writers_remove(writer);
}

static bool is_crash(int number)
{
	return number == SIGSEGV || number == SIGBUS || number == SIGABRT || number == SIGFPE ||
	       number == SIGILL || number == SIGSYS || number == SIGTRAP;
}

/*
 * A worker that was ended in a ring. If it crashed, the ring's mark has to say so: the second try then sets the ring aside.
 * Whoever killed it from outside accuses nobody.
 */
static void ended(struct salvage_queue *queue, struct writer *writer, const struct worker_end *end)
{
	struct fr_spool *spool;

	if (log_allowed(&queue->troubles))
		log_line(LOG_PRIO_WARNING,
			 "ring %s of process %u (%.15s): reading it was ended by signal %d%s",
			 writer->name, writer->pid, writer->comm, end->signal,
			 is_crash(end->signal) ? "; tried once more, then set aside"
					       : "; tried again");
	if (is_crash(end->signal) && fr_spool_open(queue->daemon->state, &spool) == 0) {
		fr_attempt_blame(spool, end->pid, end->signal);
		fr_spool_close(spool);
	}
	writer->not_before_ns = fr_clock_boot_ns() + 1000000000;
}

static bool gone(const struct writer *writer)
{
	char path[FR_PATH_MAX];
	struct stat st;

	return snprintf(path, sizeof(path), "%s/%s", writer->daemon->ring_dir, writer->name) <
		       (int)sizeof(path) &&
	       lstat(path, &st) < 0 && errno == ENOENT;
}

static void done(void *ctx, const struct worker_end *end)
{
	struct salvage_queue *queue = ctx;
	struct writer *writer = queue->current;

	FR_TESTPOINT("ring-salvaged");
	queue->current = NULL;
	if (end->result)
		writer->last_error = end->error < 0 ? writer->last_error : 0;
	if (end->signal)
		ended(queue, writer, end);
	else if (end->error == -ENOENT || (end->error < 0 && gone(writer)))
		salvage_queue_forget(writer);
	else if (end->error < 0)
		put_off(queue, writer, RETRY_MS, end->error, "");
	else
		finished(queue, writer, end->result);
	salvage_queue_run(queue);
}

void salvage_queue_forget(struct writer *writer)
{
	fr_vouch_drop(writer->daemon->state, writer->name);
	writers_remove(writer);
}

static struct writer *next_of(struct salvage_queue *queue, uint64_t *ret_wait_ms)
{
	uint64_t now = fr_clock_boot_ns(), soonest = UINT64_MAX;
	struct writer *best = NULL;

	for (struct writer *writer = queue->daemon->writers.first; writer; writer = writer->next) {
		if (writer->state != WRITER_DEAD)
			continue;
		if (writer->not_before_ns > now) {
			if (writer->not_before_ns < soonest)
				soonest = writer->not_before_ns;
		} else if (
			!best ||
			writer->attempts <=
				best->attempts) { /* the list is newest first: the oldest of equals */
			best = writer;
		}
	}
	*ret_wait_ms = soonest == UINT64_MAX ? 0 : (soonest - now) / 1000000 + 1;
	return best;
}

void salvage_queue_run(struct salvage_queue *queue)
{
	uint64_t wait_ms;
	int error;

	if (queue->current)
		return;
	queue->retry.fire = again;
	queue->retry.ctx = queue;
	queue->lines.about = "rings salvaged";
	queue->troubles.about = "rings that could not be salvaged";
	queue->current = next_of(queue, &wait_ms);
	if (!queue->current) {
		if (wait_ms)
			loop_timer_set(&queue->daemon->loop, &queue->retry, wait_ms);
		return;
	}
	queue->current->attempts++;
	error = worker_start(&queue->worker, &queue->daemon->loop, salvage_job, done, queue);
	if (error < 0) {
		put_off(queue, queue->current, RETRY_MS, error, "no process for it");
		queue->current = NULL;
		loop_timer_set(&queue->daemon->loop, &queue->retry, RETRY_MS);
	}
}

void salvage_queue_finish(struct salvage_queue *queue, unsigned wait_ms)
{
	uint64_t end_ns = fr_clock_boot_ns() + wait_ms * 1000000ull;

	while (queue->current && fr_clock_boot_ns() < end_ns)
		worker_reap(&queue->worker,
			    (unsigned)((end_ns - fr_clock_boot_ns()) / 1000000 + 2));
}

unsigned salvage_queue_length(const struct salvage_queue *queue)
{
	return queue->daemon->writers.count - queue->daemon->writers.living;
}
