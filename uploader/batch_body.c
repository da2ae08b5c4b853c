/* SPDX-License-Identifier: MIT */
/*
 * batch_body.c - the bytes of a body: header line, compression, and the way back to text.
 *
 * Owns: zstd. Compression carries a content checksum; decompression is bounded, however small the bomb.
 */
#include "uploader/batch_body.h"

#ifdef HAVE_CURL /* which stands for: with upload, so with zstd */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <zstd.h>

#include "recorder/core/crc.h"
#include "recorder/core/paths.h"

int fr_batch_id_random(uint8_t id[16])
{
	if (getrandom(id, 16, 0) != 16)
		return -EAGAIN;
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x40); /* RFC 9562, version 4 */
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
	return 0;
}

void fr_body_header(struct fr_text *text, const struct fr_batch *batch, const struct fr_body_range *range)
{
	char id[37], database[37], boot[37], machine[33];

	fr_uuid_text(id, batch->id);
	fr_uuid_text(database, batch->database);
	fr_uuid_text(boot, batch->boot);
	fr_hex(machine, batch->machine, 16);
	fr_text_printf(text, "{\"flightrec\":1,\"batch\":\"%s\",\"database\":\"%s\",\"machine\":\"%s\",\"boot\":\"%s\"", id,
		       database, machine, boot);
	fr_text_printf(text, ",\"created_ns\":%" PRIu64 ",\"events\":%" PRIu64 ",\"ranges\":[", batch->created_ns,
		       batch->events);
	for (size_t i = 0; i < batch->range_count; i++)
		fr_text_printf(text, "%s{\"g\":%u,\"first\":%" PRIu64 ",\"last\":%" PRIu64 ",\"t\":%" PRId64 "}",
			       i ? "," : "", range[i].g, range[i].first, range[i].last, range[i].base_ns);
	fr_text_add(text, "]", 1);
}

static void free_context(ZSTD_CCtx **context)
{
	ZSTD_freeCCtx(*context);
}

static void free_stream(ZSTD_DStream **stream)
{
	ZSTD_freeDStream(*stream);
}

static int compress(ZSTD_CCtx *context, ZSTD_outBuffer *out, const char *data, size_t size, ZSTD_EndDirective end)
{
	ZSTD_inBuffer in = { data, size, 0 };
	size_t left;

	do {
		left = ZSTD_compressStream2(context, out, &in, end);
		if (ZSTD_isError(left))
			return -ENOMEM; /* the room is that of the bound: nothing else can fail */
	} while (in.pos < in.size || (end == ZSTD_e_end && left));
	return 0;
}

int fr_body_seal(struct fr_batch *batch, const struct fr_text *header, const char *lines, size_t lines_size, int level)
{
	__attribute__((cleanup(free_context))) ZSTD_CCtx *context = ZSTD_createCCtx();
	ZSTD_outBuffer out = { NULL, 0, 0 };
	int r;

	if (header->failed || !context)
		return -ENOMEM;
	out.size = ZSTD_compressBound(header->size + lines_size);
	out.dst = malloc(out.size);
	if (!out.dst)
		return -ENOMEM;
	ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	ZSTD_CCtx_setPledgedSrcSize(context, header->size + lines_size);
	r = compress(context, &out, header->data, header->size, ZSTD_e_continue);
	if (r == 0)
		r = compress(context, &out, lines, lines_size, ZSTD_e_end);
	if (r < 0) {
		free(out.dst);
		return r;
	}
	batch->body = realloc(out.dst, out.pos);
	if (!batch->body)
		batch->body = out.dst;
	batch->body_size = out.pos;
	batch->body_crc = fr_crc32c(0, batch->body, batch->body_size);
	return 0;
}

int fr_batch_raw(const void *body, size_t size, struct fr_text *ret_text)
{
	__attribute__((cleanup(free_stream))) ZSTD_DStream *stream = ZSTD_createDStream();
	__attribute__((cleanup(fr_text_done))) struct fr_text text = { 0 };
	ZSTD_inBuffer in = { body, size, 0 };
	char chunk[16384];
	size_t left = 1;

	if (!stream)
		return -ENOMEM;
	ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, 26);
	for (;;) {
		ZSTD_outBuffer out = { chunk, sizeof chunk, 0 };

		left = ZSTD_decompressStream(stream, &out, &in);
		if (ZSTD_isError(left))
			return -EBADMSG;
		if (text.size + out.pos > FR_BATCH_RAW_MAX)
			return -E2BIG;
		fr_text_add(&text, chunk, out.pos);
		if (!left || (in.pos == in.size && out.pos < out.size))
			break;
	}
	if (text.failed)
		return -ENOMEM;
	if (left || in.pos < in.size)
		return -EBADMSG; /* cut short, or something lies behind it */
	*ret_text = text;
	text = (struct fr_text){ 0 };
	return 0;
}

#endif
