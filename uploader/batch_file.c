/* SPDX-License-Identifier: MIT */
/*
 * batch_file.c - writes and reads the text in front of a body in the outbox.
 *
 * Owns: that layout (outbox.h). A file is believed only when both sums hold and every count agrees.
 */
#include "uploader/batch_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/core/crc.h"
#include "recorder/core/paths.h"

#define RANGES_MAX (1u << 20)

static void add_id(struct fr_text *text, const char *word, const uint8_t id[16])
{
	char hex[33];

	fr_hex(hex, id, 16);
	fr_text_printf(text, "%s %s\n", word, hex);
}

void fr_batch_file_head(struct fr_text *text, const struct fr_batch *batch)
{
	char hex[33];

	fr_text_printf(text, "flightrec-batch 1\n");
	add_id(text, "id", batch->id);
	add_id(text, "database", batch->database);
	add_id(text, "machine", batch->machine);
	add_id(text, "boot", batch->boot);
	fr_hex(hex, batch->parent, 16);
	fr_text_printf(text, "parent %s %u\n", hex, batch->half);
	fr_text_printf(text, "created %" PRIu64 "\nevents %" PRIu64 "\nranges %zu\n", batch->created_ns, batch->events,
		       batch->range_count);
	for (size_t i = 0; i < batch->range_count; i++) {
		const struct fr_index_range *range = &batch->range[i];

		fr_hex(hex, range->ring_id, 16);
		fr_text_printf(text, "range %s %u %" PRIu64 " %" PRIu64 "\n", hex, range->lane, range->first, range->last);
	}
	fr_text_printf(text, "body %zu %08x\n", batch->body_size, batch->body_crc);
	if (!text->failed)
		fr_text_printf(text, "end %08x\n", fr_crc32c(0, text->data, text->size));
}

static bool take_word(const char **at, const char *word)
{
	size_t size = strlen(word);

	if (strncmp(*at, word, size) != 0)
		return false;
	*at += size;
	return true;
}

static bool take_hex(const char **at, uint8_t bytes[16])
{
	char hex[33];

	if (strnlen(*at, 32) < 32)
		return false;
	memcpy(hex, *at, 32);
	hex[32] = '\0';
	*at += 32;
	return fr_unhex(bytes, 16, hex) == 0;
}

static bool take_u64(const char **at, uint64_t *ret)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	*ret = strtoull(*at, &end, 10);
	*at = end;
	return true;
}

/* Lower case only, so that no bit of the file may be another one. */
static bool take_crc(const char **at, uint32_t *ret)
{
	static const char digits[] = "0123456789abcdef";
	uint32_t value = 0;

	for (int i = 0; i < 8; i++, ++*at) {
		const char *digit = **at ? strchr(digits, **at) : NULL;

		if (!digit)
			return false;
		value = value << 4 | (uint32_t)(digit - digits);
	}
	*ret = value;
	return true;
}

static bool take_id(const char **at, const char *word, uint8_t id[16])
{
	return take_word(at, word) && take_word(at, " ") && take_hex(at, id) && take_word(at, "\n");
}

int fr_batch_file_peek(const char *at, struct fr_batch *ret_batch, const char **ret_rest)
{
	struct fr_batch batch = { 0 };
	uint64_t half;

	if (!take_word(&at, "flightrec-batch 1\n") || !take_id(&at, "id", batch.id) ||
	    !take_id(&at, "database", batch.database) || !take_id(&at, "machine", batch.machine) ||
	    !take_id(&at, "boot", batch.boot) || !take_word(&at, "parent ") || !take_hex(&at, batch.parent) ||
	    !take_word(&at, " ") || !take_u64(&at, &half) || !take_word(&at, "\ncreated ") ||
	    !take_u64(&at, &batch.created_ns) || !take_word(&at, "\nevents ") || !take_u64(&at, &batch.events) ||
	    !take_word(&at, "\n") || half > 1)
		return -EBADMSG;
	batch.half = (unsigned)half;
	*ret_batch = batch;
	if (ret_rest)
		*ret_rest = at;
	return 0;
}

static bool take_range(const char **at, const uint8_t boot[16], struct fr_index_range *range)
{
	uint64_t lane;

	if (!take_word(at, "range ") || !take_hex(at, range->ring_id) || !take_word(at, " ") || !take_u64(at, &lane) ||
	    lane > UINT32_MAX || !take_word(at, " ") || !take_u64(at, &range->first) || !take_word(at, " ") ||
	    !take_u64(at, &range->last) || !take_word(at, "\n") || range->last < range->first)
		return false;
	memcpy(range->boot_id, boot, 16);
	range->lane = (uint32_t)lane;
	range->count = range->last - range->first + 1;
	return true;
}

static int read_ranges(const char **at, struct fr_batch *batch)
{
	uint64_t count, events = 0;

	if (!take_word(at, "ranges ") || !take_u64(at, &count) || !take_word(at, "\n") || !count || count > RANGES_MAX)
		return -EBADMSG;
	batch->range = calloc(count, sizeof *batch->range);
	if (!batch->range)
		return -ENOMEM;
	batch->range_count = count;
	for (uint64_t i = 0; i < count; i++) {
		if (!take_range(at, batch->boot, &batch->range[i]))
			return -EBADMSG;
		events += batch->range[i].count;
	}
	return events == batch->events ? 0 : -EBADMSG;
}

int fr_batch_file_read(const char *bytes, size_t size, struct fr_batch *ret_batch)
{
	__attribute__((cleanup(fr_batch_done))) struct fr_batch batch = { 0 };
	const char *at, *end_line;
	uint64_t body_size;
	uint32_t crc;
	int r = fr_batch_file_peek(bytes, &batch, &at);

	if (r == 0)
		r = read_ranges(&at, &batch);
	if (r < 0)
		return r;
	if (!take_word(&at, "body ") || !take_u64(&at, &body_size) || !take_word(&at, " ") ||
	    !take_crc(&at, &batch.body_crc) || !take_word(&at, "\n"))
		return -EBADMSG;
	end_line = at;
	if (!take_word(&at, "end ") || !take_crc(&at, &crc) || !take_word(&at, "\n") ||
	    crc != fr_crc32c(0, bytes, (size_t)(end_line - bytes)) || body_size != size - (size_t)(at - bytes) ||
	    fr_crc32c(0, at, body_size) != batch.body_crc)
		return -EBADMSG;
	batch.body = malloc(body_size ? body_size : 1);
	if (!batch.body)
		return -ENOMEM;
	memcpy(batch.body, at, body_size);
	batch.body_size = body_size;
	*ret_batch = batch;
	batch = (struct fr_batch){ 0 };
	return 0;
}
