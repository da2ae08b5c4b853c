/* SPDX-License-Identifier: MIT */
/* known.c - see known.h. */
#include "pstore/known.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "recorder/core/testpoint.h"

#define NOTE_MAX     (1u << 20)
#define KEEP_SECONDS (30 * 24 * 3600)

int fr_known_add(struct fr_known *known, const uint8_t id[32])
{
	if (known->count == known->room) {
		size_t room = known->room ? 2 * known->room : 64;
		void *larger = realloc(known->id, room * sizeof(*known->id));

		if (!larger)
			return -ENOMEM;
		known->id = larger;
		known->room = room;
	}
	memcpy(known->id[known->count++], id, 32);
	return 0;
}

/* A few hundred at most: one for each part of each crash that is still kept anywhere. */
bool fr_known_has(const struct fr_known *known, const uint8_t id[32])
{
	for (size_t i = 0; i < known->count; i++)
		if (!memcmp(known->id[i], id, 32))
			return true;
	return false;
}

void fr_known_done(struct fr_known *known)
{
	free(known->id);
	*known = (struct fr_known){ 0 };
}

static int load_note(const struct fr_spool *spool, const char *name, struct fr_known *known)
{
	char *text FR_FREE = malloc(NOTE_MAX + 1), *line, *rest;
	ssize_t n;
	int error = 0;

	if (!text)
		return -ENOMEM;
	n = fr_spool_get(spool->harvested, name, text, NOTE_MAX);
	if (n < 0)
		return 0; /* then it is not known, and is harvested again under the same ring id */
	text[n] = '\0';
	for (line = text; !error && (line = strtok_r(line, "\n", &rest)); line = NULL) {
		uint8_t id[32];

		if ((!strncmp(line, "part ", 5) || !strncmp(line, "file ", 5)) && strlen(line) == 5 + 64 &&
		    fr_unhex(id, 32, line + 5) == 0)
			error = fr_known_add(known, id);
	}
	return error;
}

int fr_known_load(const struct fr_spool *spool, struct fr_known *known)
{
	DIR *dir FR_CLOSEDIR = fr_spool_list(spool->harvested);
	struct dirent *entry;
	int error = 0;

	if (!dir)
		return -errno;
	while (!error && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			error = load_note(spool, entry->d_name, known);
	return error;
}

static char *put_ids(char *p, const char *word, const uint8_t (*id)[32], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		p += sprintf(p, "%s ", word);
		fr_hex(p, id[i], 32);
		p += 64;
		*p++ = '\n';
	}
	return p;
}

int fr_known_note(const struct fr_spool *spool, const char *name, const uint8_t (*part)[32], size_t parts,
		  const uint8_t (*file)[32], size_t files)
{
	char *text FR_FREE = malloc((parts + files) * 70 + 80), *end;
	int error;

	if (!text)
		return -ENOMEM;
	end = put_ids(text, "part", part, parts);
	end = put_ids(end, "file", file, files);
	error = fr_spool_put(spool->harvested, name, text, (size_t)(end - text), true);
	FR_TESTPOINT("harvest-noted");
	return error;
}

void fr_known_prune(const struct fr_spool *spool, const struct fr_known *present)
{
	DIR *dir FR_CLOSEDIR = fr_spool_list(spool->harvested);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct fr_known note = { 0 };
		bool needed = false;
		struct stat st;

		if (entry->d_name[0] == '.' || fstatat(spool->harvested, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    st.st_mtim.tv_sec + KEEP_SECONDS > time(NULL))
			continue;
		load_note(spool, entry->d_name, &note);
		for (size_t i = 0; i < note.count && !needed; i++)
			needed = fr_known_has(present, note.id[i]);
		fr_known_done(&note);
		if (!needed)
			fr_spool_drop(spool->harvested, entry->d_name, false);
	}
}
