/* SPDX-License-Identifier: MIT */
#include "recorder/cli/render.h"

#include <stdio.h>
#include <string.h>

#include "recorder/cli/when.h"
#include "recorder/core/image.h"
#include "recorder/core/paths.h"

#define PROCESS_COLUMNS_MIN 16
#define PROCESS_COLUMNS_MAX 32

void fr_render_done(struct fr_renderer *renderer)
{
	fr_out_done(&renderer->scratch);
}

static uint64_t number_of(const struct fr_event *event, const char *name)
{
	const struct fr_value *value = fr_event_field(event, name);

	return value && value->type < FRM_F64 && !value->truncated ? value->u : 0;
}

static bool text_begins(const struct fr_event *event, const char *name, const char *start)
{
	const struct fr_value *value = fr_event_field(event, name);

	return value && value->type == FRM_STR && value->s.size >= strlen(start) &&
	       memcmp(value->s.data, start, strlen(start)) == 0;
}

/* Our own providers; what an application calls "proc.exit" is its own business. */
static bool from_catalogue(const struct fr_event *event)
{
	return strcmp(event->provider, "kernel") == 0 || strcmp(event->provider, "flightrec") == 0;
}

enum fr_sight fr_render_sight(const struct fr_event *event)
{
	if (strcmp(event->name, "fr.crash") == 0) /* under the application's own provider or ours */
		return FR_SIGHT_DEATH;
	if (!from_catalogue(event))
		return FR_SIGHT_PLAIN;
	if (strcmp(event->name, "proc.exit") == 0)
		return number_of(event, "signal") ? FR_SIGHT_DEATH : FR_SIGHT_PLAIN;
	if (strcmp(event->name, "fr.process_died") == 0 || strcmp(event->name, FR_GONE_EVENT) == 0)
		return FR_SIGHT_DEATH;
	if (strcmp(event->name, "kernel.panic") == 0)
		return FR_SIGHT_PANIC;
	if (strcmp(event->name, "kernel.log") == 0)
		return text_begins(event, "text", "Kernel panic - ") ? FR_SIGHT_PANIC : FR_SIGHT_PLAIN;
	if (strcmp(event->name, FR_LOSS_EVENT) == 0 || strcmp(event->name, "fr.loss") == 0)
		return FR_SIGHT_LOST;
	return FR_SIGHT_PLAIN;
}

/* ------------------------------------------------------------------ columns */

static void paint(struct fr_renderer *r, struct fr_out *out, enum fr_paint how)
{
	fr_out_put(out, fr_paint(&r->term, how));
}

static void painted(struct fr_renderer *r, struct fr_out *out, enum fr_paint how, const char *text, size_t size)
{
	if (how)
		paint(r, out, how);
	fr_out_escaped(out, text, size);
	if (how)
		paint(r, out, FR_PLAIN);
}

void fr_render_separator(struct fr_renderer *r, const uint8_t boot_id[16], uint64_t boot_seq, uint64_t real_ns, struct fr_out *out)
{
	bool boot = !r->started || memcmp(r->boot_id, boot_id, 16) != 0, date;
	char day[16] = "";

	if (r->json)
		return;
	if (real_ns && !r->boot_time)
		fr_when_format(real_ns, r->utc, day, NULL);
	date = r->term.tty && day[0] && strcmp(day, r->day) != 0;
	if (!boot && !date)
		return;
	paint(r, out, FR_DIM);
	fr_out_put(out, "--");
	if (date)
		fr_out_printf(out, " %s", day);
	if (boot) {
		char id[37];

		fr_uuid_text(id, boot_id);
		fr_out_put(out, " boot");
		if (boot_seq)
			fr_out_printf(out, " %llu", (unsigned long long)boot_seq);
		fr_out_printf(out, " (%s)", id);
	}
	fr_out_put(out, " --");
	paint(r, out, FR_PLAIN);
	fr_out_char(out, '\n');
	r->started = true;
	memcpy(r->boot_id, boot_id, 16);
	if (date)
		memcpy(r->day, day, sizeof(day));
}

