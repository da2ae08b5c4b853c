/* SPDX-License-Identifier: MIT */
/* harvest.c - see harvest.h. This file: from files to dumps to segments. dump.c: from a dump to events. */
#include "pstore/harvest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "pstore/attempt.h"
#include "pstore/cursor.h"
#include "pstore/dump.h"
#include "pstore/harvest_file.h"
#include "pstore/known.h"
#include "pstore/salvage.h"
#include "recorder/core/testpoint.h"

struct harvest {
	struct fr_spool *spool;
	const struct fr_boots *boots;
	struct fr_known known;	 /* parts and files that are in segments */
	struct fr_known present; /* parts that are in a dump of this run */
	struct fr_known noted;	 /* files that this run has noted as known */
	struct fr_harvest_files files;
	struct fr_dump *dump;
	size_t dumps;
	fr_found_fn report;
	void *ctx;
};

/* Whether a part goes with a dump: what names it is the same, and that part of it is still missing. */
static bool belongs(const struct fr_dump *dump, const struct fr_harvest_file *file, const struct fr_dmesg_part *part)
{
	uint64_t apart = dump->written_ns > file->written_ns ? dump->written_ns - file->written_ns : file->written_ns - dump->written_ns;

	if (dump->opaque || file->opaque || !part->number || !dump->number || dump->parts >= FR_DUMP_PARTS_MAX ||
	    strcmp(dump->backend, file->backend) || dump->stamp != file->stamp || strcmp(dump->why, part->why) ||
	    dump->number != part->dump || apart > 60000000000u)
		return false;
	for (size_t i = 0; i < dump->parts; i++)
		if (dump->part[i].part.number == part->number)
			return false;
	return true;
}

static struct fr_dump *dump_of(struct harvest *harvest, const struct fr_harvest_file *file, const struct fr_dmesg_part *part)
{
	struct fr_dump *dump;

	for (size_t i = 0; i < harvest->dumps; i++)
		if (belongs(&harvest->dump[i], file, part))
			return &harvest->dump[i];
	dump = realloc(harvest->dump, (harvest->dumps + 1) * sizeof(*dump));
	if (!dump)
		return NULL;
	harvest->dump = dump;
	dump += harvest->dumps++;
	*dump = (struct fr_dump){ .stamp = file->stamp, .number = part->number ? part->dump : 0, .opaque = file->opaque,
				  .written_ns = file->written_ns, .archived_ns = file->archived_ns };
	snprintf(dump->backend, sizeof(dump->backend), "%s", file->backend);
	snprintf(dump->why, sizeof(dump->why), "%s", part->why);
	return dump;
}

/*
 * A record without a time of its own shows when pstore was mounted: in this boot. This boot may have had an oops, but no
 * kernel outlives its panic.
 */
static void doubt_time(const struct harvest *harvest, struct fr_dump *dump)
{
	if (strcmp(dump->why, "Oops") && dump->written_ns >= harvest->boots->current.start_real_ns)
		dump->written_ns = 0;
}

/* Sorts the parts of all files into dumps; the same part found twice counts once. */
static int assemble(struct harvest *harvest)
{
	for (size_t i = 0; i < harvest->files.count; i++) {
		const struct fr_harvest_file *file = &harvest->files.file[i];

		for (size_t k = 0; k < file->parts; k++) {
			struct fr_dump_part *part;
			struct fr_dump *dump;

			if (fr_known_has(&harvest->known, file->part[k].id) || fr_known_has(&harvest->present, file->part[k].id))
				continue;
			dump = dump_of(harvest, file, &file->part[k]);
			part = dump ? realloc(dump->part, (dump->parts + 1) * sizeof(*part)) : NULL;
			if (!part || fr_known_add(&harvest->present, file->part[k].id) < 0)
				return -ENOMEM;
			dump->part = part;
			dump->part[dump->parts++] = (struct fr_dump_part){ file->part[k], file->place, i };
		}
	}
	for (size_t i = 0; i < harvest->dumps; i++) {
		doubt_time(harvest, &harvest->dump[i]);
		fr_dump_settle(&harvest->dump[i]);
	}
	return 0;
}

/* A panic's dump first: what an oops before it says is told there too, and there it belongs. The rest is for one order. */
static int gravest_first(const void *a, const void *b)
{
	const struct fr_dump *one = a, *other = b;
	bool panic = !strcmp(one->why, "Panic"), other_panic = !strcmp(other->why, "Panic");

	if (panic != other_panic)
		return panic ? -1 : 1;
	if (one->number != other->number)
		return one->number > other->number ? -1 : 1;
	return memcmp(one->ring_id, other->ring_id, 16);
}

static bool all_known(const struct harvest *harvest, const struct fr_harvest_file *file)
{
	for (size_t i = 0; i < file->parts; i++)
		if (!fr_known_has(&harvest->known, file->part[i].id))
			return false;
	return true;
}

