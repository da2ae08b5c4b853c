/* SPDX-License-Identifier: MIT */
/*
 * fr_kevent.h - what eBPF and user space say to each other: event ids, and one struct for each
 * kernel event.
 *
 * Generated from events.def, so both worlds always agree; a build that does not agree with what is
 * pinned in the kernel sees another FR_KEVENT_VERSION or another build stamp and replaces it.
 *
 * A sample in the ring buffer is one struct fr_kevent_<symbol>. Numbers are native (eBPF and user
 * space share the machine); strings end with NUL or fill their array, an ARGV field has its size in
 * <name>_size before it.
 *
 * Freestanding: included by *.bpf.c and by user space.
 */
#ifndef SCHEMAS_FR_KEVENT_H
#define SCHEMAS_FR_KEVENT_H

#include <stddef.h>
#include <stdint.h>

#define FR_KEVENT_VERSION 1

/* Keywords of the providers "kernel" and "flightrec". */
#define FR_KEYWORD_PROCESS  0x01ull
#define FR_KEYWORD_SIGNAL   0x02ull
#define FR_KEYWORD_MEMORY   0x04ull
#define FR_KEYWORD_BLOCK    0x08ull
#define FR_KEYWORD_LOG	    0x10ull
#define FR_KEYWORD_CRASH    0x20ull
#define FR_KEYWORD_RECORDER 0x40ull
#define FR_KEYWORD_MESSAGE  0x80ull
#define FR_KEYWORD_SESSION  0x100ull

/* Every event of the catalogue: FR_EVENT_PROC_EXEC = 33, ... */
enum fr_event_id {
	FR_EVENT_NONE = 0,
#define FR_KEVENT(id, SYMBOL, symbol, name, level, keywords, on, hook, doc) FR_EVENT_##SYMBOL = id,
#define FR_UEVENT(id, SYMBOL, symbol, name, provider, role, level, keywords, on, hook, doc)        \
	FR_EVENT_##SYMBOL = id,
#include "schemas/events.def"
	FR_KEVENT_ID_END = 128, /* ids of eBPF's events are below: they index drop counters */
	FR_EVENT_ID_END = 256, /* all ids are below */
};

/* The events of eBPF, counted from 0: their probes in this build. */
enum fr_kevent_class {
#define FR_KEVENT(id, SYMBOL, symbol, name, level, keywords, on, hook, doc) FR_CLASS_##SYMBOL,
#define FR_EVENTS_EBPF_ONLY
#include "schemas/events.def"
	FR_CLASS_COUNT,
};

#define FR_KEVENT_MONOTONIC 0x1u /* time_ns is CLOCK_MONOTONIC: eBPF has no boot clock here */
#define FR_KEVENT_NOBODY    0x2u /* identity is empty: what happened belongs to no process */
#define FR_KEVENT_NO_BTF    0x4u /* written without BTF: parent and start time are not known */

/* Begin of every sample; from start_time_ns on these are the common fields of kernel events. */
struct fr_kevent {
	uint16_t version; /* FR_KEVENT_VERSION */
	uint16_t event;	  /* enum fr_event_id */
	uint16_t size;	  /* bytes of the whole sample */
	uint16_t cpu;
	uint32_t flags;	  /* FR_KEVENT_* */
	uint32_t reserved;
	uint64_t time_ns;
#define FR_KEVENT_MEMBER(type, name, unit, doc)	       FR_KEVENT_TYPE_##type name;
#define FR_KEVENT_MEMBER_STR(name, size, unit, doc)    char name[size];
#define FR_KEVENT_MEMBER_ARGV(name, size, unit, doc)   uint32_t name##_size; char name[size];
#define FR_KEVENT_TYPE_u8  uint8_t
#define FR_KEVENT_TYPE_u16 uint16_t
#define FR_KEVENT_TYPE_u32 uint32_t
#define FR_KEVENT_TYPE_u64 uint64_t
#define FR_KEVENT_TYPE_i8  int8_t
#define FR_KEVENT_TYPE_i16 int16_t
#define FR_KEVENT_TYPE_i32 int32_t
#define FR_KEVENT_TYPE_i64 int64_t
	FR_IDENTITY_FIELDS(FR_KEVENT_MEMBER, FR_KEVENT_MEMBER_STR)
};

#define FR_KEVENT(id, SYMBOL, symbol, name, level, keywords, on, hook, doc) \
	struct fr_kevent_##symbol {                                         \
		struct fr_kevent head;
#define FR_FIELD	FR_KEVENT_MEMBER
#define FR_FIELD_STR	FR_KEVENT_MEMBER_STR
#define FR_FIELD_ARGV	FR_KEVENT_MEMBER_ARGV
#define FR_EVENT_END()	};
#include "schemas/events.def"
#undef FR_EVENTS_EBPF_ONLY

_Static_assert(sizeof(struct fr_kevent) == 72, "head of a sample");

/* Counters by event id, one set for each CPU, in a pinned map: they outlive the daemon. */
struct fr_kevent_count {
	union {
		uint64_t emitted;
		/* of FR_EVENT_NONE: where the buffer ended when this CPU last woke the reader */
		uint64_t woken_to;
	};
	uint64_t dropped; /* the ring buffer was full */
};

#endif
