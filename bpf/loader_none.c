/* SPDX-License-Identifier: MIT */
/*
 * loader_none.c - the loader of a build without libbpf: it says so, and that is all.
 */
#include <errno.h>

#include "bpf/loader.h"

int fr_bpf_open(const struct fr_bpf_options *options, struct fr_bpf **ret_bpf,
		unsigned *ret_missing)
{
	(void)options;
	(void)ret_bpf;
	*ret_missing = FR_BPF_NO_BUILD;
	return -EOPNOTSUPP;
}

void fr_bpf_close(struct fr_bpf *bpf)
{
	(void)bpf;
}

void fr_bpf_unload(struct fr_bpf *bpf)
{
	(void)bpf;
}

bool fr_bpf_resumed(const struct fr_bpf *bpf)
{
	(void)bpf;
	return false;
}

int fr_bpf_fd(const struct fr_bpf *bpf)
{
	(void)bpf;
	return -EOPNOTSUPP;
}

int fr_bpf_consume(struct fr_bpf *bpf, unsigned max, fr_bpf_event_fn fn, void *ctx)
{
	(void)bpf, (void)max, (void)fn, (void)ctx;
	return -EOPNOTSUPP;
}

unsigned fr_bpf_fill_percent(const struct fr_bpf *bpf)
{
	(void)bpf;
	return 0;
}

int fr_bpf_count(const struct fr_bpf *bpf, unsigned class_no, struct fr_kevent_count *ret_count)
{
	(void)bpf, (void)class_no, (void)ret_count;
	return -EOPNOTSUPP;
}

uint64_t fr_bpf_drops(const struct fr_bpf *bpf, unsigned class_no)
{
	(void)bpf, (void)class_no;
	return 0;
}

int fr_bpf_drops_told(struct fr_bpf *bpf, unsigned class_no, uint64_t count)
{
	(void)bpf, (void)class_no, (void)count;
	return -EOPNOTSUPP;
}

int fr_bpf_probe(const struct fr_bpf *bpf, unsigned class_no, struct fr_bpf_probe *ret_probe)
{
	(void)bpf, (void)class_no, (void)ret_probe;
	return -ENOENT;
}

int fr_bpf_cost(const struct fr_bpf *bpf, unsigned class_no, struct fr_bpf_cost *ret_cost)
{
	(void)bpf, (void)class_no, (void)ret_cost;
	return -ENODATA;
}

int fr_bpf_measure(struct fr_bpf *bpf, bool on)
{
	(void)bpf, (void)on;
	return -EOPNOTSUPP;
}
