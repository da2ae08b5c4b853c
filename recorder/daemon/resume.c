/* SPDX-License-Identifier: MIT */
/* resume.c - see resume.h. */
#include "recorder/daemon/resume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "recorder/core/check.h"
#include "recorder/core/decode.h"
#include "recorder/core/testpoint.h"
#include "recorder/daemon/daemon.h"

#define FIND_WAIT_MS 20000

static void merge(struct resume *into, const struct resume *from)
{
	if (from->log_known && (!into->log_known || from->log_seq > into->log_seq)) {
		into->log_known = true;
		into->log_seq = from->log_seq;
	}
	if (from->kernel_time_ns > into->kernel_time_ns) {
		into->kernel_time_ns = from->kernel_time_ns;
		into->kernel_tid = from->kernel_tid;
		into->kernel_cpu = from->kernel_cpu;
	}
}

/* The newest of each lane, which is the last of it in the image. */
static void read_ring(int dir, const char *name, const uint8_t boot_id[16], struct resume *resume)
{
	struct resume ring = { 0 };
	struct fr_image *image;
	struct frm_super super;
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	if (pread(fd, &super, sizeof(super), 0) != (ssize_t)sizeof(super) ||
	    fr_super_check(&super) < 0 || super.kind != FRM_KIND_SYSTEM ||
	    memcmp(super.boot_id, boot_id, 16) != 0 || fr_image_open(fd, 0, &image) < 0) {
		close(fd);
		return;
	}
	close(fd);
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		const struct fr_record *record = fr_image_record(image, i);
		const struct fr_value *seq;
		struct fr_event event;

		if (record->flags)
			continue;
		if (record->lane == OWN_KERNEL) {
			ring.kernel_time_ns = record->time_ns;
			ring.kernel_tid = record->tid;
			ring.kernel_cpu = record->cpu;
		} else if (record->lane == OWN_LOG) {
			fr_decode(image, record, &event);
			seq = fr_event_field(&event, "seq");
			ring.log_known |= seq != NULL;
			ring.log_seq = seq ? seq->u : ring.log_seq;
		}
	}
	fr_image_close(image);
	merge(resume, &ring);
}

static int find_job(void *ctx, void *result)
{
	struct daemon *daemon = ctx;
	DIR *dir = opendir(daemon->ring_dir);
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		size_t length = strlen(entry->d_name);

		if (length > 5 && strcmp(entry->d_name + length - 5, FR_RING_SUFFIX) == 0)
			read_ring(dirfd(dir), entry->d_name, daemon->boot_id, result);
	}
	closedir(dir);
	return 0;
}

static void find_done(void *ctx, const struct worker_end *end)
{
	struct daemon *daemon = ctx;

	if (end->error == 0)
		merge(&daemon->resume, end->result);
	else
		log_line(
			LOG_PRIO_WARNING,
			"start: the rings of an earlier daemon could not be read (%s): lines of the kernel's log may "
			"be recorded twice",
			strerror(-end->error));
}

static void read_file(struct daemon *daemon, const char *path)
{
	char text[512] = "", boot[37] = "", wanted[37];
	struct resume resume = { 0 };
	int known = 0, stopped = 0, got = fr_gates_read(path, text, sizeof(text) - 1);

	fr_uuid_text(wanted, daemon->boot_id);
	daemon->resume.first_in_boot = true;
	if (got < 0 || sscanf(text,
			      "boot %36s\nstopped %d\nkernel_log %d %" SCNu64
			      "\nkernel_event %" SCNu64 " %" SCNu32 " %" SCNu16,
			      boot, &stopped, &known, &resume.log_seq, &resume.kernel_time_ns,
			      &resume.kernel_tid, &resume.kernel_cpu) != 7)
		return;
	if (strcmp(boot, wanted) != 0) {
		daemon->resume.previous_stopped = stopped;
		snprintf(daemon->resume.previous_boot, sizeof(daemon->resume.previous_boot), "%s",
			 boot);
		return;
	}
	daemon->resume.first_in_boot = false;
	resume.log_known = known;
	merge(&daemon->resume, &resume);
}

void resume_find(struct daemon *daemon)
{
	struct worker worker = { 0 };
	char path[FR_PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/resume", daemon->state) >= (int)sizeof(path))
		return;
	read_file(daemon, path);
	if (worker_start(&worker, &daemon->loop, find_job, find_done, daemon) == 0)
		worker_reap(&worker, FIND_WAIT_MS);
	if (worker.pid > 0) {
		log_line(
			LOG_PRIO_WARNING,
			"start: reading the rings of an earlier daemon takes too long: lines of the kernel's log may be "
			"recorded twice");
		kill(worker.pid, SIGKILL);
		worker_reap(&worker, FIND_WAIT_MS);
	}
}

void resume_store(struct daemon *daemon, bool stopped)
{
	const struct resume *resume = &daemon->resume;
	char path[FR_PATH_MAX], text[512], boot[37];
	int size, error;

	fr_uuid_text(boot, daemon->boot_id);
	size = snprintf(text, sizeof(text),
			"boot %s\nstopped %d\nkernel_log %d %" PRIu64 "\nkernel_event %" PRIu64
			" %" PRIu32 " %" PRIu16 "\n",
			boot, stopped, resume->log_known, resume->log_seq, resume->kernel_time_ns,
			resume->kernel_tid, resume->kernel_cpu);
	if (snprintf(path, sizeof(path), "%s/resume", daemon->state) >= (int)sizeof(path))
		return;
	error = fr_gates_write(path, text, (size_t)size, true);
	if (error < 0)
		log_line(
			LOG_PRIO_WARNING,
			"%s could not be written: %s. After a restart lines of the kernel's log may be recorded twice",
			path, strerror(-error));
	FR_TESTPOINT("resume-stored");
}
