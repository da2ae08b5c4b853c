/* SPDX-License-Identifier: MIT */
/*
 * verify.c - `flightrec verify`: judges every record of a ring or a segment, and says where what is damaged lies.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "recorder/cli/cli.h"
#include "recorder/cli/out.h"
#include "recorder/cli/progress.h"
#include "recorder/cli/store.h"
#include "recorder/cli/term.h"
#include "recorder/cli/when.h"
#include "recorder/core/check.h"

static const char help[] =
	"Each record is judged by the rules of the format: its length, its position, its\n"
	"place, its checksum. What is missing is named by cause: overwritten and torn are\n"
	"the way of things, damaged is what the medium did not keep.\n"
	"\n"
	"Options:\n"
	"  -j, --json     one object a file\n"
	"  -q, --quiet    the verdict only\n"
	"\n"
	"Exit codes: 0 all is good, 3 damage was found, 1 a file could not be read.\n"
	"\n"
	"Examples:\n"
	"  flightrec verify /var/lib/flightrec/rings/*.ring\n"
	"  flightrec verify --json crashed.ring | jq .damage\n";

struct verdict {
	uint64_t records, lost[FRM_LOSS_COUNT];
	unsigned lanes_used, heads_damaged, lanes_unreadable;
	bool cut; /* the file is shorter than the ring it holds */
	bool damaged;
};

static struct verdict judge(const struct fr_opened *opened)
{
	const struct fr_image *image = opened->image;
	struct verdict v = { .records = fr_image_record_count(image), .damaged = fr_image_meta_damage(image) != 0 };

	for (size_t i = 0; i < fr_image_loss_count(image); i++) {
		const struct fr_loss *loss = fr_image_loss(image, i);

		if ((unsigned)loss->cause < FRM_LOSS_COUNT)
			v.lost[loss->cause] += loss->count;
		v.damaged |= loss->cause == FRM_LOSS_DAMAGED;
	}
	for (size_t i = 0; i < fr_image_lane_count(image); i++) {
		const struct fr_lane_info *lane = fr_image_lane(image, i);

		v.lanes_used += lane->records != 0;
		v.heads_damaged += lane->head_damaged;
		v.lanes_unreadable += !lane->readable;
	}
	v.cut = fr_image_type(image) == FR_IMAGE_RING && opened->file_size < fr_image_super(image)->ring_size;
	v.damaged |= fr_image_chunk_damage(image) || v.cut || v.heads_damaged || v.lanes_unreadable;
	return v;
}

/* Where in the file a stretch of a lane lies; 0 when that can't be said (a segment keeps no positions). */
static uint64_t file_offset(const struct fr_image *image, uint32_t lane, uint64_t pos)
{
	const struct frm_super *super = fr_image_super(image);

	if (fr_image_type(image) != FR_IMAGE_RING || lane >= super->lane_count || !fr_super_lane_data(super))
		return 0;
	return fr_super_lane_offset(super, lane) + FRM_LANE_HEAD + pos % fr_super_lane_data(super);
}

static const char *ending(const struct fr_opened *opened)
{
	const struct frm_segment *segment = fr_image_segment(opened->image);

	if (opened->alive)
		return "alive";
	if (opened->gone)
		return segment && segment->reason == FRM_REASON_BOOT_END ? "cut off by the end of its boot" : "dead, and left it open";
	if (fr_image_state(opened->image)->closed_boot_ns)
		return "left in order";
	return segment && segment->reason == FRM_REASON_DRAIN ? "was alive when this part was written" : "not running";
}

/* ------------------------------------------------------------------ text */

static void copies(const struct fr_image *image, struct fr_out *out)
{
	unsigned damage = fr_image_meta_damage(image);

	if (fr_image_chunk_damage(image))
		fr_out_printf(out, "  sealed       yes, but %u of its chunks DAMAGED\n", fr_image_chunk_damage(image));
	else if (fr_image_type(image) == FR_IMAGE_SEGMENT)
		fr_out_put(out, "  sealed       yes: every chunk has its checksum\n");
	else
		fr_out_printf(out, "  superblock   copy A %s, copy B %s\n", damage & 1 ? "DAMAGED" : "good",
			      damage & 2 ? "DAMAGED" : "good");
}

