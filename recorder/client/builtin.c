/* SPDX-License-Identifier: MIT */
/*
 * builtin.c - the events of the catalogue that the library writes under an application's provider: text, JSON messages,
 * sessions. Their descriptors come from events.def; the level of a message is the caller's.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "recorder/client/client.h"
#include "recorder/core/catalogue.h"
#include "recorder/core/encode.h"
#include "recorder/core/json.h"
#include "recorder/core/paths.h"

static uint16_t catalogue_id(enum fr_builtin which)
{
	switch (which) {
	case FR_BUILTIN_TEXT:
		return FR_EVENT_FR_TEXT;
	case FR_BUILTIN_JSON:
		return FR_EVENT_FR_JSON;
	case FR_BUILTIN_SESSION_BEGIN:
		return FR_EVENT_FR_SESSION_BEGIN;
	case FR_BUILTIN_SESSION_ATTRIBUTE:
		return FR_EVENT_FR_SESSION_ATTR;
	case FR_BUILTIN_SESSION_END:
		return FR_EVENT_FR_SESSION_END;
	case FR_BUILTIN_CRASH:
		return FR_EVENT_FR_CRASH;
	}
	return 0;
}

/* The id of the event in the present ring; declares it the first time. Lock-free, like what it calls. */
static int builtin_id(struct fr_client *client, struct flightrec_provider *provider, enum fr_builtin which, int level)
{
	uint32_t *known = &provider->builtin[which + (which < FR_BUILTIN_SESSION_BEGIN ? level - 1 : 0)];
	uint32_t id = fr_load_relaxed(known);
	struct fr_catalogue_event event;
	int r;

	if (id >> 16 == client->generation && id)
		return (int)(id & 0xffff);
	event = *fr_catalogue_by_id(catalogue_id(which));
	event.level = (uint8_t)level;
	r = fr_catalogue_declare_event(&client->ring, provider->id, &event);
	if (r > 0)
		fr_store_release(known, client->generation << 16 | (uint32_t)r); /* pairs with durable.c */
	return r;
}

int fr_builtin_emit(struct flightrec_provider *provider, enum fr_builtin which, int level, uint32_t session,
		    const struct fr_value *values, unsigned count)
{
	struct fr_client *client = fr_client;
	struct flightrec_slot slot;
	void *payload;
	int id, r;
	FR_KEEP_ERRNO;

	if (!client || !provider->references)
		return 0;
	if (!fr_client_ready(client))
		return -ENOBUFS;
	id = builtin_id(client, provider, which, level);
	payload = id < 0 ? NULL :
			   fr_client_reserve(&slot, client, (uint16_t)id, session, fr_encode_size(values, count), FR_FRAME());
	if (!payload)
		return -ENOBUFS;
	fr_encode(values, count, payload);
	r = level == FLIGHTREC_CRITICAL ? flightrec_commit_durable(&slot) : flightrec_commit(&slot);
	return r < 0 ? r : 1;
}

static struct fr_value text_value(const char *text, size_t size)
{
	struct fr_value value = { .type = FRM_STR };

	value.s.data = text;
	value.s.size = size;
	return value;
}

static bool level_is_good(int level)
{
	return level >= FLIGHTREC_CRITICAL && level <= FLIGHTREC_VERBOSE;
}

FLIGHTREC_API int flightrec_text(struct flightrec_provider *provider, int level, uint32_t session, const char *text, size_t size)
{
	struct fr_value value = text_value(text, size);

	if (!provider || !level_is_good(level) || !flightrec_wants(provider, level, 0))
		return 0;
	return fr_builtin_emit(provider, FR_BUILTIN_TEXT, level, session, &value, 1);
}

