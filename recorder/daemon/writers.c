/* SPDX-License-Identifier: MIT */
/* writers.c - see writers.h. */
#include "recorder/daemon/writers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pstore/vouch.h"
#include "recorder/core/host.h"
#include "recorder/core/testpoint.h"
#include "recorder/daemon/daemon.h"
#include "recorder/daemon/death.h"

#define POLL_MS 100 /* without pidfd */

int writers_open_ring(const struct writer *writer, int flags)
{
	char path[FR_PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", writer->daemon->ring_dir, writer->name) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

struct writer *writers_find(struct daemon *daemon, const char *name)
{
	for (struct writer *writer = daemon->writers.first; writer; writer = writer->next) {
		if (strcmp(writer->name, name) == 0)
			return writer;
	}
	return NULL;
}

static void stop_watching(struct writer *writer)
{
	loop_remove(&writer->daemon->loop, writer->source);
	writer->source = NULL;
	if (writer->pidfd >= 0) {
		close(writer->pidfd);
		writer->daemon->writers.pidfds--;
	}
	writer->pidfd = -1;
}

void writers_remove(struct writer *writer)
{
	struct writers *writers = &writer->daemon->writers;

	for (struct writer **at = &writers->first; *at; at = &(*at)->next) {
		if (*at == writer) {
			*at = writer->next;
			break;
		}
	}
	if (writer->state == WRITER_LIVING) {
		writers->living--;
		writers->bytes -= writer->size;
	} else {
		writers->waiting_bytes -= writer->size;
	}
	writers->count--;
	stop_watching(writer);
	free(writer);
}

static bool closed_in_order(const struct writer *writer)
{
	uint64_t closed = 0;
	int fd = writers_open_ring(writer, O_RDONLY);

	if (fd < 0)
		return false;
	if (pread(fd, &closed, sizeof(closed), offsetof(struct frm_meta, state.closed_boot_ns)) !=
	    (ssize_t)sizeof(closed))
		closed = 0;
	close(fd);
	return closed != 0;
}

static void end_of(struct writer *writer, const char *how, bool died)
{
	struct daemon *daemon = writer->daemon;
	struct writers *writers = &daemon->writers;
	char id[33];

	if (writer->state != WRITER_LIVING)
		return;
	FR_TESTPOINT("death-noticed");
	writers->living--;
	writers->bytes -= writer->size;
	writers->waiting_bytes += writer->size;
	writer->state = WRITER_DEAD;
	stop_watching(writer);
	writers_check_size(writer);
	if (died && !closed_in_order(writer)) {
		writers->deaths++;
		fr_hex(id, writer->ring_id, 16);
		OWN_SAY(&daemon->own, FR_EVENT_FR_PROCESS_DIED, { .u = writer->start_time_ns },
			{ .u = writer->pid }, { .s = writer->comm }, { .s = id }, { .s = how });
		own_drain_within(&daemon->own, 300); /* when the kernel's words of it are in */
	}
	salvage_queue_run(&daemon->queue);
}

static void pidfd_ready(void *ctx, uint32_t events)
{
	struct writer *writer = ctx;
	char how[64];

	(void)events;
	death_how(writer->pid, writer->start_time_ns, writer->pidfd, how, sizeof(how));
	end_of(writer, how, true);
}

static bool still_there(const struct writer *writer)
{
	struct frm_super super = { .pid = writer->pid, .start_time_ns = writer->start_time_ns };

	memcpy(super.boot_id, writer->daemon->boot_id, 16);
	return fr_host_writer_alive(&super);
}

static void poll_writers(void *ctx)
{
	struct daemon *daemon = ctx;
	bool more = false;

	for (struct writer *writer = daemon->writers.first, *next; writer; writer = next) {
		next = writer->next;
		if (writer->state != WRITER_LIVING || writer->pidfd >= 0)
			continue;
		if (still_there(writer))
			more = true;
		else
			end_of(writer, "vanished", true);
	}
	daemon->writers.polling = more;
	if (more)
		loop_timer_set(&daemon->loop, &daemon->writers.poll, POLL_MS);
}

static void watch(struct writer *writer)
{
	struct writers *writers = &writer->daemon->writers;
	bool refused = writers->pidfds >= writers->pidfds_max; /* connections need some, too */

#ifdef FR_TESTPOINTS
	refused |= getenv("FLIGHTREC_TEST_NO_PIDFD") != NULL; /* as on a kernel before 5.3 */
#endif
	if (writer->pidfd >= 0 && !refused &&
	    loop_add(&writer->daemon->loop, writer->pidfd, EPOLLIN, pidfd_ready, writer,
		     &writer->source) == 0) {
		writers->pidfds++;
		return;
	}
	if (writer->pidfd >= 0)
		close(writer->pidfd);
	writer->pidfd = -1;
	if (!writers->polling) {
		writers->polling = true;
		loop_timer_set(&writer->daemon->loop, &writers->poll, POLL_MS);
	}
}

struct writer *writers_enter(struct daemon *daemon, const char *name, const struct frm_super *super)
{
	struct writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		return NULL;
	writer->daemon = daemon;
	snprintf(writer->name, sizeof(writer->name), "%s", name);
	memcpy(writer->ring_id, super->ring_id, 16);
	memcpy(writer->comm, super->comm, sizeof(writer->comm) - 1);
	writer->pid = super->pid;
	writer->uid = super->uid;
	writer->start_time_ns = super->start_time_ns;
	writer->size = super->ring_size;
	writer->meta_size = super->meta_size;
	writer->lane_count = super->lane_count;
	writer->lane_size = super->lane_size;
	writer->this_boot = memcmp(super->boot_id, daemon->boot_id, 16) == 0;
	writer->since_ns = fr_clock_boot_ns();
	writer->pidfd = -1;
	writer->state = WRITER_DEAD;
	writer->next = daemon->writers.first;
	daemon->writers.first = writer;
	daemon->writers.count++;
	daemon->writers.waiting_bytes += writer->size;
	return writer;
}

struct writer *writers_add(struct daemon *daemon, const char *name, const struct frm_super *super,
			   int pidfd, bool vouched)
{
	struct writer *writer = writers_enter(daemon, name, super);

	if (!writer) {
		if (pidfd >= 0)
			close(pidfd);
		return NULL;
	}
	writer->state = WRITER_LIVING;
	writer->vouched = vouched;
	writer->pidfd = pidfd;
	writer->stack_start = fr_host_stack_start((pid_t)super->pid);
	daemon->writers.living++;
	daemon->writers.waiting_bytes -= writer->size;
	daemon->writers.bytes += writer->size;
	watch(writer);
	return writer;
}

int writers_open(struct daemon *daemon)
{
	struct writers *writers = &daemon->writers;

	writers->poll = (struct loop_timer){ .fire = poll_writers, .ctx = daemon };
	writers_watch(daemon);
	fr_vouch_sweep(daemon->state, daemon->ring_dir);
	writers_scan(daemon, true);
	writers_watch_sizes(daemon);
	return 0;
}

void writers_close(struct daemon *daemon)
{
	while (daemon->writers.first)
		writers_remove(daemon->writers.first);
	if (daemon->writers.watch >= 0)
		close(daemon->writers.watch);
	if (daemon->writers.sizes >= 0)
		close(daemon->writers.sizes);
}

void writers_end_abandoned(struct daemon *daemon, uint32_t pid)
{
	uint64_t stack = 0;

	for (struct writer *writer = daemon->writers.first, *next; writer; writer = next) {
		next = writer->next;
		if (writer->state != WRITER_LIVING || writer->pid != pid || !writer->stack_start)
			continue;
		if (!stack)
			stack = fr_host_stack_start((pid_t)pid);
		if (!stack || stack == writer->stack_start)
			continue;
		daemon->writers.abandoned++;
		end_of(writer, "replaced its program", false);
	}
}

void writers_of_user(const struct daemon *daemon, uint32_t uid, unsigned *ret_rings,
		     uint64_t *ret_bytes)
{
	*ret_rings = 0;
	*ret_bytes = 0;
	for (const struct writer *writer = daemon->writers.first; writer; writer = writer->next) {
		if (writer->uid ==
		    uid) { /* the dead count until they are salvaged: their space is still taken */
			++*ret_rings;
			*ret_bytes += writer->size;
		}
	}
}

unsigned writers_of_process(const struct daemon *daemon, uint32_t pid)
{
	unsigned count = 0;

	for (const struct writer *writer = daemon->writers.first; writer; writer = writer->next)
		count += writer->pid == pid && writer->state == WRITER_LIVING;
	return count;
}

void writers_look(struct writer *writer)
{
	uint64_t now = fr_clock_boot_ns(), records = 0, discarded = 0;
	int fd = writers_open_ring(writer, O_RDONLY);

	if (fd < 0)
		return;
	for (uint32_t i = 0; i < writer->lane_count; i++) {
		uint64_t numbers[2]; /* next_seq, discarded */
		off_t at = (off_t)(2ull * writer->meta_size + i * writer->lane_size +
				   offsetof(struct frm_lane, next_seq));

		if (pread(fd, numbers, sizeof(numbers), at) != (ssize_t)sizeof(numbers))
			break;
		records += numbers[0];
		discarded += numbers[1];
	}
	close(fd);
	if (writer->looked_ns && now > writer->looked_ns && records >= writer->records)
		writer->rate = (double)(records - writer->records) * 1e9 /
			       (double)(now - writer->looked_ns);
	else if (now > writer->since_ns)
		writer->rate = (double)records * 1e9 / (double)(now - writer->since_ns);
	writer->records = records;
	writer->discarded = discarded;
	writer->looked_ns = now;
}
