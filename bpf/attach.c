/* SPDX-License-Identifier: MIT */
/*
 * attach.c - which program records an event on this kernel, and how it gets there.
 *
 * Owns: the embedded objects, and the choice among their programs. The programs of one event are
 * tried in the order of core.bpf.c, then plain.bpf.c. All that were chosen are loaded at once; only
 * if the kernel refuses that, each is loaded alone, so that one refusal costs one event, and that
 * event's next program is tried.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/loader_impl.h"

#include "bpf/core.skel.h"
#include "bpf/plain.skel.h"

#define CANDIDATES_MAX 8
#define VMLINUX_BTF    "/sys/kernel/btf/vmlinux"

enum { CORE, PLAIN, OBJECTS };

struct candidate {
	int object;
	enum fr_bpf_variant variant;
	char program[64];
	char hook[48]; /* "sched_process_exec", or "sched/sched_process_exec" for a classic one */
};

struct choice {
	struct candidate candidate[CANDIDATES_MAX];
	unsigned count, at;
};

static struct bpf_object *open_object(int which)
{
	/*
	 * Types that this kernel lacks are looked for in vmlinux alone. Left to itself, libbpf
	 * would go through the BTF of all modules, which needs CAP_SYS_ADMIN, and refuse the
	 * program when it may not.
	 */
	LIBBPF_OPTS(bpf_object_open_opts, opts,
		    .object_name = which == CORE ? "fr_core" : "fr_plain",
		    .btf_custom_path =
			    which == CORE && access(VMLINUX_BTF, R_OK) == 0 ? VMLINUX_BTF : NULL);
	size_t size;
	const void *elf = which == CORE ? core_bpf__elf_bytes(&size) : plain_bpf__elf_bytes(&size);
	struct bpf_object *object = bpf_object__open_mem(elf, size, &opts);

	return libbpf_get_error(object) ? NULL : object;
}

static uint64_t hash(uint64_t h, const void *bytes, size_t size)
{
	const unsigned char *p = bytes;

	while (size--)
		h = (h ^ *p++) * 0x100000001b3ull; /* FNV-1a */
	return h;
}

uint64_t fr_bpf_build_hash(const struct fr_bpf *bpf)
{
	uint64_t h = 0xcbf29ce484222325ull;
	unsigned without = bpf->options.without & FR_BPF_NO_BTF;
	size_t size;
	const void *elf;

	elf = core_bpf__elf_bytes(&size);
	h = hash(h, elf, size);
	elf = plain_bpf__elf_bytes(&size);
	h = hash(h, elf, size);
	h = hash(h, &bpf->knobs, sizeof(bpf->knobs));
	h = hash(h, &bpf->options.ringbuf_bytes, sizeof(bpf->options.ringbuf_bytes));
	return hash(h, &without, sizeof(without));
}

/* "proc_exec__btf" belongs to proc.exec */
static int class_of_program(const char *program)
{
	const char *end = strstr(program, "__");

	for (unsigned c = 0; end && c < FR_CLASS_COUNT; c++) {
		const char *symbol = fr_catalogue_by_class(c)->symbol;

		if (strlen(symbol) == (size_t)(end - program) &&
		    memcmp(symbol, program, (size_t)(end - program)) == 0)
			return (int)c;
	}
	return -1;
}

static bool section_hook(const char *section, struct candidate *candidate)
{
	static const struct {
		const char *prefix;
		enum fr_bpf_variant variant;
	} kind[] = { { "tp_btf/", FR_BPF_TP_BTF },
		     { "raw_tp/", FR_BPF_RAW_TP },
		     { "tp/", FR_BPF_TRACEPOINT } };

	for (unsigned i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
		size_t length = strlen(kind[i].prefix);

		if (strncmp(section, kind[i].prefix, length) != 0)
			continue;
		candidate->variant = kind[i].variant;
		snprintf(candidate->hook, sizeof(candidate->hook), "%s", section + length);
		return true;
	}
	return false;
}

