/* SPDX-License-Identifier: MIT */
/* loop.c - see loop.h. */
#include "recorder/daemon/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "recorder/core/host.h"

#define BATCH 64

struct loop_source {
	struct loop_source *next;
	loop_ready *ready; /* NULL: removed */
	void *ctx;
	uint32_t events;
	int fd;
};

static void signal_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGCHLD);
}

static void signals_ready(void *ctx, uint32_t events)
{
	struct loop *loop = ctx;
	struct signalfd_siginfo info;

	(void)events;
	while (read(loop->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		loop->on_signal(loop->signal_ctx, (int)info.ssi_signo);
}

static void arm(struct loop *loop)
{
	struct itimerspec spec = { 0 };
	uint64_t due = UINT64_MAX;

	for (const struct loop_timer *t = loop->timers; t; t = t->next) {
		if (t->due_ns < due)
			due = t->due_ns;
	}
	if (due != UINT64_MAX) {
		spec.it_value.tv_sec = (time_t)(due / 1000000000);
		spec.it_value.tv_nsec = (long)(due % 1000000000);
	}
	timerfd_settime(loop->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
	for (struct loop_timer **at = &loop->timers; *at; at = &(*at)->next) {
		if (*at == timer) {
			*at = timer->next;
			break;
		}
	}
	timer->next = NULL;
	timer->due_ns = 0;
}

bool loop_timer_is_set(const struct loop_timer *timer)
{
	return timer->due_ns != 0;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t after_ms)
{
	loop_timer_stop(loop, timer);
	timer->due_ns = fr_clock_boot_ns() + after_ms * 1000000;
	timer->next = loop->timers;
	loop->timers = timer;
	arm(loop);
}

static void timer_ready(void *ctx, uint32_t events)
{
	struct loop *loop = ctx;
	uint64_t count, now;
	ssize_t got = read(loop->timer, &count, sizeof(count));
	bool fired;

	(void)events;
	(void)got;
	now = fr_clock_boot_ns();
	do { /* a timer may set or stop any other: begin anew after each */
		fired = false;
		for (struct loop_timer *t = loop->timers; t; t = t->next) {
			if (t->due_ns <= now) {
				loop_timer_stop(loop, t);
				t->fire(t->ctx);
				fired = true;
				break;
			}
		}
	} while (fired);
	arm(loop);
}

int loop_add(struct loop *loop, int fd, uint32_t events, loop_ready *ready, void *ctx,
	     struct loop_source **ret_source)
{
	struct loop_source *source = calloc(1, sizeof(*source));
	struct epoll_event event = { .events = events, .data.ptr = source };

	if (!source)
		return -ENOMEM;
	source->ready = ready;
	source->ctx = ctx;
	source->events = events;
	source->fd = fd;
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
		int error = -errno;

		free(source);
		return error;
	}
	source->next = loop->sources;
	loop->sources = source;
	if (ret_source)
		*ret_source = source;
	return 0;
}

void loop_enable(struct loop *loop, struct loop_source *source, bool enabled)
{
	struct epoll_event event = { .events = enabled ? source->events : 0, .data.ptr = source };

	epoll_ctl(loop->epoll, EPOLL_CTL_MOD, source->fd, &event);
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	if (!source || !source->ready)
		return;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	source->ready = NULL; /* the batch at hand may still name it: freed after that */
	loop->removed = true;
}

static void free_sources(struct loop *loop, bool all)
{
	for (struct loop_source **at = &loop->sources; *at;) {
		struct loop_source *source = *at;

		if (!all && source->ready) {
			at = &source->next;
			continue;
		}
		*at = source->next;
		free(source);
	}
	loop->removed = false;
}

int loop_open(struct loop *loop, void (*on_signal)(void *ctx, int number), void *ctx)
{
	sigset_t set;
	int error;

	*loop = (struct loop){
		.epoll = -1, .timer = -1, .signals = -1, .on_signal = on_signal, .signal_ctx = ctx
	};
	signal_set(&set);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->timer = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	loop->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (loop->epoll < 0 || loop->timer < 0 || loop->signals < 0) {
		error = -errno;
		loop_close(loop);
		return error;
	}
	error = loop_add(loop, loop->timer, EPOLLIN, timer_ready, loop, NULL);
	if (error == 0)
		error = loop_add(loop, loop->signals, EPOLLIN, signals_ready, loop, NULL);
	return error;
}

void loop_close(struct loop *loop)
{
	int *fds[] = { &loop->epoll, &loop->timer, &loop->signals };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	free_sources(loop, true);
}

int loop_run(struct loop *loop)
{
	struct epoll_event events[BATCH];

	while (!loop->stop) {
		int count = epoll_wait(loop->epoll, events, BATCH, -1);

		if (count < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < count; i++) {
			struct loop_source *source = events[i].data.ptr;

			if (source->ready)
				source->ready(source->ctx, events[i].events);
		}
		if (loop->removed)
			free_sources(loop, false);
	}
	return 0;
}

void loop_child(struct loop *loop)
{
	sigset_t set;

	/* what ends the daemon ends its group: a worker is not to be cut off by it */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGALRM, SIG_DFL); /* it bounds what a worker may take */
	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	close(loop->epoll); /* else the parent's descriptors would live on in it */
	loop->epoll = -1;
}
