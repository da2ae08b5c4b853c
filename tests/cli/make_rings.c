/* SPDX-License-Identifier: MIT */
/*
 * make_rings.c - writes the rings that the tests of the command line read: always the same bytes of meaning, with fixed
 * ids, identities and times, written through the same code as any ring.
 *
 *	make_rings DIR		DIR/rings/{shop,kernel,batch,damaged,lapped}.ring
 *	make_rings --many N DIR	DIR/rings/many.ring with N events of one lane, 10 ms apart
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/core/catalogue.h"
#include "recorder/core/check.h"
#include "recorder/core/encode.h"
#include "recorder/core/map.h"
#include "recorder/core/paths.h"

#define SECOND 1000000000ull
#define STARTED 1795000000ull * SECOND /* the wall clock when boot 7 began: 2026-11-18 11:06:40 UTC */

static const uint8_t boot_seven[16] = { 0x70, 0, 0, 0, 0, 0, 0x40, 0x07, 0x80, 0, 0, 0, 0, 0, 0, 0x07 };
static const uint8_t boot_eight[16] = { 0x80, 0, 0, 0, 0, 0, 0x40, 0x08, 0x80, 0, 0, 0, 0, 0, 0, 0x08 };
static const uint8_t shop_guid[16] = { 0x5c, 0x0d, 0x1f, 0x9e, 0x8d, 0x6b, 0x4c, 0x1e, 0x9a, 0x53, 0x0f, 0x6a, 0x2d, 0x7b, 0x9e, 0x11 };

struct maker {
	struct fr_ring ring;
	struct fr_lane lane[8];
	uint64_t now_ns; /* CLOCK_BOOTTIME of the next event */
	uint32_t pid, tid;
	uint16_t session;
};

