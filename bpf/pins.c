/* SPDX-License-Identifier: MIT */
/*
 * pins.c - what outlives the daemon: a directory of bpffs.
 *
 *	events	  the ring buffer, with the place up to which it was read
 *	counts	  emitted and dropped, by event id and CPU
 *	ledger	  drops carried over from replaced maps, and drops that were told
 *	link_*	  one for each attached probe
 *	prog_*	  its program
 *	stamp	  which build and options made all this
 *	previous_N  ring buffers of other stamps, oldest first, until they are read
 *
 * The stamp is made last and removed first. Pins without it, or with another, are not whole: their
 * links go, their drops are carried into the ledger, their ring buffer becomes the last previous_N,
 * and new ones are made. So a daemon may be killed between any two steps; only a kill between
 * carrying and removing `counts` tells some drops twice.
 *
 * The directory is locked (flock) while a recorder has it open. The kernel drops the lock with the
 * process.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/loader_impl.h"

#define PREVIOUS_MAX 8

struct path {
	char text[352];
};

struct name {
	char text[24];
};

static struct name previous_name(unsigned n)
{
	struct name name;

	snprintf(name.text, sizeof(name.text), "previous_%u", n);
	return name;
}

static struct path pin_path(const struct fr_bpf *bpf, const char *prefix, const char *name)
{
	struct path path;

	snprintf(path.text, sizeof(path.text), "%s/%s%s", bpf->pin_dir, prefix, name);
	return path;
}

static int get(const struct fr_bpf *bpf, const char *prefix, const char *name)
{
	return bpf_obj_get(pin_path(bpf, prefix, name).text);
}

static void drop(const struct fr_bpf *bpf, const char *prefix, const char *name)
{
	unlink(pin_path(bpf, prefix, name).text);
}

static int pin(struct fr_bpf *bpf, int fd, const char *prefix, const char *name)
{
	struct path path = pin_path(bpf, prefix, name);

	unlink(path.text);
	if (bpf_obj_pin(fd, path.text) == 0)
		return 0;
	fr_bpf_log(bpf, 0, "cannot pin %s: %s", path.text, strerror(errno));
	return -errno;
}

/* A map of one entry, if it has this size: another build's may not. */
static int read_single(int fd, void *value, size_t size)
{
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info), key = 0;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &length) < 0 || info.value_size != size ||
	    info.max_entries != 1)
		return -ENOENT;
	return bpf_map_lookup_elem(fd, &key, value) < 0 ? -errno : 0;
}

static void remove_links(struct fr_bpf *bpf)
{
	int fd = fcntl(bpf->pin_fd, F_DUPFD_CLOEXEC, 3);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	rewinddir(dir); /* the place is shared with pin_fd */
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, "link_", 5) == 0 ||
		    strncmp(entry->d_name, "prog_", 5) == 0)
			unlinkat(bpf->pin_fd, entry->d_name, 0);
	closedir(dir);
}

/* The drops of a map that goes, into the ledger that stays. */
static void carry(struct fr_bpf *bpf)
{
	int counts = get(bpf, "", "counts"), ledger = get(bpf, "", "ledger"),
	    cpus = libbpf_num_possible_cpus();
	struct fr_kevent_count *count = cpus > 0 ? calloc((size_t)cpus, sizeof(*count)) : NULL;
	uint32_t key = 0;

	if (read_single(ledger, &bpf->ledger, sizeof(bpf->ledger)) < 0) {
		memset(&bpf->ledger, 0, sizeof(bpf->ledger));
		if (ledger >= 0)
			close(ledger);
		ledger = -1;
		drop(bpf, "", "ledger");
	}
	for (uint32_t id = 0; count && counts >= 0 && id < FR_KEVENT_ID_END; id++)
		if (bpf_map_lookup_elem(counts, &id, count) == 0)
			for (int cpu = 0; cpu < cpus; cpu++)
				bpf->ledger.carried[id] += count[cpu].dropped;
	if (ledger >= 0)
		bpf_map_update_elem(ledger, &key, &bpf->ledger, BPF_ANY);
	drop(bpf, "", "counts");
	bpf->ledger_fd = ledger;
	free(count);
	if (counts >= 0)
		close(counts);
}

static void set_aside(struct fr_bpf *bpf)
{
	drop(bpf, "", "stamp");
	remove_links(bpf);
	carry(bpf);
	if (faccessat(bpf->pin_fd, "events", F_OK, 0) < 0)
		return;
	fr_bpf_log(bpf, 1,
		   "the programs in the kernel are of another build or of other options: replacing "
		   "them");
	for (unsigned n = 0; n < PREVIOUS_MAX; n++) {
		/* the last place is shared: more starts than that, killed one after the other, lose
		 * what came between */
		if (n < PREVIOUS_MAX - 1 &&
		    faccessat(bpf->pin_fd, previous_name(n).text, F_OK, 0) == 0)
			continue;
		renameat(bpf->pin_fd, "events", bpf->pin_fd, previous_name(n).text);
		break;
	}
}

