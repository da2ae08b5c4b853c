/* SPDX-License-Identifier: MIT */
/*
 * cli.h - what a command of `flightrec` is, and the manners all of them share.
 *
 * Owns: exit codes, the shape of a command, how an error is said. A command is a row of the table in main.c and a file that
 * defines its fr_cmd_<name>(). It gets argv[0] = its name, parses with getopt_long (optind is 1), answers --help
 * with fr_help(), prints results to stdout, anything else to stderr, and returns an exit code. `flightrec help X` runs X --help.
 */
#ifndef RECORDER_CLI_CLI_H
#define RECORDER_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

enum fr_exit {
	FR_EXIT_GOOD = 0,
	FR_EXIT_FAILED = 1,
	FR_EXIT_USAGE = 2,
	FR_EXIT_DAMAGED = 3, /* read, but damage was found */
	FR_EXIT_NOTHING = 4, /* nothing there */
};

struct fr_command {
	const char *name;
	const char *arguments; /* for the usage line: "[FILE...]" */
	const char *summary;   /* one line, no full stop */
	int (*run)(int argc, char **argv);
	bool looks; /* only looks: without records of one's own, at the machine's */
};

/* The row of that name, NULL when there is none (or this build has left it out). */
const struct fr_command *fr_command_find(const char *name);

/* Prints usage line, summary and `text` (options, examples; NULL: nothing more) to stdout; returns FR_EXIT_GOOD. */
int fr_help(const char *command, const char *text);
/* After getopt has complained, or with a printf-like reason: points at --help; returns FR_EXIT_USAGE. */
int fr_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "flightrec: ..." on stderr, one line. fr_fail() also returns FR_EXIT_FAILED. */
void fr_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fr_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
int fr_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says that there is no state directory, and where there may be another one; returns FR_EXIT_NOTHING. */
int fr_nothing_recorded(const char *state);

/* What the errno (negative or positive) is called, with what to do about it where that is known. */
const char *fr_why(int error);

/* Table rows. Those that a build leaves out are weak and have no address. */
int fr_cmd_show(int argc, char **argv);
int fr_cmd_status(int argc, char **argv);
int fr_cmd_verify(int argc, char **argv);
int fr_cmd_emit(int argc, char **argv);
int fr_cmd_set(int argc, char **argv);
int fr_cmd_events(int argc, char **argv) __attribute__((weak));
int fr_cmd_recover(int argc, char **argv) __attribute__((weak));
int fr_cmd_index(int argc, char **argv) __attribute__((weak));
int fr_cmd_incidents(int argc, char **argv) __attribute__((weak));
int fr_cmd_upload(int argc, char **argv) __attribute__((weak));

#endif
