/* SPDX-License-Identifier: MIT */
/* machine.c - see machine.h. */
#include "tests/torture/power_cut/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "recorder/core/check.h"
#include "recorder/core/encode.h"
#include "recorder/core/host.h"
#include "recorder/core/map.h"
#include "recorder/core/paths.h"
#include "recorder/core/ringfile.h"
#include "tests/torture/power_cut/disk.h"

#define DATABASE "6f1f3f0e-8a51-4f0e-b3f5-5b9d6a4d6d10"

char machine_context[512];

static const uint8_t guid[16] = { 0xd1, 0x5c, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14 };

static void path_of(char path[MACHINE_PATH], const char *dir, const char *name)
{
	REQUIRE(snprintf(path, MACHINE_PATH, "%s/%s", dir, name) < MACHINE_PATH);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void machine_wipe(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void machine_boot_id(char boot, uint8_t id[16])
{
	memset(id, 0xb0 | (boot & 15), 16);
	id[6] = 0x40;
}

void machine_make(struct machine *machine, const char *work, const char *disk)
{
	*machine = (struct machine){ .boot = 'A' };
	snprintf(machine->work, MACHINE_PATH, "%s", work);
	path_of(machine->root, work, disk);
	fr_path_make(work, 0700);
}

void machine_remove(struct machine *machine)
{
	machine_stop_receiver(machine);
	machine_wipe(machine->work);
}

static void write_file(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	REQUIRE(fd >= 0 && write(fd, bytes, size) == (ssize_t)size, "%s: %s", path, strerror(errno));
	close(fd);
}

/* ------------------------------------------------------------------ programs */

static const char *built(char path[MACHINE_PATH], const char *name)
{
	const char *build = getenv("FR_BUILD");

	REQUIRE(build, "run it by make check");
	path_of(path, build, name);
	return path;
}

static void set_below(const char *variable, const char *root, const char *name)
{
	char path[MACHINE_PATH];

	path_of(path, root, name);
	setenv(variable, path, 1);
}

static void set_up_child(const struct machine *machine)
{
	char path[MACHINE_PATH], uuid[38], shift[32], options[256];
	const char *asan = getenv("ASAN_OPTIONS");
	uint8_t id[16];

	machine_boot_id(machine->boot, id);
	fr_uuid_text(uuid, id);
	strcat(uuid, "\n");
	path_of(path, machine->work, "boot_id");
	write_file(path, uuid, strlen(uuid));
	setenv(DISK_ENV_BOOT_ID, path, 1);
	snprintf(shift, sizeof(shift), "%lld", (long long)machine->clock_shift_s);
	setenv(DISK_ENV_CLOCK, shift, 1);
	setenv(DISK_ENV_ROOT, machine->root, 1);
	setenv(DISK_ENV_LOG, machine->journal, 1);
	setenv("FLIGHTREC_CONFIG", "/dev/null", 1);
	set_below("FLIGHTREC_STATE_DIR", machine->root, "state");
	set_below("FLIGHTREC_PSTORE_DIR", machine->root, "pstore");
	set_below("FLIGHTREC_PSTORE_ARCHIVE", machine->root, "archive");
	setenv("LD_PRELOAD", built(path, "tests/torture/power_cut/disk_log.so"), 1);
	snprintf(options, sizeof(options), "%s%sverify_asan_link_order=0", asan ? asan : "", asan ? ":" : "");
	setenv("ASAN_OPTIONS", options, 1);
}

static void redirect(const struct machine *machine, const char *name, int to)
{
	char path[MACHINE_PATH];
	int fd;

	path_of(path, machine->work, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	REQUIRE(fd >= 0 && dup2(fd, to) == to, "%s: %s", path, strerror(errno));
	close(fd);
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		REQUIRE(errno == EINTR, "%s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int machine_run(const struct machine *machine, const char *const *words)
{
	const char *argv[16] = { "flightrec" };
	char path[MACHINE_PATH];
	pid_t pid;

	for (size_t i = 0; words[i]; i++)
		argv[i + 1] = words[i];
	pid = fork();
	REQUIRE(pid >= 0, "%s", strerror(errno));
	if (pid)
		return wait_for(pid);
	redirect(machine, "out", 1);
	redirect(machine, "err", 2);
	set_up_child(machine);
	execv(built(path, "flightrec"), (char *const *)argv);
	_exit(127);
}

char *machine_said(const struct machine *machine, const char *where)
{
	char path[MACHINE_PATH], *text;
	struct stat st;
	int fd;

	path_of(path, machine->work, where);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	REQUIRE(fd >= 0 && fstat(fd, &st) == 0, "%s: %s", path, strerror(errno));
	text = calloc(1, (size_t)st.st_size + 1);
	REQUIRE(text && read(fd, text, (size_t)st.st_size) == st.st_size, "%s: %s", path, strerror(errno));
	close(fd);
	return text;
}

int machine_upload(const struct machine *machine)
{
	char endpoint[64];

	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", machine->port);
	return MACHINE_RUN(machine, "upload", "-q", "--endpoint", endpoint, "--database", DATABASE,
			   "-o", "batch_events=45", "-o", "retry_base=5ms", "-o", "zstd_level=1");
}

/* ------------------------------------------------------------------ the receiver */

void machine_start_receiver(struct machine *machine)
{
	char db[MACHINE_PATH], port_file[MACHINE_PATH], path[MACHINE_PATH];
	const struct timespec pause = { .tv_nsec = 1000000 };
	FILE *file = NULL;
	pid_t parent = getpid();

	path_of(db, machine->work, "fleet.db");
	path_of(port_file, machine->work, "port");
	unlink(port_file);
	machine->collector = fork();
	REQUIRE(machine->collector >= 0, "%s", strerror(errno));
	if (!machine->collector) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		redirect(machine, "collector.log", 2);
		REQUIRE(getppid() == parent);
		execl(built(path, "flightrec-collector"), "flightrec-collector", "--listen",
		      "127.0.0.1:0", "--db", db, "--port-file", port_file, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 120000 && !file; i++) {
		file = fopen(port_file, "re");
		nanosleep(&pause, NULL);
	}
	REQUIRE(file && fscanf(file, "%u", &machine->port) == 1, "the receiver does not begin");
	fclose(file);
}

void machine_stop_receiver(struct machine *machine)
{
	if (machine->collector <= 0)
		return;
	kill(machine->collector, SIGTERM);
	wait_for(machine->collector);
	machine->collector = 0;
}

/* ------------------------------------------------------------------ what lies on the disk */

static void record(struct fr_ring *ring, unsigned number, unsigned event, unsigned count)
{
	struct fr_lane lane;

	fr_ring_lane(ring, number, &lane);
	fr_ring_lane_owner(ring, &lane, 0, 100 + number, "writer");
	for (unsigned i = 0; i < count; i++) {
		struct fr_stamp stamp = { .time_ns = 5000000000u + 1000u * i + number,
					  .event = (uint16_t)event,
					  .tid = 100 + number };
		struct fr_value value = { .type = FRM_U64, .u = 1000 * number + i };

		REQUIRE(fr_emit(&lane, &stamp, &value, 1) == 0);
	}
}

static void set_birth(struct fr_ring *ring, uint64_t real_ns)
{
	for (int copy = 0; copy < 2; copy++) {
		struct frm_meta *meta = ring->meta[copy];

		meta->super.created_boot_ns = 1000000000;
		meta->super.created_real_ns = real_ns;
		fr_super_sign(&meta->super);
		meta->tables.anchor[0] = (struct frm_anchor) { .boot_ns = 1000000000,
							       .mono_ns = 1000000000,
							       .real_ns = real_ns };
		fr_anchor_sign(&meta->tables.anchor[0], ring->super.ring_id);
	}
}

void machine_put_ring(const struct machine *machine, pid_t pid, uint64_t start_ns,
		      uint64_t boot_seq, unsigned count, char name[128])
{
	static unsigned rings;
	static const struct fr_field_spec field = { FRM_U64, "number", "" };
	struct fr_identity identity = { .kind = FRM_KIND_PROCESS,
					.pid = (uint32_t)pid,
					.start_time_ns = start_ns,
					.boot_seq = boot_seq,
					.comm = "writer",
					.creator = "test" };
	struct fr_geometry geometry = { .ring_size = FRM_RING_MIN, .lanes = 3, .shared_lanes = 1 };
	char dir[MACHINE_PATH], file[FR_RING_NAME_MAX];
	struct fr_ring ring;
	int fd, provider;

	path_of(dir, machine->root, "state/rings");
	fr_host_machine_id(identity.machine_id);
	machine_boot_id(machine->boot, identity.boot_id);
	for (unsigned i = 0; i < 16; i++) /* the same in each run, as far as a seed repeats anything, but in no order */
		identity.ring_id[i] = (uint8_t)((rings + 1) * (2 * i + 37) + i * 61);
	rings++;
	fd = fr_ringfile_create(dir, 0600, &geometry, &identity, file);
	REQUIRE(fd >= 0 && fr_ring_map(fd, &ring) == 0, "%s", dir);
	set_birth(&ring, ((uint64_t)(time(NULL) + machine->clock_shift_s)) * 1000000000u);
	provider = fr_ring_declare_provider(&ring, guid, "torture", 1, 0);
	record(&ring, 0,
	       (unsigned)fr_ring_declare_event(&ring, (uint16_t)provider, "tick", FRM_LEVEL_INFO, 0,
					       &field, 1),
	       count);
	fr_ring_unmap(&ring);
	close(fd);
	snprintf(name, 128, "state/rings/%s", file);
}

void machine_add_records(const struct machine *machine, const char *name, unsigned lane, unsigned count)
{
	char path[MACHINE_PATH];
	struct fr_ring ring;
	int fd;

	path_of(path, machine->root, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	REQUIRE(fd >= 0 && fr_ring_map(fd, &ring) == 0, "%s", path);
	record(&ring, lane, 1, count);
	fr_ring_unmap(&ring);
	close(fd);
}

void machine_put_file(const struct machine *machine, const char *name, const char *text, int64_t mtime_s)
{
	struct timespec times[2] = { { .tv_sec = mtime_s }, { .tv_sec = mtime_s } };
	char path[MACHINE_PATH];

	path_of(path, machine->root, name);
	write_file(path, text, strlen(text));
	REQUIRE(utimensat(AT_FDCWD, path, times, 0) == 0);
}

void machine_settle(const struct machine *machine, const char *name)
{
	char path[MACHINE_PATH], *bytes;
	struct disk_entry entry = { .op = DISK_PUT, .name_size = (uint32_t)strlen(name) };
	int fd, journal = open(machine->journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	struct stat st;

	path_of(path, machine->root, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	REQUIRE(fd >= 0 && fstat(fd, &st) == 0 && journal >= 0, "%s: %s", path, strerror(errno));
	bytes = malloc((size_t)st.st_size + 1);
	REQUIRE(bytes && read(fd, bytes, (size_t)st.st_size) == st.st_size, "%s: %s", path, strerror(errno));
	entry.inode = st.st_ino;
	entry.data_size = (uint64_t)st.st_size;
	entry.mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
	REQUIRE(write(journal, &entry, sizeof(entry)) == (ssize_t)sizeof(entry) &&
		write(journal, name, entry.name_size) == (ssize_t)entry.name_size &&
		write(journal, bytes, entry.data_size) == (ssize_t)entry.data_size, "%s", strerror(errno));
	free(bytes);
	close(journal);
	close(fd);
}