/* Releases the file if it says nothing that is not in a segment. True when it is gone. */
static bool release(struct harvest *harvest, struct fr_harvest_file *file)
{
	if (!file->released && !file->aside && all_known(harvest, file))
		file->released = fr_source[file->kind].release(&file->evidence) == 1;
	return file->released;
}

/* The texts that go along, each as it was found. */
static struct fr_salvage_text *texts_of(const struct fr_dump *dump, char (**ret_names)[FR_HARVEST_PLACE + 40])
{
	struct fr_salvage_text *text = calloc(dump->parts, sizeof(*text));
	char(*name)[FR_HARVEST_PLACE + 40] = calloc(dump->parts, sizeof(*name));

	if (!text || !name) {
		free(text);
		free(name);
		return NULL;
	}
	for (size_t i = 0; i < dump->parts; i++) {
		const struct fr_dmesg_part *part = &dump->part[i].part;

		if (part->number)
			snprintf(name[i], sizeof(name[i]), "%s %s#%u Part%u", dump->part[i].place, part->why, part->dump, part->number);
		else
			snprintf(name[i], sizeof(name[i]), "%s", dump->part[i].place);
		text[i] = (struct fr_salvage_text){ name[i], part->head, part->raw_size };
	}
	*ret_names = name;
	return text;
}

#define SUSPEND_MIN_NS 1000000u /* below, the difference of the clocks is that of two readings */

/* Looks for what of the dump's boot is in the spool; returns what is to be added to its times (dump.h, CLOCK). */
static int64_t compare(const struct fr_spool *spool, const struct fr_dump *dump, const struct fr_boot *boot, struct fr_seen *seen)
{
	uint64_t suspended = boot && boot->suspended_ns >= SUSPEND_MIN_NS ? boot->suspended_ns : 0, panic_ns = 0;
	bool panic = fr_dump_panic_ns(dump, &panic_ns);
	uint64_t from = panic_ns + suspended, to = panic ? from + fr_dump_clock_error_ns(panic_ns) : from;
	uint8_t boot_id[16];
	int error;

	fr_dump_boot_id(dump, boot, boot_id);
	error = fr_seen_load(spool, boot_id, from, to, seen);
	if (error < 0)
		return error;
	if (seen->offset_known)
		return (int64_t)seen->offset_ns;
	return (int64_t)(suspended + (seen->newest_ns ? seen->newest_ns - from + 1 : 0));
}

/* Dump to segment. A segment of that ring id is there already: nothing to do. */
static int seal(struct harvest *harvest, const struct fr_dump *dump, struct fr_found *found)
{
	const struct fr_boot *boot = fr_boots_find(harvest->boots, dump->written_ns, dump->archived_ns);
	struct fr_cursor *cursor FR_FREE = calloc(1, sizeof(*cursor));
	struct fr_salvage_text *text FR_FREE = NULL;
	char(*name)[FR_HARVEST_PLACE + 40] FR_FREE = NULL;
	struct fr_seen seen = { 0 };
	struct fr_dump_result result;
	struct fr_image *image;
	int fd FR_CLOSE = -1, error;
	int64_t offset;

	text = texts_of(dump, &name);
	if (!cursor || !text)
		return -ENOMEM;
	error = fr_cursor_load(harvest->spool, dump->ring_id, cursor);
	if (error < 0)
		return error;
	memcpy(found->ring_id, dump->ring_id, 16);
	if (cursor->final) {
		found->fate = FR_FATE_KNOWN;
		return 0;
	}
	offset = compare(harvest->spool, dump, boot, &seen);
	error = fd = offset < 0 ? (int)offset : fr_dump_ring(dump, boot, (uint64_t)offset, &seen, harvest->spool->dir, &result);
	fr_seen_done(&seen);
	if (error < 0)
		return error;
	FR_TESTPOINT("dump-written");
	error = fr_image_open(fd, 0, &image);
	if (error < 0)
		return error;
	error = fr_salvage_image(harvest->spool, image, FRM_REASON_HARVEST, cursor, NULL, text, dump->parts, found);
	fr_image_close(image);
	strcpy(found->text, result.text);
	return error;
}

/* Notes the dump's parts, and those files of which nothing is unknown any more. */
static int note(struct harvest *harvest, const struct fr_dump *dump)
{
	uint8_t(*part)[32] FR_FREE = calloc(dump->parts, sizeof(*part));
	uint8_t(*file)[32] FR_FREE = calloc(dump->parts, sizeof(*file));
	size_t files = 0;
	char name[33];
	int error = 0;

	if (!part || !file)
		return -ENOMEM;
	for (size_t i = 0; i < dump->parts && !error; i++) {
		memcpy(part[i], dump->part[i].part.id, 32);
		error = fr_known_add(&harvest->known, part[i]);
	}
	for (size_t i = 0; i < dump->parts && !error; i++) {
		const struct fr_harvest_file *whole = &harvest->files.file[dump->part[i].file];

		if (!all_known(harvest, whole) || fr_known_has(&harvest->noted, whole->id))
			continue;
		memcpy(file[files++], whole->id, 32);
		error = fr_known_add(&harvest->noted, whole->id);
	}
	fr_hex(name, dump->ring_id, 16);
	return error ? error : fr_known_note(harvest->spool, name, (const void *)part, dump->parts, (const void *)file, files);
}

