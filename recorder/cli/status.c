/* SPDX-License-Identifier: MIT */
/*
 * status.c - `flightrec status`: what is recording, where, how far back it reaches, and what was lost.
 *
 * The daemon is asked for what only it knows (eBPF, its cost, what is missing); rings, spool and index are looked at
 * directly, so that the answer is the same in kind without a daemon. A store's tier is measured on the spot, never believed.
 */
#include "recorder/cli/status.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "recorder/cli/ask.h"
#include "recorder/cli/cli.h"
#include "recorder/core/host.h"
#include "recorder/core/ini.h"
#include "recorder/core/json.h"
#include "uploader/index.h"

#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif
#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE 0x3
#endif

static const char help[] =
	"Options:\n"
	"  -j, --json       everything, as one object\n"
	"      --state DIR  another state directory\n"
	"\n"
	"Exit codes: 0 good (with or without a daemon), 4 nothing is recorded here yet.\n"
	"\n"
	"Examples:\n"
	"  flightrec status\n"
	"  flightrec status --json | jq '.rings[] | select(.alive) | {comm, pid, rate}'\n";

#define RATE_WINDOW_NS 10000000000ull

/* ------------------------------------------------------------------ rings */

static void look_into(const struct status *status, struct ring_status *ring, const struct fr_image *image)
{
	size_t records = fr_image_record_count(image), recent = 0;
	uint64_t from = status->now_ns > RATE_WINDOW_NS ? status->now_ns - RATE_WINDOW_NS : 0;

	ring->events = records;
	for (size_t i = 0; i < records; i++) {
		uint64_t time_ns = fr_image_record(image, i)->time_ns;

		if (!i || time_ns < ring->oldest_ns)
			ring->oldest_ns = time_ns;
		if (time_ns > ring->newest_ns)
			ring->newest_ns = time_ns;
		recent += time_ns >= from && time_ns <= status->now_ns;
	}
	if (ring->this_boot && recent) {
		uint64_t since = ring->oldest_ns > from ? ring->oldest_ns : from;
		uint64_t window = status->now_ns > since ? status->now_ns - since : 1;

		ring->rate = (double)recent * 1e9 / (double)(window > 1000000000 ? window : 1000000000);
	}
	for (size_t i = 0; i < fr_image_loss_count(image); i++) {
		const struct fr_loss *loss = fr_image_loss(image, i);

		if ((unsigned)loss->cause < FRM_LOSS_COUNT)
			ring->lost[loss->cause] += loss->count;
	}
}

static void add_ring(struct status *status, const struct fr_store_file *file)
{
	struct ring_status ring = { 0 };
	struct fr_opened opened;
	uint8_t boot_id[16];

	ring.error = fr_store_open(file->path, &opened);
	if (ring.error == -ENOENT)
		return;
	if (!ring.error) {
		ring.super = *fr_image_super(opened.image);
		ring.alive = opened.alive;
		ring.gone = opened.gone;
		ring.this_boot = fr_host_boot_id(boot_id) == 0 && memcmp(boot_id, ring.super.boot_id, 16) == 0;
		look_into(status, &ring, opened.image);
		fr_image_close(opened.image);
	}
	ring.path = fr_cli_alloc(strlen(file->path) + 1);
	strcpy(ring.path, file->path);
	if ((status->ring_count & (status->ring_count - 1)) == 0)
		status->ring = fr_cli_realloc(status->ring, (status->ring_count ? status->ring_count * 2 : 1) * sizeof(*status->ring));
	status->ring[status->ring_count++] = ring;
}

static int add_file(void *ctx, const struct fr_store_file *file)
{
	struct status *status = ctx;
	struct stat st;

	if (file->ring) {
		add_ring(status, file);
	} else if (stat(file->path, &st) == 0) {
		status->segments++;
		status->segment_bytes += (uint64_t)st.st_size;
	}
	return 0;
}

