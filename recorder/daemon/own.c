/* SPDX-License-Identifier: MIT */
/* own.c - see own.h. */
#include "recorder/daemon/own.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "pstore/salvage.h"
#include "recorder/core/host.h"
#include "recorder/core/testpoint.h"
#include "recorder/daemon/daemon.h"

#define DRAIN_PAUSE_MS 2000 /* between two drains that a timer or a death asks for: each is a segment of 10 KiB and more */
#define CLOSE_WAIT_MS 30000
#define DRAIN_NICE    5 /* what comes in goes before what is put away */
/*
 * What may go to the spool because a lane fills, before it has to wait: a flood of events is cut to
 * its newest, not kept whole until the disk is full.
 */
#define CREDIT_BYTES	 (64u << 20)
#define CREDIT_PER_SECOND (CREDIT_BYTES / 300)
#define PAUSE_MAX_NS  5000000000ull

static const char *const lane_names[OWN_LANES] = { "kernel", "kmsg", "flightrecd" };

int own_open(struct daemon *daemon)
{
	struct own *own = &daemon->own;
	struct fr_geometry geometry = { .ring_size = daemon->config.system_ring_size &
						     ~(uint64_t)(FRM_PAGE - 1),
					.lanes = OWN_LANES };
	struct fr_identity identity = { 0 };
	int fd, error;

	if (own->open)
		return 0;
	own->daemon = daemon;
	error = fr_host_identity(getpid(), &identity);
	if (error < 0)
		return error;
	identity.kind = FRM_KIND_SYSTEM;
	identity.flags = FRM_IDENT_VOUCHED;
	identity.boot_seq = daemon->boot_seq;
	identity.creator = "flightrecd " FR_VERSION;
	fd = fr_ringfile_create(daemon->ring_dir, 0640, &geometry, &identity, own->name);
	if (fd < 0)
		return fd;
	error = fr_ring_map(fd, &own->ring);
	close(fd);
	if (error < 0)
		return error;
	for (uint32_t i = 0; i < OWN_LANES; i++) {
		fr_ring_lane(&own->ring, i, &own->lane[i]);
		fr_ring_lane_owner(&own->ring, &own->lane[i], 0, (uint32_t)getpid(), lane_names[i]);
		own->saved[i] = own->saving[i] = 0;
	}
	error = fr_catalogue_declare(&own->ring, FR_ROLES_SYSTEM, &own->ids);
	if (error < 0)
		log_line(
			LOG_PRIO_WARNING,
			"own ring: not all kinds of events could be declared (%s): some will be missing",
			strerror(-error));
	for (unsigned p = 0; p < FR_PROVIDER_COUNT; p++) {
		if (own->ids.provider[p] >= 0)
			*fr_ring_gate(&own->ring, (uint16_t)own->ids.provider[p]) =
				fr_gate_word(FRM_LEVEL_VERBOSE, 0);
	}
	own->credit_bytes = CREDIT_BYTES;
	own->open = true;
	FR_TESTPOINT("own-ring-made");
	return 0;
}

/* The gate word of the own ring, as `flightrec set kernel warning` changes it. */
static bool gate_open(const struct own *own, const struct fr_catalogue_event *event)
{
	int provider = own->ids.provider[event->provider];
	uint64_t gate;

	if (provider < 0)
		return false;
	gate = fr_load_relaxed(fr_ring_gate(&own->ring, (uint16_t)provider));
	return gate & FRM_GATE_LEVEL(event->level) &&
	       (!event->keywords || gate >> FRM_GATE_KEYWORD_SHIFT & event->keywords);
}

static uint64_t unsaved_bytes(const struct own *own, unsigned index)
{
	uint64_t bytes = own->lane[index].pos - own->saved[index];

	return bytes < own->lane[index].size ? bytes : own->lane[index].size;
}