static void lanes(const struct fr_image *image, const struct verdict *v, struct fr_out *out)
{
	char records[32];

	for (size_t i = 0; i < fr_image_lane_count(image); i++) {
		const struct fr_lane_info *lane = fr_image_lane(image, i);
		const struct frm_owner *owner = NULL;

		if (!lane->records && !lane->head_damaged && lane->readable)
			continue;
		for (unsigned o = 0; o < FRM_OWNERS_MAX && lane->owner[o].tid; o++)
			owner = &lane->owner[o];
		fr_out_printf(out, "  lane %-7zu ", i);
		if (!lane->readable) {
			fr_out_put(out, "UNREADABLE: not even its size makes sense\n");
			continue;
		}
		fr_out_printf(out, "%s record%s, positions %llu to %llu", fr_count_text(records, lane->records),
			      lane->records == 1 ? "" : "s", (unsigned long long)lane->oldest_pos, (unsigned long long)lane->newest_end);
		if (owner) {
			fr_out_put(out, ", thread ");
			fr_out_escaped(out, owner->name, strnlen(owner->name, sizeof(owner->name)));
			fr_out_printf(out, "/%u", owner->tid);
		}
		fr_out_put(out, lane->head_damaged ? ", head DAMAGED (read from its copy or without it)\n" : "\n");
	}
	if (fr_image_lane_count(image) > v->lanes_used)
		fr_out_printf(out, "  unused       %zu of %zu lanes\n", fr_image_lane_count(image) - v->lanes_used,
			      fr_image_lane_count(image));
}

static void losses(const struct fr_image *image, struct fr_out *out)
{
	char count[32];

	for (size_t i = 0; i < fr_image_loss_count(image); i++) {
		const struct fr_loss *loss = fr_image_loss(image, i);
		uint64_t from = file_offset(image, loss->lane, loss->from_pos);
		bool somewhere = fr_image_type(image) == FR_IMAGE_SEGMENT && loss->cause == FRM_LOSS_DAMAGED && !loss->first_seq;

		fr_out_printf(out, "  %-12s %s", fr_loss_name(loss->cause), fr_count_text(count, loss->count));
		if (loss->lane != FRM_LANE_NONE) {
			fr_out_printf(out, " in lane %u", loss->lane);
			if (!somewhere)
				fr_out_printf(out, ", number %llu", (unsigned long long)loss->first_seq);
			if (!somewhere && loss->count > 1)
				fr_out_printf(out, " to %llu", (unsigned long long)(loss->first_seq + loss->count - 1));
		}
		if (loss->to_pos > loss->from_pos) {
			fr_out_printf(out, ", positions %llu to %llu", (unsigned long long)loss->from_pos,
				      (unsigned long long)loss->to_pos);
			if (from)
				fr_out_printf(out, " (from byte 0x%llx of the file)", (unsigned long long)from);
		}
		fr_out_char(out, '\n');
	}
}

