/* SPDX-License-Identifier: MIT */
/* dump.c - see dump.h. */
#include "pstore/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pstore/sha256.h"
#include "recorder/core/catalogue.h"
#include "recorder/core/check.h"
#include "recorder/core/host.h"

static int oldest_first(const void *a, const void *b)
{
	const struct fr_dump_part *one = a, *other = b;

	/* part 1 is the newest */
	return one->part.number < other->part.number ? 1 : one->part.number > other->part.number ? -1 : 0;
}

void fr_dump_settle(struct fr_dump *dump)
{
	static const char salt[] = "flightrec harvest";
	struct fr_sha256 sha;
	uint8_t digest[32];

	qsort(dump->part, dump->parts, sizeof(*dump->part), oldest_first);
	fr_sha256_init(&sha);
	fr_sha256_add(&sha, salt, sizeof(salt));
	for (size_t i = 0; i < dump->parts; i++)
		fr_sha256_add(&sha, dump->part[i].part.id, 32);
	fr_sha256_done(&sha, digest);
	memcpy(dump->ring_id, digest, 16);
}

void fr_dump_boot_id(const struct fr_dump *dump, const struct fr_boot *boot, uint8_t boot_id[16])
{
	static const char salt[] = "flightrec unknown boot";
	struct fr_sha256 sha;
	uint8_t digest[32];

	if (boot) {
		memcpy(boot_id, boot->id, 16);
		return;
	}
	fr_sha256_init(&sha);
	fr_sha256_add(&sha, salt, sizeof(salt));
	fr_sha256_add(&sha, dump->ring_id, 16);
	fr_sha256_done(&sha, digest);
	memcpy(boot_id, digest, 16);
	boot_id[6] = (uint8_t)((boot_id[6] & 0x0f) | 0x80); /* RFC 9562, version 8: made our own way */
	boot_id[8] = (uint8_t)((boot_id[8] & 0x3f) | 0x80);
}

/* What one look over all lines tells, before any is written. */
struct survey {
	uint64_t lines, skip; /* the first `skip` are left out */
	uint64_t bytes;
	uint64_t last_ns;     /* of the kernel's log clock */
	int verdict;	      /* see fr_dmesg_verdict() */
	uint64_t verdict_line, verdict_ns;
	const char *text;     /* what it says */
	size_t text_size;
};

struct each {
	const struct fr_dump *dump;
	struct fr_dmesg_state state;
	size_t part, at;
};

static bool next_line(struct each *each, struct fr_dmesg_line *line)
{
	while (!each->dump->opaque && each->part < each->dump->parts) {
		const struct fr_dmesg_part *part = &each->dump->part[each->part].part;

		if (fr_dmesg_next_line(&each->state, part->text, part->text_size, &each->at, line))
			return true;
		each->part++;
		each->at = 0;
	}
	return false;
}

/* Dumps that are made when nothing is wrong (a reboot) may hold old trouble: it was not what ended the boot. */
static bool tells_of_death(const struct fr_dump *dump)
{
	return !strcmp(dump->why, "Panic") || !strcmp(dump->why, "Oops") || !strcmp(dump->why, "Emergency") || !dump->number;
}

static void look_over(const struct fr_dump *dump, struct survey *survey)
{
	struct each each = { .dump = dump };
	struct fr_dmesg_line line;

	*survey = (struct survey){ .text = "" };
	while (next_line(&each, &line)) {
		const char *text;
		size_t size;
		int verdict = tells_of_death(dump) ? fr_dmesg_verdict(&line, &text, &size) : 0;

		if (verdict > survey->verdict) {
			survey->verdict = verdict;
			survey->verdict_line = survey->lines;
			survey->verdict_ns = line.time_ns;
			survey->text = text;
			survey->text_size = size;
		}
		survey->lines++;
		survey->bytes += line.size;
		survey->last_ns = line.time_ns;
	}
	if (!survey->verdict && !strcmp(dump->why, "Panic") && survey->lines) {
		survey->verdict = 3; /* the kernel's word for it, though the line is gone */
		survey->verdict_line = survey->lines - 1;
		survey->verdict_ns = survey->last_ns;
		survey->text = "its message was lost";
		survey->text_size = strlen(survey->text);
	}
	if (survey->lines > FR_DUMP_LINES_MAX) {
		survey->skip = survey->lines - FR_DUMP_LINES_MAX;
		if (survey->verdict_line < survey->skip)
			survey->verdict_line = survey->skip;
	}
}

