/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * emit.bpf.h - how a program writes an event: room in the ring buffer, who it was, when, and a
 * count of what did not fit.
 *
 * Owns: the maps that all programs share. The loader makes them and puts them in place of these
 * definitions.
 *
 * A PROGRAM of an event is called <symbol>__<anything>, <symbol> as in events.def; the loader tries
 * those of one event in the order of the file, and takes the first whose hook the kernel has.
 * FR_PROBE() makes two: tp_btf and raw_tp.
 */
#ifndef BPF_EMIT_BPF_H
#define BPF_EMIT_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/knobs.h"
#include "schemas/fr_kevent.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FR_KEVENT_ID_END);
	__type(key, __u32);
	__type(value, struct fr_kevent_count);
} counts SEC(".maps");

const volatile struct fr_bpf_knobs knobs SEC(".rodata.knobs");

static __always_inline __u64 now_ns(void)
{
	return knobs.boot_clock ? bpf_ktime_get_boot_ns() : bpf_ktime_get_ns();
}

static __always_inline struct fr_kevent_count *count_of(__u32 event)
{
	return bpf_map_lookup_elem(&counts, &event);
}

/* An interrupt may count on the same CPU in between, so the addition is atomic. */
static __always_inline void count_drop(__u32 event)
{
	struct fr_kevent_count *c = count_of(event);

	if (c)
		__sync_fetch_and_add(&c->dropped, 1);
}

static __always_inline void begin(struct fr_kevent *head, __u16 event, __u16 size, __u32 flags)
{
	head->version = FR_KEVENT_VERSION;
	head->event = event;
	head->size = size;
	head->cpu = (__u16)bpf_get_smp_processor_id();
	head->flags = flags | (knobs.boot_clock ? 0 : FR_KEVENT_MONOTONIC);
	head->reserved = 0;
	head->time_ns = now_ns();
}

/* Room for an event, or a count of its loss; a macro, because the size has to be a constant. */
#define FR_RESERVE(SYMBOL, symbol, flags) \
	({ \
		struct fr_kevent_##symbol *e_ = bpf_ringbuf_reserve(&events, sizeof(*e_), 0); \
		if (e_) { \
			__builtin_memset(e_, 0, sizeof(*e_)); \
			begin(&e_->head, FR_EVENT_##SYMBOL, sizeof(*e_), flags); \
		} else { \
			count_drop(FR_EVENT_##SYMBOL); \
		} \
		e_; \
	})

#define LOOK_EVERY 8

/*
 * Whether so much waits that the reader should be woken. To ask the buffer takes the reader's cache
 * line from it: where so few events make no difference, one in eight of a kind and CPU asks.
 */
static __always_inline int enough_waits(const struct fr_kevent *head, const struct fr_kevent_count *c)
{
	if (c && head->size * LOOK_EVERY < knobs.wakeup_bytes && c->emitted % LOOK_EVERY)
		return 0;
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >= knobs.wakeup_bytes;
}

/*
 * Hands the event over. An urgent one wakes the reader, another only when enough of them wait - and
 * neither where this CPU woke it already for something that it has yet to read: it reads to the
 * end before it sleeps, and a wake-up costs this task more than all the rest.
 */
static __always_inline void submit(void *event, int urgent)
{
	struct fr_kevent_count *c = count_of(((struct fr_kevent *)event)->event);
	__u64 read;

	if (c)
		__sync_fetch_and_add(&c->emitted, 1);
	if (!urgent && !enough_waits(event, c)) {
		bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
		return;
	}
	read = bpf_ringbuf_query(&events, BPF_RB_CONS_POS);
	c = count_of(FR_EVENT_NONE);
	if (c && c->woken_to > read) {
		bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
		return;
	}
	if (c)
		c->woken_to = bpf_ringbuf_query(&events, BPF_RB_PROD_POS);
	bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
}

/*
 * The body gets `typed`, a constant: 1 where the verifier knows the types of what the tracepoint
 * passes. There a member is a plain load; everywhere else, and for what is computed, it takes a
 * helper, and a helper takes as long as twenty loads.
 */
#define FR_READ(typed, from, member) ((typed) ? (from)->member : BPF_CORE_READ(from, member))

#define FR_PROBE(symbol, tracepoint) \
	static __always_inline int symbol##_##tracepoint(unsigned long long *ctx, \
							 const int typed); \
	SEC("tp_btf/" #tracepoint) int symbol##__btf_##tracepoint(void *ctx) \
	{ \
		return symbol##_##tracepoint(ctx, 1); \
	} \
	SEC("raw_tp/" #tracepoint) int symbol##__raw_##tracepoint(void *ctx) \
	{ \
		return symbol##_##tracepoint(ctx, 0); \
	} \
	static __always_inline int symbol##_##tracepoint( \
		unsigned long long *ctx, const int typed __attribute__((unused)))

#endif
