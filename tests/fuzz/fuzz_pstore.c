/* SPDX-License-Identifier: MIT */
/*
 * fuzz_pstore.c - property: whatever a record of pstore holds, each of its bytes is a line end, a
 * stamp, or part of one line; and the ring made of it holds an event for each line, with that text,
 * and no loss.
 */
#include <fcntl.h>
#include <unistd.h>

#include "pstore/dump.h"
#include "recorder/core/catalogue.h"
#include "recorder/core/decode.h"
#include "tests/fuzz/fuzz.h"

struct lines {
	struct fr_dmesg_line *line;
	size_t count, room;
};

static void keep(struct lines *lines, const struct fr_dmesg_line *line)
{
	if (lines->count == lines->room) {
		lines->room = lines->room ? 2 * lines->room : 64;
		lines->line = realloc(lines->line, lines->room * sizeof(*line));
		HOLDS(lines->line);
	}
	lines->line[lines->count++] = *line;
}

/* What lies between two parts, or two lines: ends of lines, then the stamp of the next one. */
static void check_gap(const char *from, const char *to, bool stamped)
{
	while (from < to && (*from == '\n' || *from == '\0'))
		from++;
	HOLDS(from == to || stamped);
	for (; from < to; from++)
		HOLDS(strchr("<>[]0123456789. TC", *from) && *from);
}

static void read_part(const struct fr_dmesg_part *part, struct fr_dmesg_state *state, struct lines *lines)
{
	const char *text = part->text, *before = text;
	struct fr_dmesg_line line;
	const char *verdict;
	size_t at = 0, size;

	HOLDS(part->text >= part->head && part->text + part->text_size == part->head + part->head_size);
	while (fr_dmesg_next_line(state, text, part->text_size, &at, &line)) {
		HOLDS(line.text >= before && line.text + line.size <= text + at && at <= part->text_size);
		HOLDS(line.size <= FR_DMESG_LINE_MAX && line.severity < 8 &&
		      !memchr(line.text, '\n', line.size));
		check_gap(before, line.text, line.stamped);
		before = line.text + line.size;
		fr_dmesg_verdict(&line, &verdict, &size);
		HOLDS(verdict >= line.text && verdict + size <= line.text + line.size);
		keep(lines, &line);
	}
	check_gap(before, text + part->text_size, false);
}

static void check_ring(struct fr_dump *dump, const struct lines *lines)
{
	struct fr_seen seen = { 0 };
	struct fr_dump_result result = { 0 };
	struct fr_image *image;
	size_t next = 0;
	int fd = fr_dump_ring(dump, NULL, 0, &seen, AT_FDCWD, &result);

	HOLDS(fd >= 0);
	HOLDS(fr_image_open(fd, 0, &image) == 0);
	close(fd);
	HOLDS(result.lines == lines->count && !result.known);
	HOLDS(fr_image_loss_count(image) == 0);
	HOLDS(fr_image_record_count(image) == lines->count + result.panic);
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		const struct fr_value *text;
		struct fr_event event;

		fr_decode(image, fr_image_record(image, i), &event);
		if (!strcmp(event.name, "kernel.panic"))
			continue;
		text = fr_event_field(&event, "text");
		HOLDS(next < lines->count && text && text->s.size == lines->line[next].size);
		HOLDS(!memcmp(text->s.data, lines->line[next].text, text->s.size));
		HOLDS(event.time_ns == lines->line[next].time_ns);
		next++;
	}
	HOLDS(next == lines->count);
	fr_image_close(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *text = (const char *)bytes, *before = text;
	struct fr_dump dump = { .backend = "ramoops", .why = "Panic", .number = 1 };
	struct fr_dump_part *part = calloc(FR_DUMP_PARTS_MAX, sizeof(*part));
	struct fr_dmesg_state state = { 0 };
	struct lines lines = { 0 };
	size_t at = 0;

	HOLDS(part);
	dump.part = part;
	while (dump.parts < FR_DUMP_PARTS_MAX &&
	       fr_dmesg_next_part(text, size, &at, &part[dump.parts].part)) {
		const struct fr_dmesg_part *is = &part[dump.parts].part;

		HOLDS(is->head >= before && is->head_size <= is->raw_size &&
		      is->head + is->raw_size == text + at && at <= size);
		check_gap(before, is->head, false);
		before = is->head + is->head_size;
		part[dump.parts++].place = "pstore/dmesg-ramoops-0";
	}
	if (dump.parts < FR_DUMP_PARTS_MAX)
		check_gap(before, text + size, false);
	if (dump.parts) {
		fr_dump_settle(&dump);
		for (size_t i = 0; i < dump.parts; i++)
			read_part(&part[i].part, &state, &lines);
		check_ring(&dump, &lines);
	}
	free(lines.line);
	free(part);
	return 0;
}