static void print_text(const char *path, const struct fr_opened *opened, const struct verdict *v, bool quiet, const struct fr_term *term)
{
	struct fr_out FR_OUT_CLEANUP out = { 0 };
	const struct fr_image *image = opened->image;
	const struct frm_super *super = fr_image_super(image);
	char id[37], count[32], size[32];

	fr_out_escaped(&out, path, strlen(path));
	fr_out_put(&out, ": ");
	if (!quiet) {
		fr_uuid_text(id, super->boot_id);
		fr_out_printf(&out, "%s of ", fr_image_type(image) == FR_IMAGE_RING ? "ring" : "segment");
		fr_out_escaped(&out, super->comm, strlen(super->comm));
		fr_out_printf(&out, "[%u], boot %llu (%s)\n", super->pid, (unsigned long long)super->boot_seq, id);
		fr_hex(id, super->ring_id, 16);
		fr_out_printf(&out, "  ring         %s, %s, %u lanes of %s\n", id, fr_size_text(size, super->ring_size),
			      super->lane_count, fr_size_text(count, super->lane_size));
		if (v->cut)
			fr_out_printf(&out, "  file         CUT SHORT: %s of %s are there\n", fr_size_text(size, opened->file_size),
				      fr_size_text(count, super->ring_size));
		copies(image, &out);
		fr_out_printf(&out, "  writer       %s\n", ending(opened));
		lanes(image, v, &out);
		losses(image, &out);
		fr_out_put(&out, "  verdict      ");
	}
	fr_out_printf(&out, "%s%s%s, %s record%s", fr_paint(term, v->damaged ? FR_RED : FR_GREEN), v->damaged ? "DAMAGED" : "good",
		      fr_paint(term, FR_PLAIN), fr_count_text(count, v->records), v->records == 1 ? "" : "s");
	for (unsigned cause = 0; cause < FRM_LOSS_COUNT; cause++)
		if (v->lost[cause])
			fr_out_printf(&out, ", %s %s", fr_count_text(count, v->lost[cause]), fr_loss_name(cause));
	fr_out_char(&out, '\n');
	fr_term_write_wrapped(term, &out, 15);
}

/* ------------------------------------------------------------------ JSON */

static void json_losses(const struct fr_image *image, const char *name, bool damage, struct fr_out *out)
{
	bool first = true;

	fr_out_printf(out, ",\"%s\":[", name);
	for (size_t i = 0; i < fr_image_loss_count(image); i++) {
		const struct fr_loss *loss = fr_image_loss(image, i);
		uint64_t from = file_offset(image, loss->lane, loss->from_pos);

		if ((loss->cause == FRM_LOSS_DAMAGED) != damage)
			continue;
		fr_out_printf(out, "%s{\"cause\":\"%s\",\"count\":%llu", first ? "" : ",", fr_loss_name(loss->cause),
			      (unsigned long long)loss->count);
		if (loss->lane != FRM_LANE_NONE)
			fr_out_printf(out, ",\"lane\":%u,\"first_seq\":%llu,\"from_pos\":%llu,\"to_pos\":%llu", loss->lane,
				      (unsigned long long)loss->first_seq, (unsigned long long)loss->from_pos,
				      (unsigned long long)loss->to_pos);
		if (from && loss->lane != FRM_LANE_NONE)
			fr_out_printf(out, ",\"file_offset\":%llu", (unsigned long long)from);
		fr_out_char(out, '}');
		first = false;
	}
	fr_out_char(out, ']');
}

