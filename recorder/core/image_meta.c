/* SPDX-License-Identifier: MIT */
/*
 * image_meta.c - the parts of a ring that are stored twice: merges the copies, then reads descriptors, sessions, anchors.
 *
 * Both copies (I10) are laid out alike, and each entry carries its checksum, so that merging is done entry by entry: what does
 * not hold in copy A and holds in copy B is taken from B. Descriptors are kept by id; strings are copied and
 * terminated, because names on the medium are counted and may hold anything.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/core/host.h"
#include "recorder/core/image_private.h"

uint64_t fr_image_settle(uint64_t a, uint64_t b)
{
	const uint64_t step = 1 << 16;
	uint64_t larger = a > b ? a : b, smaller = a > b ? b : a;

	return larger - smaller <= step ? larger : smaller;
}

/* When the writer left in order: 0, or an instant that can be one. */
static uint64_t settle_closed(const struct frm_super *super, uint64_t a, uint64_t b)
{
	const uint64_t ten_years_ns = 315360000ull * 1000000000u;
	uint64_t candidates[2] = { a, b };

	if (!super->created_boot_ns && a != b) /* nothing says what can't be: two must say the same */
		return 0;
	for (int i = 0; i < 2; i++)
		if (candidates[i] >= super->created_boot_ns && candidates[i] - super->created_boot_ns < ten_years_ns)
			return candidates[i];
	return 0;
}

static void merge_tables(struct frm_tables *to, const struct frm_tables *from, const uint8_t ring_id[16])
{
	for (size_t i = 0; i < FRM_ANCHORS_MAX; i++)
		if (!fr_anchor_ok(&to->anchor[i], ring_id) && fr_anchor_ok(&from->anchor[i], ring_id))
			to->anchor[i] = from->anchor[i];
	for (size_t i = 0; i < FRM_SESSIONS_MAX; i++)
		if (!fr_session_ok(&to->session[i], ring_id) && fr_session_ok(&from->session[i], ring_id))
			to->session[i] = from->session[i];
}

static void terminate(struct frm_super *super)
{
	super->comm[sizeof(super->comm) - 1] = '\0';
	super->exe[sizeof(super->exe) - 1] = '\0';
	super->cgroup[sizeof(super->cgroup) - 1] = '\0';
	super->hostname[sizeof(super->hostname) - 1] = '\0';
	super->creator[sizeof(super->creator) - 1] = '\0';
}

int fr_image_merge_meta(struct fr_image *image, const unsigned char *a, const unsigned char *b,
			const struct frm_super *rebuilt)
{
	const struct frm_meta *copy[2] = { (const struct frm_meta *)a, (const struct frm_meta *)b };
	int checked[2] = { fr_super_check(&copy[0]->super), fr_super_check(&copy[1]->super) };
	bool good[2] = { checked[0] == 0, checked[1] == 0 };
	const struct frm_meta *better = good[0] ? copy[0] : copy[1], *other = good[0] ? copy[1] : copy[0];
	const uint8_t *ring_id = image->super.ring_id;
	const struct frm_desc *desc;
	struct frm_super whole;
	size_t log_size, at = 0;

	image->meta_damage = (good[0] ? 0 : 1) | (good[1] ? 0 : 2);
	if (!good[0] && !good[1] && !rebuilt)
		return -EBADMSG;
	if (good[0] || good[1]) {
		image->super = better->super;
	} else if (!fr_image_mend_super(&copy[0]->super, &copy[1]->super, rebuilt, &image->super)) {
		if (checked[0] == -EPROTONOSUPPORT || checked[1] == -EPROTONOSUPPORT) /* I13 */
			return -EPROTONOSUPPORT;
		image->super = *rebuilt;
	}
	whole = image->super;
	terminate(&image->super);
	image->meta = fr_image_alloc(image, image->super.meta_size);
	if (!image->meta)
		return -ENOMEM;
	memcpy(image->meta, better, image->super.meta_size);
	image->meta->super = whole;

	merge_tables(&image->meta->tables, &other->tables, ring_id);
	log_size = image->super.meta_size - offsetof(struct frm_meta, log);
	while ((desc = fr_desc_next(other->log, log_size, ring_id, &at, NULL)))
		memcpy(image->meta->log + ((const uint8_t *)desc - other->log), desc, desc->size);

	for (int i = 0; i < FRM_LOSS_COUNT; i++)
		image->meta->state.loss[i] = fr_image_settle(copy[0]->state.loss[i], copy[1]->state.loss[i]);
	image->meta->state.closed_boot_ns =
		settle_closed(&image->super, copy[0]->state.closed_boot_ns, copy[1]->state.closed_boot_ns);
	return fr_image_parse_meta(image);
}

