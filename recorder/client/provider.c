/* SPDX-License-Identifier: MIT */
/*
 * provider.c - registration: providers, their gates, and the ids of their events in the present ring.
 *
 * The list of registered providers outlives a fork, so that the child can declare them in its own ring. A gate that policy
 * says nothing of opens to $FLIGHTREC_LEVEL, else to info; in a child it stays as it was in the parent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recorder/client/client.h"
#include "recorder/core/gates.h"
#include "recorder/core/image.h"
#include "recorder/core/paths.h"
#include "recorder/core/testpoint.h"

FLIGHTREC_API const volatile uint64_t flightrec_gate_off;

FLIGHTREC_PROVIDER_GLOBAL(fr_self_provider, "flightrec", "ebc64a1c-b1d7-4a7f-9a88-b25796554791", 1, 0);

static struct flightrec_provider *providers;

/* What policy says of a provider: the daemon's, beside its socket, or the state directory's. */
static int policy_of(const struct fr_client *client, const struct flightrec_provider *provider, const uint8_t guid[16],
		     uint64_t *ret_gate)
{
	char path[FR_PATH_MAX];
	int r;

	if (client->from_daemon) {
		r = fr_path_runtime(path, sizeof(path), FR_GATES_FILE);
		if (r == 0)
			r = fr_gates_policy(path, provider->name, guid, ret_gate);
		return r == 0 ? 0 : fr_gates_policy("/run/flightrec/" FR_GATES_FILE, provider->name, guid, ret_gate);
	}
	r = fr_path_state(path, sizeof(path), FR_GATES_FILE);
	return r < 0 ? r : fr_gates_policy(path, provider->name, guid, ret_gate);
}

static uint64_t default_gate(void)
{
	const char *text = secure_getenv("FLIGHTREC_LEVEL");
	int level = text ? fr_level_parse(text) : FLIGHTREC_INFO;

	return fr_gate_word(level < 0 ? FLIGHTREC_INFO : (unsigned)level, 0);
}

/* Declares the provider and opens its gate. `before`: the gate to keep if policy is silent, when `keep`. */
static int open_gate(struct fr_client *client, struct flightrec_provider *provider, bool keep, uint64_t before)
{
	uint8_t guid[16];
	int id, r = fr_uuid_parse(guid, provider->guid);
	uint64_t gate = 0, again = 0;
	frm_le64 *word;

	if (r < 0)
		return r;
	id = fr_ring_declare_provider(&client->ring, guid, provider->name, provider->version_major, provider->version_minor);
	if (id < 0)
		return id;
	FR_TESTPOINT("provider-declared");
	provider->id = (uint16_t)id;
	memset(provider->builtin, 0, sizeof(provider->builtin));
	word = fr_ring_gate(&client->ring, provider->id);
	/* two equal looks in a row: gates.h says why that can't miss a change */
	for (int look = 0; look < 8; look++) {
		again = gate;
		if (policy_of(client, provider, guid, &gate) < 0)
			gate = keep ? before : default_gate();
		fr_store_release(word, gate);
		FR_TESTPOINT("gate-opened");
		if (look && gate == again)
			break;
	}
	fr_store_release(&provider->gate, word);
	return 0;
}

/* The lock is held. */
static struct flightrec_provider *find_provider(const char *guid)
{
	for (struct flightrec_provider *provider = providers; provider; provider = provider->next)
		if (!strcasecmp(provider->guid, guid))
			return provider;
	return NULL;
}

FLIGHTREC_API struct flightrec_provider *flightrec_provider_find(const char *guid)
{
	struct flightrec_provider *found;
	int cancel;

	if (!fr_client || !guid || !fr_client_enter(fr_client, &cancel))
		return NULL;
	found = find_provider(guid);
	fr_client_leave(fr_client, cancel);
	return found;
}