static void list_candidates(struct fr_bpf *bpf, const struct fr_bpf_kernel *kernel,
			    struct choice *choices)
{
	const char *why[FR_CLASS_COUNT] = { 0 };

	for (int which = kernel->btf ? CORE : PLAIN; which < OBJECTS; which++) {
		struct bpf_object *object = open_object(which);
		struct bpf_program *program;

		if (!object)
			continue;
		bpf_object__for_each_program(program, object) {
			struct candidate candidate = { .object = which };
			int c = class_of_program(bpf_program__name(program));
			bool there;

			if (c < 0 || !section_hook(bpf_program__section_name(program), &candidate))
				continue;
			if (candidate.variant == FR_BPF_TRACEPOINT)
				there = fr_bpf_kernel_classic(kernel, candidate.hook, &why[c]);
			else
				there = fr_bpf_kernel_typed(kernel, candidate.hook, &why[c]);
			if (!there || choices[c].count == CANDIDATES_MAX)
				continue;
			snprintf(candidate.program, sizeof(candidate.program), "%s",
				 bpf_program__name(program));
			choices[c].candidate[choices[c].count++] = candidate;
		}
		bpf_object__close(object);
	}
	for (unsigned c = 0; c < FR_CLASS_COUNT; c++)
		if (!choices[c].count)
			fr_bpf_fail(bpf, c, why[c] ? why[c] : "there is no program for it");
}

static const struct candidate *chosen(const struct choice *choice)
{
	return choice->at < choice->count ? &choice->candidate[choice->at] : NULL;
}

static int attach_classic(const struct fr_bpf_kernel *kernel, const char *path,
			  struct fr_bpf_hook *hook)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT,
					.size = sizeof(attr),
					.sample_period = 1 };
	int id = fr_bpf_kernel_tracepoint_id(kernel, path), fd;

	if (id < 0)
		return id;
	attr.config = (unsigned)id;
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	hook->link_fd = bpf_link_create(hook->prog_fd, fd, BPF_PERF_EVENT, NULL);
	if (hook->link_fd >= 0) { /* the link holds the event; without links (before 5.15) we do */
		ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
		close(fd);
		return 0;
	}
	hook->link_fd = -1;
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, hook->prog_fd) < 0 ||
	    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	hook->perf_fd = fd;
	return 0;
}

static int attach_one(struct fr_bpf *bpf, const struct fr_bpf_kernel *kernel, unsigned c,
		      const struct candidate *candidate, int prog_fd)
{
	struct fr_bpf_hook *hook = &bpf->hook[c];
	int error = 0;

	hook->prog_fd = fcntl(prog_fd, F_DUPFD_CLOEXEC, 3);
	if (hook->prog_fd < 0)
		return -errno;
	if (candidate->variant == FR_BPF_TRACEPOINT) {
		error = attach_classic(kernel, candidate->hook, hook);
	} else {
		const char *name = candidate->variant == FR_BPF_RAW_TP ? candidate->hook : NULL;

		hook->link_fd = bpf_raw_tracepoint_open(name, hook->prog_fd);
		if (hook->link_fd < 0) {
			error = -errno;
			hook->link_fd = -1;
		}
	}
	if (error) {
		close(hook->prog_fd);
		hook->prog_fd = -1;
		return error;
	}
	hook->probe.state = FR_BPF_ATTACHED;
	hook->probe.variant = candidate->variant;
	hook->probe.why[0] = '\0';
	snprintf(hook->probe.hook, sizeof(hook->probe.hook), "%s", candidate->hook);
	fr_bpf_pins_probe(bpf, c);
	return 0;
}