static const char *keep_string(struct fr_image *image, const uint8_t *bytes, size_t size)
{
	char *copy = fr_image_alloc(image, size + 1);

	if (copy)
		memcpy(copy, bytes, size);
	return copy;
}

static int keep_provider(struct fr_image *image, const struct frm_desc *desc)
{
	const struct frm_desc_provider *from = (const struct frm_desc_provider *)desc;
	struct fr_provider *to = &image->providers[image->provider_count];

	if (desc->size < sizeof(*from) || from->name_len > desc->size - sizeof(*from) || from->id >= FRM_PROVIDERS_MAX ||
	    fr_image_provider_by_id(image, from->id))
		return 0;
	*to = (struct fr_provider){ .id = from->id,
				    .version_major = from->version_major,
				    .version_minor = from->version_minor,
				    .name = keep_string(image, (const uint8_t *)(from + 1), from->name_len) };
	memcpy(to->guid, from->guid, 16);
	if (!to->name)
		return -ENOMEM;
	image->provider_count++;
	return 0;
}

/* A cursor over counted things; `left` is what the entry still has. */
struct cursor {
	const uint8_t *at;
	size_t left;
};

static const uint8_t *take(struct cursor *cursor, size_t size)
{
	const uint8_t *at = cursor->at;

	if (size > cursor->left)
		return NULL;
	cursor->at += size;
	cursor->left -= size;
	return at;
}

/* The id that an event's descriptor declares; 0 for any other entry. */
static uint16_t event_id(const struct frm_desc *desc)
{
	bool event = desc->type == FRM_DESC_EVENT && desc->size >= sizeof(struct frm_desc_event);

	return event ? ((const struct frm_desc_event *)desc)->id : 0;
}

static int keep_event(struct fr_image *image, const struct frm_desc *desc)
{
	const struct frm_desc_event *from = (const struct frm_desc_event *)desc;
	struct cursor cursor = { (const uint8_t *)(from + 1), desc->size - sizeof(*from) };
	struct fr_event_desc *to = &image->descs[image->desc_count];
	struct fr_field_desc *fields;
	const uint8_t *name;
	size_t room;

	if (desc->size < sizeof(*from) || image->desc_by_id[from->id])
		return 0;
	name = take(&cursor, from->name_len);
	if (!name)
		return 0;
	room = cursor.left / sizeof(struct frm_field); /* the entry can't hold more, whatever it says */
	fields = fr_image_alloc(image, (from->field_count < room ? from->field_count + 1u : room + 1) * sizeof(*fields));
	*to = (struct fr_event_desc){ .id = from->id,
				      .provider = from->provider,
				      .level = from->level,
				      .keywords = from->keywords,
				      .name = keep_string(image, name, from->name_len),
				      .field = fields };
	if (!fields || !to->name)
		return -ENOMEM;
	for (; to->field_count < from->field_count; to->field_count++) {
		const struct frm_field *field = (const struct frm_field *)take(&cursor, sizeof(*field));
		const uint8_t *field_name = field ? take(&cursor, field->name_len) : NULL;
		const uint8_t *unit = field_name ? take(&cursor, field->unit_len) : NULL;

		if (!unit)
			break; /* whoever wrote this counted wrong: keep the fields that are there */
		fields[to->field_count].type = field->type;
		fields[to->field_count].name = keep_string(image, field_name, field->name_len);
		fields[to->field_count].unit = keep_string(image, unit, field->unit_len);
		if (!fields[to->field_count].name || !fields[to->field_count].unit)
			return -ENOMEM;
	}
	image->desc_by_id[from->id] = (uint16_t)++image->desc_count;
	return 0;
}

