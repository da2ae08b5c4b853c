/* SPDX-License-Identifier: MIT */
/* config.c - see config.h. */
#include "recorder/daemon/config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/core/catalogue.h"
#include "recorder/core/image.h"
#include "recorder/core/ini.h"
#include "recorder/daemon/log.h"

enum kind { SIZE, NUMBER, TIME, BOOL, PATH, MODE, SEVERITY };

struct row {
	const char *section, *key;
	enum kind kind;
	size_t offset;
	uint64_t min, max, initial;
	bool fixed; /* a reload can't change it */
};

#define AT(member) offsetof(struct config, member)
#define KIB(n)	   ((uint64_t)(n) << 10)
#define MIB(n)	   ((uint64_t)(n) << 20)

static const struct row rows[] = {
	{ "store", "ring_dir", PATH, AT(ring_dir), 0, 0, 0, true },
	{ "store", "ring_size", SIZE, AT(ring_size), FRM_RING_MIN, FRM_RING_MAX, MIB(2), false },
	{ "store", "ring_size_max", SIZE, AT(ring_size_max), FRM_RING_MIN, FRM_RING_MAX, MIB(64),
	  false },
	{ "store", "rings_max", NUMBER, AT(rings_max), 1, 65536, 2048, false },
	{ "store", "rings_bytes_max", SIZE, AT(rings_bytes_max), FRM_RING_MIN, MIB(1 << 20),
	  MIB(2048), false },
	{ "store", "user_rings_max", NUMBER, AT(uid_rings_max), 1, 65536, 512, false },
	{ "store", "user_bytes_max", SIZE, AT(uid_bytes_max), FRM_RING_MIN, MIB(1 << 20), MIB(512),
	  false },
	{ "store", "sync_interval", TIME, AT(sync_interval_ms), 0, 3600000, 50, false },
	{ "store", "sync_rate", SIZE, AT(sync_rate), 0, MIB(1 << 20), MIB(16), false },
	{ "server", "connections_max", NUMBER, AT(connections_max), 1, 4096, 64, false },
	{ "server", "request_timeout", TIME, AT(request_timeout_ms), 10, 60000, 1000, false },
	{ "server", "attach_rate", NUMBER, AT(attach_rate), 1, 100000, 200, false },
	{ "server", "socket_mode", MODE, AT(socket_mode), 0, 0777, 0666, true },
	{ "system", "ring_size", SIZE, AT(system_ring_size), KIB(256), FRM_RING_MAX, MIB(4), true },
	{ "system", "drain_interval", TIME, AT(drain_interval_ms), 1000, 3600000, 300000, false },
	{ "system", "kernel_log", BOOL, AT(kernel_log), 0, 0, 1, true },
	{ "system", "kernel_log_level", SEVERITY, AT(kernel_log_level), 0, 7, 4, false },
	{ "bpf", "enable", BOOL, AT(bpf), 0, 0, 1, true },
	{ "bpf", "unload_at_stop", BOOL, AT(unload_at_stop), 0, 0, 0, false },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const char *const severities[] = { "emergency", "alert",	 "critical", "error",
					  "warning",   "notice", "info",     "debug" };

/* Sections of other programs that read the same file. */
static const char *const foreign[] = { "upload", "index", "retention", "recover",
				       "spool",	 "show",  "collector", "client" };

struct reading {
	struct config config;
};

static uint64_t *number_at(struct config *config, const struct row *row)
{
	return (uint64_t *)((char *)config + row->offset);
}

static bool *bool_at(struct config *config, const struct row *row)
{
	return (bool *)((char *)config + row->offset);
}

static void set_default(struct config *config, const struct row *row)
{
	if (row->kind == PATH)
		*((char *)config + row->offset) = 0;
	else if (row->kind == BOOL)
		*bool_at(config, row) = row->initial;
	else
		*number_at(config, row) = row->initial;
}

static int take_mode(const char *value, uint64_t *ret, char *why, size_t why_size)
{
	char *end;
	unsigned long mode = strtoul(value, &end, 8);

	if (*end || mode > 0777 || !isdigit((unsigned char)value[0])) {
		snprintf(why, why_size, "want an octal mode such as 0666");
		return -EINVAL;
	}
	*ret = mode;
	return 0;
}

static int take_severity(const char *value, uint64_t *ret, char *why, size_t why_size)
{
	for (unsigned i = 0; i < 8; i++) {
		if (strcmp(value, severities[i]) == 0 ||
		    (value[0] == (char)('0' + i) && !value[1])) {
			*ret = i;
			return 0;
		}
	}
	snprintf(why, why_size,
		 "want emergency, alert, critical, error, warning, notice, info or debug");
	return -EINVAL;
}

static int take_path(const char *value, char *path, char *why, size_t why_size)
{
	if (value[0] != '/') {
		snprintf(why, why_size,
			 "want a directory from the root, such as /mnt/pmem/flightrec");
		return -EINVAL;
	}
	return fr_ini_string(value, path, FR_PATH_MAX, why, why_size);
}

static int take_row(struct config *config, const struct row *row, const char *value, char *why,
		    size_t why_size)
{
	if (!*value) {
		set_default(config, row);
		return 0;
	}
	switch (row->kind) {
	case SIZE:
		return fr_ini_size(value, row->min, row->max, number_at(config, row), why,
				   why_size);
	case NUMBER:
		return fr_ini_number(value, row->min, row->max, number_at(config, row), why,
				     why_size);
	case TIME:
		return fr_ini_duration(value, row->min, row->max, number_at(config, row), why,
				       why_size);
	case BOOL:
		return fr_ini_bool(value, bool_at(config, row), why, why_size);
	case PATH:
		return take_path(value, (char *)config + row->offset, why, why_size);
	case MODE:
		return take_mode(value, number_at(config, row), why, why_size);
	case SEVERITY:
		return take_severity(value, number_at(config, row), why, why_size);
	}
	return -EINVAL;
}

/* [gates] acme.shop = verbose 0xff */
static int take_gate(struct config *config, const struct fr_ini_entry *entry, char *why,
		     size_t why_size)
{
	struct fr_gate_rule rule = { .from_config = true };
	char level[32], scratch[FR_GATES_SELECTOR_MAX + 64], *end = NULL;
	const char *rest = entry->value + strcspn(entry->value, " \t");
	unsigned slot;
	int number;

	snprintf(level, sizeof(level), "%.*s", (int)(rest - entry->value), entry->value);
	number = strcmp(level, "off") == 0 || strcmp(level, "0") == 0 ? 0 : fr_level_parse(level);
	if (number >= 0 && *(rest += strspn(rest, " \t")))
		rule.keywords = strtoull(rest, &end, 0);
	if (number < 0 || (end && *end)) {
		snprintf(
			why, why_size,
			"want a level (off, critical, error, warning, info or verbose), and keywords such as 0xff if not all");
		return -EINVAL;
	}
	rule.level = (uint8_t)number;
	if (snprintf(rule.selector, sizeof(rule.selector), "%s", entry->key) >=
		    (int)sizeof(rule.selector) ||
	    fr_gates_text_set("", 0, &rule, scratch, sizeof(scratch)) < 0) {
		snprintf(why, why_size,
			 "want a provider's name, its GUID, or a beginning of names and *");
		return -EINVAL;
	}
	for (slot = 0;
	     slot < config->gate_count && strcmp(config->gate[slot].selector, rule.selector) != 0;
	     slot++)
		;
	if (slot == CONFIG_GATES_MAX) {
		snprintf(why, why_size, "more than %d gates", CONFIG_GATES_MAX);
		return -E2BIG;
	}
	config->gate[slot] = rule;
	if (slot == config->gate_count)
		config->gate_count++;
	return 0;
}

/* [events] blk.error = off */
static int take_event(struct config *config, const struct fr_ini_entry *entry, char *why,
		      size_t why_size)
{
	const struct fr_catalogue_event *event = fr_catalogue_by_name(entry->key);
	unsigned slot;
	bool on;
	int error;

	if (!event || event->role != FR_ROLE_EBPF)
		return FR_INI_UNKNOWN_KEY;
	on = event->default_on;
	error = *entry->value ? fr_ini_bool(entry->value, &on, why, why_size) : 0;
	if (error < 0)
		return error;
	for (slot = 0; slot < config->event_count && config->event[slot].id != event->id; slot++)
		;
	if (slot == CONFIG_EVENTS_MAX)
		return -E2BIG;
	config->event[slot] = (struct config_event){ .id = event->id, .on = on };
	if (slot == config->event_count)
		config->event_count++;
	return 0;
}

static int take(void *ctx, const struct fr_ini_entry *entry, char *why, size_t why_size)
{
	struct reading *reading = ctx;
	bool known = false;

	if (strcmp(entry->section, "gates") == 0)
		return take_gate(&reading->config, entry, why, why_size);
	if (strcmp(entry->section, "events") == 0)
		return take_event(&reading->config, entry, why, why_size);
	for (size_t i = 0; i < ROWS; i++) {
		if (strcmp(rows[i].section, entry->section) != 0)
			continue;
		known = true;
		if (strcmp(rows[i].key, entry->key) == 0)
			return take_row(&reading->config, &rows[i], entry->value, why, why_size);
	}
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		if (strcmp(foreign[i], entry->section) == 0)
			return FR_INI_NOT_MINE;
	}
	return known ? FR_INI_UNKNOWN_KEY : FR_INI_UNKNOWN_SECTION;
}

