/* SPDX-License-Identifier: MIT */
/*
 * catalogue.h - the events that flightrec itself knows: what they are called, what fields they
 * have, what they mean.
 *
 * Owns: the table made from schemas/events.def, its declaration in a ring, and the way from a
 * sample of eBPF to values. Nothing here allocates, blocks or logs; the table is constant, so all
 * of it may be used by any thread.
 */
#ifndef RECORDER_CORE_CATALOGUE_H
#define RECORDER_CORE_CATALOGUE_H

#include "recorder/core/decode.h"
#include "recorder/core/encode.h"
#include "recorder/core/map.h"
#include "schemas/fr_kevent.h"

/* Who writes an event. */
enum fr_catalogue_role {
	FR_ROLE_EBPF = 0x1,   /* programs in the kernel, through the daemon */
	FR_ROLE_KERNEL = 0x2, /* user space, from the kernel's log: the daemon or the harvest */
	FR_ROLE_DAEMON = 0x4, /* the daemon, of itself */
	FR_ROLE_CLIENT = 0x8, /* libflightrec, in the ring of an application */
};
#define FR_ROLES_SYSTEM (FR_ROLE_EBPF | FR_ROLE_KERNEL | FR_ROLE_DAEMON)

enum fr_catalogue_provider_number {
	FR_PROVIDER_KERNEL = 0,
	FR_PROVIDER_FLIGHTREC = 1,
	FR_PROVIDER_COUNT = 2,
};

struct fr_catalogue_provider {
	const char *name;
	uint8_t guid[16];
	uint16_t version_major, version_minor;
};

struct fr_catalogue_field {
	uint8_t type;	      /* enum frm_type */
	bool argv;	      /* in a sample: strings with a NUL after each */
	uint16_t sample_size; /* in a sample: bytes of the char array; 0: a number, or no sample */
	const char *name, *unit, *doc;
};

struct fr_catalogue_event {
	uint16_t id; /* enum fr_event_id: the same everywhere; not what records of a ring carry */
	uint8_t provider; /* enum fr_catalogue_provider_number */
	uint8_t role;	  /* enum fr_catalogue_role */
	uint8_t level;	  /* enum frm_level */
	bool default_on;
	uint64_t keywords;
	const char *symbol; /* "proc_exec" */
	const char *name;   /* "proc.exec" */
	const char *hook;
	const char *doc;
	unsigned field_count;
	const struct fr_catalogue_field *field;
};

extern const struct fr_catalogue_provider fr_catalogue_provider[FR_PROVIDER_COUNT];
extern const struct fr_catalogue_event fr_catalogue[]; /* in the order of events.def */
extern const unsigned fr_catalogue_count;

const struct fr_catalogue_event *fr_catalogue_by_id(uint16_t id);	   /* NULL: none */
const struct fr_catalogue_event *fr_catalogue_by_name(const char *name);   /* NULL: none */
/* By enum fr_kevent_class; NULL: none. */
const struct fr_catalogue_event *fr_catalogue_by_class(unsigned class_no);
const char *fr_catalogue_type_name(uint8_t type);			   /* "u32", "str" ... */

/* What a ring calls them. */
struct fr_catalogue_ids {
	int provider[FR_PROVIDER_COUNT];	/* negative: not declared */
	uint16_t event[FR_EVENT_ID_END];	/* by enum fr_event_id; 0: not declared */
};

/*
 * Declares the events of these roles (bits of enum fr_catalogue_role), and their providers, in a
 * ring. Doing it again gives the same ids. On failure what was declared so far is in *ids all the
 * same, the rest is 0 there: 0 or the first error of fr_ring_declare_provider() or
 * fr_ring_declare_event().
 */
int fr_catalogue_declare(struct fr_ring *ring, unsigned roles, struct fr_catalogue_ids *ids);

/* One event under a provider of the caller's choice; its id, or negative errno. */
int fr_catalogue_declare_event(struct fr_ring *ring, uint16_t provider,
			       const struct fr_catalogue_event *event);

/* A sample of eBPF as values. `value` points into the sample and here: both must stay in place. */
struct fr_kevent_values {
	const struct fr_catalogue_event *event;
	struct fr_stamp stamp; /* .event is the catalogue's id: put ids.event[] before fr_emit() */
	uint32_t pid;
	uint64_t start_time_ns;
	uint32_t flags; /* FR_KEVENT_* */
	unsigned count;
	struct fr_value value[FR_FIELDS_MAX];
	char scratch[512];
};

/*
 * `mono_to_boot_ns` is added to times of a kernel that has no boot clock for eBPF (CLOCK_BOOTTIME -
 * CLOCK_MONOTONIC). -EPROTO: a sample of another version, -ENOENT: of an unknown event, -EBADMSG:
 * its size is not the struct's.
 */
int fr_kevent_values(const void *sample, size_t size, int64_t mono_to_boot_ns,
		     struct fr_kevent_values *ret_values);

#endif
