/* SPDX-License-Identifier: MIT */
/*
 * flightrec.h - record events that outlive your process.
 *
 *	#include <flightrec/flightrec.h>
 *
 *	FLIGHTREC_PROVIDER(shop, "acme.shop", "5c0d1f9e-8d6b-4c1e-9a53-0f6a2d7b9e11", 1, 0);
 *
 *	#define ORDER_PAID(F) F(u64, order_id, "") F(u64, amount, "cent") F(str, customer, "")
 *	FLIGHTREC_EVENT(shop, order_paid, FLIGHTREC_INFO, 0, ORDER_PAID)
 *
 *	int main(void)
 *	{
 *		flightrec_register(&shop);
 *		flightrec_emit_order_paid(0, 4711, 1999, "Ada");
 *		flightrec_unregister(&shop);
 *	}
 *
 * Works with no daemon, no root and no network: the process gets a ring file of its own under the state
 * directory. With flightrecd running, the daemon makes the ring and vouches for the process's identity. A daemon that
 * stops, dies or restarts is not noticed here.
 *
 * C99 and C++17. Every function says: what, units, errors, whether it blocks, whether a signal handler may call it,
 * and what holds after fork. "Wait-free" means a bounded number of instructions and no system call, except that the
 * first event of a thread (it takes a lane) and the first after more than a millisecond (it asks the clock) do more.
 * No function sets errno; errors are negative errno values. A NULL or unregistered provider records nothing.
 *
 * ENVIRONMENT, read when the ring is made
 *	FLIGHTREC_RING_SIZE	bytes, or with K, M, G: 64K to 1G; default 2M, or what the daemon says, which also bounds it
 *	FLIGHTREC_RINGS_MAX	what rings of ended processes may take where no daemon salvages them: default 512M; the
 *				oldest goes first, and is named among the losses
 *	FLIGHTREC_LANES		how many threads have room of their own, and the shared quarter: default 8
 *	FLIGHTREC_POLICY	overwrite (the oldest gives way; default) or discard (the newest is dropped and counted)
 *	FLIGHTREC_LEVEL		0..5 or off, critical, error, warning, info (default), verbose: where policy is silent
 *	FLIGHTREC_STATE_DIR	instead of /var/lib/flightrec (root) or ~/.local/state/flightrec
 *	FLIGHTREC_RUNTIME_DIR	where the daemon's socket is, instead of /run/flightrec
 *	FLIGHTREC_RING_DIR	make the ring here, on a DAX mount for example, and ask no daemon
 *
 * After fork, the child has no ring; its first event makes one (that call blocks), or one that
 * comes a second later where that failed. After vfork, until exec, events go to the parent's ring
 * as the parent's thread. exec ends the ring in order only if flightrec_unregister() was called;
 * exit() and a return from main always do.
 */
#ifndef FLIGHTREC_FLIGHTREC_H
#define FLIGHTREC_FLIGHTREC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FLIGHTREC_API	     __attribute__((visibility("default")))
#define FLIGHTREC_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define FLIGHTREC_COLD	     __attribute__((noinline, cold, unused))
#define FLIGHTREC_UNUSED     __attribute__((unused))
#else
#error "flightrec.h needs GCC or Clang"
#endif

/*
 * Levels: the lower, the graver. A gate set to a level lets this and all graver ones pass.
 *
 * FLIGHTREC_CRITICAL survives a power cut, too: the call that records returns when the event is on
 * the medium. It blocks for a write to the disk, that is for some 100 us to 50 ms, and longer when
 * the disk is busy; the first one in a process writes the whole ring (2 MiB). It is for what
 * happens rarely and must be known afterwards - a failed invariant, a shutdown for heat - and not
 * for anything in a loop, under a lock that others want, or at real-time priority. All other levels
 * cost what they cost without it, and survive a power cut up to the last write-back: with
 * flightrecd at most 100 ms, unless it is told otherwise; without it, up to the kernel's own, 30 s.
 */
