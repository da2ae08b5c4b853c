/* SPDX-License-Identifier: MIT */
/* harvest_file.c - see harvest_file.h. */
#include "pstore/harvest_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "pstore/attempt.h"
#include "pstore/quarantine.h"
#include "pstore/sha256.h"
#include "recorder/core/testpoint.h"

#define DEFLATED ".enc.z" /* the kernel's name for a record that it could not inflate */

struct adding {
	struct fr_harvest_files *files;
	struct fr_spool *spool;
	enum fr_source_kind kind;
	const char *root;
	const struct fr_known *known;
	fr_found_fn report;
	void *ctx;
};

static bool ends_with(const char *name, const char *suffix)
{
	size_t length = strlen(name), end = strlen(suffix);

	return length > end && !strcmp(name + length - end, suffix);
}

/* "dmesg-<backend>-<id>"; the number of EFI's holds seconds since 1970, part (2 digits) and count (3 digits). */
static void read_name(struct fr_harvest_file *file)
{
	const char *name = file->evidence.name, *dash;
	uint64_t seconds;

	file->opaque = ends_with(name, DEFLATED);
	if (!strncmp(name, "dmesg-", 6) && (dash = strrchr(name + 6, '-'))) {
		snprintf(file->backend, sizeof(file->backend), "%.*s", (int)(dash - (name + 6)), name + 6);
		if (!strncmp(file->backend, "efi", 3)) {
			seconds = strtoull(dash + 1, NULL, 10) / 100000;
			if (seconds < UINT64_MAX / 1000000000u)
				file->stamp = seconds;
		}
	} else {
		const char *dir = file->evidence.dir;
		size_t length = strlen(dir), skip = length >= sizeof(file->backend) ? length - sizeof(file->backend) + 1 : 0;

		memcpy(file->backend, dir + skip, length - skip + 1);
	}
	if (file->stamp)
		file->written_ns = file->stamp * 1000000000u;
	else if (file->kind == FR_SOURCE_KIND_PSTORE)
		file->written_ns = file->evidence.mtime_ns;
	else
		file->archived_ns = file->evidence.mtime_ns;
}

/* "archive/1700000000/001/dmesg.txt": below the place's root, so that it reads the same wherever that is mounted. */
static void make_place(struct fr_harvest_file *file, const char *root)
{
	const char *below = file->evidence.dir;
	size_t length = strlen(root);

	if (!strncmp(below, root, length))
		below += length;
	while (*below == '/')
		below++;
	snprintf(file->place, sizeof(file->place), "%s/%.150s%s%.150s", fr_source[file->kind].name, below, *below ? "/" : "",
		 file->evidence.name);
}

static int split(struct fr_harvest_file *file)
{
	struct fr_dmesg_part part;
	size_t at = 0;

	if (file->opaque && file->size) {
		file->part = calloc(1, sizeof(*file->part));
		if (!file->part)
			return -ENOMEM;
		file->part[0] = (struct fr_dmesg_part){ .head = file->bytes, .head_size = file->size, .raw_size = file->size,
							.text = file->bytes, .text_size = file->size };
		memcpy(file->part[0].id, file->id, 32);
		file->parts = 1;
		return 0;
	}
	while (!file->opaque && fr_dmesg_next_part(file->bytes, file->size, &at, &part)) {
		struct fr_dmesg_part *more = realloc(file->part, (file->parts + 1) * sizeof(*more));
		struct fr_dmesg_state state = { 0 };
		struct fr_dmesg_line line;
		const char *text;
		size_t line_at = 0, size;

		if (!more)
			return -ENOMEM;
		file->part = more;
		file->part[file->parts++] = part;
		/* the parser's whole work, once, while the mark stands: what is poison shows here */
		while (fr_dmesg_next_line(&state, part.text, part.text_size, &line_at, &line))
			fr_dmesg_verdict(&line, &text, &size);
	}
	return 0;
}

static void forget(struct fr_harvest_file *file)
{
	free(file->bytes);
	free(file->part);
	file->bytes = NULL;
	file->part = NULL;
	file->parts = 0;
}

static void report(const struct adding *adding, const struct fr_harvest_file *file, enum fr_fate fate, int error, const char *why,
		   const char *aside)
{
	struct fr_found found = { .fate = fate, .error = error, .kind = FRM_KIND_HARVEST, .reason = FRM_REASON_HARVEST };

	strcpy(found.source, fr_source[adding->kind].name);
	fr_found_path(&found, file->evidence.dir, file->evidence.name);
	snprintf(found.why, sizeof(found.why), "%s", why);
	snprintf(found.aside, sizeof(found.aside), "%s", aside);
	found.released = fate == FR_FATE_QUARANTINED && adding->kind == FR_SOURCE_KIND_PSTORE;
	adding->report(adding->ctx, &found);
}