static void die(const char *what, int error)
{
	fprintf(stderr, "make_rings: %s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(1);
}

/* The ring's birth and its anchor, which fr_ring_create() takes from the clock, are set to what the story needs. */
static void set_birth(struct maker *m, const uint8_t boot_id[16], uint64_t boot_ns, uint64_t real_ns)
{
	for (int copy = 0; copy < 2; copy++) {
		struct frm_super *super = &m->ring.meta[copy]->super;
		struct frm_anchor *anchor = m->ring.meta[copy]->tables.anchor;

		memcpy(super->boot_id, boot_id, 16);
		super->created_boot_ns = boot_ns;
		super->created_real_ns = real_ns;
		fr_super_sign(super);
		memset(anchor, 0, sizeof(*anchor));
		anchor->boot_ns = anchor->mono_ns = boot_ns;
		anchor->real_ns = real_ns;
		fr_anchor_sign(anchor, super->ring_id);
	}
	m->ring.super = m->ring.meta[0]->super;
}

static void make(struct maker *m, const char *dir, const char *name, uint32_t kind, const uint8_t boot_id[16], uint64_t boot_seq,
		 uint32_t pid, const char *comm, uint64_t size)
{
	struct fr_identity identity = { .kind = kind, .pid = pid, .ppid = 1, .uid = 1000, .gid = 1000, .boot_seq = boot_seq,
					.start_time_ns = 90 * SECOND, .flags = FRM_IDENT_VOUCHED, .creator = "make_rings" };
	struct fr_geometry geometry = { .ring_size = size, .lanes = 4, .shared_lanes = 1 };
	char path[FR_PATH_MAX];
	int fd, error;

	memset(m, 0, sizeof(*m));
	memcpy(identity.boot_id, boot_id, 16);
	memset(identity.machine_id, 0x11, 16);
	snprintf(identity.comm, sizeof(identity.comm), "%s", comm);
	snprintf(identity.exe, sizeof(identity.exe), "/usr/bin/%s", comm);
	snprintf(identity.cgroup, sizeof(identity.cgroup), "/system.slice/%s.service", comm);
	snprintf(identity.hostname, sizeof(identity.hostname), "machine");
	snprintf((char *)identity.ring_id, sizeof(identity.ring_id), "ring-%.10s", comm);
	snprintf(path, sizeof(path), "%s/rings", dir);
	error = fr_path_make(path, 0755);
	if (error)
		die(path, error);
	snprintf(path, sizeof(path), "%s/rings/%s.ring", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	error = fd < 0 ? -errno : fr_ring_create(fd, &geometry, &identity);
	if (!error)
		error = fr_ring_map(fd, &m->ring);
	if (error)
		die(path, error);
	close(fd);
	set_birth(m, boot_id, 100 * SECOND, (boot_seq == 7 ? STARTED : STARTED + 3600 * SECOND) + 100 * SECOND);
	m->now_ns = 100 * SECOND;
	m->pid = m->tid = pid;
	for (uint32_t i = 0; i < 4; i++)
		fr_ring_lane(&m->ring, i, &m->lane[i]);
}

static void owner(struct maker *m, unsigned lane, uint32_t tid, const char *name)
{
	fr_ring_lane_owner(&m->ring, &m->lane[lane], 0, tid, name);
}

static struct fr_value number(const char *name, uint8_t type, uint64_t value)
{
	return (struct fr_value){ .name = name, .unit = "", .type = type, .u = value };
}

static struct fr_value text(const char *name, uint8_t type, const char *value)
{
	struct fr_value field = { .name = name, .unit = "", .type = type };

	field.s.data = value;
	field.s.size = strlen(value);
	return field;
}

static uint16_t declare(struct maker *m, int provider, const char *name, unsigned level, const struct fr_value *values, unsigned count)
{
	struct fr_field_spec fields[FR_FIELDS_MAX];
	int id;

	for (unsigned i = 0; i < count; i++)
		fields[i] = (struct fr_field_spec){ values[i].type, values[i].name, values[i].unit };
	id = fr_ring_declare_event(&m->ring, (uint16_t)provider, name, (uint8_t)level, 0, fields, count);
	if (id < 0)
		die(name, id);
	return (uint16_t)id;
}

static void emit_id(struct maker *m, unsigned lane, uint16_t id, uint64_t after_us, const struct fr_value *values, unsigned count)
{
	struct fr_stamp stamp = { .event = id, .cpu = (uint16_t)lane, .session = m->session, .tid = m->tid };
	int error;

	m->now_ns += after_us * 1000;
	stamp.time_ns = m->now_ns;
	error = fr_emit(&m->lane[lane], &stamp, values, count);
	if (error)
		die("emit", error);
}

static void emit(struct maker *m, unsigned lane, int provider, const char *name, unsigned level, uint64_t after_us,
		 const struct fr_value *values, unsigned count)
{
	emit_id(m, lane, declare(m, provider, name, level, values, count), after_us, values, count);
}

#define FIELDS(...) (struct fr_value[]){ __VA_ARGS__ }, sizeof((struct fr_value[]){ __VA_ARGS__ }) / sizeof(struct fr_value)

/* An event of the catalogue; values that are not given stay zero or empty. */
static void known(struct maker *m, const struct fr_catalogue_ids *ids, unsigned lane, uint16_t which, uint64_t after_us,
		  const struct fr_value *given, unsigned count)
{
	const struct fr_catalogue_event *event = fr_catalogue_by_id(which);
	struct fr_value values[FR_FIELDS_MAX] = { { 0 } };

	for (unsigned i = 0; i < event->field_count; i++) {
		values[i] = (struct fr_value){ .name = event->field[i].name, .unit = event->field[i].unit, .type = event->field[i].type };
		if (values[i].type >= FRM_STR)
			values[i].s.data = "";
		for (unsigned j = 0; j < count; j++) {
			if (strcmp(given[j].name, values[i].name) != 0)
				continue;
			if (values[i].type >= FRM_STR)
				values[i].s = given[j].s;
			else
				values[i].u = given[j].u;
		}
	}
	emit_id(m, lane, ids->event[which], after_us, values, event->field_count);
}

#define N(name, value) number(#name, FRM_U64, value)
#define S(name, value) text(#name, FRM_STR, value)

/* An application of three threads: one event of each type of field, sessions, a torn record, left open. */
static void shop(const char *dir)
{
	struct fr_reservation torn;
	struct maker m;
	int provider;

	make(&m, dir, "shop", FRM_KIND_PROCESS, boot_seven, 7, 4711, "order-srv", 128 << 10);
	provider = fr_ring_declare_provider(&m.ring, shop_guid, "acme.shop", 1, 0);
	owner(&m, 0, 4711, "order-srv");
	owner(&m, 1, 4712, "worker-1");
	owner(&m, 2, 4713, "order-srv");
	emit(&m, 0, provider, "fr.text", 4, 0, FIELDS(S(text, "order service 1.4 is ready on port 8080")));
	m.session = (uint16_t)fr_ring_session_begin(&m.ring, (uint16_t)provider, shop_guid, "checkout");
	for (int copy = 0; copy < 2; copy++) { /* begun when the story says */
		struct frm_session *session = &m.ring.meta[copy]->tables.session[m.session % FRM_SESSIONS_MAX];

		session->begin_ns = m.now_ns;
		fr_session_sign(session, m.ring.super.ring_id);
	}
	emit(&m, 0, provider, "fr.session_begin", 4, 1500, FIELDS(S(name, "checkout"), S(guid, "")));
	m.tid = 4712;
	emit(&m, 1, provider, "order_paid", 4, 812, FIELDS(N(order_id, 4711), N(amount, 1999), S(customer, "Ada Lovelace")));
	m.tid = 4711;
	emit(&m, 0, provider, "fr.session_end", 4, 90, FIELDS(S(name, "checkout")));
	m.session = 0;
	m.tid = 4713;
	emit(&m, 2, provider, "all_types", 5, 250000,
	     FIELDS(number("u8", FRM_U8, 200), number("u16", FRM_U16, 60000), number("u32", FRM_U32, 4000000000),
		    number("u64", FRM_U64, UINT64_MAX), number("i8", FRM_I8, (uint64_t)-8), number("i16", FRM_I16, (uint64_t)-16),
		    number("i32", FRM_I32, (uint64_t)-32), number("i64", FRM_I64, (uint64_t)INT64_MIN),
		    { .name = "f64", .unit = "", .type = FRM_F64, .f = -0.125 }, S(str, "plain"), text("bytes", FRM_BYTES, "\001\002\xff"),
		    text("json", FRM_JSON, "{\"deep\":[1,2,{\"er\":null}]}")));
	m.tid = 4712;
	emit(&m, 1, provider, "hostile", 3, 100, FIELDS(S(text, "\033[2J\033]0;owned\007 \r\n\tbell\x7f \302\23331m \xff\xfe caf\303\251")));
	emit(&m, 1, provider, "order_failed", 2, 400,
	     FIELDS(N(order_id, 4712), { .name = "error", .unit = "errno", .type = FRM_I32, .i = -5 },
		    { .name = "waited", .unit = "ns", .type = FRM_U64, .u = 1500000 }, { .name = "body", .unit = "B", .type = FRM_U64, .u = 70000 },
		    S(reason, "the payment service did not answer in time, and the order could not be put back into the queue")));
	m.tid = 4711;
	emit(&m, 0, provider, "fr.json", 4, 40, FIELDS(number("valid", FRM_U8, 1), text("json", FRM_JSON, "{\"queue\":12}")));
	emit(&m, 0, provider, "fr.text", 1, 900000, FIELDS(S(text, "out of file descriptors")));
	fr_lane_reserve(&m.lane[1], 64, &torn);
	fr_ring_unmap(&m.ring);
}

/* The recorder's own ring: what the kernel said of the same seconds. */
static void kernel(const char *dir)
{
	struct fr_catalogue_ids ids = { 0 };
	struct maker m;

	make(&m, dir, "kernel", FRM_KIND_SYSTEM, boot_seven, 7, 300, "flightrecd", 256 << 10);
	fr_catalogue_declare(&m.ring, FR_ROLES_SYSTEM, &ids);
	known(&m, &ids, 2, FR_EVENT_FR_START, 0, FIELDS(N(pid, 300), S(version, "0.1.0"), S(kernel, "6.12.0")));
	m.tid = 4711;
	known(&m, &ids, 0, FR_EVENT_PROC_EXEC, 20, FIELDS(N(pid, 4711), N(tid, 4711), N(ppid, 1), N(uid, 1000), S(comm, "order-srv"),
		N(start_time_ns, 90 * SECOND), N(argv_bytes, 22), S(filename, "/usr/bin/order-srv"), S(argv, "order-srv --port 8080")));
	m.tid = 0;
	known(&m, &ids, 1, FR_EVENT_KERNEL_LOG, 900, FIELDS(N(seq, 812), N(level, 4), S(text, "EXT4-fs warning (device vda1): short of inodes"),
		S(subsystem, "block"), S(device, "+block:vda1")));
	known(&m, &ids, 2, FR_EVENT_FR_LOSS, 300, FIELDS(N(count, 17), S(class, "kernel-buffer"), S(what, "proc.exec")));
	m.tid = 812;
	known(&m, &ids, 0, FR_EVENT_SIG_GENERATE, 1300000, FIELDS(N(pid, 812), N(tid, 812), S(comm, "bash"), N(sig, 9), N(target_pid, 4711),
		N(target_tid, 4711), N(group, 1), S(target_comm, "order-srv")));
	m.tid = 4711;
	known(&m, &ids, 0, FR_EVENT_PROC_EXIT, 150, FIELDS(N(pid, 4711), N(tid, 4711), N(ppid, 1), N(uid, 1000), S(comm, "order-srv"),
		N(signal, 9), N(group_dead, 1), N(known, 1), N(rss_peak_kib, 20480)));
	m.tid = 4800;
	known(&m, &ids, 0, FR_EVENT_PROC_EXIT, 2000, FIELDS(N(pid, 4800), N(tid, 4800), S(comm, "true"), N(group_dead, 1), N(known, 1)));
	m.tid = 900;
	known(&m, &ids, 0, FR_EVENT_MEM_OOM_KILL, 500, FIELDS(N(pid, 900), N(tid, 900), S(comm, "java"), N(victim_pid, 901),
		S(victim_comm, "postgres"), N(anon_rss_kib, 1048576)));
	m.tid = 0;
	known(&m, &ids, 1, FR_EVENT_KERNEL_PANIC, 70, FIELDS(S(reason, "Fatal exception in interrupt"), S(source, "dmesg-ramoops-0")));
	fr_ring_unmap(&m.ring);
}

/* The next boot: a process that ended in order. */
static void batch(const char *dir)
{
	struct maker m;
	int provider;

	make(&m, dir, "batch", FRM_KIND_PROCESS, boot_eight, 8, 5000, "batch", 64 << 10);
	provider = fr_ring_declare_provider(&m.ring, (const uint8_t[16]){ 0xba }, "acme.batch", 2, 1);
	owner(&m, 0, 5000, "batch");
	for (unsigned i = 1; i <= 3; i++)
		emit(&m, 0, provider, "step", 4, 60000000, FIELDS(N(number, i), { .name = "took", .unit = "ns", .type = FRM_U64, .u = i * 1000 }));
	for (int copy = 0; copy < 2; copy++)
		m.ring.meta[copy]->state.closed_boot_ns = m.now_ns;
	fr_ring_unmap(&m.ring);
}

/* Ten records, of which the fifth was flipped a bit; copy A of the superblock is gone. */
static void damaged(const char *dir)
{
	struct maker m;
	int provider;

	make(&m, dir, "damaged", FRM_KIND_PROCESS, boot_eight, 8, 6000, "flaky", 64 << 10);
	provider = fr_ring_declare_provider(&m.ring, (const uint8_t[16]){ 0xf1 }, "acme.flaky", 1, 0);
	owner(&m, 0, 6000, "flaky");
	for (unsigned i = 1; i <= 10; i++) {
		unsigned char *at = m.lane[0].data + m.lane[0].pos;

		emit(&m, 0, provider, "beat", 4, 1000000, FIELDS(N(number, i)));
		if (i == 5)
			at[44] ^= 0x10;
	}
	m.ring.meta[0]->super.ring_size ^= 1;
	fr_ring_unmap(&m.ring);
}

static void many(const char *dir, const char *name, unsigned count, uint64_t size)
{
	struct maker m;
	int provider;
	uint16_t id;

	make(&m, dir, name, FRM_KIND_PROCESS, boot_eight, 8, 7000, name, size);
	provider = fr_ring_declare_provider(&m.ring, (const uint8_t[16]){ 0x1a }, "acme.busy", 1, 0);
	owner(&m, 0, 7000, name);
	id = declare(&m, provider, "tick", 4, FIELDS(N(number, 0), S(note, "")));
	for (unsigned i = 0; i < count; i++)
		emit_id(&m, 0, id, 10000, FIELDS(N(number, i), S(note, "forty bytes of text, as in the benchmark.")));
	fr_ring_unmap(&m.ring);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "--many") == 0) {
		unsigned count = (unsigned)strtoul(argv[2], NULL, 10);
		uint64_t size = (uint64_t)count * 110 * 5;

		many(argv[3], "many", count, size < FRM_RING_MIN ? FRM_RING_MIN : size > FRM_RING_MAX ? FRM_RING_MAX : size & ~(uint64_t)(FRM_PAGE - 1));
		return 0;
	}
	if (argc != 2) {
		fprintf(stderr, "usage: make_rings [--many N] DIR\n");
		return 2;
	}
	shop(argv[1]);
	kernel(argv[1]);
	batch(argv[1]);
	damaged(argv[1]);
	many(argv[1], "lapped", 2000, 64 << 10);
	return 0;
}
