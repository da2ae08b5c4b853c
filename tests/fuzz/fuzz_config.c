/* SPDX-License-Identifier: MIT */
/*
 * fuzz_config.c - property: whatever a configuration says, daemon and uploader either refuse it
 * with one line that names the file, or take what lies within the bounds of flightrec.conf(5) and
 * reads back the same when it is written down.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recorder/daemon/config.h"
#include "recorder/daemon/log.h"
#include "schemas/fr_format.h"
#include "tests/fuzz/fuzz.h"
#ifdef HAVE_CURL
#include "uploader/upload_config.h"
#endif

static char path[64];
static int file = -1;

static bool names_the_file(const char *text)
{
	return !strncmp(text, path, strlen(path)) && text[strlen(path)] == ':' && !strchr(text, '\n');
}

/* In place of recorder/daemon/log.c: what the reader of a configuration warns of. */
void log_line(int priority, const char *format, ...)
{
	char text[2048];
	va_list args;

	(void)priority;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	HOLDS(names_the_file(text));
}

static void put_file(const void *bytes, size_t size)
{
	if (file < 0) {
		file = memfd_create("fuzz.conf", MFD_CLOEXEC);
		HOLDS(file >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
		setenv("FLIGHTREC_CONFIG", path, 1);
	}
	HOLDS(ftruncate(file, 0) == 0 && pwrite(file, bytes, size, 0) == (ssize_t)size);
}

static bool within(uint64_t value, uint64_t min, uint64_t max)
{
	return value >= min && value <= max;
}

static void check_daemon(const struct config *c)
{
	HOLDS(memchr(c->ring_dir, '\0', sizeof(c->ring_dir)) && (!*c->ring_dir || *c->ring_dir == '/'));
	HOLDS(within(c->ring_size, 64 << 10, 1 << 30) && within(c->ring_size_max, c->ring_size, 1 << 30));
	HOLDS(within(c->rings_max, 1, 65536) && within(c->rings_bytes_max, 64 << 10, 1ull << 40));
	HOLDS(within(c->uid_rings_max, 1, 65536) && within(c->uid_bytes_max, 64 << 10, 1ull << 40));
	HOLDS(within(c->connections_max, 1, 4096) && within(c->request_timeout_ms, 10, 60000));
	HOLDS(within(c->attach_rate, 1, 100000) && c->socket_mode <= 0777);
	HOLDS(within(c->system_ring_size, 256 << 10, 1 << 30) && within(c->drain_interval_ms, 1000, 3600000));
	HOLDS(c->kernel_log_level <= 7);
	HOLDS(c->gate_count <= CONFIG_GATES_MAX && c->event_count <= CONFIG_EVENTS_MAX);
	for (unsigned i = 0; i < c->gate_count; i++)
		HOLDS(c->gate[i].level <= FRM_LEVEL_VERBOSE && *c->gate[i].selector &&
		      memchr(c->gate[i].selector, '\0', sizeof(c->gate[i].selector)));
}

/* Every row as text, one configuration file. */
static size_t write_down(const struct config *config, char *text, size_t room)
{
	const char *section, *key;
	char value[FR_PATH_MAX];
	size_t used = 0;

	for (size_t i = 0; config_describe(config, i, &section, &key, value, sizeof(value)); i++)
		used += (size_t)snprintf(text + used, room - used, "[%s]\n%s = %s\n", section, key, value);
	HOLDS(used < room);
	return used;
}

static void read_daemons(const void *bytes, size_t size)
{
	static char was[16u << 10], is[16u << 10];
	struct config config;
	char error[1024] = "";
	size_t length;

	put_file(bytes, size);
	if (config_load(path, &config, error, sizeof(error)) < 0) {
		HOLDS(names_the_file(error) ||
		      (!strncmp(error, "[store] ring_size", 17) && !strchr(error, '\n')));
		return;
	}
	check_daemon(&config);
	length = write_down(&config, was, sizeof(was));
	put_file(was, length);
	HOLDS(config_load(path, &config, error, sizeof(error)) == 0);
	HOLDS(write_down(&config, is, sizeof(is)) == length && !memcmp(was, is, length));
}

#ifdef HAVE_CURL
static void warned(void *ctx, const char *text)
{
	(void)ctx;
	HOLDS(names_the_file(text));
}

static void read_uploaders(const void *bytes, size_t size)
{
	struct fr_upload_config c;
	char error[1024] = "";

	put_file(bytes, size);
	if (fr_upload_config_load(&c, warned, NULL, error, sizeof(error)) < 0) {
		HOLDS(names_the_file(error));
		return;
	}
	HOLDS(memchr(c.endpoint, '\0', sizeof(c.endpoint)) && memchr(c.database, '\0', sizeof(c.database)));
	HOLDS(memchr(c.token_file, '\0', sizeof(c.token_file)) && memchr(c.ca_file, '\0', sizeof(c.ca_file)));
	HOLDS(within(c.budget_bytes_per_day, 0, 1ull << 40) && within(c.batch_events, 1, 1000000));
	HOLDS(within(c.batch_bytes, 4096, 16 << 20) && within(c.zstd_level, 1, 19));
	HOLDS(within(c.connect_timeout_ms, 10, 600000) && within(c.timeout_ms, 10, 3600000));
	HOLDS(within(c.retry_base_ms, 1, 3600000) && within(c.retry_cap_ms, 1, 86400000));
	HOLDS(within(c.give_up_ms, 0, 86400000) && within(c.interval_ms, 100, 86400000));
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	read_daemons(bytes, size);
#ifdef HAVE_CURL
	read_uploaders(bytes, size);
#endif
	return 0;
}
