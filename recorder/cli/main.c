/* SPDX-License-Identifier: MIT */
/*
 * main.c - the table of commands, help, and how errors are said.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/cli/cli.h"
#include "recorder/cli/progress.h"
#include "recorder/cli/term.h"
#include "recorder/core/paths.h"

static int cmd_help(int argc, char **argv);

/* In the order in which a person needs them. */
static const struct fr_command commands[] = {
	{ "show", "[OPTION...] [FILE...]", "the timeline: events of all processes and the kernel, in one order", fr_cmd_show, true },
	{ "incidents", "[OPTION...]", "deaths of processes and kernels, with their causes", fr_cmd_incidents, true },
	{ "status", "[OPTION...]", "stores, writers, horizons, rates, losses, cost", fr_cmd_status, true },
	{ "recover", "[OPTION...]", "salvage what the dead left behind, and harvest pstore", fr_cmd_recover, false },
	{ "index", "[OPTION...]", "bring the index up to date, or rebuild it", fr_cmd_index, false },
	{ "upload", "[OPTION...]", "send what was not sent yet", fr_cmd_upload, false },
	{ "verify", "[OPTION...] FILE...", "judge every record of a ring or segment, and locate damage", fr_cmd_verify, false },
	{ "emit", "[OPTION...] [TEXT... | KEY=VALUE... | -]", "record an event from a shell", fr_cmd_emit, false },
	{ "set", "PROVIDER LEVEL [KEYWORDS]", "switch a provider in all running processes", fr_cmd_set, false },
	{ "events", "[--json | --markdown] [GLOB]", "the catalogue: events of the kernel and of the recorder", fr_cmd_events, false },
	{ "help", "[COMMAND]", "this text, or that of a command", cmd_help, false },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

const struct fr_command *fr_command_find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return commands[i].run ? &commands[i] : NULL;
	return NULL;
}

static void complain(const char *kind, const char *format, va_list args)
{
	fr_progress_hide();
	fflush(stdout);
	fprintf(stderr, "flightrec: %s", kind);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void fr_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain("", format, args);
	va_end(args);
}

void fr_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain("warning: ", format, args);
	va_end(args);
}

int fr_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain("", format, args);
	va_end(args);
	return FR_EXIT_FAILED;
}

int fr_usage(const char *command, const char *format, ...)
{
	va_list args;

	if (format) {
		va_start(args, format);
		complain("", format, args);
		va_end(args);
	}
	fprintf(stderr, "See `flightrec %s --help`.\n", command);
	return FR_EXIT_USAGE;
}

const char *fr_why(int error)
{
	static char other[64];

	error = error < 0 ? -error : error;
	switch (error) {
	case EACCES:
	case EPERM:
		return "permission denied; run it as root, or as a member of the group that owns it";
	case ENOSPC:
		return "no space left on the device";
	case EBADMSG:
		return "not a ring or segment, or its superblocks are damaged";
	case EPROTONOSUPPORT:
		return "written by a newer flightrec; read it with that one";
	case ENOMEM:
		return "out of memory";
	default:
		return strerror_r(error, other, sizeof(other));
	}
}

#define MACHINE_STATE "/var/lib/flightrec"

int fr_nothing_recorded(const char *state)
{
	if (geteuid() && strcmp(state, MACHINE_STATE) && access(MACHINE_STATE, F_OK) == 0)
		fr_error(
			"nothing is recorded yet in %s; what this machine records is in %s, for root and its group",
			state, MACHINE_STATE);
	else
		fr_error("nothing is recorded yet in %s; `flightrec emit hello` records something", state);
	return FR_EXIT_NOTHING;
}

/* Who only looks, and has no records of his own, means the machine's, if he may see them. */
static void choose_state(void)
{
	char own[FR_PATH_MAX];

	if (geteuid() == 0 || getenv("FLIGHTREC_STATE_DIR") || access(MACHINE_STATE, R_OK | X_OK) < 0)
		return;
	if (fr_path_state(own, sizeof(own), "") < 0 || access(own, F_OK) < 0)
		setenv("FLIGHTREC_STATE_DIR", MACHINE_STATE, 1);
}

