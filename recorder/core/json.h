/* SPDX-License-Identifier: MIT */
/*
 * json.h - is this text JSON, and how does a string become a part of JSON.
 *
 * Both are wait-free, allocate nothing, keep no state, and are safe in a signal handler and after fork.
 */
#ifndef RECORDER_CORE_JSON_H
#define RECORDER_CORE_JSON_H

#include <stdbool.h>
#include <stddef.h>

#define FR_JSON_DEPTH_MAX  128 /* arrays and objects within each other; deeper is refused */
#define FR_JSON_DEPTH_OVER 192 /* of a line that holds such a value among other things */

/*
 * True when the text is one JSON value as RFC 8259 says, any kind of value, white space around it allowed: UTF-8
 * without byte order mark, escapes whole, surrogates in pairs. Time grows with size, stack does not.
 */
bool fr_json_valid(const char *text, size_t size);
/* The same with another bound on the depth, FR_JSON_DEPTH_OVER at most. */
bool fr_json_valid_within(const char *text, size_t size, unsigned depth_max);

/*
 * Writes the inside of a JSON string (no quotes) and a terminator. Quote, backslash, control characters (C0, DEL
 * and C1, so that none reaches a terminal) are escaped; a byte that is not UTF-8 becomes \ufffd. Returns the length it
 * needs without the terminator, as snprintf does; a buffer too small gets a whole number of escapes.
 */
size_t fr_json_escape(char *buf, size_t size, const char *text, size_t text_size);

/* Bytes (1..4) of the UTF-8 character that starts here, 0 when none does. */
unsigned fr_utf8_length(const char *text, size_t size);

#endif
