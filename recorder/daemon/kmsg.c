/* SPDX-License-Identifier: MIT */
/* kmsg.c - see kmsg.h. */
#include "recorder/daemon/kmsg.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/core/host.h"
#include "recorder/daemon/daemon.h"

#define RECORD_MAX 8192
#define BURST	   512 /* lines read before others get their turn */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The kernel writes what is not printable, and backslashes, as \xNN. In place; returns the new length. */
static size_t unescape(char *text, size_t size)
{
	size_t to = 0;

	for (size_t from = 0; from < size; to++) {
		if (size - from >= 4 && text[from] == '\\' && text[from + 1] == 'x' &&
		    hex_digit(text[from + 2]) >= 0 && hex_digit(text[from + 3]) >= 0) {
			text[to] =
				(char)(hex_digit(text[from + 2]) << 4 | hex_digit(text[from + 3]));
			from += 4;
		} else {
			text[to] = text[from++];
		}
	}
	return to;
}

static bool number(char **at, char stop, uint64_t *ret)
{
	char *end;

	if (!isdigit((unsigned char)**at))
		return false;
	*ret = strtoull(*at, &end, 10);
	if (*end != stop && !(stop == ',' && *end == ';'))
		return false;
	*at = end + 1;
	return true;
}

int kmsg_parse(char *record, size_t size, struct kmsg_line *line)
{
	char *at = record, *semicolon, *newline, *end = record + size;
	uint64_t priority;

	*end = 0; /* the caller's buffer has room for it */
	semicolon = memchr(record, ';', size);
	if (!semicolon || !number(&at, ',', &priority) || !number(&at, ',', &line->seq) ||
	    !number(&at, ',', &line->time_us))
		return -EBADMSG;
	line->severity = (unsigned)priority & 7;
	line->facility = (unsigned)(priority >> 3) & 0xff;
	line->text = semicolon + 1;
	newline = memchr(line->text, '\n', (size_t)(end - line->text));
	if (!newline)
		newline = end;
	line->text_size = unescape(semicolon + 1, (size_t)(newline - line->text));
	line->subsystem = line->device = "";
	line->subsystem_size = line->device_size = 0;
	while (newline < end) {
		char *key = newline + 1;

		newline = memchr(key, '\n', (size_t)(end - key));
		if (!newline)
			newline = end;
		if (strncmp(key, " SUBSYSTEM=", 11) == 0) {
			line->subsystem = key + 11;
			line->subsystem_size = (size_t)(newline - line->subsystem);
		} else if (strncmp(key, " DEVICE=", 8) == 0) {
			line->device = key + 8;
			line->device_size = (size_t)(newline - line->device);
		}
	}
	return 0;
}

static void record(struct kmsg *kmsg, const struct kmsg_line *line, uint64_t mono_to_boot_ns)
{
	struct daemon *daemon = kmsg->daemon;
	struct fr_stamp stamp = { .time_ns = line->time_us * 1000 + mono_to_boot_ns,
				  .event = FR_EVENT_KERNEL_LOG,
				  .cpu = FRM_CPU_NONE };
	struct fr_value value[6] = {
		{ .type = FRM_U64, .u = line->seq },
		{ .type = FRM_U8, .u = line->severity },
		{ .type = FRM_U8, .u = line->facility },
		{ .type = FRM_STR, .s = { line->text, line->text_size } },
		{ .type = FRM_STR, .s = { line->subsystem, line->subsystem_size } },
		{ .type = FRM_STR, .s = { line->device, line->device_size } },
	};

	if (own_record(&daemon->own, OWN_LOG, &stamp, value, 6) < 0)
		return;
	kmsg->recorded++;
	daemon->resume.log_known = true;
	daemon->resume.log_seq = line->seq;
}

static void line_read(struct kmsg *kmsg, char *buffer, size_t size, uint64_t mono_to_boot_ns)
{
	struct daemon *daemon = kmsg->daemon;
	struct kmsg_line line;

	if (kmsg_parse(buffer, size, &line) < 0)
		return;
	kmsg->lines++;
	if (kmsg->seq_known && line.seq > kmsg->next_seq) {
		kmsg->lost += line.seq - kmsg->next_seq;
		own_loss(&daemon->own, FRM_LOSS_KERNEL_LOG, line.seq - kmsg->next_seq, "/dev/kmsg");
	}
	if (kmsg->seq_known && line.seq < kmsg->next_seq)
		return; /* an earlier daemon of this boot has recorded it */
	kmsg->seq_known = true;
	kmsg->next_seq = line.seq + 1;
	if (line.severity <= daemon->config.kernel_log_level)
		record(kmsg, &line, mono_to_boot_ns);
}

static void ready(void *ctx, uint32_t events)
{
	struct kmsg *kmsg = ctx;
	char buffer[RECORD_MAX + 1];
	uint64_t mono_ns = fr_clock_mono_ns(),
		 mono_to_boot_ns = fr_clock_boot_ns() - mono_ns; /* in this order: never negative */

	(void)events;
	for (unsigned i = 0; i < BURST; i++) {
		ssize_t got;

		if (own_wants_pause(&kmsg->daemon->own, OWN_LOG)) {
			kmsg->paused = true;
			loop_enable(&kmsg->daemon->loop, kmsg->source, false);
			return;
		}
		got = read(kmsg->fd, buffer, RECORD_MAX);
		if (got > 0)
			line_read(kmsg, buffer, (size_t)got, mono_to_boot_ns);
		else if (got < 0 && (errno == EPIPE || errno == EINTR || errno == EINVAL))
			continue; /* overwritten: the next number tells how many; too long: skipped by the kernel */
		else
			return;
	}
}

void kmsg_resume(struct kmsg *kmsg)
{
	if (!kmsg->paused)
		return;
	kmsg->paused = false;
	loop_enable(&kmsg->daemon->loop, kmsg->source, true);
}

void kmsg_open(struct daemon *daemon)
{
	struct kmsg *kmsg = &daemon->kmsg;
	int error;

	kmsg->daemon = daemon;
	kmsg->fd = -1;
	if (!daemon->config.kernel_log)
		return;
	kmsg->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg->fd < 0) {
		daemon_missing(daemon, "kernel log",
			       "/dev/kmsg can't be read: %s. Run as root or with CAP_SYSLOG",
			       strerror(errno));
		return;
	}
	kmsg->seq_known = daemon->resume.log_known;
	kmsg->next_seq = daemon->resume.log_seq + 1;
	error = loop_add(&daemon->loop, kmsg->fd, EPOLLIN, ready, kmsg, &kmsg->source);
	if (error < 0) {
		daemon_missing(daemon, "kernel log", "/dev/kmsg can't be waited for: %s",
			       strerror(-error));
		close(kmsg->fd);
		kmsg->fd = -1;
		return;
	}
	ready(kmsg, EPOLLIN);
}

void kmsg_close(struct kmsg *kmsg)
{
	if (kmsg->fd < 0)
		return;
	if (!kmsg->paused)
		ready(kmsg, EPOLLIN);
	loop_remove(&kmsg->daemon->loop, kmsg->source);
	close(kmsg->fd);
	kmsg->fd = -1;
}
