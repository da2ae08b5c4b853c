/* SPDX-License-Identifier: MIT */
/*
 * unit_torn.h - a ring whose every store is known: what each word was at any instant between two
 * sync points, what each record's bytes are, what each entry of the meta said; and images of it as
 * a medium may leave them, on which of these stores had arrived, had not, or had arrived as
 * rubbish.
 *
 * The writers are the real ones (ring.h, map.h). What they do is noted from outside, by comparing
 * the ring with what it was an operation ago; nothing here asks the reader.
 */
#ifndef TESTS_UNIT_UNIT_TORN_H
#define TESTS_UNIT_UNIT_TORN_H

#include "tests/unit/unit_ring.h"

/* A number that was reserved. */
struct torn_record {
	uint64_t pos;
	uint32_t size, span;
	unsigned char *bytes; /* as committed, `span` of them; NULL: never committed */
	bool stale; /* not there at the last sync point, nor written since: no image can have it */
};

/* A version of something that is stored twice. */
enum torn_kind { TORN_OWNER, TORN_ANCHOR, TORN_SESSION, TORN_DESC };
struct torn_entry {
	enum torn_kind kind;
	uint64_t place[2]; /* of either copy, in the file */
	uint32_t size;
	_Alignas(8) unsigned char bytes[512];
};

struct torn {
	struct unit_ring u;
	unsigned char *old, *now; /* at the last sync point; after the last operation */
	struct torn_store {
		uint32_t word, tick;
		uint64_t value;
	} * store; /* since the sync point; by word and tick once settled */
	size_t stores, store_room;
	uint32_t tick;	 /* operations since the sync point */
	uint32_t *first; /* of each word, in store[] */
	struct torn_lane {
		struct torn_record *record; /* by number */
		uint64_t count, room;
		uint32_t owners;
		bool busy; /* its writer has died in a record */
	} lane[UNIT_LANES_MAX];
	struct torn_entry *entry;
	size_t entries, entry_room;
	uint64_t loss[2][FRM_LOSS_COUNT]; /* the ledger: at the sync point, and now */
	uint64_t discarded[2][UNIT_LANES_MAX];
	uint64_t closed_boot_ns;
	uint32_t log_seen;
	uint16_t session, declared;
};

/* How an image came about. */
struct torn_how {
	uint32_t grain; /* bytes of a unit */
	uint32_t kept, dropped, older,
		trashed; /* units that changed since the sync point; older: some value in between */
	bool moved;	 /* something was trashed with bytes from elsewhere in the ring */
};

void torn_make(struct torn *t, uint64_t size, uint32_t lanes, uint32_t policy);
void torn_free(struct torn *t);
/* `operations` of all kinds, by writers in all lanes. */
void torn_run(struct torn *t, uint64_t *seed, unsigned operations);
/* All that was stored has reached the medium; what comes now may or may not. */
void torn_sync(struct torn *t);
/*
 * The end: some writers die inside a record, or the program leaves in order. Images can be made
 * from here on.
 */
void torn_end(struct torn *t, uint64_t *seed);
/* One image, u.ring.size bytes. */
void torn_image(const struct torn *t, uint64_t *seed, unsigned char *image, struct torn_how *how);

#endif
