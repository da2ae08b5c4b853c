/* SPDX-License-Identifier: MIT */
/*
 * emit.c - `flightrec emit`: a shell's way to record, through libflightrec like any application.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flightrec/flightrec.h>

#include "recorder/cli/cli.h"
#include "recorder/cli/out.h"
#include "recorder/core/decode.h"
#include "recorder/core/encode.h"
#include "recorder/core/json.h"
#include "recorder/core/paths.h"

static const char help[] =
	"What follows the options is KEY=VALUE... (an event with these fields), else a\n"
	"text; - reads a line of standard input at a time, until its end. Numbers become\n"
	"numbers. Works with and without a daemon.\n"
	"\n"
	"Options:\n"
	"  -p, --provider NAME   whose event it is (default: shell)\n"
	"      --guid GUID       its GUID (default: one that is made of its name)\n"
	"  -l, --level LEVEL     critical, error, warning, info (default) or verbose\n"
	"  -e, --event NAME      the event's name, for KEY=VALUE and --json\n"
	"      --session NAME    in a session of that name\n"
	"  -j, --json TEXT       a JSON text; with -: each line is one\n"
	"\n"
	"Exit codes: 0 recorded, 1 not recorded (standard error says why).\n"
	"\n"
	"Examples:\n"
	"  flightrec emit backup started\n"
	"  flightrec emit -p acme.backup -e finished files=1204 target=/srv\n"
	"  flightrec emit -p acme.backup -l error --json '{\"code\":7}'\n"
	"  tail -F app.log | flightrec emit -p acme.app -\n";

struct emit {
	struct flightrec_provider provider;
	char guid[37];
	int level;
	const char *event, *json, *session_name;
	uint32_t session;
	uint64_t done, shut;
};

/* A GUID (version 8) that is the same wherever a provider of that name emits. */
static void guid_of_name(const char *name, char guid[37])
{
	uint64_t half[2] = { 0xcbf29ce484222325ull, 0x6c62272e07bb0142ull };
	uint8_t bytes[16];

	for (const char *p = name; *p; p++)
		for (int i = 0; i < 2; i++)
			half[i] = (half[i] ^ (uint8_t)*p ^ (uint64_t)i << 8) * 0x100000001b3ull;
	half[1] ^= half[0] >> 29;
	memcpy(bytes, half, 16);
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x80);
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
	fr_uuid_text(guid, bytes);
}

