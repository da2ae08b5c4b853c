/* SPDX-License-Identifier: MIT */
#include "recorder/cli/term.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "recorder/cli/cli.h"
#include "recorder/cli/out.h"
#include "recorder/cli/progress.h"

unsigned fr_term_columns(int fd)
{
	struct winsize size;
	const char *text = getenv("COLUMNS");
	unsigned long columns;

	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col)
		return size.ws_col;
	columns = text ? strtoul(text, NULL, 10) : 0;
	return columns >= 20 && columns < 10000 ? (unsigned)columns : 80;
}

int fr_term_init(struct fr_term *term, const char *when)
{
	const char *no_colour = getenv("NO_COLOR"), *kind = getenv("TERM");
	bool tty = isatty(STDOUT_FILENO);

	if (when && strcmp(when, "auto") != 0 && strcmp(when, "always") != 0 && strcmp(when, "never") != 0)
		return -EINVAL;
	term->tty = tty;
	term->columns = tty ? fr_term_columns(STDOUT_FILENO) : 0;
	term->colour = tty && !(no_colour && *no_colour) && kind && strcmp(kind, "dumb") != 0;
	if (when && strcmp(when, "auto") != 0)
		term->colour = strcmp(when, "always") == 0;
	return 0;
}

const char *fr_paint(const struct fr_term *term, enum fr_paint paint)
{
	static const char *const sequences[FR_PAINTS] = {
		[FR_PLAIN] = "\033[0m",	  [FR_DIM] = "\033[2m",	   [FR_BOLD] = "\033[1m",  [FR_RED] = "\033[31m",
		[FR_YELLOW] = "\033[33m", [FR_GREEN] = "\033[32m", [FR_CYAN] = "\033[36m", [FR_ALARM] = "\033[1;37;41m",
	};

	return term->colour ? sequences[paint] : "";
}

static void check_output(bool bad)
{
	if (!bad)
		return;
	if (errno != EPIPE) {
		fr_error("cannot write the output: %s", fr_why(errno));
		_exit(FR_EXIT_FAILED);
	}
	_exit(FR_EXIT_GOOD);
}

void fr_term_write(const struct fr_out *out)
{
	fr_progress_hide();
	if (out->size)
		check_output(fwrite(out->data, 1, out->size, stdout) != out->size);
}

/* Bytes of a line that go before the break, SIZE_MAX when it fits; the break eats the blanks there. */
static size_t break_of(const char *line, size_t size, size_t columns, size_t indent)
{
	size_t at = SIZE_MAX, column = 0;

	for (size_t i = 0; i < size; i++) {
		if (line[i] == '\033') {
			while (i < size && line[i] != 'm')
				i++;
			continue;
		}
		if (line[i] == ' ' && column > indent && (at == SIZE_MAX || column <= columns))
			at = i;
		column += ((unsigned char)line[i] & 0xc0) != 0x80;
		if (column > columns && at != SIZE_MAX)
			return at;
	}
	return SIZE_MAX;
}

void fr_term_write_wrapped(const struct fr_term *term, const struct fr_out *out, unsigned indent)
{
	struct fr_out FR_OUT_CLEANUP wrapped = { 0 };
	size_t at;

	if (!term->columns || term->columns <= 2 * indent) {
		fr_term_write(out);
		return;
	}
	for (const char *line = out->data, *end = line + out->size; line < end;) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t size = newline ? (size_t)(newline - line) : (size_t)(end - line),
		       columns = term->columns, first = indent;

		while ((at = break_of(line, size, columns, first)) != SIZE_MAX) {
			fr_out_add(&wrapped, line, at);
			fr_out_char(&wrapped, '\n');
			fr_out_pad(&wrapped, indent);
			while (at < size && line[at] == ' ')
				at++;
			line += at;
			size -= at;
			columns = term->columns - indent; /* of what follows, which begins in the margin */
			first = 0;
		}
		fr_out_add(&wrapped, line, size + (newline != NULL));
		line += size + (newline != NULL);
	}
	fr_term_write(&wrapped);
}

void fr_term_flush(void)
{
	check_output(fflush(stdout) != 0 || ferror(stdout));
}
