/* SPDX-License-Identifier: MIT */
/*
 * unit_index.h - writers of any kind whose rings become segments, and what the index then says.
 */
#ifndef TESTS_UNIT_UNIT_INDEX_H
#define TESTS_UNIT_UNIT_INDEX_H

#include "recorder/core/catalogue.h"
#include "tests/unit/unit_scratch.h"
#include "recorder/core/paths.h"
#include "uploader/incident.h"
#include "uploader/query.h"

#define SECOND 1000000000ull

struct writer {
	int fd;
	struct fr_ring ring;
	struct fr_lane lane[2];
	struct fr_catalogue_ids ids;
	uint16_t order; /* the application's event "shop.order": u64 id, i32 change, f64 price, str customer, bytes raw, json more */
	uint8_t *id, *boot;
};

/* `tag` makes ring id (and comm, "proc<tag>"); `boot` its number and its id's first byte. Started at 100 s + pid. */
void writer_make(struct writer *w, enum frm_kind kind, unsigned tag, uint32_t pid, unsigned boot);
void writer_done(struct writer *w);
uint64_t writer_start_ns(uint32_t pid);

/* One event of the application, all of whose fields follow from `number`. */
void writer_order(struct writer *w, unsigned lane, uint64_t time_ns, uint64_t number);

/* One event of the catalogue; the array ends with a field without name, what it leaves out is 0 or "". */
struct said {
	const char *name;
	uint64_t number;
	const char *text;
};
void writer_say(struct writer *w, unsigned lane, uint64_t time_ns, enum fr_event_id id, const struct said *said);

/*
 * Puts what the ring holds into segment `part`: of lane i the records with numbers from[i] to to[i] (exclusive; NULL: all),
 * and the losses that the ring's reader names.
 */
void writer_seal(struct writer *w, const struct scratch *s, uint32_t part, enum frm_reason reason, const uint64_t *from,
		 const uint64_t *to);

/* Two processes and the recorder, of two boots: 4 segments, 104 events. */
void index_machine(const struct scratch *s);
/* Opens the index of the scratch machine and brings it up to date. */
struct fr_index *index_now(const struct scratch *s, struct fr_index_stats *ret_stats);
/* Everything that the documented views say but for internal references; free it. */
char *index_dump(struct fr_index *index);
/* The rows of a query: columns joined by '|', rows by '\n'; free it. */
char *index_ask(struct fr_index *index, const char *sql);
void assert_answer(struct fr_index *index, const char *sql, const char *expected);

#endif