bool fr_dump_panic_ns(const struct fr_dump *dump, uint64_t *ret_ns)
{
	struct survey survey;

	look_over(dump, &survey);
	if (survey.verdict < 3)
		return false;
	*ret_ns = survey.verdict_ns;
	return true;
}

/* A ring that holds it all: a record's frame is below 160 bytes. */
static uint64_t ring_size(const struct survey *survey)
{
	uint64_t lines = survey->lines - survey->skip + 1, need = survey->bytes + survey->text_size + 160 * lines;

	need = (need + (64u << 10)) * 5 / 4 + FRM_RING_MIN;
	need = (need + FRM_PAGE - 1) & ~(uint64_t)(FRM_PAGE - 1);
	return need < FRM_RING_MAX ? need : FRM_RING_MAX;
}

static int create(const struct fr_dump *dump, const struct fr_boot *boot, const struct survey *survey, int dir, struct fr_ring *ring)
{
	struct fr_geometry geometry = { .ring_size = ring_size(survey), .lanes = 1 };
	struct fr_identity identity = { .kind = FRM_KIND_HARVEST, .comm = "kernel", .creator = "flightrec " FR_VERSION };
	int fd = memfd_create("flightrec-harvest", MFD_CLOEXEC), error;

	if (fd < 0)
		fd = openat(dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	memcpy(identity.ring_id, dump->ring_id, 16);
	fr_dump_boot_id(dump, boot, identity.boot_id);
	identity.boot_seq = boot ? boot->seq : 0;
	fr_host_machine_id(identity.machine_id);
	gethostname(identity.hostname, sizeof(identity.hostname) - 1);
	error = fr_ring_create(fd, &geometry, &identity);
	if (error == 0)
		error = fr_ring_map(fd, ring);
	if (error < 0) {
		close(fd);
		return error;
	}
	return fd;
}

/* The clocks of the boot that died, in place of this boot's: one anchor, at the last line. */
static void set_clocks(struct fr_ring *ring, const struct fr_dump *dump, const struct fr_boot *boot, uint64_t last_ns, uint64_t offset_ns)
{
	struct frm_anchor anchor = { .boot_ns = last_ns + offset_ns, .mono_ns = last_ns };

	if (boot && boot->real_ns)
		anchor.real_ns = boot->real_ns + anchor.boot_ns - boot->boot_ns;
	else if (dump->written_ns)
		anchor.real_ns = dump->written_ns;
	fr_anchor_sign(&anchor, ring->super.ring_id);
	for (int copy = 0; copy < 2; copy++) {
		struct frm_meta *meta = ring->meta[copy];

		memset(meta->tables.anchor, 0, sizeof(meta->tables.anchor));
		if (anchor.real_ns)
			meta->tables.anchor[0] = anchor;
		meta->super.created_boot_ns = anchor.boot_ns;
		meta->super.created_real_ns = anchor.real_ns;
		fr_super_sign(&meta->super);
	}
	ring->super = ring->meta[0]->super;
}

static int describe(struct fr_ring *ring, const struct fr_dump *dump, const struct fr_boot *boot, uint64_t last_ns)
{
	char text[1024];
	int n = snprintf(text, sizeof(text), "%s%s: %s%s%zu part%s; times are the kernel log's, within %llu ms%s%s",
			 dump->parts ? dump->part[0].place : "", dump->parts > 1 ? " and others" : "", dump->why,
			 *dump->why ? ", " : "", dump->parts, dump->parts == 1 ? "" : "s",
			 (unsigned long long)(fr_dump_clock_error_ns(last_ns) / 1000000), dump->opaque ? "; compressed, not read" : "",
			 boot ? "" : "; its boot is not known");

	return fr_ring_declare_raw(ring, FRM_DESC_SOURCE, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

static struct fr_value *field(const struct fr_catalogue_event *event, struct fr_value *value, const char *name)
{
	for (unsigned i = 0; i < event->field_count; i++)
		if (!strcmp(event->field[i].name, name))
			return &value[i];
	return &value[FR_FIELDS_MAX]; /* nobody reads it */
}

/* Values of an event of the catalogue, all empty. */
static void blank(const struct fr_catalogue_event *event, struct fr_value value[FR_FIELDS_MAX + 1])
{
	memset(value, 0, (FR_FIELDS_MAX + 1) * sizeof(*value));
	for (unsigned i = 0; i < event->field_count && i < FR_FIELDS_MAX; i++) {
		value[i].type = event->field[i].type;
		if (value[i].type >= FRM_STR)
			value[i].s.data = "";
	}
}

static void set_text(struct fr_value *value, const char *text, size_t size)
{
	value->s.data = text;
	value->s.size = size;
}

static int emit_line(struct fr_lane *lane, const struct fr_catalogue_ids *ids, const struct fr_dmesg_line *line, uint64_t time_ns)
{
	const struct fr_catalogue_event *event = fr_catalogue_by_id(FR_EVENT_KERNEL_LOG);
	struct fr_stamp stamp = { .time_ns = time_ns, .event = ids->event[FR_EVENT_KERNEL_LOG], .cpu = line->cpu, .tid = line->tid };
	struct fr_value value[FR_FIELDS_MAX + 1];

	blank(event, value);
	field(event, value, "level")->u = line->severity;
	field(event, value, "facility")->u = line->facility;
	set_text(field(event, value, "text"), line->text, line->size);
	return fr_emit(lane, &stamp, value, event->field_count);
}

static int emit_panic(struct fr_lane *lane, const struct fr_catalogue_ids *ids, const struct survey *survey, const char *place,
		      uint64_t time_ns, const struct fr_dmesg_line *line)
{
	const struct fr_catalogue_event *event = fr_catalogue_by_id(FR_EVENT_KERNEL_PANIC);
	struct fr_stamp stamp = { .time_ns = time_ns, .event = ids->event[FR_EVENT_KERNEL_PANIC], .cpu = line->cpu, .tid = line->tid };
	struct fr_value value[FR_FIELDS_MAX + 1];

	blank(event, value);
	set_text(field(event, value, "reason"), survey->text, survey->text_size);
	set_text(field(event, value, "source"), place, strlen(place));
	return fr_emit(lane, &stamp, value, event->field_count);
}

static int write_lines(struct fr_lane *lane, const struct fr_catalogue_ids *ids, const struct fr_dump *dump,
		       uint64_t offset_ns, const struct survey *survey, const struct fr_seen *seen, struct fr_dump_result *result)
{
	uint64_t number = 0;
	struct each each = { .dump = dump };
	struct fr_dmesg_line line;
	int error = 0;

	for (; !error && next_line(&each, &line); number++) {
		uint64_t time_ns = line.time_ns + offset_ns;

		if (number >= survey->skip) {
			if (fr_seen_has(seen, line.time_ns, line.text, line.size)) {
				result->known++;
			} else {
				error = emit_line(lane, ids, &line, time_ns);
				result->lines++;
			}
		}
		if (!error && survey->verdict && number == survey->verdict_line && !seen->panic) {
			error = emit_panic(lane, ids, survey, dump->part[each.part].place, time_ns, &line);
			result->panic = true;
		}
	}
	return error;
}

int fr_dump_ring(const struct fr_dump *dump, const struct fr_boot *boot, uint64_t offset_ns, const struct fr_seen *seen, int dir,
		 struct fr_dump_result *ret_result)
{
	struct fr_dump_result result = { 0 };
	struct fr_catalogue_ids ids;
	struct survey survey;
	struct fr_ring ring;
	struct fr_lane lane;
	int fd, error;

	look_over(dump, &survey);
	fd = create(dump, boot, &survey, dir, &ring);
	if (fd < 0)
		return fd;
	set_clocks(&ring, dump, boot, survey.last_ns, offset_ns);
	error = describe(&ring, dump, boot, survey.last_ns);
	if (!error)
		error = fr_catalogue_declare(&ring, FR_ROLE_KERNEL, &ids);
	if (!error) {
		fr_ring_lane(&ring, 0, &lane);
		if (survey.skip)
			fr_ring_count_loss(&ring, FRM_LOSS_KERNEL_LOG, survey.skip);
		error = write_lines(&lane, &ids, dump, offset_ns, &survey, seen, &result);
	}
	fr_ring_close_mark(&ring, true); /* nothing more comes: what is not there was not there */
	fr_ring_unmap(&ring);
	if (error < 0) {
		close(fd);
		return error;
	}
	snprintf(result.text, sizeof(result.text), "%.*s", (int)(survey.text_size < sizeof(result.text) ? survey.text_size : sizeof(result.text) - 1),
		 survey.text);
	*ret_result = result;
	return fd;
}
