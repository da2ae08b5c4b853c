/* SPDX-License-Identifier: MIT */
/* unit_scratch.c - see unit_scratch.h. */
#include "tests/unit/unit_scratch.h"

#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>

#include "recorder/core/decode.h"
#include "recorder/core/encode.h"
#include "recorder/core/host.h"
#include "recorder/core/paths.h"
#include "recorder/core/ringfile.h"

void scratch_make(struct scratch *s)
{
	const char *tmp = getenv("TMPDIR");

	memset(s, 0, sizeof(*s));
	snprintf(s->root, sizeof(s->root), "%.40s/fr-unit-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(s->root));
	snprintf(s->state, sizeof(s->state), "%s/state", s->root);
	snprintf(s->rings, sizeof(s->rings), "%s/rings", s->state);
	snprintf(s->spool, sizeof(s->spool), "%s/spool", s->state);
	snprintf(s->quarantine, sizeof(s->quarantine), "%s/quarantine", s->spool);
	snprintf(s->pstore, sizeof(s->pstore), "%s/pstore", s->root);
	snprintf(s->archive, sizeof(s->archive), "%s/archive", s->root);
	assert_int_equal(mkdir(s->state, 0700), 0);
	assert_int_equal(mkdir(s->rings, 0700), 0);
	assert_int_equal(mkdir(s->pstore, 0700), 0);
	assert_int_equal(mkdir(s->archive, 0700), 0);
}

static int remove_one(const char *path, const struct stat *st UNUSED, int type UNUSED, struct FTW *ftw UNUSED)
{
	return remove(path);
}

void scratch_remove(struct scratch *s)
{
	nftw(s->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void scratch_put(const char *dir, const char *name, const void *bytes, size_t size)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

void scratch_put_text(const char *dir, const char *name, const char *text)
{
	scratch_put(dir, name, text, strlen(text));
}

char *scratch_get(const char *dir, const char *name, size_t *ret_size)
{
	char path[512], *bytes;
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return NULL;
	assert_int_equal(fstat(fd, &st), 0);
	bytes = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(bytes);
	assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
	close(fd);
	if (ret_size)
		*ret_size = (size_t)st.st_size;
	return bytes;
}

bool scratch_has(const char *dir, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

unsigned scratch_count(const char *dir, const char *suffix)
{
	DIR *list = opendir(dir);
	struct dirent *entry;
	unsigned count = 0;
	size_t end = strlen(suffix);

	while (list && (entry = readdir(list))) {
		size_t length = strlen(entry->d_name);

		count += entry->d_name[0] != '.' && length >= end && !strcmp(entry->d_name + length - end, suffix);
	}
	if (list)
		closedir(list);
	return count;
}

void scratch_date(const char *dir, const char *name, time_t when)
{
	struct timespec times[2] = { { .tv_sec = when }, { .tv_sec = when } };
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

void scratch_put_ring(const char *dir, const struct unit_ring *u, char name[64])
{
	unsigned char *bytes = unit_bytes(u);
	char hex[33], file[64];

	fr_hex(hex, u->ring.super.ring_id, 16);
	snprintf(file, sizeof(file), "%u-%s.ring", u->ring.super.pid, hex);
	scratch_put(dir, file, bytes, u->ring.size);
	free(bytes);
	if (name)
		strcpy(name, file);
}

void scratch_make_ring(const char *dir, uint32_t pid, const uint8_t boot_id[16], uint64_t boot_seq, uint64_t created_real_ns,
		       unsigned count, uint8_t ring_id[16])
{
	static const struct fr_field_spec fields[] = { { FRM_STR, "text", "" } };
	static const uint8_t guid[16] = UNIT_PROVIDER_GUID;
	struct fr_geometry geometry = { .ring_size = 128 << 10, .lanes = 2 };
	struct fr_identity identity = { .kind = FRM_KIND_PROCESS, .pid = pid, .boot_seq = boot_seq, .comm = "maker" };
	char name[FR_RING_NAME_MAX], text[32];
	struct fr_ring ring;
	struct fr_lane lane;
	int fd, event;

	fr_host_machine_id(identity.machine_id);
	if (boot_id)
		memcpy(identity.boot_id, boot_id, 16);
	else
		fr_host_boot_id(identity.boot_id);
	fd = fr_ringfile_create(dir, 0600, &geometry, &identity, name);
	assert_true(fd >= 0);
	assert_int_equal(fr_ring_map(fd, &ring), 0);
	for (int copy = 0; created_real_ns && copy < 2; copy++) {
		struct frm_meta *meta = ring.meta[copy];

		meta->super.created_real_ns = created_real_ns;
		meta->super.created_boot_ns = 1000000000;
		fr_super_sign(&meta->super);
		meta->tables.anchor[0] = (struct frm_anchor){ .boot_ns = 1000000000, .mono_ns = 1000000000, .real_ns = created_real_ns };
		fr_anchor_sign(&meta->tables.anchor[0], ring.super.ring_id);
	}
	memcpy(ring_id, ring.super.ring_id, 16);
	event = fr_ring_declare_event(&ring, (uint16_t)fr_ring_declare_provider(&ring, guid, "maker", 1, 0), "line", FRM_LEVEL_INFO, 0,
				      fields, 1);
	assert_true(event > 0);
	fr_ring_lane(&ring, 0, &lane);
	for (unsigned i = 0; i < count; i++) {
		struct fr_stamp stamp = { .time_ns = 1000000000 + i, .event = (uint16_t)event, .cpu = 0, .tid = pid };
		struct fr_value value = { .type = FRM_STR };

		value.s.size = (size_t)snprintf(text, sizeof(text), "line %u", i);
		value.s.data = text;
		assert_int_equal(fr_emit(&lane, &stamp, &value, 1), 0);
	}
	fr_ring_unmap(&ring);
	close(fd);
}

void scratch_append_ring(const char *dir, uint32_t pid, const uint8_t ring_id[16], uint64_t time_ns)
{
	struct fr_value value = { .type = FRM_STR };
	struct fr_stamp stamp = { .time_ns = time_ns, .event = 1, .cpu = 0, .tid = pid };
	char path[512], hex[33];
	struct fr_ring ring;
	struct fr_lane lane;
	int fd;

	fr_hex(hex, ring_id, 16);
	snprintf(path, sizeof(path), "%s/%u-%s.ring", dir, pid, hex);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(fr_ring_map(fd, &ring), 0);
	fr_ring_lane(&ring, 1, &lane);
	value.s.data = "last";
	value.s.size = 4;
	assert_int_equal(fr_emit(&lane, &stamp, &value, 1), 0);
	fr_ring_unmap(&ring);
	close(fd);
}

struct fr_image *scratch_segment(const struct scratch *s, const uint8_t ring_id[16], uint32_t part)
{
	struct fr_image *image = NULL;
	char name[FR_SEGMENT_NAME], path[512];
	int error;

	fr_segment_name(name, ring_id, part);
	snprintf(path, sizeof(path), "%s/%s", s->spool, name);
	error = fr_image_open_path(path, 0, &image);
	if (error < 0)
		fail_msg("%s: %s", path, fr_image_strerror(error));
	return image;
}

static unsigned count_events(const struct scratch *s, const char *name, const char *field, const char *text, uint8_t boot_id[16])
{
	DIR *dir = opendir(s->spool);
	struct dirent *entry;
	unsigned count = 0;

	while (dir && (entry = readdir(dir))) {
		struct fr_image *image;
		uint8_t ring_id[16];
		uint32_t part;

		if (fr_segment_parse_name(entry->d_name, ring_id, &part) < 0)
			continue;
		image = scratch_segment(s, ring_id, part);
		for (size_t i = 0; i < fr_image_record_count(image); i++) {
			const struct fr_value *value;
			struct fr_event event;

			fr_decode(image, fr_image_record(image, i), &event);
			value = fr_event_field(&event, field);
			if (strcmp(event.name, name) || !value || value->s.size != strlen(text) || memcmp(value->s.data, text, value->s.size))
				continue;
			if (boot_id)
				memcpy(boot_id, event.boot_id, 16);
			count++;
		}
		fr_image_close(image);
	}
	if (dir)
		closedir(dir);
	return count;
}

unsigned scratch_count_lines(const struct scratch *s, const char *text, uint8_t boot_id[16])
{
	return count_events(s, "kernel.log", "text", text, boot_id);
}

unsigned scratch_count_panics(const struct scratch *s, const char *reason, uint8_t boot_id[16])
{
	return count_events(s, "kernel.panic", "reason", reason, boot_id);
}
