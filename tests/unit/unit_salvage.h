/* SPDX-License-Identifier: MIT */
/* unit_salvage.h - a scratch machine with its spool open, a ring to put there, and what salvage last said of one. */
#ifndef TESTS_UNIT_UNIT_SALVAGE_H
#define TESTS_UNIT_UNIT_SALVAGE_H

#include "pstore/salvage.h"
#include "tests/unit/unit_scratch.h"

struct salvage {
	struct scratch s;
	struct fr_spool *spool;
	struct unit_ring u; /* the test makes it, if it wants one; freed at the end */
	char name[64];	    /* of the ring's file, once it was put */
	struct fr_found found;
};

static inline void salvage_begin(struct salvage *t)
{
	scratch_make(&t->s);
	assert_int_equal(fr_spool_open(t->s.state, &t->spool), 0);
	t->u.fd = -1;
}

static inline void salvage_end(struct salvage *t)
{
	if (t->u.fd >= 0)
		unit_ring_free(&t->u);
	fr_spool_close(t->spool);
	scratch_remove(&t->s);
}

/* Salvages the file of that name as it lies among the rings. Returns its fate; fails the test when the spool fails. */
static inline uint32_t salvage_file(struct salvage *t, const char *name, unsigned flags)
{
	assert_int_equal(fr_salvage_ring(t->spool, t->s.rings, name, flags, &t->found), 0);
	return t->found.fate;
}

/* Puts the ring there as it is now, and salvages it. */
static inline uint32_t salvage_ring(struct salvage *t, unsigned flags)
{
	scratch_put_ring(t->s.rings, &t->u, t->name);
	return salvage_file(t, t->name, flags);
}

#endif
