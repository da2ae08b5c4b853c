/* SPDX-License-Identifier: MIT */
/*
 * fill.c - puts events into a state directory's spool, as a dead process would have left them:
 *
 *	fill STATE BOOT LANES COUNT [TEXT]	COUNT events in each of LANES lanes, of boot number BOOT (1..255)
 *
 * Event "tick" has the fields number and text; TEXT, when it is given, stands in event 7 of lane 0 only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pstore/salvage.h"
#include "recorder/core/encode.h"
#include "recorder/core/host.h"
#include "recorder/core/map.h"
#include "recorder/core/paths.h"

static void die(const char *what, int r)
{
	fprintf(stderr, "fill: %s: %s\n", what, strerror(r < 0 ? -r : r));
	exit(1);
}

static void record(struct fr_ring *ring, uint32_t lanes, uint64_t count, uint16_t event, const char *text)
{
	static const char usual[] = "the quick brown fox jumps over";

	for (uint32_t l = 0; l < lanes; l++) {
		struct fr_lane lane;

		fr_ring_lane(ring, l, &lane);
		fr_ring_lane_owner(ring, &lane, 0, 1000 + l, "filler");
		for (uint64_t i = 0; i < count; i++) {
			const char *said = text && l == 0 && i == 7 ? text : usual;
			struct fr_stamp stamp = { .time_ns = 1000000000 + 1700 * i + i * i % 911 + l, .event = event, .cpu = (uint16_t)(l % 2),
						  .tid = 1000 + l };
			struct fr_value value[2] = { { .type = FRM_U64, .u = i * 7 }, { .type = FRM_STR } };
			int r;

			value[1].s.data = said;
			value[1].s.size = strlen(said);
			r = fr_emit(&lane, &stamp, value, 2);
			if (r < 0)
				die("emit", r);
		}
	}
}

static void write_ring(const char *path, uint32_t boot, uint32_t lanes, uint64_t count, const char *text)
{
	static const struct fr_field_spec fields[] = { { FRM_U64, "number", "" }, { FRM_STR, "text", "" } };
	static const uint8_t guid[16] = { 0xf1, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14 };
	struct fr_identity identity = { .kind = FRM_KIND_PROCESS, .pid = 4000000 + boot, .ppid = 1, .start_time_ns = 900000000, .boot_seq = boot,
					.comm = "filler", .exe = "/bin/filler", .cgroup = "/test", .hostname = "here", .creator = "fill" };
	struct fr_geometry geometry = { .ring_size = 65536, .lanes = lanes + 1, .shared_lanes = 1 };
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), provider, event, r;
	struct fr_ring ring;

	if (fd < 0)
		die(path, errno);
	memset(identity.boot_id, (int)boot, 16);
	while (geometry.ring_size < (lanes + 1) * (count * 128 + 8192) + 65536)
		geometry.ring_size *= 2;
	r = fr_ring_create(fd, &geometry, &identity);
	if (r == 0)
		r = fr_ring_map(fd, &ring);
	if (r < 0)
		die("ring", r);
	provider = fr_ring_declare_provider(&ring, guid, "filler", 1, 0);
	event = fr_ring_declare_event(&ring, (uint16_t)provider, "tick", FRM_LEVEL_INFO, 1, fields, 2);
	if (event < 0)
		die("declare", event);
	record(&ring, lanes, count, (uint16_t)event, text);
	fr_ring_unmap(&ring);
	close(fd);
}

int main(int argc, char **argv)
{
	struct fr_spool *spool;
	struct fr_found found = { 0 };
	char rings[FR_PATH_MAX], path[FR_PATH_MAX + 32];
	int r;

	if (argc < 5) {
		fputs("fill STATE BOOT LANES COUNT [TEXT]\n", stderr);
		return 2;
	}
	snprintf(rings, sizeof rings, "%s/rings", argv[1]);
	fr_path_make(rings, 0700);
	snprintf(path, sizeof path, "%s/fill.ring", rings);
	write_ring(path, (uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3]), strtoull(argv[4], NULL, 10), argc > 5 ? argv[5] : NULL);
	r = fr_spool_open(argv[1], &spool);
	if (r == 0)
		r = fr_salvage_ring(spool, rings, "fill.ring", FR_SALVAGE_DEAD, &found);
	if (r < 0 || found.fate != FR_FATE_SALVAGED)
		die(found.why[0] ? found.why : "salvage", r ? r : EIO);
	fr_spool_close(spool);
	printf("%llu\n", (unsigned long long)found.records);
	return 0;
}
