/* SPDX-License-Identifier: MIT */
/*
 * attach.c - how the process gets its ring: from the daemon if one answers, else a file of its own.
 *
 * Nothing is kept open: the mapping alone remains, so that a program that closes all descriptors closes nothing of ours. Also
 * runs in a child after fork, at its first event; there it uses system calls and the stack, no allocator.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "recorder/client/client.h"
#include "recorder/core/host.h"
#include "recorder/core/ini.h"
#include "recorder/core/paths.h"
#include "recorder/core/ringfile.h"
#include "recorder/core/testpoint.h"

#define DEFAULT_RING_SIZE (2u << 20)
#define DEFAULT_RINGS_MAX (512u << 20)

struct fr_client *fr_client;

/* What a fork must not wipe. */
static uint32_t generations;
static struct {
	void *base;
	size_t size;
} parents_ring;

/* What the kernel did not promise to wipe: struct fr_client, the lanes. */
static struct {
	void *memory;
	size_t size;
} by_hand[2];

static void wipe_in_child(void)
{
	for (size_t i = 0; i < 2; i++)
		if (by_hand[i].memory)
			memset(by_hand[i].memory, 0, by_hand[i].size);
}

int fr_client_wipe_in_child(void *memory, size_t size, bool lanes)
{
	static bool registered;

	by_hand[lanes].memory = NULL;
	if (madvise(memory, size, MADV_WIPEONFORK) == 0)
		return 0;
	if (!registered && pthread_atfork(NULL, NULL, wipe_in_child) != 0)
		return -ENOMEM;
	registered = true;
	by_hand[lanes].size = size;
	by_hand[lanes].memory = memory;
	return 0;
}

