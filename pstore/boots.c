/* SPDX-License-Identifier: MIT */
/* boots.c - see boots.h. */
#include "pstore/boots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "pstore/source.h"
#include "recorder/core/check.h"
#include "recorder/core/host.h"
#include "recorder/core/segment.h"

#define BOOTS_MAX    1024u		     /* the newest that are looked at */
#define SANE_REAL_NS 1577836800000000000ull /* 2020: a wall clock before it was never set */
#define SLACK_NS     2000000000u

static struct fr_boot *find_id(const struct fr_boots *boots, const uint8_t id[16])
{
	for (size_t i = 0; i < boots->count; i++)
		if (!memcmp(boots->boot[i].id, id, 16))
			return &boots->boot[i];
	return NULL;
}

static int note(struct fr_boots *boots, const struct fr_boot *seen)
{
	static const uint8_t none[16];
	struct fr_boot *boot = memcmp(boots->current.id, seen->id, 16) ? find_id(boots, seen->id) : &boots->current;

	if (!memcmp(seen->id, none, 16))
		return 0;
	if (!boot) {
		if (boots->count >= BOOTS_MAX) {
			memmove(boots->boot, boots->boot + 1, (--boots->count) * sizeof(*boot));
		} else if (!(boots->count & (boots->count - 1))) {
			boot = realloc(boots->boot, (boots->count ? 2 * boots->count : 1) * sizeof(*boot));
			if (!boot)
				return -ENOMEM;
			boots->boot = boot;
		}
		boots->boot[boots->count++] = *seen;
		return 0;
	}
	if (!boot->seq)
		boot->seq = seen->seq;
	if (seen->start_real_ns >= SANE_REAL_NS && (boot->start_real_ns < SANE_REAL_NS || seen->start_real_ns < boot->start_real_ns))
		boot->start_real_ns = seen->start_real_ns;
	if (seen->real_ns && seen->boot_ns >= boot->boot_ns) { /* the later one: its clock was more likely set */
		boot->boot_ns = seen->boot_ns;
		boot->real_ns = seen->real_ns;
		boot->suspended_ns = seen->suspended_ns;
	}
	return 0;
}

/* STATE/boots: "number id seconds", one line a boot (recorder/core/host.h). */
static int read_file(const struct fr_spool *spool, struct fr_boots *boots)
{
	char path[FR_PATH_MAX + 8], *line FR_FREE = NULL;
	size_t room = 0;
	FILE *file;
	int error = 0;

	snprintf(path, sizeof(path), "%s/boots", spool->state);
	file = fopen(path, "re");
	if (!file)
		return errno == ENOENT ? 0 : -errno;
	while (!error && getline(&line, &room, file) > 0) {
		unsigned long long seq, seconds = 0;
		struct fr_boot boot = { 0 };
		char hex[33];

		if (sscanf(line, "%llu %32[0-9a-f] %llu", &seq, hex, &seconds) < 2 || fr_unhex(boot.id, 16, hex) < 0)
			continue;
		boot.seq = seq;
		if (seconds < UINT64_MAX / 1000000000u)
			boot.start_real_ns = seconds * 1000000000u;
		error = note(boots, &boot);
	}
	fclose(file);
	return error;
}

/* A ring that was carried here from another machine tells nothing of this one's boots. */
static bool ours(const struct fr_boots *boots, const struct frm_super *super)
{
	static const uint8_t none[16];

	return !memcmp(super->machine_id, boots->machine_id, 16) || !memcmp(super->machine_id, none, 16) ||
	       !memcmp(boots->machine_id, none, 16);
}

/* What the start of a meta tells; the log of descriptors is not needed. */
struct meta_start {
	struct frm_super super;
	struct frm_state state;
	struct frm_tables tables;
};

static int note_meta(struct fr_boots *boots, const struct meta_start *meta)
{
	const struct frm_super *super = &meta->super;
	struct fr_boot boot = { .seq = super->boot_seq, .boot_ns = super->created_boot_ns, .real_ns = super->created_real_ns };

	/* the boot of harvested evidence was a judgement itself */
	if (fr_super_check(super) < 0 || super->kind == FRM_KIND_HARVEST || !ours(boots, super))
		return 0;
	memcpy(boot.id, super->boot_id, 16);
	if (super->created_real_ns > super->created_boot_ns)
		boot.start_real_ns = super->created_real_ns - super->created_boot_ns;
	for (size_t i = 0; i < FRM_ANCHORS_MAX; i++) {
		const struct frm_anchor *anchor = &meta->tables.anchor[i];

		if (!anchor->real_ns || !fr_anchor_ok(anchor, super->ring_id) || anchor->boot_ns < boot.boot_ns)
			continue;
		boot.boot_ns = anchor->boot_ns;
		boot.real_ns = anchor->real_ns;
		boot.suspended_ns = anchor->boot_ns > anchor->mono_ns ? anchor->boot_ns - anchor->mono_ns : 0;
	}
	return note(boots, &boot);
}