static void set_aside(const struct adding *adding, const struct fr_harvest_file *file, const struct fr_attempt *earlier)
{
	int dir FR_CLOSE = open(file->evidence.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool keep = adding->kind != FR_SOURCE_KIND_PSTORE;
	char aside[FR_SPOOL_NAME] = "", why[256], name[33];
	int error;

	fr_attempt_why(earlier, why, sizeof(why));
	error = dir < 0 ? -errno : fr_quarantine(adding->spool, dir, file->evidence.name, file->place, why, keep, aside);
	if (!error && keep) { /* it stays where it is; a note keeps the next run off it */
		fr_hex(name, file->id, 16);
		error = fr_known_note(adding->spool, name, NULL, 0, &file->id, 1);
	}
	if (!error)
		fr_attempt_end(adding->spool, file->mark);
	else
		adding->files->stuck = true;
	report(adding, file, error ? FR_FATE_FAILED : FR_FATE_QUARANTINED, error, why, aside);
}

static int parse(const struct adding *adding, struct fr_harvest_file *file)
{
	struct fr_attempt earlier;
	int error;

	fr_attempt_read(adding->spool, file->mark, &earlier);
	if (fr_attempt_is_poison(&earlier)) {
		set_aside(adding, file, &earlier);
		return -ECANCELED;
	}
	error = fr_attempt_begin(adding->spool, file->mark, &earlier);
	if (error < 0)
		return error;
	error = split(file);
	FR_TESTPOINT("evidence-parsed");
	fr_attempt_end(adding->spool, file->mark);
	return error;
}

static void make_mark(struct fr_harvest_file *file)
{
	char hex[17];

	fr_hex(hex, file->id, 8);
	snprintf(file->mark, sizeof(file->mark), "%.10s-%s-%.150s", fr_source[file->kind].name, hex, file->evidence.name);
}

/* Reads one file; -ECANCELED: nothing to do with it, and that was said. */
static int load(const struct adding *adding, struct fr_harvest_file *file)
{
	struct fr_sha256 sha;
	int error;

	error = fr_source[file->kind].read(&file->evidence, FR_HARVEST_FILE_MAX, &file->bytes, &file->size);
	if (error < 0) {
		if (error != -ENOENT)
			report(adding, file, FR_FATE_LEFT, error, error == -EFBIG ? "too large for a kernel's log" : "can't be read", "");
		return error == -ENOMEM ? error : -ECANCELED;
	}
	fr_sha256_init(&sha);
	fr_sha256_add(&sha, file->bytes, file->size);
	fr_sha256_done(&sha, file->id);
	make_mark(file);
	error = fr_known_add(&adding->files->ids, file->id);
	if (error < 0)
		return error;
	if (fr_known_has(adding->known, file->id)) {
		forget(file);
		return file->kind == FR_SOURCE_KIND_PSTORE ? 0 : -ECANCELED;
	}
	return 0;
}

/*
 * Parses what was read. Those that an earlier run did not finish with come last: whatever they do to us, the others were
 * parsed before.
 */
static int parse_all(const struct adding *adding, size_t from)
{
	struct fr_harvest_files *files = adding->files;
	int error = 0;

	for (int cautious = 0; cautious < 2; cautious++) {
		for (size_t i = from; i < files->count && !error; i++) {
			struct fr_harvest_file *file = &files->file[i];
			struct fr_attempt earlier;

			if (!file->bytes || file->parsed || file->aside)
				continue;
			fr_attempt_read(adding->spool, file->mark, &earlier);
			if ((earlier.unfinished || earlier.signal) && !cautious)
				continue;
			error = parse(adding, file);
			file->parsed = true;
			if (error == -ECANCELED) {
				forget(file);
				file->aside = true;
				error = 0;
			}
			for (size_t k = 0; k < file->parts && !error; k++)
				error = fr_known_add(&files->ids, file->part[k].id);
		}
	}
	return error;
}

static int add(const struct adding *adding, const struct fr_evidence *evidence)
{
	struct fr_harvest_files *files = adding->files;
	struct fr_harvest_file file = { .kind = adding->kind, .evidence = *evidence }, *more;
	int error;

	if (files->bytes >= FR_HARVEST_ALL_MAX) {
		files->complete = false;
		return 0;
	}
	read_name(&file);
	make_place(&file, adding->root);
	error = load(adding, &file);
	more = error ? NULL : realloc(files->file, (files->count + 1) * sizeof(*more));
	if (!more) {
		forget(&file);
		return error == -ECANCELED ? 0 : error ? error : -ENOMEM;
	}
	files->file = more;
	files->file[files->count++] = file;
	files->bytes += file.bytes ? file.size : 0;
	return 0;
}

int fr_harvest_files_add(struct fr_harvest_files *files, struct fr_spool *spool, enum fr_source_kind kind, const char *path,
			 const struct fr_known *known, fr_found_fn fn, void *ctx)
{
	struct adding adding = { files, spool, kind, path, known, fn, ctx };
	struct fr_evidence_list list = { 0 };
	size_t from = files->count;
	int error = fr_source[kind].enumerate(path, &list);

	if (error < 0) {
		struct fr_harvest_file file = { .kind = kind };

		files->complete = false;
		if (error == -ENOMEM)
			goto out;
		snprintf(file.evidence.dir, sizeof(file.evidence.dir), "%s", path);
		report(&adding, &file, FR_FATE_LEFT, error, "can't be read", "");
		error = 0;
	}
	if (list.left_out)
		files->complete = false;
	for (size_t i = 0; i < list.count && !error; i++)
		error = add(&adding, &list.item[i]);
	if (!error)
		error = parse_all(&adding, from);
out:
	fr_evidence_done(&list);
	return error;
}

void fr_harvest_files_done(struct fr_harvest_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		forget(&files->file[i]);
	free(files->file);
	fr_known_done(&files->ids);
	*files = (struct fr_harvest_files){ 0 };
}