static void take(struct harvest *harvest, const struct fr_dump *dump)
{
	const struct fr_harvest_file *first = &harvest->files.file[dump->part[0].file];
	struct fr_found found = { .kind = FRM_KIND_HARVEST, .reason = FRM_REASON_HARVEST };
	bool gone = true;
	int error;

	strcpy(found.source, fr_source[first->kind].name);
	fr_found_path(&found, first->evidence.dir, first->evidence.name);
	error = seal(harvest, dump, &found);
	if (!error)
		error = note(harvest, dump);
	if (error < 0) {
		found.fate = FR_FATE_FAILED;
		found.error = error;
		snprintf(found.why, sizeof(found.why), "its segment could not be written");
	} else {
		for (size_t i = 0; i < dump->parts; i++)
			gone &= release(harvest, &harvest->files.file[dump->part[i].file]);
		found.released = gone;
		if (dump->opaque)
			snprintf(found.why, sizeof(found.why), "compressed by the kernel, which could not inflate it: kept as it is, not read");
	}
	harvest->report(harvest->ctx, &found);
}

/* A file that stays although it says nothing new: the next run need not read it to know that. */
static void note_file(struct harvest *harvest, const struct fr_harvest_file *file)
{
	char name[33];

	if (fr_known_has(&harvest->noted, file->id))
		return;
	fr_hex(name, file->id, 16);
	fr_known_note(harvest->spool, name, NULL, 0, &file->id, 1);
}

/* Files with nothing new in them: an earlier run was killed before it could release them, or they are copies, or empty. */
static void clear_known(struct harvest *harvest)
{
	for (size_t i = 0; i < harvest->files.count; i++) {
		struct fr_harvest_file *file = &harvest->files.file[i];
		struct fr_found found = { .fate = FR_FATE_KNOWN, .kind = FRM_KIND_HARVEST, .reason = FRM_REASON_HARVEST };

		if (file->released || file->aside || !all_known(harvest, file))
			continue;
		if (!release(harvest, file)) {
			note_file(harvest, file);
			continue;
		}
		strcpy(found.source, fr_source[file->kind].name);
		fr_found_path(&found, file->evidence.dir, file->evidence.name);
		found.released = true;
		harvest->report(harvest->ctx, &found);
	}
}

static int run(struct harvest *harvest, const char *pstore_dir, const char *archive_dir)
{
	int error = fr_known_load(harvest->spool, &harvest->known);

	if (!error && pstore_dir)
		error = fr_harvest_files_add(&harvest->files, harvest->spool, FR_SOURCE_KIND_PSTORE, pstore_dir, &harvest->known,
					     harvest->report, harvest->ctx);
	if (!error && archive_dir)
		error = fr_harvest_files_add(&harvest->files, harvest->spool, FR_SOURCE_KIND_ARCHIVE, archive_dir, &harvest->known,
					     harvest->report, harvest->ctx);
	if (!error)
		error = assemble(harvest);
	if (error < 0)
		return error;
	if (harvest->dumps)
		qsort(harvest->dump, harvest->dumps, sizeof(*harvest->dump), gravest_first);
	for (size_t i = 0; i < harvest->dumps; i++)
		take(harvest, &harvest->dump[i]);
	clear_known(harvest);
	if (!harvest->files.stuck) {
		fr_attempt_sweep(harvest->spool, "pstore-");
		fr_attempt_sweep(harvest->spool, "archive-");
	}
	if (harvest->files.complete)
		fr_known_prune(harvest->spool, &harvest->files.ids);
	return 0;
}

int fr_harvest(struct fr_spool *spool, const struct fr_boots *boots, const char *pstore_dir, const char *archive_dir,
	       fr_found_fn report, void *ctx)
{
	struct harvest harvest = { .spool = spool, .boots = boots, .files.complete = true, .report = report, .ctx = ctx };
	int error = fr_spool_lock(spool, true);

	if (error < 0)
		return error;
	error = run(&harvest, pstore_dir, archive_dir);
	for (size_t i = 0; i < harvest.dumps; i++)
		free(harvest.dump[i].part);
	free(harvest.dump);
	fr_harvest_files_done(&harvest.files);
	fr_known_done(&harvest.known);
	fr_known_done(&harvest.present);
	fr_known_done(&harvest.noted);
	fr_spool_unlock(spool);
	return error;
}
