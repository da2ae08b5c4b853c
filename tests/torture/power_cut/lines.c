/* SPDX-License-Identifier: MIT */
/* lines.c - see lines.h. */
#include "tests/torture/power_cut/lines.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/torture/power_cut/machine.h"

void lines_add(struct lines *lines, const char *text)
{
	if (!(lines->count & (lines->count - 1)))
		lines->line = realloc(lines->line,
				      (lines->count ? 2 * lines->count : 1) * sizeof(*lines->line));
	REQUIRE(lines->line);
	lines->line[lines->count++] = strdup(text);
}

void lines_done(struct lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		free(lines->line[i]);
	free(lines->line);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void lines_sort(struct lines *lines)
{
	if (lines->count)
		qsort(lines->line, lines->count, sizeof(*lines->line), by_text);
}

bool lines_have(const struct lines *lines, const char *text)
{
	return lines->count && bsearch(&text, lines->line, lines->count, sizeof(*lines->line), by_text);
}

void db_ask(sqlite3 *db, const char *sql, struct lines *lines)
{
	sqlite3_stmt *statement;
	int code;

	REQUIRE(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, "%s: %s", sql,
		sqlite3_errmsg(db));
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		char row[1024] = "";

		for (int i = 0; i < sqlite3_column_count(statement); i++) {
			const char *text = (const char *)sqlite3_column_text(statement, i);
			size_t used = strlen(row);

			snprintf(row + used, sizeof(row) - used, "%s%s", i ? " " : "", text ? text : "NULL");
		}
		lines_add(lines, row);
	}
	REQUIRE(code == SQLITE_DONE, "%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_finalize(statement);
	lines_sort(lines);
}

long long db_ask_number(sqlite3 *db, const char *sql)
{
	struct lines lines LINES = { 0 };

	db_ask(db, sql, &lines);
	return lines.count && strcmp(lines.line[0], "NULL") ? atoll(lines.line[0]) : 0;
}

sqlite3 *db_open(const char *dir, const char *name)
{
	char path[MACHINE_PATH + 64];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	REQUIRE(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK, "%s: %s",
		path, sqlite3_errmsg(db));
	return db;
}

void db_exec(sqlite3 *db, const char *sql)
{
	REQUIRE(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
}

void lines_of_dir(const char *root, const char *below, const char *suffix, struct lines *lines)
{
	char path[2 * MACHINE_PATH];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", root, below);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		size_t size = strlen(entry->d_name), end = strlen(suffix);

		if (entry->d_name[0] != '.' && size >= end && !strcmp(entry->d_name + size - end, suffix))
			lines_add(lines, entry->d_name);
	}
	if (dir)
		closedir(dir);
	lines_sort(lines);
}

void lines_of_file(const char *root, const char *name, struct lines *lines)
{
	char path[2 * MACHINE_PATH], line[1024];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		lines_add(lines, line);
	if (file)
		fclose(file);
}