int fr_help(const char *name, const char *text)
{
	const struct fr_command *command = fr_command_find(name);

	if (command) {
		printf("Usage: flightrec %s %s\n\n", command->name, command->arguments);
		printf("%c%s.\n", command->summary[0] - 'a' + 'A', command->summary + 1);
	}
	if (text)
		printf("\n%s", text);
	return FR_EXIT_GOOD;
}

static int print_table(void)
{
	puts("flightrec - a flight recorder for Linux: what happened before it died?\n\n"
	     "Usage: flightrec COMMAND [ARGUMENT...]\n");
	for (size_t i = 0; i < COMMANDS; i++)
		if (commands[i].run)
			printf("  %-10s %s\n", commands[i].name, commands[i].summary);
	puts("\n"
	     "Examples:\n"
	     "  flightrec show -n 50                 the last 50 events of this machine\n"
	     "  flightrec show --since '5 min ago' --level error\n"
	     "  flightrec show crashed.ring          a ring of another machine, without root\n"
	     "  flightrec emit --level warning disk almost full\n"
	     "\n"
	     "`flightrec COMMAND --help` has options and examples; flightrec(1) has all of it.\n"
	     "Exit codes: 0 good, 1 failed, 2 wrong usage, 3 read but damage was found,\n"
	     "4 nothing there.");
	return FR_EXIT_GOOD;
}

/* Edits (insert, delete, change, swap neighbours) between two words: what a slip of the finger costs. */
static unsigned distance(const char *a, const char *b)
{
	enum { LONGEST = 24 };
	unsigned row[3][LONGEST + 1] = { 0 };
	size_t n = strlen(a), m = strlen(b);

	if (n > LONGEST || m > LONGEST)
		return LONGEST;
	for (size_t j = 0; j <= m; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *now = row[i % 3], *before = row[(i - 1) % 3], *earlier = row[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned best = before[j - 1] + (a[i - 1] != b[j - 1]);

			best = before[j] + 1 < best ? before[j] + 1 : best;
			best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && earlier[j - 2] + 1 < best)
				best = earlier[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[n % 3][m];
}

static int unknown(const char *word)
{
	const struct fr_command *near = NULL;
	unsigned nearest = 3;

	for (size_t i = 0; i < COMMANDS; i++) {
		unsigned edits;

		if (strcmp(commands[i].name, word) == 0) {
			fr_error("this build of flightrec was made without `%s`", word);
			return FR_EXIT_FAILED;
		}
		if (!commands[i].run)
			continue;
		edits = distance(word, commands[i].name);
		if (strlen(word) > 2 && strncmp(word, commands[i].name, strlen(word)) == 0)
			edits = 1;
		if (edits < nearest) {
			nearest = edits;
			near = &commands[i];
		}
	}
	if (near)
		fr_error("there is no command `%s`; did you mean `flightrec %s`?", word, near->name);
	else
		fr_error("there is no command `%s`", word);
	fputs("See `flightrec help`.\n", stderr);
	return FR_EXIT_USAGE;
}

static int cmd_help(int argc, char **argv)
{
	const struct fr_command *command;

	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
		return print_table();
	command = fr_command_find(argv[1]);
	if (!command)
		return unknown(argv[1]);
	return command->run(2, (char *[]){ argv[1], (char *)"--help", NULL });
}

static int run(int argc, char **argv)
{
	const struct fr_command *command;
	static char name[32];

	if (argc < 2) {
		fputs("Usage: flightrec COMMAND [ARGUMENT...]\nSee `flightrec help`.\n", stderr);
		return FR_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return print_table();
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts("flightrec " FR_VERSION);
		return FR_EXIT_GOOD;
	}
	command = fr_command_find(argv[1]);
	if (!command)
		return unknown(argv[1]);
	if (command->looks)
		choose_state();
	snprintf(name, sizeof(name), "flightrec: %s", command->name);
	argv[1] = name; /* what getopt begins its complaints with */
	return command->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	int result;

	/* a reader that goes away is noticed by the write that fails, on pipes and sockets alike */
	signal(SIGPIPE, SIG_IGN);
	result = run(argc, argv);
	fr_progress_end();
	fr_term_flush();
	return result;
}
