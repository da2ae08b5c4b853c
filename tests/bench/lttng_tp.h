/* SPDX-License-Identifier: MIT */
/* lttng_tp.h - the peer's tracepoint: the same event, two u64 and a string. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER fr_bench

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "tests/bench/lttng_tp.h"

#if !defined(TESTS_BENCH_LTTNG_TP_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define TESTS_BENCH_LTTNG_TP_H

#include <lttng/tracepoint.h>

LTTNG_UST_TRACEPOINT_EVENT(
	fr_bench, paid,
	LTTNG_UST_TP_ARGS(uint64_t, order_id, uint64_t, amount, const char *, customer),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(uint64_t, order_id, order_id)
		lttng_ust_field_integer(uint64_t, amount, amount)
		lttng_ust_field_string(customer, customer)
	)
)

#endif

#include <lttng/tracepoint-event.h>