static int keep_module(struct fr_image *image, const struct frm_desc *desc)
{
	const struct frm_desc_module *from = (const struct frm_desc_module *)desc;
	struct fr_module *to = &image->modules[image->module_count];

	if (desc->size < sizeof(*from) || from->path_len > desc->size - sizeof(*from))
		return 0;
	*to = (struct fr_module){ .start = from->start,
				  .end = from->end,
				  .offset = from->offset,
				  .build_id_len = from->build_id_len <= 20 ? from->build_id_len : 20,
				  .path = keep_string(image, (const uint8_t *)(from + 1), from->path_len) };
	memcpy(to->build_id, from->build_id, 20);
	if (!to->path)
		return -ENOMEM;
	image->module_count++;
	return 0;
}

static void keep_anchors(struct fr_image *image)
{
	for (size_t i = 0; i < FRM_ANCHORS_MAX; i++) {
		const struct frm_anchor *anchor = &image->meta->tables.anchor[i];
		size_t at = image->anchor_count;

		if (!anchor->real_ns || !fr_anchor_ok(anchor, image->super.ring_id))
			continue;
		for (; at > 0 && image->anchors[at - 1].boot_ns > anchor->boot_ns; at--)
			image->anchors[at] = image->anchors[at - 1];
		image->anchors[at] = *anchor;
		image->anchor_count++;
	}
}

static void keep_sessions(struct fr_image *image)
{
	for (size_t i = 0; i < FRM_SESSIONS_MAX; i++) {
		const struct frm_session *session = &image->meta->tables.session[i];

		if (!session->number || !fr_session_ok(session, image->super.ring_id))
			continue;
		image->sessions[image->session_count] = *session;
		image->sessions[image->session_count++].name[sizeof(session->name) - 1] = '\0';
	}
}

int fr_image_parse_meta(struct fr_image *image)
{
	size_t log_size = image->super.meta_size - offsetof(struct frm_meta, log), at = 0, counts[5] = { 0 };
	const struct frm_desc *desc;
	int r = 0;

	image->state = image->meta->state;
	while ((desc = fr_desc_next(image->meta->log, log_size, image->super.ring_id, &at, NULL))) {
		counts[desc->type <= FRM_DESC_MODULE ? desc->type : 0]++;
		if (event_id(desc) >= image->desc_ids)
			image->desc_ids = event_id(desc) + 1u;
	}
	image->providers = fr_image_alloc(image, (counts[FRM_DESC_PROVIDER] + 1) * sizeof(*image->providers));
	image->descs = fr_image_alloc(image, (counts[FRM_DESC_EVENT] + 1) * sizeof(*image->descs));
	image->modules = fr_image_alloc(image, (counts[FRM_DESC_MODULE] + 1) * sizeof(*image->modules));
	image->desc_by_id = fr_image_alloc(image, (image->desc_ids + 1) * sizeof(*image->desc_by_id));
	image->lanes = fr_image_alloc(image, image->super.lane_count * sizeof(*image->lanes));
	if (!image->providers || !image->descs || !image->modules || !image->desc_by_id || !image->lanes)
		return -ENOMEM;
	at = 0;
	while (r == 0 && (desc = fr_desc_next(image->meta->log, log_size, image->super.ring_id, &at, NULL))) {
		if (desc->type == FRM_DESC_PROVIDER)
			r = keep_provider(image, desc);
		else if (desc->type == FRM_DESC_EVENT)
			r = keep_event(image, desc);
		else if (desc->type == FRM_DESC_MODULE)
			r = keep_module(image, desc);
	}
	keep_anchors(image);
	keep_sessions(image);
	return r;
}
