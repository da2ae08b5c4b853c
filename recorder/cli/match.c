/* SPDX-License-Identifier: MIT */
#include "recorder/cli/match.h"

#include <fnmatch.h>
#include <string.h>
#include <strings.h>

#include "recorder/core/paths.h"

void fr_match_done(struct fr_match *match)
{
	fr_out_done(&match->text);
}

bool fr_match_super(const struct fr_match *match, const struct frm_super *super)
{
	if (match->one_boot && memcmp(match->boot_id, super->boot_id, 16) != 0)
		return false;
	if (match->query.ring_id && memcmp(match->query.ring_id, super->ring_id, 16) != 0)
		return false;
	return !match->query.pid || super->kind != FRM_KIND_PROCESS || super->pid == match->query.pid;
}

static bool glob(const char *pattern, const char *text)
{
	return text && fnmatch(pattern, text, 0) == 0;
}

static bool provider(const char *pattern, const struct fr_event *event)
{
	uint8_t guid[16];

	if (event->provider_guid && fr_uuid_parse(guid, pattern) == 0)
		return memcmp(guid, event->provider_guid, 16) == 0;
	return glob(pattern, event->provider);
}

static bool within(uint64_t since, uint64_t until, uint64_t at)
{
	return at >= since && (!until || at <= until);
}

static bool contains(struct fr_match *match, const struct fr_event *event)
{
	struct fr_out *text = &match->text;
	size_t size;

	fr_out_reset(text);
	size = fr_event_text(event, fr_out_reserve(text, 511), 512);
	if (size > 511)
		fr_event_text(event, fr_out_reserve(text, size), size + 1);
	return strcasestr(text->data, match->query.text) != NULL;
}

bool fr_match_event(struct fr_match *match, const struct fr_event *event)
{
	const struct fr_query *q = &match->query;

	if (match->one_boot && memcmp(match->boot_id, event->boot_id, 16) != 0)
		return false;
	if (!within(q->since_boot_ns, q->until_boot_ns, event->time_ns))
		return false;
	if ((q->since_real_ns || q->until_real_ns) && !within(q->since_real_ns, q->until_real_ns, event->real_ns))
		return false;
	if (q->pid && event->pid != q->pid)
		return false;
	if (q->level && (!event->level || event->level > q->level))
		return false;
	if (q->ring_id && memcmp(q->ring_id, event->ring_id, 16) != 0)
		return false;
	if (q->comm && !glob(q->comm, event->comm) && !glob(q->comm, event->thread))
		return false;
	if (q->provider && !provider(q->provider, event))
		return false;
	if (q->event && !glob(q->event, event->name))
		return false;
	if (q->session && !(event->session && glob(q->session, event->session_name)))
		return false;
	return !q->text || contains(match, event);
}
