/* SPDX-License-Identifier: MIT */
#include "recorder/cli/term.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "recorder/cli/cli.h"
#include "recorder/cli/out.h"

static unsigned columns_of(int fd)
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
	term->columns = tty ? columns_of(STDOUT_FILENO) : 0;
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
	if (out->size)
		check_output(fwrite(out->data, 1, out->size, stdout) != out->size);
}

void fr_term_flush(void)
{
	check_output(fflush(stdout) != 0 || ferror(stdout));
}