/* The living first, then the dead; within each, who wrote last. */
static int compare_rings(const void *a, const void *b)
{
	const struct ring_status *x = a, *y = b;

	if (x->alive != y->alive)
		return x->alive ? -1 : 1;
	if (x->this_boot != y->this_boot)
		return x->this_boot ? -1 : 1;
	if (x->newest_ns != y->newest_ns)
		return x->newest_ns > y->newest_ns ? -1 : 1;
	return strcmp(x->path, y->path);
}

/* ------------------------------------------------------------------ stores */

/* Tries what a DAX file system allows and no other: a mapping whose stores need no write-back. 1 yes, 0 no, -1 not known. */
static int measure_dax(const struct status *status, const char *directory)
{
	size_t size = strlen(directory);
	int dax = -1;

	for (size_t i = 0; i < status->ring_count && dax < 0; i++) {
		const char *path = status->ring[i].path;
		void *map;
		int fd;

		if (strncmp(path, directory, size) != 0 || path[size] != '/')
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		map = mmap(NULL, FRM_PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
		dax = map != MAP_FAILED;
		if (dax)
			munmap(map, FRM_PAGE);
		close(fd);
	}
	return dax;
}

static void add_stores(struct status *status)
{
	for (size_t i = 0; i < sizeof(status->store.rings) / FR_PATH_MAX; i++) {
		struct store_status store = { .path = status->store.rings[i] };
		size_t size = strlen(store.path);
		struct statvfs fs;
		int dax;

		if (!size || access(store.path, F_OK) < 0)
			continue;
		for (size_t j = 0; j < status->ring_count; j++) {
			if (strncmp(status->ring[j].path, store.path, size) != 0 || status->ring[j].path[size] != '/')
				continue;
			store.rings++;
			store.bytes += status->ring[j].super.ring_size;
		}
		dax = measure_dax(status, store.path);
		store.tier = dax < 0 ? "not measured" : dax ? "dax" : "file";
		store.measured = dax < 0 ? "no ring to try it on" : dax ? "a mapping with MAP_SYNC works" : "no MAP_SYNC: page cache";
		store.survives = dax < 0 ? "" :
				 dax	 ? "survives the process and a panic; power cuts on real persistent memory" :
					   "survives the process; a panic or power cut up to the last write-back, events at level critical in any case";
		if (statvfs(store.path, &fs) == 0)
			store.free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
		status->stores[status->store_count++] = store;
	}
}

/* Files in a directory whose names end so (NULL: all): count and bytes. */
static void count_files(const char *directory, const char *end, uint64_t *ret_count, uint64_t *ret_bytes)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	struct stat st;

	*ret_count = *ret_bytes = 0;
	while (dir && (entry = readdir(dir))) {
		size_t size = strlen(entry->d_name), want = end ? strlen(end) : 0;

		if (entry->d_name[0] == '.' || (end && (size <= want || strcmp(entry->d_name + size - want, end) != 0)))
			continue;
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		++*ret_count;
		*ret_bytes += (uint64_t)st.st_size;
	}
	if (dir)
		closedir(dir);
}

/* ------------------------------------------------------------------ index, upload, daemon */

static int take_counts(void *data, int columns, const char *const *names, const char *const *values, const int *types)
{
	struct status *status = data;

	(void)columns, (void)names, (void)types;
	status->indexed_segments = values[0] ? strtoull(values[0], NULL, 10) : 0;
	status->indexed_events = values[1] ? strtoull(values[1], NULL, 10) : 0;
	status->incidents = values[2] ? strtoull(values[2], NULL, 10) : 0;
	return 0;
}

static void ask_index(struct status *status)
{
	char path[FR_PATH_MAX + 16];
	struct fr_index *index;
	struct stat st;
	int error;

	snprintf(path, sizeof(path), "%s/index.db", status->store.state);
	if (stat(path, &st) < 0)
		return;
	status->has_index = true;
	status->index_bytes = (uint64_t)st.st_size;
	snprintf(path, sizeof(path), "%s/index.db-wal", status->store.state);
	if (stat(path, &st) == 0)
		status->index_bytes += (uint64_t)st.st_size;
	error = fr_index_open(status->store.state, FR_INDEX_READ, &index);
	if (error) {
		status->index_error = fr_index_strerror(error);
		return;
	}
	error = fr_index_sql(index,
			     "SELECT (SELECT count(*) FROM segments), (SELECT sum(records) FROM segments),"
			     " (SELECT count(*) FROM incidents)",
			     take_counts, status, NULL);
	if (error)
		status->index_error = fr_why(error);
	fr_index_close(index);
}