static void time_column(struct fr_renderer *r, const struct fr_event *event, const char *day, const char *time, struct fr_out *out)
{
	paint(r, out, FR_DIM);
	if (*time) {
		if (!r->term.tty)
			fr_out_printf(out, "%s ", day);
		fr_out_put(out, time);
		if (r->utc)
			fr_out_char(out, 'Z');
	} else {
		fr_out_printf(out, "%*llu.%06llu", r->boot_time ? 6 : 7, (unsigned long long)event->time_ns / 1000000000,
			      (unsigned long long)event->time_ns % 1000000000 / 1000);
	}
	paint(r, out, FR_PLAIN);
}

static void process_column(struct fr_renderer *r, const struct fr_event *event, struct fr_out *out)
{
	size_t before = out->size, columns;
	const char *comm = event->comm && *event->comm ? event->comm : event->pid ? "?" : "kernel";
	bool thread = event->tid && event->tid != event->pid && event->pid;

	fr_out_escaped(out, comm, strlen(comm));
	if (event->pid) {
		paint(r, out, FR_DIM);
		fr_out_printf(out, "[%u", event->pid);
		if (thread && event->thread && *event->thread && strcmp(event->thread, comm) != 0) {
			fr_out_char(out, '/');
			fr_out_escaped(out, event->thread, strlen(event->thread));
		} else if (thread) {
			fr_out_printf(out, "/%u", event->tid);
		}
		fr_out_char(out, ']');
		paint(r, out, FR_PLAIN);
	}
	columns = fr_out_columns(out->data + before, out->size - before);
	if (columns > r->process_columns)
		r->process_columns = columns < PROCESS_COLUMNS_MAX ? (unsigned)columns : PROCESS_COLUMNS_MAX;
	if (r->process_columns < PROCESS_COLUMNS_MIN)
		r->process_columns = PROCESS_COLUMNS_MIN;
	if (columns < r->process_columns)
		fr_out_pad(out, r->process_columns - columns);
}

static void level_column(struct fr_renderer *r, const struct fr_event *event, enum fr_sight sight, struct fr_out *out)
{
	static const struct {
		const char *name;
		enum fr_paint paint;
	} levels[] = {
		{ "-    ", FR_DIM },   { "CRIT ", FR_ALARM }, { "ERROR", FR_RED },
		{ "WARN ", FR_YELLOW }, { "info ", FR_PLAIN }, { "verb ", FR_DIM },
	};
	static const char *const sights[] = {
		[FR_SIGHT_DEATH] = "DEATH", [FR_SIGHT_PANIC] = "PANIC", [FR_SIGHT_LOST] = "LOST "
	};
	unsigned level = event->level <= FRM_LEVEL_VERBOSE ? event->level : 0;

	if (sight)
		painted(r, out, sight == FR_SIGHT_LOST ? FR_YELLOW : FR_ALARM, sights[sight], 5);
	else
		painted(r, out, levels[level].paint, levels[level].name, 5);
}

/* ------------------------------------------------------------------ fields */

/* Events that are a line of text: that field stands alone, without its name. NULL: an event like others. */
static const struct fr_value *line_of(const struct fr_event *event)
{
	const struct fr_value *line = NULL;

	if (strcmp(event->name, "fr.text") == 0 || (from_catalogue(event) && strcmp(event->name, "kernel.log") == 0))
		line = fr_event_field(event, "text");
	else if (strcmp(event->name, "fr.json") == 0)
		line = fr_event_field(event, "json");
	return line && line->type >= FRM_STR && line->type != FRM_BYTES && !line->truncated ? line : NULL;
}

