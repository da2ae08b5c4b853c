/* SPDX-License-Identifier: MIT */
/*
 * kernel.c - what this kernel has: type information, file systems, tracepoints. Asked of the
 * kernel, never of its version.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/btf.h>

#include "bpf/loader_impl.h"
#include "bpf/plain.bpf.h"

static bool is_fs(const char *path, long magic)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == magic;
}

static bool mount_on(struct fr_bpf *bpf, const char *type, const char *path)
{
	if (mount(type, path, type, MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  type[0] == 'b' ? "mode=0700" : NULL) < 0) {
		fr_bpf_log(bpf, 1, "cannot mount %s on %s: %s", type, path, strerror(errno));
		return false;
	}
	fr_bpf_log(bpf, 1, "mounted %s on %s", type, path);
	return true;
}

bool fr_bpf_kernel_bpffs(struct fr_bpf *bpf, const char *dir)
{
	static const char usual[] = "/sys/fs/bpf";
	char parent[sizeof(bpf->pin_dir)];
	char *slash;

	if (is_fs(dir, BPF_FS_MAGIC))
		return true;
	snprintf(parent, sizeof(parent), "%s", dir);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return false;
	*slash = '\0';
	if (!is_fs(parent, BPF_FS_MAGIC) &&
	    (strcmp(parent, usual) != 0 || !mount_on(bpf, "bpf", usual)))
		return false;
	return mkdir(dir, 0700) == 0 || errno == EEXIST;
}

bool fr_bpf_kernel_boot_clock(void)
{
	const enum bpf_func_id boot_clock = BPF_FUNC_ktime_get_boot_ns;

	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_TRACEPOINT, boot_clock, NULL) == 1;
}

void fr_bpf_kernel_open(struct fr_bpf *bpf, struct fr_bpf_kernel *kernel)
{
	static const char *const place[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };

	memset(kernel, 0, sizeof(*kernel));
	if (!(bpf->options.without & FR_BPF_NO_BTF)) {
		kernel->btf = btf__load_vmlinux_btf();
		if (libbpf_get_error(kernel->btf))
			kernel->btf = NULL;
	}
	if (!kernel->btf)
		bpf->missing |= FR_BPF_NO_BTF;

	if (!(bpf->options.without & FR_BPF_NO_TRACEFS)) {
		for (unsigned i = 0; i < 2 && !kernel->tracefs[0]; i++)
			if (is_fs(place[i], TRACEFS_MAGIC))
				snprintf(kernel->tracefs, sizeof(kernel->tracefs), "%s", place[i]);
		/* only classic tracepoints need it: else there's no reason to change the machine */
		if (!kernel->tracefs[0] && !kernel->btf && mount_on(bpf, "tracefs", place[0]))
			snprintf(kernel->tracefs, sizeof(kernel->tracefs), "%s", place[0]);
	}
	if (!kernel->tracefs[0] && !kernel->btf)
		bpf->missing |= FR_BPF_NO_TRACEFS;
}

void fr_bpf_kernel_close(struct fr_bpf_kernel *kernel)
{
	btf__free(kernel->btf);
	kernel->btf = NULL;
}

bool fr_bpf_kernel_typed(const struct fr_bpf_kernel *kernel, const char *tracepoint,
			 const char **ret_why)
{
	char type[80];

	if (!kernel->btf) {
		*ret_why = "the kernel has no BTF";
		return false;
	}
	snprintf(type, sizeof(type), "btf_trace_%s", tracepoint);
	if (btf__find_by_name_kind(kernel->btf, type, BTF_KIND_TYPEDEF) > 0)
		return true;
	*ret_why = "the kernel has no such tracepoint";
	return false;
}

static int read_small(const struct fr_bpf_kernel *kernel, const char *path, const char *file,
		      char *buf, size_t size)
{
	char full[192];
	ssize_t n;
	int fd;

	snprintf(full, sizeof(full), "%s/events/%s/%s", kernel->tracefs, path, file);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	buf[n] = '\0';
	return 0;
}

int fr_bpf_kernel_tracepoint_id(const struct fr_bpf_kernel *kernel, const char *path)
{
	char text[32];
	int r = read_small(kernel, path, "id", text, sizeof(text));

	return r < 0 ? r : atoi(text);
}

/* "field:int old_pid;\toffset:16;\tsize:4;" and "field:char comm[16];\toffset:20;\tsize:16;" */
static bool has_member(char *format, const char *name, unsigned offset, unsigned size)
{
	size_t length = strlen(name);

	for (char *at = format; (at = strstr(at, name)); at += length) {
		unsigned has_offset, has_size;
		char *end = strchr(at, ';');

		if (at == format || at[-1] != ' ' || (at[length] != ';' && at[length] != '[') ||
		    !end)
			continue;
		if (sscanf(end, "; offset:%u; size:%u;", &has_offset, &has_size) == 2)
			return has_offset == offset && has_size == size;
	}
	return false;
}

static bool same_layout(const struct fr_bpf_kernel *kernel, const char *path)
{
	static const struct {
		const char *path, *member;
		unsigned offset, size;
	} wanted[] = {
#define ROW(category, tracepoint, member)                                                          \
	{ #category "/" #tracepoint, #member, offsetof(struct plain_##tracepoint, member),         \
	  sizeof(((struct plain_##tracepoint *)0)->member) },
		PLAIN_MEMBERS(ROW)
#undef ROW
	};
	char format[4096];

	if (read_small(kernel, path, "format", format, sizeof(format)) < 0)
		return false;
	for (unsigned i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (strcmp(wanted[i].path, path) == 0 &&
		    !has_member(format, wanted[i].member, wanted[i].offset, wanted[i].size))
			return false;
	return true;
}

bool fr_bpf_kernel_classic(const struct fr_bpf_kernel *kernel, const char *path,
			   const char **ret_why)
{
	if (!kernel->tracefs[0])
		*ret_why = "tracefs is not mounted";
	else if (fr_bpf_kernel_tracepoint_id(kernel, path) < 0)
		*ret_why = "the kernel has no such tracepoint";
	else if (!same_layout(kernel, path))
		*ret_why = "the tracepoint's record looks different on this kernel";
	else
		return true;
	return false;
}
