/* SPDX-License-Identifier: MIT */
/*
 * decode.h - turns a valid record into an event with names: provider, event, fields, full identity.
 *
 * Owns: the payload encoding's reading side (encode.h has the writing side). Every length in a payload is
 * checked against the payload; what does not fit becomes a field with `truncated` set, never a read outside.
 */
#ifndef RECORDER_CORE_DECODE_H
#define RECORDER_CORE_DECODE_H

#include "recorder/core/image.h"

#define FR_FIELDS_MAX 32

struct fr_value {
	const char *name;
	const char *unit;
	uint8_t type; /* enum frm_type */
	bool truncated;
	union {
		uint64_t u; /* FRM_U8..U64 */
		int64_t i;  /* FRM_I8..I64 */
		double f;   /* FRM_F64 */
		struct {
			const char *data; /* STR, BYTES, JSON: not terminated */
			size_t size;
		} s;
	};
};

/*
 * One event, wherever it came from: ring, segment or index. Strings are borrowed (from the image, or from the
 * query that filled it) and terminated unless they carry a size.
 */
struct fr_event {
	uint8_t ring_id[16];
	uint8_t boot_id[16];
	uint32_t lane;
	uint64_t seq;
	uint64_t boot_seq;   /* 0 unknown */
	uint64_t time_ns;    /* CLOCK_BOOTTIME */
	uint64_t real_ns;    /* CLOCK_REALTIME, 0 unknown */
	uint32_t pid, tid, ppid, uid, gid;
	uint64_t start_time_ns;
	uint16_t cpu;	     /* FRM_CPU_NONE unknown */
	uint16_t session;
	uint16_t flags;
	uint8_t level;	     /* enum frm_level; 0 unknown */
	uint64_t keywords;
	const char *comm;
	const char *thread;  /* thread name or "" */
	const char *cgroup;
	const char *provider;
	const uint8_t *provider_guid;
	const char *name;    /* event's name; "event-N" when its descriptor is lost */
	const char *session_name; /* or "" */
	unsigned field_count;
	char scratch[32];    /* backs `name` when it had to be made */
	char task[16];	     /* backs `comm` of a kernel event */
	struct fr_value field[FR_FIELDS_MAX];
};

/* Never fails: what can't be resolved is said in the event (name "event-7", one field "payload" of bytes). */
void fr_decode(const struct fr_image *image, const struct fr_record *record, struct fr_event *ret_event);

/*
 * Decodes a payload by its descriptor (NULL: one field "payload" of bytes). Returns the number of fields. Values
 * point into the payload; names into the descriptor.
 */
unsigned fr_decode_payload(const struct fr_event_desc *desc, const unsigned char *payload, uint32_t size,
			   struct fr_value ret_field[FR_FIELDS_MAX]);

/* The field of that name, or NULL. */
const struct fr_value *fr_event_field(const struct fr_event *event, const char *name);

/*
 * Fields as text, `name=value` joined by spaces, units rendered ("hex", "signal", "errno", "ns", "B"). Control and
 * non-UTF-8 bytes are escaped (\xNN), so that a record can't steer a terminal. Returns the length it would need; what was
 * written is terminated.
 */
size_t fr_event_text(const struct fr_event *event, char *buf, size_t size);
/* The fields as one JSON object, {"name":value,...}; strings escaped, bytes as hex, JSON fields embedded if they are JSON. */
size_t fr_event_json_fields(const struct fr_event *event, char *buf, size_t size);

/* "SIGKILL" for 9; NULL for a number without a name. */
const char *fr_signal_name(int number);

#endif