/* What says nothing: zeros and empty strings of our own events, and what other columns or the verdict say already. */
static bool is_silent(const struct fr_event *event, const struct fr_value *value)
{
	static const char *const hidden[] = { "known", "group", "group_dead", "registers", "start_time_ns",
					      "target_start_time_ns", "victim_start_time_ns" };
	static const char *const identity[] = { "start_time_ns", "cgroup", "pid", "tid", "ppid", "uid", "comm" };

	if ((!from_catalogue(event) && strncmp(event->name, "fr.", 3) != 0) || strcmp(event->name, FR_LOSS_EVENT) == 0)
		return false;
	if (strcmp(event->provider, "kernel") == 0)
		for (size_t i = 0; i < sizeof(identity) / sizeof(identity[0]); i++)
			if (strcmp(identity[i], value->name) == 0)
				return true;
	if (strcmp(event->name, "proc.exit") == 0 && strcmp(value->name, "exit_code") == 0)
		return number_of(event, "signal") || !number_of(event, "known");
	if (strcmp(value->name, "target_tid") == 0)
		return value->u == number_of(event, "target_pid");
	if (strcmp(value->name, "old_pid") == 0)
		return value->u == event->tid || !value->u;
	if (strcmp(value->name, "argv_bytes") == 0) { /* says something when argv was cut */
		const struct fr_value *argv = fr_event_field(event, "argv");

		return argv && argv->type == FRM_STR && value->u <= argv->s.size + 1;
	}
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (strcmp(hidden[i], value->name) == 0)
			return true;
	if (value->truncated || value->type == FRM_F64)
		return false;
	return value->type >= FRM_STR ? value->s.size == 0 : value->u == 0;
}

/* Fields as they stand in the line: pieces that may be broken apart, each with a blank before it. */
struct wrap {
	size_t indent, column;
};

static void piece(struct fr_renderer *r, struct wrap *wrap, const char *bytes, size_t size, struct fr_out *out)
{
	size_t columns = fr_out_columns(bytes, size);

	if (r->term.columns && wrap->column + 1 + columns > r->term.columns && wrap->column > wrap->indent) {
		fr_out_char(out, '\n');
		fr_out_pad(out, wrap->indent);
		wrap->column = wrap->indent;
	} else {
		fr_out_char(out, ' ');
		wrap->column++;
	}
	fr_out_add(out, bytes, size);
	wrap->column += columns;
}

/* A long text breaks at its blanks. */
static void words(struct fr_renderer *r, struct wrap *wrap, enum fr_paint how, const char *bytes, size_t size, struct fr_out *out)
{
	struct fr_out *word = &r->scratch;

	do {
		const char *blank = r->term.columns ? memchr(bytes, ' ', size) : NULL;
		size_t length = blank ? (size_t)(blank - bytes) : size;

		fr_out_reset(word);
		painted(r, word, how, bytes, length);
		piece(r, wrap, word->data, word->size, out);
		length += blank != NULL;
		bytes += length;
		size -= length;
	} while (size);
}

static void field(struct fr_renderer *r, struct wrap *wrap, const struct fr_value *value, struct fr_out *out)
{
	struct fr_event one = { .field_count = 1, .field = { *value } };
	struct fr_out FR_OUT_CLEANUP text = { 0 };
	const char *equals;
	size_t size, name;

	size = fr_event_text(&one, fr_out_reserve(&text, 255), 256);
	if (size > 255)
		size = fr_event_text(&one, fr_out_reserve(&text, size), size + 1);
	text.size = size;
	if (r->term.columns && wrap->indent + fr_out_columns(text.data, text.size) >= r->term.columns) {
		words(r, wrap, FR_PLAIN, text.data, text.size, out); /* no line takes it whole */
		return;
	}
	equals = r->term.colour ? memchr(text.data, '=', text.size) : NULL;
	if (!equals) {
		piece(r, wrap, text.data, text.size, out);
		return;
	}
	name = (size_t)(equals + 1 - text.data);
	fr_out_reset(&r->scratch);
	paint(r, &r->scratch, FR_CYAN);
	fr_out_add(&r->scratch, text.data, name);
	paint(r, &r->scratch, FR_PLAIN);
	fr_out_add(&r->scratch, text.data + name, text.size - name);
	piece(r, wrap, r->scratch.data, r->scratch.size, out);
}