static bool is_pair(const char *text)
{
	const char *equals = strchr(text, '=');

	if (!equals || equals == text || !(isalpha((unsigned char)*text) || *text == '_'))
		return false;
	for (const char *p = text; p < equals; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_.-", *p))
			return false;
	return true;
}

static void read_value(const char *text, struct fr_value *value)
{
	char *end;

	errno = 0;
	value->type = FRM_I64;
	value->i = strtoll(text, &end, 10);
	if (!errno && *text && !*end && !isspace((unsigned char)*text))
		return;
	if (isdigit((unsigned char)*text) && text[1] != 'x') {
		value->type = FRM_F64;
		errno = 0;
		value->f = strtod(text, &end);
		if (!errno && !*end)
			return;
	}
	value->type = FRM_STR;
	value->s.data = text;
	value->s.size = strlen(text);
}

static int emit_pairs(struct emit *emit, char **pairs, int count)
{
	struct flightrec_event event = { .size = sizeof(event), .provider = &emit->provider, .level = (uint8_t)emit->level };
	struct flightrec_field field[FR_FIELDS_MAX] = { { 0 } };
	struct fr_value value[FR_FIELDS_MAX] = { { 0 } };
	struct flightrec_slot slot;
	void *payload;
	int result;

	if (count > FR_FIELDS_MAX)
		return fr_usage("emit", "emit: an event has at most %d fields", FR_FIELDS_MAX);
	for (int i = 0; i < count; i++) {
		char *equals = strchr(pairs[i], '=');

		*equals = '\0';
		value[i].name = field[i].name = pairs[i];
		field[i].unit = "";
		read_value(equals + 1, &value[i]);
		field[i].type = value[i].type;
	}
	event.name = emit->event ? emit->event : "event";
	event.field = field;
	event.field_count = (uint16_t)count;
	if (!flightrec_wants(&emit->provider, emit->level, 0)) {
		emit->shut++;
		return 0;
	}
	payload = flightrec_reserve(&slot, &event, emit->session, fr_encode_size(value, (unsigned)count));
	if (!payload)
		return -ENOBUFS;
	fr_encode(value, (unsigned)count, payload);
	result = emit->level == FLIGHTREC_CRITICAL ? flightrec_commit_durable(&slot)
						   : flightrec_commit(&slot);
	emit->done += result == 0;
	return result;
}

static int emit_text(struct emit *emit, const char *text, size_t size)
{
	int result;

	if (emit->json)
		result = flightrec_json(&emit->provider, emit->level, emit->session, emit->event ? emit->event : "message", text, size);
	else
		result = flightrec_text(&emit->provider, emit->level, emit->session, text, size);
	if (emit->json && result == 1 && !fr_json_valid(text, size))
		fr_warning("not JSON; recorded all the same, with a mark: %.60s", text);
	emit->done += result == 1;
	emit->shut += result == 0;
	return result < 0 ? result : 0;
}

static int refused(int error)
{
	if (error == -ENOBUFS)
		return fr_fail("could not be recorded: it is larger than the ring takes; FLIGHTREC_RING_SIZE=4M makes a larger one");
	return fr_fail("recorded, but not on the disk yet: %s; a power cut may still take it", fr_why(error));
}

/* Each line has its own fate: one that is refused does not keep the next from being recorded. Said when it changes. */
static int emit_lines(struct emit *emit)
{
	int error = 0, before, code = FR_EXIT_GOOD;
	char *line = NULL;
	size_t room = 0;
	ssize_t size;

	while ((size = getline(&line, &room, stdin)) >= 0) {
		while (size && (line[size - 1] == '\n' || line[size - 1] == '\r'))
			size--;
		line[size] = '\0';
		before = error;
		error = size ? emit_text(emit, line, (size_t)size) : 0;
		if (error < 0 && error != before)
			code = refused(error);
	}
	free(line);
	return code;
}

static int emit_words(struct emit *emit, char **words, int count)
{
	struct fr_out FR_OUT_CLEANUP out = { 0 };

	for (int i = 0; i < count; i++)
		fr_out_printf(&out, "%s%s", i ? " " : "", words[i]);
	return emit_text(emit, out.data, out.size);
}

static bool reads_lines(const struct emit *emit, char **rest, int count)
{
	return (count == 1 && strcmp(rest[0], "-") == 0) || (emit->json && strcmp(emit->json, "-") == 0);
}

static int emit_all(struct emit *emit, char **rest, int count)
{
	bool pairs = count > 0 && !emit->json;

	for (int i = 0; i < count; i++)
		pairs &= is_pair(rest[i]);
	if (reads_lines(emit, rest, count))
		return emit_lines(emit);
	if (emit->json)
		return emit_text(emit, emit->json, strlen(emit->json));
	return pairs ? emit_pairs(emit, rest, count) : emit_words(emit, rest, count);
}

static int record(struct emit *emit, char **rest, int count)
{
	int result;

	/* what a person asks for by hand is recorded at whatever level, unless policy says otherwise; and one event needs little room */
	setenv("FLIGHTREC_LEVEL", "verbose", 0);
	if (!reads_lines(emit, rest, count))
		setenv("FLIGHTREC_RING_SIZE", "64K", 0);
	result = flightrec_register(&emit->provider);
	if (result < 0)
		return fr_fail("cannot record: no ring could be made: %s", fr_why(result));
	if (emit->session_name)
		emit->session = flightrec_session_begin(&emit->provider, NULL, emit->session_name);
	result = emit_all(emit, rest, count);
	if (emit->session)
		flightrec_session_end(&emit->provider, emit->session);
	flightrec_unregister(&emit->provider);
	if (result > 0)
		return result;
	if (result < 0)
		return refused(result);
	if (emit->shut)
		return fr_fail("not recorded: provider %s is switched off at this level; `flightrec set %s %s` switches it on",
			       emit->provider.name, emit->provider.name, fr_level_name((unsigned)emit->level));
	return FR_EXIT_GOOD;
}

enum { OPT_GUID = 256, OPT_SESSION };

int fr_cmd_emit(int argc, char **argv)
{
	static const struct option options[] = {
		{ "provider", required_argument, NULL, 'p' }, { "guid", required_argument, NULL, OPT_GUID },
		{ "level", required_argument, NULL, 'l' },    { "event", required_argument, NULL, 'e' },
		{ "session", required_argument, NULL, OPT_SESSION }, { "json", required_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },	      { 0 },
	};
	struct emit emit = { .level = FLIGHTREC_INFO };
	const char *name = "shell", *guid = NULL;
	uint8_t bytes[16];
	int option;

	/* '+': what follows the first word is not for us */
	while ((option = getopt_long(argc, argv, "+p:l:e:j:h", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			name = optarg;
			break;
		case OPT_GUID:
			guid = optarg;
			break;
		case 'l':
			emit.level = fr_level_parse(optarg);
			if (emit.level < 1)
				return fr_usage("emit", "--level %s: want critical, error, warning, info, verbose or 1 to 5", optarg);
			break;
		case 'e':
			emit.event = optarg;
			break;
		case OPT_SESSION:
			emit.session_name = optarg;
			break;
		case 'j':
			emit.json = optarg;
			break;
		case 'h':
			return fr_help("emit", help);
		default:
			return fr_usage("emit", NULL);
		}
	}
	if (!emit.json && optind == argc)
		return fr_usage("emit", "emit: what is to be recorded?");
	if (emit.json && optind < argc)
		return fr_usage("emit", "emit: `%s` after --json: a JSON text is one argument", argv[optind]);
	if (!*name || strlen(name) > 120 || strpbrk(name, " \t\n"))
		return fr_usage("emit", "--provider %s: want a name of at most 120 characters without blanks", name);
	if (guid && fr_uuid_parse(bytes, guid) < 0)
		return fr_usage("emit", "--guid %s: want 36 characters, such as 5c0d1f9e-8d6b-4c1e-9a53-0f6a2d7b9e11", guid);
	if (guid)
		fr_uuid_text(emit.guid, bytes);
	else
		guid_of_name(name, emit.guid);
	emit.provider = (struct flightrec_provider)FLIGHTREC_PROVIDER_INIT(name, emit.guid, 1, 0);
	return record(&emit, argv + optind, argc - optind);
}
