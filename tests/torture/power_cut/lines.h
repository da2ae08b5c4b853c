/* SPDX-License-Identifier: MIT */
/*
 * lines.h - lists of lines, sorted: rows of a database, names in a directory. What can't be had
 * fails the test.
 */
#ifndef TESTS_TORTURE_POWER_CUT_LINES_H
#define TESTS_TORTURE_POWER_CUT_LINES_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

struct lines {
	char **line;
	size_t count;
};

void lines_add(struct lines *lines, const char *text);
void lines_sort(struct lines *lines);
bool lines_have(const struct lines *lines, const char *text);
void lines_done(struct lines *lines);
#define LINES __attribute__((cleanup(lines_done)))

sqlite3 *db_open(const char *dir, const char *name);
void db_ask(sqlite3 *db, const char *sql, struct lines *lines); /* the rows, columns joined by a space */
long long db_ask_number(sqlite3 *db, const char *sql);		/* 0 when there is none */
void db_exec(sqlite3 *db, const char *sql);

/* The names in ROOT/BELOW that end so and don't begin with a dot; and the lines of a file, in their order. */
void lines_of_dir(const char *root, const char *below, const char *suffix, struct lines *lines);
void lines_of_file(const char *root, const char *name, struct lines *lines);

#endif
