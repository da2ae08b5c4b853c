/* SPDX-License-Identifier: MIT */
/*
 * look.c - what lies in a ring or segment file, for the daemon's tests: through THE reader, independent of any command.
 *
 *	look head FILE...	one line each: kind, reason, pid, uid, comm, vouched, number of events, lost, overwritten
 *	look events FILE...	each event: RING LANE SEQ TIME NAME fields
 */
#include <stdio.h>
#include <string.h>

#include "recorder/core/decode.h"
#include "recorder/core/paths.h"

static const char *const reasons[] = { "none", "drain", "closed", "died", "boot-end", "harvest" };

static void head(const char *path, const struct fr_image *image)
{
	const struct frm_super *super = fr_image_super(image);
	const struct frm_segment *segment = fr_image_segment(image);
	size_t events = 0, lost = 0, overwritten = 0;

	for (size_t i = 0; i < fr_image_record_count(image); i++)
		events += fr_image_record(image, i)->flags == 0;
	for (size_t i = 0; i < fr_image_loss_count(image); i++)
		*(fr_image_loss(image, i)->cause == FRM_LOSS_OVERWRITTEN ? &overwritten : &lost) +=
			fr_image_loss(image, i)->count;
	printf("%s kind=%u reason=%s pid=%u uid=%u comm=%s vouched=%u events=%zu lost=%zu overwritten=%zu\n",
	       path, super->kind, segment ? reasons[segment->reason % 6] : "ring", super->pid,
	       super->uid, super->comm, super->ident_flags & FRM_IDENT_VOUCHED, events, lost,
	       overwritten);
}

static void events(const struct fr_image *image)
{
	char id[33], text[2048];

	fr_hex(id, fr_image_super(image)->ring_id, 16);
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		const struct fr_record *record = fr_image_record(image, i);
		struct fr_event event;

		if (record->flags)
			continue;
		fr_decode(image, record, &event);
		fr_event_text(&event, text, sizeof(text));
		printf("%s %u %llu %llu %s %s\n", id, event.lane, (unsigned long long)event.seq,
		       (unsigned long long)event.time_ns, event.name, text);
	}
}

int main(int argc, char **argv)
{
	int status = 0;

	for (int i = 2; i < argc; i++) {
		struct fr_image *image;
		int error = fr_image_open_path(argv[i], 0, &image);

		if (error < 0) {
			fprintf(stderr, "look: %s: %s\n", argv[i], fr_image_strerror(error));
			status = 1;
			continue;
		}
		if (!strcmp(argv[1], "head"))
			head(argv[i], image);
		else
			events(image);
		fr_image_close(image);
	}
	return status;
}
