/* SPDX-License-Identifier: MIT */
/*
 * outbox.h - STATE/outbox/: batches between their making and their acknowledgement, each a file.
 *
 * Owns: that a batch which may have been sent is never made again with another id. A file appears under its name
 * whole and durable before its first byte is sent, is sent as it lies there, and goes only after its acknowledgement is
 * durable elsewhere (spool/acks.log).
 *
 *	outbox/<batch id, 32 hex>.frb	waits, or was sent and not acknowledged
 *	outbox/<...>.tmp		being written; swept away
 *	outbox/rejected/<...>.frb	the endpoint will never take it; <...>.why says what it answered
 *	outbox/damaged/<...>.frb	does not hold its checksum: its events are batched again
 *	outbox/budget			what was sent today
 *	outbox/lock			held by the one uploader
 *
 * FILE: lines of text, then the body as it goes over the wire.
 *
 *	flightrec-batch 1
 *	id <32 hex>
 *	database <32 hex>
 *	machine <32 hex>
 *	boot <32 hex>
 *	parent <32 hex> <half>		zeros when it is not half of another batch
 *	created <ns since 1970>
 *	events <count>
 *	ranges <count>
 *	range <ring, 32 hex> <lane> <first> <last>	so many times
 *	body <bytes> <CRC32C, 8 hex>
 *	end <CRC32C of all bytes before this line, 8 hex>
 *	...body...
 *
 * CUTTING a batch in two, and what a kill after each step leaves
 *	1. first half appears	the half goes at the next start: it names a parent that is still here
 *	2. second half appears	both halves are here: the parent goes at the next start
 *	3. the parent goes	done; only now may a half be sent
 */
#ifndef UPLOADER_OUTBOX_H
#define UPLOADER_OUTBOX_H

#include "uploader/batch.h"

struct fr_outbox {
	int dir;  /* STATE/outbox */
	int lock;
};

/*
 * Makes it when needed, takes the lock, and settles what a kill left. Blocking. -EBUSY: another uploader is at work; what
 * mkdir, open and unlink say.
 */
int fr_outbox_open(const char *state_dir, struct fr_outbox *ret_outbox);
void fr_outbox_close(struct fr_outbox *outbox);

struct fr_outbox_entry {
	uint8_t id[16];
	uint8_t parent[16];
	unsigned half;
	uint64_t created_ns;
};

/* What waits, oldest first; NULL-able folder "" or "rejected". *ret_entry is to be freed. A damaged file is listed, too. */
int fr_outbox_list(const struct fr_outbox *outbox, const char *folder, struct fr_outbox_entry **ret_entry,
		   size_t *ret_count);

/* A batch back from its file, checked to the last bit. -EBADMSG: damaged; -ENOENT. */
int fr_outbox_get(const struct fr_outbox *outbox, const char *folder, const uint8_t id[16], struct fr_batch *ret_batch);

int fr_outbox_put(const struct fr_outbox *outbox, const struct fr_batch *batch);     /* durable on return */
int fr_outbox_remove(const struct fr_outbox *outbox, const uint8_t id[16]);	     /* durable on return */
int fr_outbox_cut(const struct fr_outbox *outbox, const struct fr_batch *parent, const struct fr_batch half[2]);
int fr_outbox_reject(const struct fr_outbox *outbox, const uint8_t id[16], const char *why);
int fr_outbox_set_damaged(const struct fr_outbox *outbox, const uint8_t id[16]);

/* A small file of the outbox that is there whole or not at all. get: bytes read, or a negative errno. */
int fr_outbox_put_file(const struct fr_outbox *outbox, const char *name, const void *bytes, size_t size);
int fr_outbox_get_file(const struct fr_outbox *outbox, const char *name, char *buf, size_t size);

#endif
