/* SPDX-License-Identifier: MIT */
/*
 * atomic.h - the few memory operations that order matters for, under names that say who they pair with.
 *
 * Owns: every atomic in flightrec's user space. A use says in a comment who its partner is.
 */
#ifndef RECORDER_CORE_ATOMIC_H
#define RECORDER_CORE_ATOMIC_H

/* Orders the compiler only: enough between a thread and a signal handler that runs on it. */
#define fr_barrier_signal() __atomic_signal_fence(__ATOMIC_SEQ_CST)

#define fr_load_relaxed(p)	__atomic_load_n((p), __ATOMIC_RELAXED)
#define fr_store_relaxed(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define fr_load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define fr_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define fr_add(p, v)		__atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define fr_add_release(p, v)	__atomic_fetch_add((p), (v), __ATOMIC_RELEASE)
#define fr_add_acquire(p, v)	__atomic_fetch_add((p), (v), __ATOMIC_ACQUIRE)

/* True when *p was `expected` and is now `desired`; acquire on success, pairs with a release store of *p. */
#define fr_cas_acquire(p, expected, desired)                                                       \
	({                                                                                         \
		__typeof__(*(p)) fr_cas_expected_ = (expected);                                    \
		__atomic_compare_exchange_n((p), &fr_cas_expected_, (desired), 0, __ATOMIC_ACQUIRE, \
					    __ATOMIC_RELAXED);                                     \
	})

#endif
