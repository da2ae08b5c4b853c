/* SPDX-License-Identifier: MIT */
/*
 * out.h - output: a text that grows, and the ways a command appends to it.
 *
 * Owns: that nothing from a record reaches a terminal or a JSON parser unescaped. Memory that can't be had ends the program:
 * a command has nothing to save.
 */
#ifndef RECORDER_CLI_OUT_H
#define RECORDER_CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fr_out {
	char *data; /* terminated once anything was appended */
	size_t size, room;
};

void fr_out_done(struct fr_out *out);
#define FR_OUT_CLEANUP __attribute__((cleanup(fr_out_done)))

static inline void fr_out_reset(struct fr_out *out)
{
	out->size = 0;
}

/* Room for `more` bytes and a terminator; returns where they go. The caller adds what it used to out->size. */
char *fr_out_reserve(struct fr_out *out, size_t more);
void fr_out_add(struct fr_out *out, const char *bytes, size_t size);
void fr_out_put(struct fr_out *out, const char *string);
void fr_out_char(struct fr_out *out, char c);
void fr_out_printf(struct fr_out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fr_out_pad(struct fr_out *out, size_t count);
/* Control characters and what is not UTF-8 as \xNN: for a terminal. */
void fr_out_escaped(struct fr_out *out, const char *bytes, size_t size);
/* A JSON string with its quotes. NULL: null. */
void fr_out_json(struct fr_out *out, const char *string);
void fr_out_json_sized(struct fr_out *out, const char *bytes, size_t size);

/* Columns that this text takes on a terminal: one a character, escape sequences of term.h none. */
size_t fr_out_columns(const char *bytes, size_t size);

/* 12,345,678 */
const char *fr_count_text(char buf[32], uint64_t count);
/* 512 B, 64 KiB, 1.5 MiB */
const char *fr_size_text(char buf[32], uint64_t bytes);
/* 850 ms, 12 s, 5 min, 3 h 20 min, 2 d 4 h */
const char *fr_duration_text(char buf[32], uint64_t ns);
/* The same in one unit, for a column: 850 ms, 75 min, 30 h. */
const char *fr_duration_short(char buf[32], uint64_t ns);

/* malloc that does not fail. */
void *fr_cli_alloc(size_t size);
void *fr_cli_realloc(void *old, size_t size);

#endif