FLIGHTREC_API int flightrec_printf(struct flightrec_provider *provider, int level, uint32_t session, const char *format, ...)
{
	char text[1024];
	va_list args;
	int n;

	if (!provider || !level_is_good(level) || !flightrec_wants(provider, level, 0))
		return 0;
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0)
		n = 0;
	return flightrec_text(provider, level, session, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

FLIGHTREC_API int flightrec_json(struct flightrec_provider *provider, int level, uint32_t session, const char *name,
				 const char *json, size_t size)
{
	struct fr_value values[3] = { { .type = FRM_U8 }, { .type = FRM_JSON }, text_value(name, name ? strlen(name) : 0) };

	if (!provider || !level_is_good(level) || !flightrec_wants(provider, level, 0))
		return 0;
	values[0].u = fr_json_valid(json, size);
	values[1].s.data = json;
	values[1].s.size = size;
	return fr_builtin_emit(provider, FR_BUILTIN_JSON, level, session, values, 3);
}

FLIGHTREC_API uint32_t flightrec_session_begin(struct flightrec_provider *provider, const char *guid, const char *name)
{
	struct fr_client *client = fr_client;
	struct fr_value values[2] = { text_value(name, name ? strlen(name) : 0), text_value(guid, guid ? strlen(guid) : 0) };
	uint8_t parsed[16];
	int number;
	FR_KEEP_ERRNO;

	if (!client || !provider || !provider->references || !fr_client_ready(client))
		return 0;
	number = fr_ring_session_begin(&client->ring, provider->id, guid && fr_uuid_parse(parsed, guid) == 0 ? parsed : NULL,
				       name ? name : "");
	if (flightrec_wants(provider, FLIGHTREC_INFO, 0))
		fr_builtin_emit(provider, FR_BUILTIN_SESSION_BEGIN, FLIGHTREC_INFO, (uint32_t)number, values, 2);
	return (uint32_t)number;
}

FLIGHTREC_API int flightrec_session_attribute(struct flightrec_provider *provider, uint32_t session, const char *key, const char *value)
{
	struct fr_value values[2] = { text_value(key, key ? strlen(key) : 0), text_value(value, value ? strlen(value) : 0) };

	if (!provider || !session || !flightrec_wants(provider, FLIGHTREC_INFO, 0))
		return 0;
	return fr_builtin_emit(provider, FR_BUILTIN_SESSION_ATTRIBUTE, FLIGHTREC_INFO, session, values, 2);
}

FLIGHTREC_API int flightrec_session_end(struct flightrec_provider *provider, uint32_t session)
{
	struct fr_client *client = fr_client;
	struct frm_session *slot;
	struct fr_value value;
	char name[sizeof(slot->name)] = "";

	if (!client || !provider || !session || !client->generation)
		return 0;
	slot = &client->ring.meta[0]->tables.session[session % FRM_SESSIONS_MAX];
	if (slot->number == session)
		memcpy(name, slot->name, sizeof(name) - 1);
	value = text_value(name, strnlen(name, sizeof(name)));
	fr_ring_session_end(&client->ring, (uint16_t)session);
	if (!flightrec_wants(provider, FLIGHTREC_INFO, 0))
		return 0;
	return fr_builtin_emit(provider, FR_BUILTIN_SESSION_END, FLIGHTREC_INFO, session, &value, 1);
}

FLIGHTREC_API int flightrec_get_status(struct flightrec_status *status)
{
	const struct fr_client *client = fr_client;
	struct flightrec_status now = { .error = -ENOENT };

	if (!status || status->size < sizeof(now.size))
		return -EINVAL;
	if (client) {
		now.error = client->generation ? 0 : client->error ? client->error : -ENOENT;
		now.from_daemon = client->from_daemon;
		now.lanes = client->lane_count;
		now.ring_bytes = client->ring.size;
		if (strlen(client->path) < sizeof(now.ring_path))
			strcpy(now.ring_path, client->path);
	}
	if (client && client->generation) {
		for (int i = 0; i < FRM_LOSS_COUNT; i++)
			now.lost += client->ring.meta[0]->state.loss[i];
		for (uint32_t i = 0; i < client->lane_count; i++)
			now.lost += client->lane[i].lane.discarded;
		fr_hex(now.ring_id, client->ring.super.ring_id, 16);
	}
	now.size = status->size < sizeof(now) ? status->size : (uint32_t)sizeof(now);
	memcpy(status, &now, now.size);
	return 0;
}

FLIGHTREC_API const char *flightrec_version(void)
{
	return FR_VERSION;
}