static void fields(struct fr_renderer *r, struct wrap *wrap, const struct fr_event *event, struct fr_out *out)
{
	const struct fr_value *line = line_of(event);
	bool log = from_catalogue(event) && strcmp(event->name, "kernel.log") == 0;

	if (line)
		words(r, wrap, FR_PLAIN, line->s.data, line->s.size, out);
	for (unsigned i = 0; i < event->field_count && i < FR_FIELDS_MAX; i++) {
		const struct fr_value *value = &event->field[i];

		if (value == line)
			continue;
		if (log && value->type < FRM_STR)
			continue; /* number, severity and facility of the line: its level says it */
		if (line && strcmp(event->name, "fr.json") == 0 && (value->type == FRM_U8 || strcmp(value->name, "name") == 0)) {
			if (value->type == FRM_U8 && !value->u) /* its mark; the name stands where names of events stand */
				words(r, wrap, FR_RED, "(not JSON)", 10, out);
			continue;
		}
		if (!is_silent(event, value))
			field(r, wrap, value, out);
	}
}

/* ------------------------------------------------------------------ the line */

void fr_render_line(struct fr_renderer *r, const struct fr_event *event, struct fr_out *out)
{
	enum fr_sight sight = fr_render_sight(event);
	char day[16] = "", time[20] = "";
	const struct fr_value *title;
	enum fr_paint name;
	struct wrap wrap;
	size_t line;

	if (r->json) {
		fr_render_json(event, out);
		fr_out_char(out, '\n');
		return;
	}
	if (event->real_ns && !r->boot_time)
		fr_when_format(event->real_ns, r->utc, day, time);

	line = out->size;
	time_column(r, event, day, time, out);
	wrap.indent = fr_out_columns(out->data + line, out->size - line) + 1;
	fr_out_char(out, ' ');
	process_column(r, event, out);
	fr_out_char(out, ' ');
	level_column(r, event, sight, out);
	wrap.column = fr_out_columns(out->data + line, out->size - line);

	name = sight == FR_SIGHT_LOST ? FR_YELLOW : sight || event->level == FRM_LEVEL_CRITICAL ? FR_RED : FR_BOLD;
	if (!from_catalogue(event)) /* whose events have names that say it: proc.exit, fr.start */
		words(r, &wrap, FR_DIM, event->provider, strlen(event->provider), out);
	title = strcmp(event->name, "fr.json") == 0 ? fr_event_field(event, "name") : NULL;
	if (title && title->type == FRM_STR && title->s.size)
		words(r, &wrap, name, title->s.data, title->s.size, out);
	else if (strcmp(event->name, "fr.text") != 0)
		words(r, &wrap, name, event->name, strlen(event->name), out);
	if (event->session) {
		fr_out_reset(&r->scratch);
		fr_out_printf(&r->scratch, "%s#%u", fr_paint(&r->term, FR_DIM), event->session);
		if (event->session_name && *event->session_name) {
			fr_out_char(&r->scratch, ':');
			fr_out_escaped(&r->scratch, event->session_name, strlen(event->session_name));
		}
		fr_out_put(&r->scratch, fr_paint(&r->term, FR_PLAIN));
		piece(r, &wrap, r->scratch.data, r->scratch.size, out);
	}
	fields(r, &wrap, event, out);
	fr_out_char(out, '\n');
}

void fr_render_event(struct fr_renderer *r, const struct fr_event *event, struct fr_out *out)
{
	fr_render_separator(r, event->boot_id, event->boot_seq, event->real_ns, out);
	fr_render_line(r, event, out);
}
