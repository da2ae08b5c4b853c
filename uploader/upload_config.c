/* SPDX-License-Identifier: MIT */
/* upload_config.c - the table of [upload]'s keys, and where their values come from. */
#include "uploader/upload_config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/core/paths.h"

enum type { STRING, NUMBER, SIZE, DURATION };

static const struct key {
	const char *name;
	enum type type;
	size_t at;	  /* in struct fr_upload_config */
	uint64_t min, max; /* STRING: max is the room */
	uint64_t standard;
} keys[] = {
#define KEY(key, type, field, min, max, standard) { key, type, offsetof(struct fr_upload_config, field), min, max, standard }
	KEY("endpoint", STRING, endpoint, 0, sizeof ((struct fr_upload_config *)0)->endpoint, 0),
	KEY("database", STRING, database, 0, sizeof ((struct fr_upload_config *)0)->database, 0),
	KEY("token_file", STRING, token_file, 0, sizeof ((struct fr_upload_config *)0)->token_file, 0),
	KEY("ca_file", STRING, ca_file, 0, sizeof ((struct fr_upload_config *)0)->ca_file, 0),
	KEY("budget_bytes_per_day", SIZE, budget_bytes_per_day, 0, 1ull << 40, 10u << 20),
	KEY("batch_events", NUMBER, batch_events, 1, 1000000, 5000),
	KEY("batch_bytes", SIZE, batch_bytes, 4096, 16u << 20, 4u << 20),
	KEY("zstd_level", NUMBER, zstd_level, 1, 19, 9),
	KEY("connect_timeout", DURATION, connect_timeout_ms, 10, 600000, 10000),
	KEY("timeout", DURATION, timeout_ms, 10, 3600000, 60000),
	KEY("retry_base", DURATION, retry_base_ms, 1, 3600000, 1000),
	KEY("retry_cap", DURATION, retry_cap_ms, 1, 24 * 3600000, 300000),
	KEY("give_up", DURATION, give_up_ms, 0, 24 * 3600000, 60000),
	KEY("interval", DURATION, interval_ms, 100, 24 * 3600000, 30000),
#undef KEY
};
#define KEYS (sizeof keys / sizeof *keys)

static int set(struct fr_upload_config *config, const struct key *key, const char *value, char *why, size_t why_size)
{
	void *field = (char *)config + key->at;

	if (key->type == STRING)
		return fr_ini_string(value, field, key->max, why, why_size);
	if (!*value) {
		*(uint64_t *)field = key->standard;
		return 0;
	}
	if (key->type == SIZE)
		return fr_ini_size(value, key->min, key->max, field, why, why_size);
	if (key->type == DURATION)
		return fr_ini_duration(value, key->min, key->max, field, why, why_size);
	return fr_ini_number(value, key->min, key->max, field, why, why_size);
}

void fr_upload_config_default(struct fr_upload_config *config)
{
	memset(config, 0, sizeof *config);
	for (size_t i = 0; i < KEYS; i++)
		set(config, &keys[i], "", NULL, 0);
}

int fr_upload_config_set(struct fr_upload_config *config, const char *key, const char *value, char *why, size_t why_size)
{
	for (size_t i = 0; i < KEYS; i++)
		if (strcmp(keys[i].name, key) == 0)
			return set(config, &keys[i], value, why, why_size);
	return FR_INI_UNKNOWN_KEY;
}

struct load {
	struct fr_upload_config *config;
	void (*warning)(void *ctx, const char *text);
	void *ctx;
};

static int take_entry(void *ctx, const struct fr_ini_entry *entry, char *why, size_t why_size)
{
	struct load *load = ctx;

	if (strcmp(entry->section, "upload") != 0)
		return FR_INI_NOT_MINE; /* the daemon's: it says what it doesn't know there */
	return fr_upload_config_set(load->config, entry->key, entry->value, why, why_size);
}

static void take_warning(void *ctx, const char *text)
{
	struct load *load = ctx;

	if (load->warning)
		load->warning(load->ctx, text);
}

static int take_environment(struct fr_upload_config *config, char *error, size_t error_size)
{
	char name[64], why[FR_INI_TEXT_MAX] = "";

	for (size_t i = 0; i < KEYS; i++) {
		size_t used = (size_t)snprintf(name, sizeof name, "FLIGHTREC_UPLOAD_%s", keys[i].name);
		const char *value;
		int r;

		for (size_t c = 0; c < used; c++)
			name[c] = (char)toupper((unsigned char)name[c]);
		value = getenv(name);
		r = value ? set(config, &keys[i], value, why, sizeof why) : 0;
		if (r < 0) {
			snprintf(error, error_size, "environment: %s=%s: %s", name, value, why);
			return r;
		}
	}
	return 0;
}

int fr_upload_config_load(struct fr_upload_config *config, void (*warning)(void *ctx, const char *text), void *ctx,
			  char *error, size_t error_size)
{
	struct load load = { config, warning, ctx };
	struct fr_ini_reader reader = { take_entry, take_warning, &load };
	int r;

	fr_upload_config_default(config);
	r = fr_ini_load_config(&reader, error, error_size);
	return r < 0 ? r : take_environment(config, error, error_size);
}

int fr_upload_config_check(const struct fr_upload_config *config, char *why, size_t why_size)
{
	uint8_t guid[16];

	if (!*config->database) {
		snprintf(why, why_size, "database is not set in [upload]; want the GUID that the endpoint's owner gave you, or one "
					"of your own (/proc/sys/kernel/random/uuid makes one)");
		return -EINVAL;
	}
	if (fr_uuid_parse(guid, config->database) < 0) {
		snprintf(why, why_size, "database = %s: want a GUID such as 6f1f3f0e-8a51-4f0e-b3f5-5b9d6a4d6d10",
			 config->database);
		return -EINVAL;
	}
	if (*config->ca_file && access(config->ca_file, R_OK) < 0) {
		snprintf(why, why_size, "ca_file = %s can't be read: %s", config->ca_file, strerror(errno));
		return -EINVAL;
	}
	return 0;
}

int fr_upload_config_token(const struct fr_upload_config *config, char *buf, size_t size, char *why, size_t why_size)
{
	ssize_t used;
	int fd;

	buf[0] = '\0';
	if (!*config->token_file)
		return 0;
	fd = open(config->token_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	used = fd < 0 ? -1 : read(fd, buf, size);
	if (used < 0) {
		snprintf(why, why_size, "token_file = %s can't be read: %s", config->token_file, strerror(errno));
		if (fd >= 0)
			close(fd);
		buf[0] = '\0';
		return -EINVAL;
	}
	close(fd);
	while (used && (buf[used - 1] == '\n' || buf[used - 1] == '\r' || buf[used - 1] == ' '))
		used--;
	if ((size_t)used < size)
		buf[used] = '\0';
	for (ssize_t i = 0; i < used; i++)
		if ((size_t)used == size || buf[i] <= ' ' || buf[i] > '~')
			used = 0; /* what is no token must not end in a header */
	if (!used) {
		buf[0] = '\0';
		snprintf(why, why_size, "token_file = %s: want one line with a token of printable characters", config->token_file);
		return -EINVAL;
	}
	return 0;
}