int fr_client_setup(void)
{
	struct fr_client *client;

	if (fr_load_acquire(&fr_client))
		return 0;
	client = mmap(NULL, sizeof(*client), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (client == MAP_FAILED)
		return -errno;
	/*
	 * fr_client_attach() makes sure of it, under the lock; but a child that another thread forks
	 * before that would find the lock taken, for good
	 */
	(void)madvise(client, sizeof(*client), MADV_WIPEONFORK);
	if (!__sync_bool_compare_and_swap(&fr_client, NULL, client))
		munmap(client, sizeof(*client));
	return 0;
}

/* A size such as 65536, 512K or 4M from the environment, in whole pages; `otherwise` when it isn't set or out of bounds. */
static uint64_t size_from(const char *variable, uint64_t most, uint64_t otherwise)
{
	const char *text = secure_getenv(variable); /* who starts a setuid program fills no disk with it, and removes no ring */
	uint64_t value;
	char why[128];

	if (!text || fr_ini_size(text, FRM_RING_MIN, most, &value, why, sizeof(why)) < 0)
		return otherwise;
	return value & ~(uint64_t)(FRM_PAGE - 1);
}

/* Makes the process's own ring file. Returns its descriptor. */
static int own_ring(struct fr_client *client, const struct fr_geometry *geometry)
{
	struct fr_identity identity = { .kind = FRM_KIND_PROCESS, .creator = "libflightrec " FR_VERSION };
	char dir[FR_PATH_MAX], state[FR_PATH_MAX], name[FR_RING_NAME_MAX];
	const char *given = secure_getenv("FLIGHTREC_RING_DIR");
	int fd, r = fr_path_state(state, sizeof(state), "");

	if (r == 0 && given && given[0] == '/' && strlen(given) < sizeof(dir))
		strcpy(dir, given);
	else if (r == 0)
		r = fr_path_state(dir, sizeof(dir), "rings");
	if (r == 0)
		r = fr_path_make(state, 0755);
	if (r == 0)
		r = fr_path_make(dir, geteuid() == 0 ? 0755 : 0700);
	if (r < 0)
		return r;
	r = fr_host_identity(getpid(), &identity);
	if (r < 0 && r != -ESRCH && r != -ENOENT)
		return r; /* a ring that does not say whose it is would pass for a dead writer's */
	if (r < 0) { /* no /proc here */
		identity.pid = (uint32_t)getpid();
		identity.ppid = (uint32_t)getppid();
		identity.uid = getuid();
		identity.gid = getgid();
		prctl(PR_GET_NAME, identity.comm);
	}
	identity.boot_seq = fr_host_boot_seq(state, identity.boot_id);
	fr_client_make_room(dir, state, geometry->ring_size, size_from("FLIGHTREC_RINGS_MAX", UINT64_MAX, DEFAULT_RINGS_MAX));
	fd = fr_ringfile_create(dir, 0640, geometry, &identity, name);
	if (fd >= 0 && strlen(dir) + strlen(name) + 1 < sizeof(client->path)) {
		strcpy(client->path, dir);
		strcat(client->path, "/");
		strcat(client->path, name);
	}
	return fd;
}

static bool failed_just_now(struct fr_client *client)
{
	return fr_load_relaxed(&client->error) && fr_clock_boot_ns() < fr_load_relaxed(&client->retry_ns);
}

static int failed(struct fr_client *client, int error)
{
	fr_store_relaxed(&client->retry_ns, fr_clock_boot_ns() + FR_ATTACH_AGAIN_NS);
	fr_store_relaxed(&client->error, error);
	return error;
}

int fr_client_attach(struct fr_client *client)
{
	struct fr_geometry geometry = { .ring_size = size_from("FLIGHTREC_RING_SIZE", FRM_RING_MAX, 0) };
	const char *lanes = secure_getenv("FLIGHTREC_LANES"), *policy = secure_getenv("FLIGHTREC_POLICY");
	uint32_t generation = generations % 0xffff + 1, missed;
	int fd, r;

	if (client->generation)
		return 0;
	if (failed_just_now(client))
		return client->error;
	r = fr_client_wipe_in_child(client, sizeof(*client), false);
	if (r < 0)
		return failed(client, r);
	geometry.lanes = lanes ? (uint32_t)strtoul(lanes, NULL, 10) : 0;
	geometry.policy = policy && !strcmp(policy, "discard") ? FRM_POLICY_DISCARD : FRM_POLICY_OVERWRITE;
	fd = fr_client_ask_daemon(geometry.ring_size, geometry.lanes, geometry.policy);
	client->from_daemon = fd >= 0;
	if (!geometry.ring_size)
		geometry.ring_size = DEFAULT_RING_SIZE; /* the daemon has a default of its own */
	if (fd < 0)
		fd = own_ring(client, &geometry);
	r = fd < 0 ? fd : fr_ring_map(fd, &client->ring);
	if (fd >= 0)
		close(fd);
	if (r == 0) {
		r = fr_lanes_setup(client, generation);
		if (r < 0)
			fr_ring_unmap(&client->ring);
	}
	if (r < 0) {
		if (client->path[0]) /* a ring that nobody writes would stay as long as this process */
			unlink(client->path);
		client->path[0] = 0;
		return failed(client, r);
	}
	fr_store_relaxed(&client->error, 0);
	FR_TESTPOINT("client-attached");
	generations = generation;
	client->anchor_due_ns = fr_clock_boot_ns() + FR_ANCHOR_EVERY_NS;
	fr_providers_redeclare(client);
	fr_modules_declare(client);
	if (parents_ring.base) /* in a child: until here the gates were read there */
		munmap(parents_ring.base, parents_ring.size);
	parents_ring.base = client->ring.base;
	parents_ring.size = client->ring.size;
	/* from here on other threads use all this without the lock; pairs with the acquire in fr_client_ready() */
	fr_store_release(&client->generation, generation);
	missed = __atomic_exchange_n(&client->missed, 0, __ATOMIC_RELAXED);
	if (missed)
		fr_ring_count_loss(&client->ring, FRM_LOSS_DISCARDED_BUSY, missed);
	return 0;
}

bool fr_client_enter(struct fr_client *client, int *ret_cancel)
{
	if (fr_thread.inside)
		return false;
	fr_thread.inside = true;
	fr_barrier_signal();
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, ret_cancel);
	pthread_mutex_lock(&client->lock);
	return true;
}

void fr_client_leave(struct fr_client *client, int cancel)
{
	pthread_mutex_unlock(&client->lock);
	fr_barrier_signal();
	fr_thread.inside = false;
	pthread_setcancelstate(cancel, NULL);
}

bool fr_client_ready(struct fr_client *client)
{
	int cancel;

	if (__builtin_expect(fr_load_acquire(&client->generation) != 0, 1))
		return true;
	if (failed_just_now(client))
		return false;
	if (!fr_client_enter(client, &cancel)) {
		fr_add(&client->missed, 1);
		return false;
	}
	fr_client_attach(client);
	fr_client_leave(client, cancel);
	return client->generation != 0;
}

/* exit() is an end in order, also for a program that does not unregister. */
__attribute__((destructor)) static void leave_in_order(void)
{
	if (fr_client && fr_client->generation)
		fr_ring_close_mark(&fr_client->ring, true);
}
