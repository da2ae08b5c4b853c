/* SPDX-License-Identifier: MIT */
/*
 * events.c - `flightrec events`: the catalogue of the events that the kernel's side and the recorder itself write.
 */
#include <fnmatch.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "recorder/cli/cli.h"
#include "recorder/cli/out.h"
#include "recorder/cli/term.h"
#include "recorder/core/catalogue.h"
#include "recorder/core/paths.h"

static const char help[] =
	"Options:\n"
	"  -j, --json       one object an event, complete\n"
	"  -m, --markdown   as a page of documentation\n"
	"GLOB picks events by name. What applications declare is not in the catalogue but\n"
	"in their rings.\n"
	"\n"
	"Examples:\n"
	"  flightrec events\n"
	"  flightrec events 'proc.*'\n"
	"  flightrec events --json | jq -r 'select(.default_on) | .event'\n";

static const char *role(const struct fr_catalogue_event *event)
{
	switch (event->role) {
	case FR_ROLE_EBPF:
		return "eBPF";
	case FR_ROLE_KERNEL:
		return "kernel log";
	case FR_ROLE_DAEMON:
		return "daemon";
	default:
		return "application";
	}
}

static void text(const struct fr_catalogue_event *event, const struct fr_term *term, struct fr_out *out)
{
	fr_out_printf(out, "%s%s%s  %s, %s, %s: %s\n", fr_paint(term, FR_BOLD), event->name, fr_paint(term, FR_PLAIN),
		      fr_level_name(event->level), event->default_on ? "on" : "off", role(event), event->hook);
	fr_out_printf(out, "    %s\n", event->doc);
	for (unsigned i = 0; i < event->field_count; i++) {
		const struct fr_catalogue_field *field = &event->field[i];

		fr_out_printf(out, "    %s%-20s%s %-5s %-8s %s\n", fr_paint(term, FR_CYAN), field->name, fr_paint(term, FR_PLAIN),
			      fr_catalogue_type_name(field->type), field->unit, field->doc);
	}
	fr_out_char(out, '\n');
}

static void markdown_cell(struct fr_out *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			fr_out_char(out, '\\');
		fr_out_char(out, *text);
	}
}

static void markdown(const struct fr_catalogue_event *event, struct fr_out *out)
{
	fr_out_printf(out, "## %s\n\n%c%s. Provider `%s`, level %s, %s by default, written by %s (%s), id %u.\n\n", event->name,
		      event->doc[0] >= 'a' && event->doc[0] <= 'z' ? event->doc[0] - 'a' + 'A' : event->doc[0], event->doc + 1,
		      fr_catalogue_provider[event->provider].name, fr_level_name(event->level), event->default_on ? "on" : "off",
		      role(event), event->hook, event->id);
	fr_out_put(out, "| field | type | unit | meaning |\n|---|---|---|---|\n");
	for (unsigned i = 0; i < event->field_count; i++) {
		const struct fr_catalogue_field *field = &event->field[i];

		fr_out_printf(out, "| `%s` | %s | %s | ", field->name, fr_catalogue_type_name(field->type), field->unit);
		markdown_cell(out, field->doc);
		fr_out_put(out, " |\n");
	}
	fr_out_char(out, '\n');
}

static void json(const struct fr_catalogue_event *event, struct fr_out *out)
{
	const struct fr_catalogue_provider *provider = &fr_catalogue_provider[event->provider];
	char guid[37];

	fr_uuid_text(guid, provider->guid);
	fr_out_printf(out, "{\"id\":%u,\"event\":\"%s\",\"provider\":\"%s\",\"guid\":\"%s\",\"level\":\"%s\",\"keywords\":%llu,",
		      event->id, event->name, provider->name, guid, fr_level_name(event->level), (unsigned long long)event->keywords);
	fr_out_printf(out, "\"default_on\":%s,\"written_by\":\"%s\",\"hook\":", event->default_on ? "true" : "false", role(event));
	fr_out_json(out, event->hook);
	fr_out_put(out, ",\"doc\":");
	fr_out_json(out, event->doc);
	fr_out_put(out, ",\"fields\":[");
	for (unsigned i = 0; i < event->field_count; i++) {
		const struct fr_catalogue_field *field = &event->field[i];

		fr_out_printf(out, "%s{\"name\":\"%s\",\"type\":\"%s\",\"unit\":\"%s\",\"doc\":", i ? "," : "", field->name,
			      fr_catalogue_type_name(field->type), field->unit);
		fr_out_json(out, field->doc);
		fr_out_char(out, '}');
	}
	fr_out_put(out, "]}\n");
}

int fr_cmd_events(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' }, { "markdown", no_argument, NULL, 'm' }, { "help", no_argument, NULL, 'h' }, { 0 }
	};
	struct fr_out FR_OUT_CLEANUP out = { 0 };
	const char *pattern;
	unsigned shown = 0;
	int option, how = 't';
	struct fr_term term;

	while ((option = getopt_long(argc, argv, "jmh", options, NULL)) != -1) {
		if (option == 'h')
			return fr_help("events", help);
		if (option == '?')
			return fr_usage("events", NULL);
		how = option;
	}
	if (argc - optind > 1)
		return fr_usage("events", "events: one GLOB at most");
	pattern = argv[optind];
	fr_term_init(&term, NULL);
	if (how == 'm')
		fr_out_put(&out, "# Events\n\nWhat the kernel's side and the recorder itself write; made by `flightrec events --markdown`.\n\n");
	for (unsigned i = 0; i < fr_catalogue_count; i++) {
		const struct fr_catalogue_event *event = &fr_catalogue[i];

		if (pattern && fnmatch(pattern, event->name, 0) != 0)
			continue;
		shown++;
		if (how == 'j')
			json(event, &out);
		else if (how == 'm')
			markdown(event, &out);
		else
			text(event, &term, &out);
	}
	if (!shown) {
		fr_error("no event of the catalogue is called %s", pattern);
		return FR_EXIT_NOTHING;
	}
	fr_term_write(&out);
	return FR_EXIT_GOOD;
}
