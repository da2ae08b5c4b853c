/* SPDX-License-Identifier: MIT */
#include "recorder/cli/progress.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "recorder/cli/out.h"
#include "recorder/cli/term.h"
#include "recorder/core/clock.h"
#include "recorder/core/host.h"

#define SILENT_NS 1000000000ull /* what ends sooner needs no line */
#define DRAW_NS	  200000000ull
#define BAR	  20 /* columns */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	pthread_t thread;
	bool running, end, drawn, hidden;
	const char *what;
	enum fr_progress_unit unit;
	uint64_t begun_ns, done, total;
} progress = { .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER };

static const char *amount(char buf[32], uint64_t count)
{
	return progress.unit == FR_PROGRESS_BYTES ? fr_size_text(buf, count) : fr_count_text(buf, count);
}

/* In one write, without stdio: a worker may be forked at any time. */
static void draw(void)
{
	static const char *const units[] = { [FR_PROGRESS_BYTES] = "", [FR_PROGRESS_EVENTS] = " events",
					     [FR_PROGRESS_SOURCES] = " done" };
	uint64_t done = progress.done, total = progress.total, ns = fr_clock_mono_ns() - progress.begun_ns;
	char line[256], bar[BAR + 3] = "", a[32], b[32], time[32], of[48] = "", left[64] = "";
	unsigned columns = fr_term_columns(STDERR_FILENO);
	int size;

	if (total) {
		unsigned full = (unsigned)((double)(done < total ? done : total) / (double)total * BAR);

		bar[0] = '[';
		memset(bar + 1, '#', full);
		memset(bar + 1 + full, '.', BAR - full);
		strcpy(bar + 1 + BAR, "]");
		snprintf(of, sizeof(of), " of %s", amount(b, total));
		if (done && done < total)
			snprintf(left, sizeof(left), ", %s left",
				 fr_duration_short(b, (uint64_t)((double)ns / (double)done *
								 (double)(total - done))));
	}
	size = snprintf(line, sizeof(line), "\r%s %s%s%s%s%s, %s%s", progress.what, bar,
			*bar ? " " : "", amount(a, done), of, units[progress.unit],
			fr_duration_short(time, ns), left);
	if ((size_t)size >= sizeof(line) - 4)
		size = (int)sizeof(line) - 4;
	if ((unsigned)size > columns) /* \r takes no column, and the last one stays free */
		size = (int)columns;
	memcpy(line + size, "\033[K", 3);
	if (write(STDERR_FILENO, line, (size_t)size + 3) < 0)
		progress.end = true;
	progress.drawn = true;
}

static void erase(void)
{
	if (progress.drawn && write(STDERR_FILENO, "\r\033[K", 4) < 0)
		progress.end = true;
	progress.drawn = false;
}

static void *draw_on(void *arg)
{
	struct timespec next;

	pthread_mutex_lock(&progress.lock);
	while (!progress.end) {
		uint64_t at;

		clock_gettime(CLOCK_REALTIME, &next);
		at = (uint64_t)next.tv_nsec + (progress.drawn || progress.hidden ? DRAW_NS : SILENT_NS);
		next.tv_sec += (time_t)(at / 1000000000);
		next.tv_nsec = (long)(at % 1000000000);
		pthread_cond_timedwait(&progress.ended, &progress.lock, &next);
		if (!progress.end && !progress.hidden && fr_clock_mono_ns() - progress.begun_ns >= SILENT_NS)
			draw();
	}
	erase();
	pthread_mutex_unlock(&progress.lock);
	return arg;
}

void fr_progress_begin(const char *what, enum fr_progress_unit unit)
{
	const char *kind = getenv("TERM");

	if (progress.running || !isatty(STDERR_FILENO) || !kind || !strcmp(kind, "dumb"))
		return;
	progress.what = what;
	progress.unit = unit;
	progress.done = progress.total = 0;
	progress.end = progress.hidden = false;
	progress.begun_ns = fr_clock_mono_ns();
	progress.running = pthread_create(&progress.thread, NULL, draw_on, NULL) == 0;
}

void fr_progress_at(void *ctx, uint64_t done, uint64_t total)
{
	(void)ctx;
	if (!progress.running)
		return;
	pthread_mutex_lock(&progress.lock);
	progress.done = done;
	progress.total = total;
	progress.hidden = false;
	pthread_mutex_unlock(&progress.lock);
}

void fr_progress_hide(void)
{
	if (!progress.running)
		return;
	pthread_mutex_lock(&progress.lock);
	erase();
	progress.hidden = true;
	pthread_mutex_unlock(&progress.lock);
}

void fr_progress_end(void)
{
	if (!progress.running)
		return;
	pthread_mutex_lock(&progress.lock);
	progress.end = true;
	pthread_cond_signal(&progress.ended);
	pthread_mutex_unlock(&progress.lock);
	pthread_join(progress.thread, NULL);
	progress.running = false;
}
