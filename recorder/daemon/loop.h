/* SPDX-License-Identifier: MIT */
/*
 * loop.h - one thread that waits for everything: epoll over descriptors, one timerfd for all timers, a signalfd.
 *
 * Owns: who is called when. A source may remove itself or any other from within its call.
 */
#ifndef RECORDER_DAEMON_LOOP_H
#define RECORDER_DAEMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop_source;
typedef void loop_ready(void *ctx, uint32_t events);

struct loop_timer {
	struct loop_timer *next; /* private; all zero is a timer that is not set */
	uint64_t due_ns;
	void (*fire)(void *ctx);
	void *ctx;
};

struct loop {
	int epoll, timer, signals;
	struct loop_source *sources;
	struct loop_timer *timers;
	void (*on_signal)(void *ctx, int number);
	void *signal_ctx;
	bool removed; /* some of the sources */
	bool stop;
};

int loop_open(struct loop *loop, void (*on_signal)(void *ctx, int number), void *ctx);
void loop_close(struct loop *loop);

/* Calls `ready` while the descriptor (borrowed) is ready for `events`. 0, -ENOMEM, or what epoll_ctl says. */
int loop_add(struct loop *loop, int fd, uint32_t events, loop_ready *ready, void *ctx,
	     struct loop_source **ret_source);
/* Not called until enabled again. */
void loop_enable(struct loop *loop, struct loop_source *source, bool enabled);
/* Remove before the descriptor is closed. NULL is fine. */
void loop_remove(struct loop *loop, struct loop_source *source);

/* Fires once, after so long on CLOCK_BOOTTIME; setting again moves it. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t after_ms);
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);
bool loop_timer_is_set(const struct loop_timer *timer);

/* Returns when loop->stop is set: 0 or what epoll_wait says. */
int loop_run(struct loop *loop);
/* In a forked child: signals are no longer read from the loop; those that stop the daemon are ignored. */
void loop_child(struct loop *loop);

#endif
