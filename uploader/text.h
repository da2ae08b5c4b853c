/* SPDX-License-Identifier: MIT */
/*
 * text.h - text that grows while it is made: one allocation error is remembered, and asked for once at the end.
 */
#ifndef UPLOADER_TEXT_H
#define UPLOADER_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct fr_text {
	char *data; /* terminated, NULL while empty */
	size_t size;
	size_t room;
	bool failed; /* memory was short: what was added since is missing */
};

void fr_text_done(struct fr_text *text);
void fr_text_reset(struct fr_text *text, size_t size); /* cuts to so many bytes */
void fr_text_add(struct fr_text *text, const char *data, size_t size);
void fr_text_printf(struct fr_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fr_text_json(struct fr_text *text, const char *string, size_t size); /* a JSON string with its quotes */

#endif