static void warn(void *ctx, const char *text)
{
	(void)ctx;
	log_line(LOG_PRIO_WARNING, "%s", text);
}

int config_load(const char *path, struct config *ret_config, char *error, size_t error_size)
{
	struct reading *reading = calloc(1, sizeof(*reading));
	const struct fr_ini_reader reader = { .entry = take, .warning = warn, .ctx = reading };
	int result;

	if (!reading) {
		snprintf(error, error_size, "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; i < ROWS; i++)
		set_default(&reading->config, &rows[i]);
	result = path ? fr_ini_load(path, false, &reader, error, error_size)
		      : fr_ini_load_config(&reader, error, error_size);
	if (result == 0 && reading->config.ring_size > reading->config.ring_size_max) {
		snprintf(error, error_size,
			 "[store] ring_size is larger than ring_size_max: make one of them fit");
		result = -EINVAL;
	}
	if (result == 0)
		*ret_config = reading->config;
	free(reading);
	return result;
}

void config_keep_fixed(const struct config *old, struct config *new)
{
	char was[FR_PATH_MAX], is[FR_PATH_MAX];

	for (size_t i = 0; i < ROWS; i++) {
		const struct row *row = &rows[i];
		size_t size = row->kind == PATH	  ? FR_PATH_MAX
			      : row->kind == BOOL ? sizeof(bool)
						  : sizeof(uint64_t);
		const char *section, *key;

		if (!row->fixed)
			continue;
		config_describe(old, i, &section, &key, was, sizeof(was));
		config_describe(new, i, &section, &key, is, sizeof(is));
		if (strcmp(was, is) == 0)
			continue;
		log_line(
			LOG_PRIO_WARNING,
			"[%s] %s stays \"%.200s\": a change needs a restart (systemctl restart flightrecd)",
			section, key, was);
		memcpy((char *)new + row->offset, (const char *)old + row->offset, size);
	}
}

bool config_describe(const struct config *config, size_t i, const char **section, const char **key,
		     char *value, size_t size)
{
	const struct row *row = &rows[i];
	struct config *any = (struct config *)config; /* only read */

	if (i >= ROWS)
		return false;
	*section = row->section;
	*key = row->key;
	if (row->kind == PATH)
		snprintf(value, size, "%s", (const char *)config + row->offset);
	else if (row->kind == BOOL)
		snprintf(value, size, "%s", *bool_at(any, row) ? "yes" : "no");
	else if (row->kind == MODE)
		snprintf(value, size, "%04" PRIo64, *number_at(any, row));
	else if (row->kind == SEVERITY)
		snprintf(value, size, "%s", severities[*number_at(any, row) & 7]);
	else
		snprintf(value, size, "%" PRIu64 "%s", *number_at(any, row),
			 row->kind == TIME ? "ms" : "");
	return true;
}