static int take_upload(void *ctx, const struct fr_ini_entry *entry, char *why, size_t why_size)
{
	struct status *status = ctx;

	(void)why, (void)why_size;
	if (strcmp(entry->section, "upload") == 0 && strcmp(entry->key, "endpoint") == 0)
		status->upload_on = *entry->value != '\0';
	return FR_INI_NOT_MINE;
}

static void ask_daemon(struct status *status)
{
	struct fr_proto_request request = { .op = FR_PROTO_STATUS };
	struct fr_proto_answer answer = { 0 };
	char *text = fr_cli_alloc(FR_PROTO_TEXT_MAX + 1);

	status->daemon_error = fr_ask(&request, &answer, text, FR_ASK_PATIENT_MS);
	if (!status->daemon_error && answer.error)
		status->daemon_error = answer.error;
	if (!status->daemon_error && !fr_json_valid(text, strlen(text)))
		status->daemon_error = -EPROTO;
	if (status->daemon_error)
		free(text);
	else
		status->daemon = text;
}

static int gather(struct status *status)
{
	const struct fr_ini_reader reader = { .entry = take_upload, .ctx = status };
	char path[FR_PATH_MAX + 32], ignored[FR_INI_TEXT_MAX];
	const char *endpoint = getenv("FLIGHTREC_UPLOAD_ENDPOINT");
	uint64_t bytes;
	int error = fr_store_here(&status->store);

	if (error)
		return fr_fail("cannot find the state directory: %s; set FLIGHTREC_STATE_DIR", fr_why(error));
	status->now_ns = fr_clock_boot_ns();
	ask_daemon(status);
	fr_store_each(&status->store, add_file, status);
	if (status->ring_count)
		qsort(status->ring, status->ring_count, sizeof(*status->ring), compare_rings);
	add_stores(status);
	ask_index(status);
	snprintf(path, sizeof(path), "%s/spool/quarantine", status->store.state);
	count_files(path, ".why", &status->quarantined, &bytes);
	snprintf(path, sizeof(path), "%s/outbox", status->store.state);
	count_files(path, ".frb", &status->batches, &status->batch_bytes);
	fr_ini_load_config(&reader, ignored, sizeof(ignored));
	status->upload_on |= endpoint && *endpoint;
	return FR_EXIT_GOOD;
}

int fr_cmd_status(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' }, { "state", required_argument, NULL, 's' }, { "help", no_argument, NULL, 'h' }, { 0 }
	};
	struct fr_out FR_OUT_CLEANUP out = { 0 };
	struct status status = { 0 };
	bool json = false;
	struct fr_term term;
	int option, result;

	while ((option = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		if (option == 'h')
			return fr_help("status", help);
		if (option == '?')
			return fr_usage("status", NULL);
		if (option == 's' && fr_store_use(optarg) < 0)
			return fr_usage("status", "--state: want a directory");
		json |= option == 'j';
	}
	if (optind < argc)
		return fr_usage("status", "status: `%s`: it takes no arguments", argv[optind]);
	fr_term_init(&term, NULL);
	result = gather(&status);
	if (result)
		return result;
	if (json)
		status_json(&status, &out);
	else
		status_text(&status, &term, &out);
	if (json)
		fr_term_write(&out);
	else
		fr_term_write_wrapped(&term, &out, 11);
	fr_term_flush();
	if (status.store.error)
		fr_warning("not all could be looked at: %s: %s", status.store.unreadable, fr_why(status.store.error));
	if (!status.daemon && !status.ring_count && !status.segments && !status.has_index)
		result = FR_EXIT_NOTHING;
	for (size_t i = 0; i < status.ring_count; i++)
		free(status.ring[i].path);
	free(status.ring);
	free(status.daemon);
	return result;
}