#define FLIGHTREC_CRITICAL 1
#define FLIGHTREC_ERROR	   2
#define FLIGHTREC_WARNING  3
#define FLIGHTREC_INFO	   4
#define FLIGHTREC_VERBOSE  5

/* ------------------------------------------------------------------ providers and gates */

/*
 * A source of events, known by its GUID. Define with FLIGHTREC_PROVIDER; the members are private. `gate` points at
 * one word that other processes can change: bits 1..5 levels, bits 8..63 keywords.
 */
struct flightrec_provider {
	uint32_t size;
	uint32_t state;
	const volatile uint64_t *gate;
	const char *name;
	const char *guid; /* 36 characters, 8-4-4-4-12 */
	uint16_t version_major, version_minor;
	uint16_t id;
	uint16_t references;
	struct flightrec_provider *next;
	uint32_t builtin[16]; /* ids of the text, JSON and session events */
	uint32_t session;     /* telemetry.h: the open session */
};

extern FLIGHTREC_API const volatile uint64_t flightrec_gate_off; /* zero: nothing passes */

#define FLIGHTREC_PROVIDER_INIT(name, guid, major, minor)                                                 \
	{                                                                                                 \
		(uint32_t)sizeof(struct flightrec_provider), 0, &flightrec_gate_off, name, guid, major, minor, \
			0, 0, 0, { 0 }, 0                                                                 \
	}
/* Defines `static struct flightrec_provider symbol`. Version: two numbers up to 65535. */
#define FLIGHTREC_PROVIDER(symbol, name, guid, major, minor)                                              \
	static struct flightrec_provider symbol FLIGHTREC_UNUSED = FLIGHTREC_PROVIDER_INIT(name, guid, major, minor)
/* The same, to be shared by several files: one defines it, the others declare `extern struct flightrec_provider symbol`. */
#define FLIGHTREC_PROVIDER_GLOBAL(symbol, name, guid, major, minor)                                       \
	struct flightrec_provider symbol = FLIGHTREC_PROVIDER_INIT(name, guid, major, minor)

/*
 * Makes the provider known and opens its gate: to the level that the daemon or $FLIGHTREC_LEVEL (0..5 or a name) says,
 * else FLIGHTREC_INFO and all keywords. The first registration in a process makes its ring. Counted: register and
 * unregister pair up. 0; -EINVAL the GUID or the version of the struct is wrong; -ENOSPC 64 providers are there already;
 * or why no ring could be made (-EACCES, -ENOSPC ...): recording is then off, and the program need
 * not care; another call tries again, at most once a second.
 * Blocks (makes a file, asks the daemon, at most 250 ms). Not for signal handlers. Any thread.
 */
FLIGHTREC_API int flightrec_register(struct flightrec_provider *provider);
/*
 * Closes the gate and forgets the struct, which may then be unloaded (call it before dlclose). With the last one, the
 * ring is marked as left in order: its end is no incident. Blocks shortly. Not for signal handlers.
 */
FLIGHTREC_API void flightrec_unregister(struct flightrec_provider *provider);

/*
 * A provider made at run time, for programs that don't know theirs before: registered, or found if one with that GUID
 * is registered already (counted). Returns NULL and -errno in *ret_error (may be NULL): as flightrec_register(), or -ENOMEM.
 * flightrec_unregister() ends it; its memory stays. Blocks. Not for signal handlers.
 */
FLIGHTREC_API struct flightrec_provider *flightrec_provider_open(const char *guid, const char *name, uint16_t version_major,
								  uint16_t version_minor, int *ret_error);
/* The registered provider with that GUID, or NULL. Blocks shortly. Not for signal handlers. */
FLIGHTREC_API struct flightrec_provider *flightrec_provider_find(const char *guid);

/* ------------------------------------------------------------------ events */

struct flightrec_field {
	uint8_t type; /* FLIGHTREC_TYPE_* */
	const char *name;
	const char *unit; /* "ns", "B", "hex", "errno", "signal", "" ... : how people want it shown */
};

