/* SPDX-License-Identifier: MIT */
/*
 * status.h - what `flightrec status` knows: gathered in status.c, said in status_text.c and status_json.c.
 */
#ifndef RECORDER_CLI_STATUS_H
#define RECORDER_CLI_STATUS_H

#include "recorder/cli/out.h"
#include "recorder/cli/store.h"
#include "recorder/cli/term.h"

struct ring_status {
	char *path;
	struct frm_super super;
	bool alive, gone, this_boot;
	uint64_t events, oldest_ns, newest_ns; /* CLOCK_BOOTTIME of its boot */
	double rate; /* events a second lately */
	uint64_t lost[FRM_LOSS_COUNT];
	int error; /* it could not be read */
};

struct store_status {
	const char *path;
	const char *tier;     /* "file", "dax" */
	const char *measured; /* how that is known */
	const char *survives;
	uint64_t rings, bytes, free_bytes;
};

struct status {
	struct fr_store store;
	uint64_t now_ns;
	char *daemon; /* its JSON, NULL: no daemon answers */
	int daemon_error;
	struct store_status stores[3];
	size_t store_count;
	struct ring_status *ring;
	size_t ring_count;
	uint64_t segments, segment_bytes, quarantined;
	bool has_index;
	uint64_t index_bytes, indexed_segments, indexed_events, incidents;
	const char *index_error;
	uint64_t batches, batch_bytes; /* in the outbox */
	bool upload_on;
};

void status_text(const struct status *status, const struct fr_term *term, struct fr_out *out);
void status_json(const struct status *status, struct fr_out *out);

#endif
