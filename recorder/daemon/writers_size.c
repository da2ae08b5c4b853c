/* SPDX-License-Identifier: MIT */
/*
 * writers_size.c - the size of a ring is ours to decide: what a client adds goes again, what it
 * cuts off is gone. Once for each ring it is said. See writers.h.
 *
 * Writers map their rings; whoever calls write, ftruncate or fallocate on one is up to something,
 * and the kernel tells us. How often is the client's choice, so that nothing is read out of what it
 * tells: it makes us look at all sizes, ten times a second at most. Without being told we look now
 * and then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/daemon/daemon.h"
#include "recorder/daemon/writers.h"

#define CHECK_MS     10000
#define SOON_MS	     100
#define DRAIN_READS  64
#define BLOCKS_TIMES 4 /* a file system may allocate ahead of what is written, and keep books of its own */

static bool too_large(const struct writer *writer, const struct stat *st)
{
	return (uint64_t)st->st_size > writer->size ||
	       (uint64_t)st->st_blocks * 512 > BLOCKS_TIMES * writer->size;
}

static bool is_right(const struct writer *writer, const struct stat *st)
{
	return (uint64_t)st->st_size == writer->size && !too_large(writer, st);
}

static void say(struct writer *writer, const struct stat *st, bool undone)
{
	bool grown = (uint64_t)st->st_size > writer->size;

	if (writer->size_said || !log_allowed(&writer->daemon->writers.size_limit))
		return;
	writer->size_said = true;
	if ((uint64_t)st->st_size == writer->size)
		log_line(LOG_PRIO_WARNING,
			 "ring %s: process %u (%.15s) has taken %lld bytes of disk for its %llu: %s",
			 writer->name, writer->pid, writer->comm, (long long)st->st_blocks * 512,
			 (unsigned long long)writer->size,
			 undone ? "undone" : "this can't be undone");
	else
		log_line(LOG_PRIO_WARNING,
			 "ring %s: process %u (%.15s) has %s it from %llu to %lld bytes: %s",
			 writer->name, writer->pid, writer->comm, grown ? "grown" : "cut",
			 (unsigned long long)writer->size, (long long)st->st_size,
			 undone	 ? "undone"
			 : grown ? "this can't be undone"
				 : "what was there is lost");
}

void writers_check_size(struct writer *writer)
{
	char path[FR_PATH_MAX];
	bool undone = false;
	struct stat st;
	int fd;

	if (writer->size == 0 || /* known by its name alone */
	    snprintf(path, sizeof(path), "%s/%s", writer->daemon->ring_dir, writer->name) >=
		    (int)sizeof(path) ||
	    lstat(path, &st) < 0 || !S_ISREG(st.st_mode) || is_right(writer, &st))
		return;
	fd = writers_open_ring(writer, O_RDWR);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && !is_right(writer, &st)) {
		if (too_large(writer, &st)) /* gives back what was allocated beyond the end, too */
			undone = ftruncate(fd, (off_t)writer->size) == 0;
		say(writer, &st, undone);
	}
	close(fd);
}

static void check_sizes(void *ctx)
{
	struct daemon *daemon = ctx;
	struct writers *writers = &daemon->writers;
	char told[4096];

	for (unsigned i = 0; i < DRAIN_READS && writers->sizes_source; i++) {
		if (read(writers->sizes, told, sizeof(told)) <= 0)
			break;
	}
	/* the dead's, too: who else has the descriptor may live */
	for (struct writer *writer = writers->first; writer; writer = writer->next)
		writers_check_size(writer);
	if (writers->sizes_source)
		loop_enable(&daemon->loop, writers->sizes_source, true);
	loop_timer_set(&daemon->loop, &writers->check, CHECK_MS);
}

static void written_to(void *ctx, uint32_t events)
{
	struct daemon *daemon = ctx;

	(void)events;
	loop_enable(&daemon->loop, daemon->writers.sizes_source, false);
	loop_timer_set(&daemon->loop, &daemon->writers.check, SOON_MS);
}

void writers_watch_sizes(struct daemon *daemon)
{
	struct writers *writers = &daemon->writers;

	writers->size_limit.about = "rings that changed their size";
	writers->check = (struct loop_timer){ .fire = check_sizes, .ctx = daemon };
	loop_timer_set(&daemon->loop, &writers->check, CHECK_MS);
	writers->sizes = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (writers->sizes < 0 ||
	    inotify_add_watch(writers->sizes, daemon->ring_dir, IN_MODIFY) < 0 ||
	    loop_add(&daemon->loop, writers->sizes, EPOLLIN, written_to, daemon,
		     &writers->sizes_source) < 0)
		log_line(LOG_PRIO_WARNING,
			 "writes to %s can't be watched (inotify: %s): a ring that its program grows is only cut "
			 "after %d s. Raise fs.inotify.max_user_instances",
			 daemon->ring_dir, strerror(errno), CHECK_MS / 1000);
}