#define FLIGHTREC_TYPE_u8    1
#define FLIGHTREC_TYPE_u16   2
#define FLIGHTREC_TYPE_u32   3
#define FLIGHTREC_TYPE_u64   4
#define FLIGHTREC_TYPE_i8    5
#define FLIGHTREC_TYPE_i16   6
#define FLIGHTREC_TYPE_i32   7
#define FLIGHTREC_TYPE_i64   8
#define FLIGHTREC_TYPE_f64   9
#define FLIGHTREC_TYPE_str   10
#define FLIGHTREC_TYPE_bytes 11
#define FLIGHTREC_TYPE_json  12

struct flightrec_event {
	uint32_t size;
	uint32_t id; /* (ring's generation << 16) | id there; 0: not declared yet */
	struct flightrec_provider *provider;
	const char *name;
	uint64_t keywords; /* 56 bits */
	const struct flightrec_field *field;
	uint16_t field_count;
	uint8_t level;
};

/* What an event needs of its provider's gate, as constants. No keywords: the level decides alone. */
#define FLIGHTREC_GATE_OPEN(gate, level, keywords)                                     \
	(((gate) >> (level)&1) && ((keywords) == 0 || ((gate) >> 8 & (uint64_t)(keywords)) != 0))

/* True when somebody wants events of this level and these keywords: one load, one branch when off. Wait-free; safe in a
 * signal handler. Use it around work that only prepares an event. */
static inline int flightrec_wants(const struct flightrec_provider *provider, int level, uint64_t keywords)
{
	uint64_t gate = *provider->gate;

	return FLIGHTREC_UNLIKELY(FLIGHTREC_GATE_OPEN(gate, level, keywords)) != 0;
}

/* Space in the ring between reserve and commit. Private. */
struct flightrec_slot {
	void *lane;
	void *record;
	uint32_t size;
	uint32_t reserved;
};

/*
 * Reserves `bytes` of payload for an event and returns where to write it, or NULL (too large, no lane free: the loss is
 * counted; no ring). Does not ask the gate: flightrec_wants() does.
 * The payload has the event's layout: see "Payload" in FORMAT.md; for an event without fields declared, any bytes.
 * At most 1 MiB and a quarter of a lane. The slot lies in the caller's memory. Between reserve and commit
 * the thread may do anything, also record other events, but keep it short: a slot holds a lane, and one that is jumped away
 * from (siglongjmp) keeps it until the thread ends. An emit that is jumped away from costs its own event only. `session` is 0 or what
 * flightrec_session_begin() returned. Wait-free; safe in a signal handler; a slot doesn't pass to a forked child.
 */
FLIGHTREC_API void *flightrec_reserve(struct flightrec_slot *slot, struct flightrec_event *event, uint32_t session, size_t bytes);
/* Makes the record valid: from its return on, it survives the process. 0. Wait-free; safe in a signal handler. */
FLIGHTREC_API int flightrec_commit(struct flightrec_slot *slot);
/*
 * The same, and returns when the record, and what is needed to read it, is on the medium: from its
 * return on, it survives a power cut as well, as FLIGHTREC_CRITICAL does by itself. 0, or what the
 * medium said (-EIO ...): the event is recorded and survives the process, a power cut may take it.
 * A disk that says too early that it has written can't be helped; a ring on a file system in memory
 * survives no power cut; the name of a ring that the daemon made is on the medium 100 ms later. Blocks for a write to the disk; safe in a signal handler.
 */
FLIGHTREC_API int flightrec_commit_durable(struct flightrec_slot *slot);
/* Gives the space back: no event. It is not a loss. Wait-free; safe in a signal handler. */
FLIGHTREC_API void flightrec_discard(struct flightrec_slot *slot);

