/* SPDX-License-Identifier: MIT */
/* text.c - growing text. Owns: its memory. */
#include "uploader/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/core/json.h"

void fr_text_done(struct fr_text *text)
{
	free(text->data);
	*text = (struct fr_text){ 0 };
}

void fr_text_reset(struct fr_text *text, size_t size)
{
	if (size < text->size) {
		text->size = size;
		text->data[size] = '\0';
	}
}

/* Room for `more` bytes and a terminator. */
static bool reserve(struct fr_text *text, size_t more)
{
	size_t room = text->room ? text->room : 256;
	char *data;

	if (text->failed)
		return false;
	if (text->room - text->size > more)
		return true;
	while (room - text->size <= more)
		room *= 2;
	data = realloc(text->data, room);
	if (!data) {
		text->failed = true;
		return false;
	}
	text->data = data;
	text->room = room;
	return true;
}

void fr_text_add(struct fr_text *text, const char *data, size_t size)
{
	if (!reserve(text, size))
		return;
	memcpy(text->data + text->size, data, size);
	text->size += size;
	text->data[text->size] = '\0';
}

void fr_text_printf(struct fr_text *text, const char *format, ...)
{
	va_list args, again;
	int size;

	va_start(args, format);
	va_copy(again, args);
	size = vsnprintf(NULL, 0, format, args);
	if (size < 0) {
		text->failed = true;
	} else if (reserve(text, size)) {
		vsnprintf(text->data + text->size, (size_t)size + 1, format, again);
		text->size += size;
	}
	va_end(again);
	va_end(args);
}

void fr_text_json(struct fr_text *text, const char *string, size_t size)
{
	size_t need = fr_json_escape(NULL, 0, string, size);

	fr_text_add(text, "\"", 1);
	if (reserve(text, need)) {
		fr_json_escape(text->data + text->size, need + 1, string, size);
		text->size += need;
	}
	fr_text_add(text, "\"", 1);
}
