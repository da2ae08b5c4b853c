/* SPDX-License-Identifier: MIT */
/*
 * term.h - what standard output is: a terminal or not, its width, whether it likes colour.
 *
 * Owns: the decision about colour (--color, NO_COLOR, TERM=dumb), the palette, and how output ends: a reader that
 * went away is no error, a full disk is.
 */
#ifndef RECORDER_CLI_TERM_H
#define RECORDER_CLI_TERM_H

#include <stdbool.h>

struct fr_out;

enum fr_paint {
	FR_PLAIN = 0,
	FR_DIM,
	FR_BOLD,
	FR_RED,
	FR_YELLOW,
	FR_GREEN,
	FR_CYAN,
	FR_ALARM, /* a death: white on red */
	FR_PAINTS,
};

struct fr_term {
	bool tty;
	bool colour;
	unsigned columns; /* 0: not a terminal, lines are as long as they are */
};

/* `when`: "auto" (NULL), "always", "never". -EINVAL for anything else. */
int fr_term_init(struct fr_term *term, const char *when);

/* Columns of the terminal behind a descriptor, else $COLUMNS, else 80. */
unsigned fr_term_columns(int fd);

/* The sequence that begins a paint, "" without colour; FR_PLAIN ends one. */
const char *fr_paint(const struct fr_term *term, enum fr_paint paint);

/*
 * Writes it to stdout. When the reader has gone (EPIPE) the program ends, quietly and well; when it can't be
 * written for another reason it ends with a line that says so.
 */
void fr_term_write(const struct fr_out *out);
/* The same, with lines too long for a terminal broken at blanks and continued `indent` columns in. */
void fr_term_write_wrapped(const struct fr_term *term, const struct fr_out *out, unsigned indent);
void fr_term_flush(void);

#endif