static void find_probes(struct fr_bpf *bpf, const struct fr_bpf_stamp *stamp)
{
	for (unsigned c = 0; c < FR_CLASS_COUNT; c++) {
		struct fr_bpf_hook *hook = &bpf->hook[c];
		const char *symbol = fr_catalogue_by_class(c)->symbol;

		if (hook->probe.state != FR_BPF_OFF) {
			hook->link_fd = get(bpf, "link_", symbol);
			hook->prog_fd = get(bpf, "prog_", symbol);
		}
		if (hook->link_fd >= 0 && hook->prog_fd >= 0) {
			hook->probe.state = FR_BPF_RESUMED;
			hook->probe.variant = (enum fr_bpf_variant)stamp->variant[c];
			hook->probe.pinned = true;
			snprintf(hook->probe.hook, sizeof(hook->probe.hook), "%.47s",
				 stamp->hook[c]);
			continue;
		}
		drop(bpf, "link_", symbol);
		drop(bpf, "prog_", symbol);
		if (hook->link_fd >= 0)
			close(hook->link_fd);
		if (hook->prog_fd >= 0)
			close(hook->prog_fd);
		hook->link_fd = hook->prog_fd = -1;
	}
}

int fr_bpf_pins_open(struct fr_bpf *bpf)
{
	struct fr_bpf_stamp stamp = { 0 };
	int stamp_fd;

	bpf->pin_fd = open(bpf->pin_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (bpf->pin_fd < 0)
		return -errno;
	if (flock(bpf->pin_fd, LOCK_EX | LOCK_NB) < 0) {
		bpf->missing |= FR_BPF_IN_USE;
		return -EBUSY;
	}

	stamp_fd = get(bpf, "", "stamp");
	if (read_single(stamp_fd, &stamp, sizeof(stamp)) == 0 && stamp.build == bpf->build) {
		bpf->events_fd = get(bpf, "", "events");
		bpf->counts_fd = get(bpf, "", "counts");
		bpf->ledger_fd = get(bpf, "", "ledger");
		bpf->resumed = bpf->events_fd >= 0 && bpf->counts_fd >= 0 &&
			       read_single(bpf->ledger_fd, &bpf->ledger, sizeof(bpf->ledger)) == 0;
	}
	if (stamp_fd >= 0)
		close(stamp_fd);
	if (bpf->resumed) {
		find_probes(bpf, &stamp);
	} else {
		int *fds[] = { &bpf->events_fd, &bpf->counts_fd, &bpf->ledger_fd };

		for (unsigned i = 0; i < 3; i++) {
			if (*fds[i] >= 0)
				close(*fds[i]);
			*fds[i] = -1;
		}
		set_aside(bpf);
	}
	return 0;
}

void fr_bpf_pins_maps(struct fr_bpf *bpf)
{
	if (bpf->pin_fd < 0 || bpf->resumed)
		return;
	pin(bpf, bpf->events_fd, "", "events");
	pin(bpf, bpf->counts_fd, "", "counts");
	pin(bpf, bpf->ledger_fd, "", "ledger");
}

void fr_bpf_pins_probe(struct fr_bpf *bpf, unsigned class_no)
{
	struct fr_bpf_hook *hook = &bpf->hook[class_no];
	const char *symbol = fr_catalogue_by_class(class_no)->symbol;

	if (bpf->pin_fd < 0)
		return;
	if (hook->link_fd < 0) {
		snprintf(hook->probe.why, sizeof(hook->probe.why),
			 "ends with the recorder: this kernel pins no link of its kind");
		return;
	}
	hook->probe.pinned = pin(bpf, hook->prog_fd, "prog_", symbol) == 0 &&
			     pin(bpf, hook->link_fd, "link_", symbol) == 0;
	if (!hook->probe.pinned)
		snprintf(hook->probe.why, sizeof(hook->probe.why),
			 "ends with the recorder: it could not be pinned");
}

void fr_bpf_pins_stamp(struct fr_bpf *bpf)
{
	struct fr_bpf_stamp stamp = { .build = bpf->build };
	uint32_t key = 0;
	int fd = -1;

	if (bpf->pin_fd < 0)
		return;
	for (unsigned c = 0; c < FR_CLASS_COUNT; c++) {
		stamp.variant[c] = (uint8_t)bpf->hook[c].probe.variant;
		snprintf(stamp.hook[c], sizeof(stamp.hook[c]), "%s", bpf->hook[c].probe.hook);
	}
	/* of whole pins the stamp is changed in place: they must not be without it for an instant
	 */
	if (bpf->resumed)
		fd = get(bpf, "", "stamp");
	else
		fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "fr_stamp", sizeof(key), sizeof(stamp), 1,
				    NULL);
	if (fd < 0 || bpf_map_update_elem(fd, &key, &stamp, BPF_ANY) < 0)
		fr_bpf_log(bpf, 0, "cannot make the stamp of the pins: %s", strerror(errno));
	else if (!bpf->resumed)
		pin(bpf, fd, "", "stamp");
	if (fd >= 0)
		close(fd);
}

int fr_bpf_pins_previous(const struct fr_bpf *bpf, unsigned n)
{
	return bpf->pin_fd < 0 || n >= PREVIOUS_MAX ? -1 : get(bpf, "", previous_name(n).text);
}

void fr_bpf_pins_drained(struct fr_bpf *bpf)
{
	for (unsigned n = 0; bpf->pin_fd >= 0 && n < PREVIOUS_MAX; n++)
		drop(bpf, "", previous_name(n).text);
}

void fr_bpf_pins_remove(struct fr_bpf *bpf)
{
	static const char *const maps[] = { "events", "counts", "ledger" };

	if (bpf->pin_fd < 0)
		return;
	drop(bpf, "", "stamp");
	remove_links(bpf);
	for (unsigned i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		drop(bpf, "", maps[i]);
	fr_bpf_pins_drained(bpf);
	rmdir(bpf->pin_dir);
}