FLIGHTREC_API struct flightrec_provider *flightrec_provider_open(const char *guid, const char *name, uint16_t version_major,
								  uint16_t version_minor, int *ret_error)
{
	struct {
		struct flightrec_provider provider;
		char guid[37], name[128];
	} *made;
	struct flightrec_provider *found = guid && name ? flightrec_provider_find(guid) : NULL;
	int r = guid && name ? 0 : -EINVAL;
	FR_KEEP_ERRNO;

	if (found) {
		r = flightrec_register(found);
	} else if (r == 0) {
		made = calloc(1, sizeof(*made));
		r = made ? 0 : -ENOMEM;
		if (made) {
			made->provider = (struct flightrec_provider)FLIGHTREC_PROVIDER_INIT(made->name, made->guid, version_major, version_minor);
			snprintf(made->guid, sizeof(made->guid), "%s", guid);
			snprintf(made->name, sizeof(made->name), "%s", name);
			r = flightrec_register(&made->provider);
			found = &made->provider;
		}
		if (r < 0)
			free(made);
	}
	if (ret_error)
		*ret_error = r;
	return r < 0 ? NULL : found;
}

FLIGHTREC_API int flightrec_register(struct flightrec_provider *provider)
{
	struct fr_client *client;
	int r, cancel;
	FR_KEEP_ERRNO;

	if (!provider || provider->size < sizeof(*provider) || !provider->name || !provider->guid)
		return -EINVAL;
	r = fr_client_setup();
	if (r < 0)
		return r;
	client = fr_client;
	if (!fr_client_enter(client, &cancel))
		return -EDEADLK;
	if (provider->references) {
		provider->references++;
		r = fr_client_attach(client);
		goto out;
	}
	r = fr_client_attach(client);
	if (r == 0 && !providers)
		fr_ring_close_mark(&client->ring, false);
	if (r == 0)
		r = open_gate(client, provider, false, 0);
	if (r == 0) {
		provider->references = 1;
		provider->next = providers;
		providers = provider;
	}
out:
	fr_client_leave(client, cancel);
	return r;
}

FLIGHTREC_API void flightrec_unregister(struct flightrec_provider *provider)
{
	struct fr_client *client = fr_client;
	int cancel;

	if (!client || !provider || !provider->references || !fr_client_enter(client, &cancel))
		return;
	if (--provider->references == 0) {
		struct flightrec_provider **link = &providers;

		fr_store_release(&provider->gate, &flightrec_gate_off);
		while (*link && *link != provider)
			link = &(*link)->next;
		if (*link)
			*link = provider->next;
		/* the hook for fatal signals keeps the library's own provider: it alone is no reason to stay */
		if ((!providers || (providers == &fr_self_provider && !providers->next)) && client->generation)
			fr_ring_close_mark(&client->ring, true);
	}
	fr_client_leave(client, cancel);
}

void fr_providers_redeclare(struct fr_client *client)
{
	for (struct flightrec_provider *provider = providers; provider; provider = provider->next) {
		uint64_t before = *provider->gate; /* the parent's ring is still mapped here */

		if (open_gate(client, provider, true, before) < 0)
			fr_store_release(&provider->gate, &flightrec_gate_off);
	}
}

int fr_event_declare(struct fr_client *client, struct flightrec_event *event)
{
	struct fr_field_spec fields[32];
	unsigned count = event->field_count <= 32 ? event->field_count : 32;
	int id;

	if (fr_load_relaxed(&event->id) >> 16 == client->generation)
		return 0;
	if (!event->provider->references)
		return -ENOENT;
	for (unsigned i = 0; i < count; i++)
		fields[i] = (struct fr_field_spec){ event->field[i].type, event->field[i].name, event->field[i].unit };
	id = fr_ring_declare_event(&client->ring, event->provider->id, event->name, event->level, event->keywords, fields, count);
	if (id < 0)
		return id;
	fr_store_release(&event->id, client->generation << 16 | (uint32_t)id); /* pairs with durable.c */
	return 0;
}
