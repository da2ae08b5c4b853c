/* SPDX-License-Identifier: MIT */
/*
 * look.h - looks into a JSON text that fr_json_valid() has accepted, such as the daemon's status.
 *
 * A value is a pointer to its first character. NULL in gives NULL, zero or "" out, so that lookups can be chained.
 */
#ifndef RECORDER_CLI_LOOK_H
#define RECORDER_CLI_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

const char *fr_look(const char *object, const char *key); /* NULL when there is none, or it is no object */
const char *fr_look_first(const char *array);		  /* NULL when it is empty, or no array */
const char *fr_look_next(const char *value);		  /* the array's next value */
uint64_t fr_look_number(const char *value);
bool fr_look_true(const char *value);
/* The string without quotes and escapes (what has no place is cut); returns buf. */
const char *fr_look_string(const char *value, char *buf, size_t size);

#endif