/* A lane half full of what is not saved goes to the spool at once, as long as there is credit. */
static void plan_drain(struct own *own, unsigned index)
{
	uint64_t now, credit, size = own->lane[index].size,
			      need = size < CREDIT_BYTES ? size : CREDIT_BYTES;

	if (own->drain.pid > 0 || own->hurried)
		return; /* its end, or the timer, makes the next plan */
	if (unsaved_bytes(own, index) <= size / 2) {
		if (!loop_timer_is_set(&own->timer))
			own_drain_within(own, own->daemon->config.drain_interval_ms);
		return;
	}
	now = fr_clock_boot_ns();
	credit = own->credit_bytes +
		 (now - own->credited_ns) / 1000000 * CREDIT_PER_SECOND / 1000;
	own->credit_bytes = credit < CREDIT_BYTES ? credit : CREDIT_BYTES;
	own->credited_ns = now;
	own->hurried = true;
	own_drain_within(own, credit >= need ? 0 : (need - credit) * 1000 / CREDIT_PER_SECOND + 1);
}

int own_record(struct own *own, enum own_lane index, const struct fr_stamp *stamp,
	       const struct fr_value *values, unsigned count)
{
	const struct fr_catalogue_event *event = fr_catalogue_by_id(stamp->event);
	struct fr_lane *lane = &own->lane[index];
	struct fr_stamp own_stamp = *stamp;
	int error;

	if (!own->open || !event)
		return -ENXIO;
	own_stamp.event = own->ids.event[event->id];
	if (!own_stamp.event)
		return -ENOENT;
	if (!gate_open(own, event))
		return 0;
	error = fr_emit(lane, &own_stamp, values, count);
	if (error == -EMSGSIZE)
		fr_ring_count_loss(&own->ring, FRM_LOSS_DISCARDED_SIZE, 1);
	FR_TESTPOINT("own-recorded");
	plan_drain(own, index);
	return error;
}

void own_say(struct own *own, uint16_t id, const struct own_value *values, unsigned count)
{
	const struct fr_catalogue_event *event = fr_catalogue_by_id(id);
	struct fr_stamp stamp = { .time_ns = fr_clock_boot_ns(),
				  .event = id,
				  .tid = (uint32_t)getpid() };
	struct fr_value value[FR_FIELDS_MAX] = { 0 };
	int cpu = sched_getcpu();

	stamp.cpu = cpu < 0 ? FRM_CPU_NONE : (uint16_t)cpu;
	if (!event || count != event->field_count)
		return;
	for (unsigned i = 0; i < count; i++) {
		value[i].type = event->field[i].type;
		if (value[i].type == FRM_STR) {
			value[i].s.data = values[i].s ? values[i].s : "";
			value[i].s.size = strlen(value[i].s.data);
		} else {
			value[i].u = values[i].u;
		}
	}
	own_record(own, OWN_SELF, &stamp, value, count);
}

void own_loss(struct own *own, enum frm_loss cause, uint64_t count, const char *what)
{
	if (!own->open || count == 0)
		return;
	fr_ring_count_loss(&own->ring, cause, count);
	OWN_SAY(own, FR_EVENT_FR_LOSS, { .u = count }, { .s = fr_loss_name(cause) }, { .s = what });
}

bool own_wants_pause(const struct own *own, enum own_lane index)
{
	const struct fr_lane *lane = &own->lane[index];

	return own->open && own->drain.pid > 0 &&
	       lane->pos - own->saved[index] > lane->size / 8 * 7 &&
	       fr_clock_boot_ns() - own->draining_ns < PAUSE_MAX_NS;
}

struct drained {
	uint32_t fate;
	int32_t error;
	uint64_t records;
	char why[256];
};

static int drain_job(void *ctx, void *result)
{
	struct own *own = ctx;
	struct drained *drained = result;
	struct fr_spool *spool;
	struct fr_found found;
	unsigned flags = own->open ? FR_SALVAGE_DRAIN : FR_SALVAGE_DEAD;
	int error = fr_spool_open(own->daemon->state, &spool);

	setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + DRAIN_NICE);
	_Static_assert(sizeof(*drained) <= WORKER_RESULT_MAX, "fits a worker's answer");
	if (error < 0)
		return error;
	error = fr_salvage_ring(spool, own->daemon->ring_dir, own->name, flags, &found);
	fr_spool_close(spool);
	if (error < 0)
		return error;
	drained->fate = found.fate;
	drained->error = found.error;
	drained->records = found.records;
	snprintf(drained->why, sizeof(drained->why), "%s", found.why);
	return 0;
}