static int note_file(struct fr_boots *boots, int dir, const char *name, off_t at)
{
	int fd FR_CLOSE = fr_spool_open_file(dir, name);
	struct meta_start meta;

	if (fd < 0 || pread(fd, &meta, sizeof(meta), at) != (ssize_t)sizeof(meta))
		return 0;
	return note_meta(boots, &meta);
}

static int read_rings(const char *path, struct fr_boots *boots)
{
	struct fr_evidence_list list = { 0 };
	int dir FR_CLOSE = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = dir < 0 ? 0 : fr_source[FR_SOURCE_KIND_RING].enumerate(path, &list);

	for (size_t i = 0; error >= 0 && i < list.count; i++)
		error = note_file(boots, dir, list.item[i].name, 0);
	fr_evidence_done(&list);
	return error == -ENOMEM ? error : 0;
}

static int read_segments(const struct fr_spool *spool, struct fr_boots *boots)
{
	DIR *dir FR_CLOSEDIR = fr_spool_list(spool->dir);
	struct dirent *entry;
	int error = 0;

	while (dir && !error && (entry = readdir(dir)))
		if (fr_segment_parse_name(entry->d_name, NULL, NULL) == 0)
			error = note_file(boots, spool->dir, entry->d_name, sizeof(struct frm_segment) + sizeof(struct frm_chunk));
	return error;
}

/* Numbers decide where both have one, else the clock. */
static int newest_first(const void *a, const void *b)
{
	const struct fr_boot *one = a, *other = b;

	if (one->seq && other->seq && one->seq != other->seq)
		return one->seq < other->seq ? 1 : -1;
	return one->start_real_ns < other->start_real_ns ? 1 : one->start_real_ns > other->start_real_ns ? -1 : 0;
}

int fr_boots_open(const struct fr_spool *spool, const char *const *ring_dirs, size_t ring_dir_count, struct fr_boots *boots)
{
	uint64_t real = fr_clock_real_ns(), since = fr_clock_boot_ns();
	int error;

	*boots = (struct fr_boots){ .current = { .boot_ns = since, .real_ns = real } };
	/*
	 * not knowing which boot or machine this is, because of too many open files say, would put
	 * evidence into the wrong boot for good
	 */
	error = fr_host_boot_id(boots->current.id);
	if (!error || error == -ENOENT)
		error = fr_host_machine_id(boots->machine_id);
	if (error < 0 && error != -ENOENT)
		return error;
	boots->current.start_real_ns = real > since ? real - since : 0;
	error = read_file(spool, boots);
	for (size_t i = 0; !error && i < ring_dir_count; i++)
		error = read_rings(ring_dirs[i], boots);
	if (!error)
		error = read_segments(spool, boots);
	if (error < 0) {
		fr_boots_close(boots);
		return error;
	}
	if (boots->count)
		qsort(boots->boot, boots->count, sizeof(*boots->boot), newest_first);
	return 0;
}

void fr_boots_close(struct fr_boots *boots)
{
	free(boots->boot);
	boots->boot = NULL;
	boots->count = 0;
}

/* True when this boot had begun at that time, as far as its clock can be believed. */
static bool begun(const struct fr_boot *boot, uint64_t real_ns)
{
	return boot->start_real_ns < SANE_REAL_NS || boot->start_real_ns <= real_ns + SLACK_NS;
}

const struct fr_boot *fr_boots_find(const struct fr_boots *boots, uint64_t written_ns, uint64_t archived_ns)
{
	uint64_t now = fr_clock_real_ns();

	if (written_ns >= SANE_REAL_NS && written_ns <= now) {
		if (boots->current.start_real_ns >= SANE_REAL_NS && boots->current.start_real_ns <= written_ns)
			return &boots->current;
		for (size_t i = 0; i < boots->count; i++)
			if (begun(&boots->boot[i], written_ns))
				return &boots->boot[i];
		return NULL;
	}
	if (archived_ns >= SANE_REAL_NS && archived_ns <= now) {
		const struct fr_boot *after = &boots->current;

		for (size_t i = 0; i < boots->count; i++) {
			const struct fr_boot *boot = &boots->boot[i];

			if (begun(after, archived_ns)) /* it was moved in `after`: its own is the one before, if we saw that one */
				return after->seq && boot->seq && boot->seq + 1 != after->seq ? NULL : boot;
			after = boot;
		}
		return NULL;
	}
	return boots->count ? &boots->boot[0] : NULL;
}

void fr_boots_number(const struct fr_spool *spool, struct fr_boots *boots)
{
	if (!boots->current.seq) {
		for (size_t i = boots->count; i-- > 0;)
			boots->boot[i].seq = fr_host_boot_seq(spool->state, boots->boot[i].id);
		boots->current.seq = fr_host_boot_seq(spool->state, boots->current.id);
	}
}
