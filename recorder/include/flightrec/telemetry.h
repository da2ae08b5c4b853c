/* SPDX-License-Identifier: MIT */
/*
 * telemetry.h - the five classic telemetry calls, over flightrec.h.
 *
 *	register_telemetry("5c0d1f9e-8d6b-4c1e-9a53-0f6a2d7b9e11", "acme.shop", "1.0");
 *	session_begin("5c0d1f9e-8d6b-4c1e-9a53-0f6a2d7b9e11", "checkout");
 *	telemetry_msg("5c0d1f9e-8d6b-4c1e-9a53-0f6a2d7b9e11", "paid", "{\"order\": 4711}");
 *	session_end("5c0d1f9e-8d6b-4c1e-9a53-0f6a2d7b9e11");
 *	unregister_telemetry("5c0d1f9e-8d6b-4c1e-9a53-0f6a2d7b9e11");
 *
 * `id` is the GUID that names the source, everywhere. They are meant for messages at the rate of a log, look the source up at
 * each call (which takes a lock: not for signal handlers), and cost about that when nobody listens. A source has one
 * session open at a time; a second session_begin ends the first. After fork: as in flightrec.h.
 */
#ifndef FLIGHTREC_TELEMETRY_H
#define FLIGHTREC_TELEMETRY_H

#include <stdlib.h>

#include <flightrec/flightrec.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes the source known. `version`: "1" or "1.0". 0 or a negative errno, as flightrec_register(). Blocks. */
FLIGHTREC_UNUSED static inline int register_telemetry(const char *id, const char *name, const char *version)
{
	char *rest = NULL;
	unsigned long major = version ? strtoul(version, &rest, 10) : 0;
	unsigned long minor = rest && *rest == '.' ? strtoul(rest + 1, NULL, 10) : 0;
	int error;

	flightrec_provider_open(id, name, (uint16_t)major, (uint16_t)minor, &error);
	return error;
}

/* Ends the source's session. 0, or -EINVAL: no such source, or no session open. */
FLIGHTREC_UNUSED static inline int session_end(const char *id)
{
	struct flightrec_provider *provider = flightrec_provider_find(id);

	if (!provider || !provider->session)
		return -22;
	flightrec_session_end(provider, provider->session);
	provider->session = 0;
	return 0;
}

/* Begins a session: messages of the source belong to it from now on. 0, or -EINVAL: no such source. */
FLIGHTREC_UNUSED static inline int session_begin(const char *id, const char *name)
{
	struct flightrec_provider *provider = flightrec_provider_find(id);

	if (!provider)
		return -22;
	if (provider->session)
		session_end(id);
	provider->session = flightrec_session_begin(provider, NULL, name);
	return 0;
}

/*
 * A message: the name of what happened, and a short JSON text. Text that isn't JSON is kept, marked as such. 1 recorded,
 * 0 nobody listens, -EINVAL no such source, -ENOBUFS lost and counted.
 */
FLIGHTREC_UNUSED static inline int telemetry_msg(const char *id, const char *event, const char *json)
{
	struct flightrec_provider *provider = flightrec_provider_find(id);

	return provider ? flightrec_json(provider, FLIGHTREC_INFO, provider->session, event, json, json ? strlen(json) : 0) : -22;
}

/* Forgets the source; ends its session first. 0, or -EINVAL: no such source. */
FLIGHTREC_UNUSED static inline int unregister_telemetry(const char *id)
{
	struct flightrec_provider *provider = flightrec_provider_find(id);

	if (!provider)
		return -22;
	session_end(id);
	flightrec_unregister(provider);
	return 0;
}

#ifdef __cplusplus
}
#endif

#endif
