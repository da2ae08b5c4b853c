/* SPDX-License-Identifier: MIT */
#include "recorder/cli/made.h"

#include <string.h>

#include "recorder/cli/render.h"

static const uint8_t flightrec_guid[16] = { 0xeb, 0xc6, 0x4a, 0x1c, 0xb1, 0xd7, 0x4a, 0x7f,
					    0x9a, 0x88, 0xb2, 0x57, 0x96, 0x55, 0x47, 0x91 };

void fr_made_number(struct fr_event *event, const char *name, uint64_t value)
{
	event->field[event->field_count++] = (struct fr_value){ .name = name, .unit = "", .type = FRM_U64, .u = value };
}

void fr_made_string(struct fr_event *event, const char *name, const char *value)
{
	struct fr_value *field = &event->field[event->field_count++];

	*field = (struct fr_value){ .name = name, .unit = "", .type = FRM_STR };
	field->s.data = value;
	field->s.size = strlen(value);
}

void fr_made_ours(struct fr_event *event, const char *name, unsigned level)
{
	event->provider = "flightrec";
	event->provider_guid = flightrec_guid;
	event->name = name;
	event->level = (uint8_t)level;
	event->keywords = 0;
	event->session = 0;
	event->session_name = "";
	event->field_count = 0;
}

static const char *loss_meaning(enum frm_loss cause)
{
	switch (cause) {
	case FRM_LOSS_OVERWRITTEN:
		return "older than the ring's horizon";
	case FRM_LOSS_TORN:
		return "its writer ended before commit";
	case FRM_LOSS_DAMAGED:
		return "the medium did not keep it";
	default:
		return "";
	}
}

void fr_made_loss(struct fr_event *event, const struct fr_loss *loss, uint64_t first_seq)
{
	fr_made_ours(event, FR_LOSS_EVENT, loss->cause == FRM_LOSS_OVERWRITTEN ? FRM_LEVEL_INFO : FRM_LEVEL_WARNING);
	event->lane = loss->lane;
	event->seq = first_seq;
	fr_made_number(event, "count", loss->count - (first_seq - loss->first_seq));
	fr_made_string(event, "cause", fr_loss_name(loss->cause));
	if (*loss_meaning(loss->cause))
		fr_made_string(event, "why", loss_meaning(loss->cause));
	fr_made_number(event, "lane", loss->lane);
	fr_made_number(event, "first_seq", first_seq);
}
