/* SPDX-License-Identifier: MIT */
/*
 * set.c - `flightrec set`: switches a provider in all running processes, through the daemon or, without one, by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/cli/ask.h"
#include "recorder/cli/cli.h"
#include "recorder/cli/out.h"
#include "recorder/cli/store.h"
#include "recorder/core/gates.h"
#include "recorder/core/host.h"

static const char help[] =
	"PROVIDER is a name, a GUID, or the beginning of names followed by *. LEVEL is\n"
	"off, critical, error, warning, info, verbose or 0 to 5: this level and graver\n"
	"ones are recorded. KEYWORDS is a number of 56 bits (0xff); without it, all.\n"
	"Every thread of every process sees it within a millisecond, and processes that\n"
	"start later begin with it. The daemon does it; without one, this does, for the\n"
	"rings that you may write.\n"
	"\n"
	"Examples:\n"
	"  flightrec set acme.shop verbose\n"
	"  flightrec set 'acme.*' off\n"
	"  flightrec set acme.shop info 0x3\n";

struct direct {
	const char *text, *selector;
	size_t size;
	unsigned rings, changed, refused;
};

static int apply(void *ctx, const struct fr_store_file *file)
{
	struct direct *direct = ctx;
	struct frm_super super;
	int fd, changed;

	if (!file->ring)
		return 0;
	fd = open(file->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		direct->refused += errno == EACCES || errno == EPERM || errno == EROFS;
		return 0;
	}
	if (fr_store_peek(fd, &super) == 0 && fr_host_writer_alive(&super)) {
		changed = fr_gates_apply(fd, &super, direct->text, direct->size, direct->selector);
		direct->rings++;
		direct->changed += changed > 0;
	}
	close(fd);
	return 0;
}

/* The same as the daemon: the text first, then the rings (gates.h says why in this order). */
static int set_directly(const struct fr_gate_rule *rule, struct direct *direct)
{
	static char before[FR_GATES_TEXT_MAX], after[FR_GATES_TEXT_MAX];
	struct fr_store store;
	char path[FR_PATH_MAX + 16];
	int size, error = fr_store_here(&store);

	if (error)
		return error;
	error = fr_path_make(store.state, 0755);
	if (error)
		return error;
	snprintf(path, sizeof(path), "%s/" FR_GATES_FILE, store.state);
	size = fr_gates_read(path, before, sizeof(before));
	if (size < 0 && size != -ENOENT)
		return size;
	size = fr_gates_text_set(before, size < 0 ? 0 : (size_t)size, rule, after, sizeof(after));
	if (size < 0)
		return size;
	error = fr_gates_write(path, after, (size_t)size, true);
	if (error)
		return error;
	direct->text = after;
	direct->size = (size_t)size;
	direct->selector = rule->selector;
	return fr_store_each(&store, apply, direct);
}

static int parse(int argc, char **argv, struct fr_gate_rule *rule)
{
	char *end;
	int level;

	if (argc < 2 || argc > 3)
		return fr_usage("set", "set: want PROVIDER LEVEL [KEYWORDS]");
	if (strlen(argv[0]) >= sizeof(rule->selector) || !*argv[0] || strpbrk(argv[0], " \t\n"))
		return fr_usage("set", "set: `%s` can't be the name of a provider", argv[0]);
	strcpy(rule->selector, argv[0]);
	level = strcmp(argv[1], "off") == 0 || strcmp(argv[1], "0") == 0 ? 0 : fr_level_parse(argv[1]);
	if (level < 0)
		return fr_usage("set", "set: level `%s`: want off, critical, error, warning, info, verbose or 0 to 5", argv[1]);
	rule->level = (uint8_t)level;
	if (argc == 3 && strcmp(argv[2], "all") != 0) {
		errno = 0;
		rule->keywords = strtoull(argv[2], &end, 0);
		if (*argv[2] == '-' || end == argv[2] || *end || errno || rule->keywords >> 56 || !rule->keywords)
			return fr_usage("set", "set: keywords `%s`: want a number of at most 56 bits, such as 0xff", argv[2]);
	}
	return FR_EXIT_GOOD;
}

static int report(const struct fr_gate_rule *rule, unsigned changed, unsigned refused)
{
	char keywords[32] = "";

	if (rule->keywords)
		snprintf(keywords, sizeof(keywords), ", keywords 0x%llx", (unsigned long long)rule->keywords);
	printf("%s: %s%s; ", rule->selector, rule->level ? fr_level_name(rule->level) : "off", keywords);
	if (changed)
		printf("changed in %u running process%s\n", changed, changed == 1 ? "" : "es");
	else
		printf("no running process was changed by it; those that start from now on begin with it\n");
	if (refused)
		fr_warning("%u ring%s could not be written; run it as root, or run flightrecd", refused, refused == 1 ? "" : "s");
	return FR_EXIT_GOOD;
}

int fr_cmd_set(int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	struct fr_proto_request request = { .op = FR_PROTO_GATE };
	struct fr_proto_answer answer = { 0 };
	struct fr_gate_rule rule = { 0 };
	struct direct direct = { 0 };
	int option, result;
	char *text;

	while ((option = getopt_long(argc, argv, "+h", options, NULL)) != -1)
		return option == 'h' ? fr_help("set", help) : fr_usage("set", NULL);
	result = parse(argc - optind, argv + optind, &rule);
	if (result)
		return result;
	request.level = rule.level;
	request.keywords = rule.keywords;
	snprintf(request.provider, sizeof(request.provider), "%s", rule.selector);
	text = fr_cli_alloc(FR_PROTO_TEXT_MAX + 1);
	result = fr_ask(&request, &answer, text, FR_ASK_PATIENT_MS);
	if (!result && answer.error)
		result = fr_fail("the daemon refuses: %s", *text ? text : fr_why(answer.error));
	else if (!result)
		result = report(&rule, answer.affected, 0);
	else if (result != -ENOENT)
		result = fr_fail("cannot ask flightrecd: %s", fr_why(result));
	else if ((result = set_directly(&rule, &direct)) < 0)
		result = fr_fail("cannot set it without a daemon: %s", fr_why(result));
	else
		result = report(&rule, direct.changed, direct.refused);
	free(text);
	return result;
}
