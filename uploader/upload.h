/* SPDX-License-Identifier: MIT */
/*
 * upload.h - from the index to the endpoint's acknowledgement: makes batches of what is pending, sends them, remembers.
 *
 * PROTOCOL, and what a kill after each step leaves
 *	1. a batch appears in the outbox, durable	the next start sends it as it lies there
 *	2. it is marked QUEUED in the index		so that its events are in no other batch; the next start marks again
 *	3. its bytes are charged to the day's budget	charged twice at worst
 *	4. it is sent, and an answer judged		sent again, same id, same bytes: the receiver says "duplicate"
 *	5. its ranges are appended to spool/acks.log	the same; the second appending says nothing new
 *	6. it is marked ACKED in the index		what acks.log says is read at the next update
 *	7. it goes from the outbox			done
 *
 * So nothing is lost, and nothing has a second effect at a receiver that honours the batch id.
 * Blocking; one thread; the outbox's lock keeps a second uploader out.
 */
#ifndef UPLOADER_UPLOAD_H
#define UPLOADER_UPLOAD_H

#include <stdatomic.h>

#include "uploader/index.h"
#include "uploader/upload_config.h"

#define FR_UPLOAD_REFUSED_RUN 16 /* events set aside one after the other: the endpoint refuses everything */

struct fr_upload_hooks {
	/* One line for a person, as it happens: retries, what is set aside, what is damaged. May be NULL. */
	void (*say)(void *ctx, const char *text);
	void *ctx;
	fr_index_at *at; /* events acknowledged so far; in all: 0, nobody counts before. May be NULL */
	const atomic_bool *stop; /* becomes true: end soon and in order. May be NULL */
	bool patient;		 /* retries without end, for --watch */
};

struct fr_upload_report {
	struct fr_index_stats index;
	uint64_t batches_made;
	uint64_t batches_acked;	    /* accepted or duplicate */
	uint64_t batches_duplicate; /* of these */
	uint64_t events_acked;
	uint64_t events_set_aside;
	uint64_t retries;
	uint64_t bytes_sent;	    /* bodies, every try */
	uint64_t batches_waiting;   /* in the outbox at the end */
	uint64_t events_waiting;    /* in them */
	uint64_t events_pending;    /* in no batch yet; counted up to FR_UPLOAD_COUNT_MAX */
	int64_t budget_wait_seconds; /* -EDQUOT: until more may be sent */
	char why[640];		    /* what stopped it, "" when nothing did */
};
#define FR_UPLOAD_COUNT_MAX 100000

struct fr_upload; /* keeps connection, backoff and index between runs */

/* -EINVAL: configuration, `why` says what to do; -EBUSY: another uploader is at work; what index and outbox say. */
int fr_upload_open(const struct fr_upload_config *config, const char *state_dir, const struct fr_upload_hooks *hooks,
		   struct fr_upload **ret_upload, char *why, size_t why_size);
void fr_upload_close(struct fr_upload *upload);

/*
 * Brings the index up to date and sends what is pending. 0: everything is acknowledged or set aside; -EAGAIN: the
 * endpoint does not take it now; -EDQUOT: the day's budget is used up, the rest waits; -EPERM: the endpoint is set up
 * wrongly; -EINTR: stopped; or what index and disk say. The report is filled in any case, report->why says the reason.
 */
int fr_upload_run(struct fr_upload *upload, struct fr_upload_report *ret_report);

#endif