static void drain_done(void *ctx, const struct worker_end *end)
{
	struct own *own = ctx;
	const struct drained *drained = end->result;
	int error = end->error;
	const char *why = end->signal ? strsignal(end->signal) : "";
	bool unsaved = false;

	if (error == 0 && drained->fate != FR_FATE_SALVAGED && drained->fate != FR_FATE_KNOWN) {
		error = drained->error ? drained->error : -EIO;
		why = drained->why;
	}
	own->drained_ns = fr_clock_boot_ns();
	if (error == 0) {
		memcpy(own->saved, own->saving, sizeof(own->saved));
		own->drains++;
		if (own->last_error)
			log_line(LOG_PRIO_NOTICE, "own ring: copying to the spool works again");
	} else {
		own->drain_failures++;
		if (error != own->last_error)
			log_line(
				LOG_PRIO_ERROR,
				"own ring: copying new records to %s/spool failed: %s%s%s%s. They stay in the ring, "
				"and are overwritten if this goes on: is there space?",
				own->daemon->state, strerror(-error), *why ? " (" : "", why,
				*why ? ")" : "");
	}
	own->last_error = error;
	FR_TESTPOINT("own-drained");
	for (unsigned i = 0; i < OWN_LANES && own->open; i++)
		unsaved |= own->lane[i].pos != own->saved[i];
	if (unsaved)
		own_drain_within(own, own->daemon->config.drain_interval_ms);
	if (own->open)
		daemon_resume_sources(own->daemon);
}

static void drain_start(void *ctx)
{
	struct own *own = ctx;
	int error;

	own->hurried = false;
	if (!own->open || own->drain.pid > 0)
		return; /* its end plans the next */
	for (unsigned i = 0; i < OWN_LANES; i++) {
		uint64_t bytes = unsaved_bytes(own, i);

		own->credit_bytes -= bytes < own->credit_bytes ? bytes : own->credit_bytes;
		own->saving[i] = own->lane[i].pos;
	}
	own->draining_ns = fr_clock_boot_ns();
	error = worker_start(&own->drain, &own->daemon->loop, drain_job, drain_done, own);
	if (error < 0) {
		log_line(LOG_PRIO_ERROR,
			 "own ring: no process to copy it to the spool: %s; tried again later",
			 strerror(-error));
		own_drain_within(own, own->daemon->config.drain_interval_ms);
	}
}

void own_drain_within(struct own *own, uint64_t ms)
{
	uint64_t now = fr_clock_boot_ns(),
		 since_ms = own->drained_ns ? (now - own->drained_ns) / 1000000 : UINT64_MAX;

	if (!own->open)
		return;
	own->timer.fire = drain_start;
	own->timer.ctx = own;
	if (ms == 0 && own->last_error == 0) { /* half full: no pause, unless it failed just now */
		loop_timer_stop(&own->daemon->loop, &own->timer);
		drain_start(own);
		return;
	}
	if (since_ms < DRAIN_PAUSE_MS && ms < DRAIN_PAUSE_MS - since_ms)
		ms = DRAIN_PAUSE_MS - since_ms;
	if (loop_timer_is_set(&own->timer) && own->timer.due_ns <= now + ms * 1000000)
		return;
	loop_timer_set(&own->daemon->loop, &own->timer, ms);
}

void own_close(struct own *own)
{
	int error;

	if (!own->open)
		return;
	worker_reap(&own->drain, CLOSE_WAIT_MS);
	loop_timer_stop(&own->daemon->loop, &own->timer);
	own->open = false; /* the worker now releases the ring */
	fr_ring_close_mark(&own->ring, true);
	fr_ring_unmap(&own->ring);
	FR_TESTPOINT("own-closed");
	error = worker_start(&own->drain, &own->daemon->loop, drain_job, drain_done, own);
	if (error < 0)
		log_line(LOG_PRIO_WARNING,
			 "own ring: no process to copy it to the spool: %s; the next start does it",
			 strerror(-error));
	worker_reap(&own->drain, CLOSE_WAIT_MS);
}
