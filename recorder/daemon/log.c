/* SPDX-License-Identifier: MIT */
/* log.c - see log.h. */
#include "recorder/daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/core/host.h"

static bool to_journal;

void log_open(void)
{
	/* "device:inode" of the stream that the journal reads: ours only if it still is standard error */
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	to_journal = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
		     fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_line(int priority, const char *format, ...)
{
	char line[1024];
	size_t used = 0, end;
	va_list ap;
	ssize_t put;
	int n;

	used = (size_t)(to_journal ? snprintf(line, sizeof(line), "<%d>", priority)
				   : snprintf(line, sizeof(line), "flightrecd: "));
	va_start(ap, format);
	n = vsnprintf(line + used, sizeof(line) - used - 1, format, ap);
	va_end(ap);
	end = n < 0 ? used : used + (size_t)n;
	if (end > sizeof(line) - 2)
		end = sizeof(line) - 2;
	for (size_t i = used; i < end; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	}
	line[end++] = '\n';
	put = write(STDERR_FILENO, line, end); /* one call, so that lines of workers don't mix */
	(void)put;
}

bool log_allowed(struct log_limit *limit)
{
	uint64_t now = fr_clock_boot_ns();

	if (now - limit->window_ns > LOG_LIMIT_MS * 1000000ull || limit->window_ns == 0) {
		unsigned held = limit->held;

		limit->window_ns = now;
		limit->lines = 0;
		limit->held = 0;
		if (held > 0)
			log_line(LOG_PRIO_WARNING, "%s: %u more like the last ones, not shown",
				 limit->about, held);
	}
	if (limit->lines >= LOG_LIMIT_LINES) {
		limit->held++;
		return false;
	}
	limit->lines++;
	return true;
}