static void print_json(const char *path, const struct fr_opened *opened, const struct verdict *v)
{
	struct fr_out FR_OUT_CLEANUP out = { 0 };
	const struct fr_image *image = opened->image;
	const struct frm_super *super = fr_image_super(image);
	unsigned damage = fr_image_meta_damage(image);
	char id[37];

	fr_out_put(&out, "{\"file\":");
	fr_out_json(&out, path);
	fr_out_printf(&out, ",\"type\":\"%s\",\"good\":%s", fr_image_type(image) == FR_IMAGE_RING ? "ring" : "segment",
		      v->damaged ? "false" : "true");
	fr_hex(id, super->ring_id, 16);
	fr_out_printf(&out, ",\"ring\":\"%s\"", id);
	fr_uuid_text(id, super->boot_id);
	fr_out_printf(&out, ",\"boot\":\"%s\",\"boot_seq\":%llu,\"pid\":%u,\"comm\":", id, (unsigned long long)super->boot_seq,
		      super->pid);
	fr_out_json(&out, super->comm);
	fr_out_put(&out, ",\"writer\":");
	fr_out_json(&out, ending(opened));
	if (fr_image_type(image) == FR_IMAGE_RING)
		fr_out_printf(&out, ",\"superblock_a\":%s,\"superblock_b\":%s", damage & 1 ? "false" : "true",
			      damage & 2 ? "false" : "true");
	if (fr_image_chunk_damage(image))
		fr_out_printf(&out, ",\"chunks_damaged\":%u", fr_image_chunk_damage(image));
	if (v->cut)
		fr_out_printf(&out, ",\"cut_short\":true,\"file_bytes\":%llu", (unsigned long long)opened->file_size);
	fr_out_printf(&out, ",\"records\":%llu,\"lanes\":[", (unsigned long long)v->records);
	for (size_t i = 0, shown = 0; i < fr_image_lane_count(image); i++) {
		const struct fr_lane_info *lane = fr_image_lane(image, i);

		if (!lane->records && !lane->head_damaged && lane->readable)
			continue;
		fr_out_printf(&out, "%s{\"lane\":%zu,\"readable\":%s,\"head_good\":%s,\"records\":%llu,\"oldest_pos\":%llu,\"newest_end\":%llu}",
			      shown++ ? "," : "", i, lane->readable ? "true" : "false", lane->head_damaged ? "false" : "true",
			      (unsigned long long)lane->records, (unsigned long long)lane->oldest_pos,
			      (unsigned long long)lane->newest_end);
	}
	fr_out_char(&out, ']');
	json_losses(image, "damage", true, &out);
	json_losses(image, "losses", false, &out);
	fr_out_put(&out, "}\n");
	fr_term_write(&out);
}

/* What can't be opened is damage if it should have been a ring or segment, and a failure if it could not be read. */
static int unreadable(const char *path, int error, bool json)
{
	struct fr_out FR_OUT_CLEANUP out = { 0 };
	bool damage = error == -EBADMSG || error == -ENODATA;

	if (!damage) {
		fr_error("cannot read %s: %s", path, error == -EACCES ? fr_why(error) : fr_image_strerror(error));
		return FR_EXIT_FAILED;
	}
	if (json) {
		fr_out_put(&out, "{\"file\":");
		fr_out_json(&out, path);
		fr_out_put(&out, ",\"good\":false,\"error\":");
		fr_out_json(&out, fr_image_strerror(error));
		fr_out_put(&out, "}\n");
	} else {
		fr_out_escaped(&out, path, strlen(path));
		fr_out_printf(&out, ": UNREADABLE: %s\n", fr_image_strerror(error));
	}
	fr_term_write(&out);
	return FR_EXIT_DAMAGED;
}

int fr_cmd_verify(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' }, { "quiet", no_argument, NULL, 'q' }, { "help", no_argument, NULL, 'h' }, { 0 }
	};
	bool json = false, quiet = false;
	int option, result = FR_EXIT_GOOD;
	struct fr_term term;

	while ((option = getopt_long(argc, argv, "jqh", options, NULL)) != -1) {
		if (option == 'h')
			return fr_help("verify", help);
		if (option == '?')
			return fr_usage("verify", NULL);
		json |= option == 'j';
		quiet |= option == 'q';
	}
	if (optind >= argc)
		return fr_usage("verify", "verify: which ring or segment?");
	fr_term_init(&term, NULL);
	fr_progress_begin("verifying", FR_PROGRESS_SOURCES);
	for (int i = optind; i < argc; i++) {
		struct fr_opened opened;
		int error = fr_store_open(argv[i], &opened), one = FR_EXIT_GOOD;

		if (error) {
			one = unreadable(argv[i], error, json);
		} else {
			struct verdict v = judge(&opened);

			if (json)
				print_json(argv[i], &opened, &v);
			else
				print_text(argv[i], &opened, &v, quiet, &term);
			one = v.damaged ? FR_EXIT_DAMAGED : FR_EXIT_GOOD;
			fr_image_close(opened.image);
		}
		if (one == FR_EXIT_FAILED || result == FR_EXIT_GOOD)
			result = one;
		fr_progress_at(NULL, (uint64_t)(i - optind + 1), (uint64_t)(argc - optind));
	}
	return result;
}