static int prepare(struct fr_bpf *bpf, struct bpf_object *object, const struct choice *choices,
		   unsigned classes)
{
	struct bpf_map *map;
	struct bpf_program *program;

	bpf_object__for_each_map(map, object) {
		const char *name = bpf_map__name(map);
		int error = 0;

		if (strcmp(name, "events") == 0)
			error = bpf_map__reuse_fd(map, bpf->events_fd);
		else if (strcmp(name, "counts") == 0)
			error = bpf_map__reuse_fd(map, bpf->counts_fd);
		if (error)
			return error;
	}
	map = bpf_object__find_map_by_name(object, ".rodata.knobs");
	if (!map)
		return -ENOENT;
	if (bpf_map__set_initial_value(map, &bpf->knobs, sizeof(bpf->knobs)) < 0)
		return -EINVAL;
	bpf_object__for_each_program(program, object) {
		int c = class_of_program(bpf_program__name(program));
		bool wanted = c >= 0 && (classes & 1u << c) &&
			      strcmp(chosen(&choices[c])->program, bpf_program__name(program)) == 0;

		bpf_program__set_autoload(program, wanted);
	}
	return 0;
}

/* Loads the chosen programs of these classes (bits) from one object, and attaches them. */
static void load(struct fr_bpf *bpf, const struct fr_bpf_kernel *kernel, int which,
		 struct choice *choices, unsigned classes)
{
	struct bpf_object *object = open_object(which);
	int error = object ? prepare(bpf, object, choices, classes) : -ENOMEM;

	bpf->last_line[0] = '\0';
	if (!error)
		error = bpf_object__load(object);
	if (error && (classes & (classes - 1))) { /* which of them is it? */
		bpf_object__close(object);
		for (unsigned c = 0; c < FR_CLASS_COUNT; c++)
			if (classes & 1u << c)
				load(bpf, kernel, which, choices, 1u << c);
		return;
	}
	for (unsigned c = 0; c < FR_CLASS_COUNT; c++) {
		const struct candidate *candidate = chosen(&choices[c]);
		int result = error;
		char why[sizeof(bpf->hook[c].probe.why)];

		if (!(classes & 1u << c))
			continue;
		if (!result)
			result = attach_one(bpf, kernel, c, candidate,
					    bpf_program__fd(bpf_object__find_program_by_name(
						    object, candidate->program)));
		if (!result)
			continue;
		snprintf(why, sizeof(why), "%s %.47s: %s%s%.70s",
			 fr_bpf_variant_name(candidate->variant), candidate->hook,
			 strerror(-result), bpf->last_line[0] ? ": " : "", bpf->last_line);
		fr_bpf_fail(bpf, c, why);
		choices[c].at++;
	}
	bpf_object__close(object);
}

void fr_bpf_attach(struct fr_bpf *bpf)
{
	struct choice choices[FR_CLASS_COUNT] = { 0 };
	struct fr_bpf_kernel kernel;
	unsigned waiting = 0;

	for (unsigned c = 0; c < FR_CLASS_COUNT; c++)
		if (bpf->hook[c].probe.state == FR_BPF_FAILED)
			waiting |= 1u << c;
	if (!waiting)
		return;

	fr_bpf_kernel_open(bpf, &kernel);
	list_candidates(bpf, &kernel, choices);
	fr_bpf_kernel_close(&kernel); /* its types take megabytes, and libbpf brings its own */
	for (;;) {
		unsigned classes = 0;
		int which = OBJECTS;

		/* the best object that anybody still waits for */
		for (unsigned c = 0; c < FR_CLASS_COUNT; c++) {
			const struct candidate *candidate = chosen(&choices[c]);

			if ((waiting & 1u << c) && bpf->hook[c].probe.state == FR_BPF_FAILED &&
			    candidate && candidate->object < which)
				which = candidate->object;
		}
		if (which == OBJECTS)
			break;
		for (unsigned c = 0; c < FR_CLASS_COUNT; c++) {
			const struct candidate *candidate = chosen(&choices[c]);

			if ((waiting & 1u << c) && bpf->hook[c].probe.state == FR_BPF_FAILED &&
			    candidate && candidate->object == which)
				classes |= 1u << c;
		}
		load(bpf, &kernel, which, choices, classes);
	}
}