/*
 * FLIGHTREC_EVENT(provider, name, level, keywords, FIELDS) defines
 *
 *	static inline int flightrec_emit_<name>(uint32_t session, fields ...);
 *
 * where FIELDS(F) lists F(type, name, "unit") for each field: u8 u16 u32 u64 i8 i16 i32 i64 f64, str and json
 * (const char *, NULL counts as ""), bytes (two arguments: pointer and size). json is taken on trust here; what is not
 * sure to be JSON goes through flightrec_json(). Returns 1 recorded, 0 the gate is shut, -ENOBUFS lost (and counted).
 * Wait-free; safe in a signal handler. 1 to 32 fields. Level FLIGHTREC_CRITICAL, a constant here,
 * blocks until it is on the medium; then any other negative value is flightrec_commit_durable()'s:
 * recorded, and a power cut may take it.
 */
#define FLIGHTREC_EVENT(provider_, name_, level_, keywords_, FIELDS_)                                     \
	static const struct flightrec_field flightrec_fields_##name_[] = {                                \
		FIELDS_(FLIGHTREC_DESCRIBE_){ 0, 0, 0 }                                                   \
	};                                                                                                \
	static struct flightrec_event flightrec_event_##name_ = {                                         \
		(uint32_t)sizeof(struct flightrec_event), 0, &provider_, #name_, keywords_,               \
		flightrec_fields_##name_,                                                                 \
		(uint16_t)(sizeof(flightrec_fields_##name_) / sizeof(struct flightrec_field) - 1), level_ \
	};                                                                                                \
	FLIGHTREC_UNUSED static inline int flightrec_emit_##name_(uint32_t fr_session_ FIELDS_(FLIGHTREC_PARAMETER_)) \
	{                                                                                                 \
		struct __attribute__((aligned(8))) fr_fixed_layout_ {                                     \
			FIELDS_(FLIGHTREC_MEMBER_)                                                        \
		} *fr_fixed_;                                                                             \
		struct flightrec_slot fr_slot_;                                                           \
		size_t fr_bytes_ = sizeof(struct fr_fixed_layout_);                                       \
		char *fr_tail_;                                                                           \
                                                                                                          \
		if (!flightrec_wants(&provider_, level_, keywords_))                                      \
			return 0;                                                                         \
		FIELDS_(FLIGHTREC_MEASURE_)                                                               \
		fr_fixed_ = (struct fr_fixed_layout_ *)flightrec_reserve_here_(&fr_slot_, &flightrec_event_##name_, \
									       fr_session_, fr_bytes_);   \
		if (FLIGHTREC_UNLIKELY(!fr_fixed_))                                                       \
			return -105; /* -ENOBUFS */                                                       \
		fr_tail_ = (char *)(fr_fixed_ + 1);                                                       \
		memset(fr_fixed_, 0, sizeof(*fr_fixed_)); /* for the holes; the compiler drops the rest */  \
		FIELDS_(FLIGHTREC_STORE_)                                                                 \
		(void)fr_tail_;                                                                           \
		if ((level_) == FLIGHTREC_CRITICAL) {                                                     \
			int fr_error_ = flightrec_commit_durable(&fr_slot_);                              \
                                                                                                          \
			return fr_error_ < 0 ? fr_error_ : 1;                                             \
		}                                                                                         \
		flightrec_commit(&fr_slot_);                                                              \
		return 1;                                                                                 \
	}

/* ------------------------------------------------------------------ messages */

/*
 * A text of `size` bytes as an event "fr.text" of the provider. Returns as emit does. Wait-free,
 * unless at FLIGHTREC_CRITICAL (the next two likewise); safe in a signal handler.
 */
FLIGHTREC_API int flightrec_text(struct flightrec_provider *provider, int level, uint32_t session, const char *text, size_t size);
/* The same, formatted as printf does, cut at 1023 bytes. As safe in a signal handler as vsnprintf is. */
FLIGHTREC_API int flightrec_printf(struct flightrec_provider *provider, int level, uint32_t session, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/*
 * A JSON text as an event "fr.json" of the provider, with a name of its own. It is checked (RFC 8259); what isn't JSON is kept
 * all the same, with its mark "valid" at 0. Returns as emit does. Wait-free, in time proportional to size; safe in
 * a signal handler.
 */
FLIGHTREC_API int flightrec_json(struct flightrec_provider *provider, int level, uint32_t session, const char *name, const char *json, size_t size);

/* ------------------------------------------------------------------ sessions */

/*
 * A session ties events together: pass what this returns to their emit. `guid`: 36 characters, or NULL. The name is cut at
 * 87 bytes. Returns a number from 1 to 65535 (after that they come again), or 0 when there is no ring. Records the event
 * "fr.session_begin". Does not block; safe in a signal handler.
 */
FLIGHTREC_API uint32_t flightrec_session_begin(struct flightrec_provider *provider, const char *guid, const char *name);
/* An attribute of a session, as an event "fr.session_attr". Returns as emit does. Wait-free; safe in a signal handler. */
FLIGHTREC_API int flightrec_session_attribute(struct flightrec_provider *provider, uint32_t session, const char *key, const char *value);
/* Ends it, with an event "fr.session_end". Returns as emit does. Wait-free; safe in a signal handler. */
FLIGHTREC_API int flightrec_session_end(struct flightrec_provider *provider, uint32_t session);

/* ------------------------------------------------------------------ death */

/*
 * Records a fatal signal (SEGV, BUS, FPE, ILL, ABRT, SYS, TRAP; not one that is sent and was ignored) as the event
 * "fr.crash", at FLIGHTREC_CRITICAL: signal, code, fault address, registers, raw backtrace, thread
 * name; then hands on to the handler that was there before, or dies of the signal as it would have.
 * Waits for the disk before that, as any critical event. Runs on its own stack in the calling
 * thread (64 KiB; a signal stack below 32 KiB is replaced); a thread that wants its stack overflows recorded calls it too. 0 or -errno. Any thread, any number
 * of times. Not for signal handlers. Inherited by fork.
 */
FLIGHTREC_API int flightrec_record_crashes(void);

/* ------------------------------------------------------------------ state */

struct flightrec_status {
	uint32_t size;	     /* sizeof(struct flightrec_status): set by the caller */
	int32_t error;	     /* 0, or why there is no ring */
	uint32_t from_daemon; /* 1: the daemon made the ring */
	uint32_t lanes;
	uint64_t ring_bytes;
	uint64_t lost;	     /* events that could not be recorded, all causes */
	char ring_path[256]; /* "" when the daemon made it */
	char ring_id[33];
};
/* What recording is like in this process. 0; -EINVAL size is not set. Does not block. Not for signal handlers. */
FLIGHTREC_API int flightrec_get_status(struct flightrec_status *status);
FLIGHTREC_API const char *flightrec_version(void); /* "0.1.0" */

/* ------------------------------------------------------------------ private: what FLIGHTREC_EVENT expands to */

/* flightrec_reserve() for a slot that is committed in the same function: if that never returns, the lane is known to be free. */
FLIGHTREC_API void *flightrec_reserve_here_(struct flightrec_slot *slot, struct flightrec_event *event, uint32_t session,
					    size_t bytes);

static inline uint32_t flightrec_length_(const char *text)
{
	return text ? (uint32_t)strlen(text) : 0;
}
static inline char *flightrec_put_(char *to, const void *from, uint32_t size)
{
	if (size)
		memcpy(to, from, size);
	return to + size;
}

#define FLIGHTREC_DESCRIBE_(type, name, unit)  { FLIGHTREC_TYPE_##type, #name, unit },
#define FLIGHTREC_PARAMETER_(type, name, unit) FLIGHTREC_PARAMETER_##type(name)
#define FLIGHTREC_MEMBER_(type, name, unit)    FLIGHTREC_MEMBER_##type name;
#define FLIGHTREC_MEASURE_(type, name, unit)   FLIGHTREC_MEASURE_##type(name)
#define FLIGHTREC_STORE_(type, name, unit)     FLIGHTREC_STORE_##type(name)

#define FLIGHTREC_PARAMETER_u8(name) , uint8_t name
#define FLIGHTREC_MEMBER_u8  uint8_t
#define FLIGHTREC_MEASURE_u8(name)
#define FLIGHTREC_STORE_u8(name) fr_fixed_->name = name;
#define FLIGHTREC_PARAMETER_u16(name) , uint16_t name
#define FLIGHTREC_MEMBER_u16 uint16_t
#define FLIGHTREC_MEASURE_u16(name)
#define FLIGHTREC_STORE_u16(name) fr_fixed_->name = name;
#define FLIGHTREC_PARAMETER_u32(name) , uint32_t name
#define FLIGHTREC_MEMBER_u32 uint32_t
#define FLIGHTREC_MEASURE_u32(name)
#define FLIGHTREC_STORE_u32(name) fr_fixed_->name = name;
#define FLIGHTREC_PARAMETER_u64(name) , uint64_t name
#define FLIGHTREC_MEMBER_u64 uint64_t
#define FLIGHTREC_MEASURE_u64(name)
#define FLIGHTREC_STORE_u64(name) fr_fixed_->name = name;
#define FLIGHTREC_PARAMETER_i8(name) , int8_t name
#define FLIGHTREC_MEMBER_i8  int8_t
#define FLIGHTREC_MEASURE_i8(name)
#define FLIGHTREC_STORE_i8(name) fr_fixed_->name = name;
#define FLIGHTREC_PARAMETER_i16(name) , int16_t name
#define FLIGHTREC_MEMBER_i16 int16_t
#define FLIGHTREC_MEASURE_i16(name)
#define FLIGHTREC_STORE_i16(name) fr_fixed_->name = name;
#define FLIGHTREC_PARAMETER_i32(name) , int32_t name
#define FLIGHTREC_MEMBER_i32 int32_t
#define FLIGHTREC_MEASURE_i32(name)
#define FLIGHTREC_STORE_i32(name) fr_fixed_->name = name;
#define FLIGHTREC_PARAMETER_i64(name) , int64_t name
#define FLIGHTREC_MEMBER_i64 int64_t
#define FLIGHTREC_MEASURE_i64(name)
#define FLIGHTREC_STORE_i64(name) fr_fixed_->name = name;
#define FLIGHTREC_PARAMETER_f64(name) , double name
#define FLIGHTREC_MEMBER_f64 double
#define FLIGHTREC_MEASURE_f64(name)
#define FLIGHTREC_STORE_f64(name) fr_fixed_->name = name;
#define FLIGHTREC_PARAMETER_str(name) , const char *name
#define FLIGHTREC_MEMBER_str uint32_t
#define FLIGHTREC_MEASURE_str(name)                          \
	uint32_t fr_length_##name##_ = flightrec_length_(name); \
	fr_bytes_ += fr_length_##name##_;
#define FLIGHTREC_STORE_str(name)         \
	fr_fixed_->name = fr_length_##name##_; \
	fr_tail_ = flightrec_put_(fr_tail_, name, fr_length_##name##_);
#define FLIGHTREC_PARAMETER_json(name) , const char *name
#define FLIGHTREC_MEMBER_json uint32_t
#define FLIGHTREC_MEASURE_json(name)                          \
	uint32_t fr_length_##name##_ = flightrec_length_(name); \
	fr_bytes_ += fr_length_##name##_;
#define FLIGHTREC_STORE_json(name)         \
	fr_fixed_->name = fr_length_##name##_; \
	fr_tail_ = flightrec_put_(fr_tail_, name, fr_length_##name##_);
#define FLIGHTREC_PARAMETER_bytes(name) , const void *name, uint32_t name##_size
#define FLIGHTREC_MEMBER_bytes uint32_t
#define FLIGHTREC_MEASURE_bytes(name) fr_bytes_ += name##_size;
#define FLIGHTREC_STORE_bytes(name)   \
	fr_fixed_->name = name##_size; \
	fr_tail_ = flightrec_put_(fr_tail_, name, name##_size);

#ifdef __cplusplus
}
#endif

#endif
