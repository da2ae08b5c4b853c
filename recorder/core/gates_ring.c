/* SPDX-License-Identifier: MIT */
/*
 * gates_ring.c - takes gates to a ring file: finds its providers in the descriptor log, writes their words.
 *
 * The file may be hostile: it is read by pread in a window, every length is checked, and only an entry whose crc holds
 * counts. A gate is written to copy A alone; its writer sees it at its next event, because file and mapping are one.
 */
#include "recorder/core/gates.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "recorder/core/crc.h"
#include "recorder/core/testpoint.h"

#define WINDOW_BYTES 8192
#define ENTRY_MAX (sizeof(struct frm_desc_provider) + 256)

static bool provider_at(const unsigned char *at, size_t left, const uint8_t ring_id[16], struct fr_gates_provider *ret)
{
	struct frm_desc_provider head;
	unsigned char entry[ENTRY_MAX] = { 0 };
	uint32_t crc;

	if (left < sizeof(head))
		return false;
	memcpy(&head, at, sizeof(head));
	if (head.desc.type != FRM_DESC_PROVIDER || head.desc.size > sizeof(entry) || head.desc.size > left ||
	    head.desc.size < sizeof(head) + head.name_len || head.name_len >= sizeof(ret->name) ||
	    head.id >= FRM_PROVIDERS_MAX)
		return false;
	memcpy(entry, at, head.desc.size);
	memset(entry, 0, sizeof(head.desc.crc));
	crc = fr_crc32c(fr_crc32c(0, ring_id, 16), entry, head.desc.size);
	if (crc != head.desc.crc)
		return false;
	ret->id = (uint16_t)head.id;
	memcpy(ret->guid, head.guid, 16);
	memcpy(ret->name, entry + sizeof(head), head.name_len);
	ret->name[head.name_len] = 0;
	return true;
}

static off_t gate_offset(uint16_t id)
{
	return (off_t)(offsetof(struct frm_meta, state.gate) + 8ull * id);
}

int fr_gates_each(int fd, const struct frm_super *super, int (*each)(void *ctx, const struct fr_gates_provider *provider), void *ctx)
{
	uint64_t at = offsetof(struct frm_meta, log), end = super->meta_size;
	unsigned char window[WINDOW_BYTES];
	struct fr_gates_provider provider;

	if (super->meta_size < FRM_META_MIN || super->meta_size > FRM_META_MAX)
		return -EBADMSG;
	while (at < end) {
		size_t want = end - at < sizeof(window) ? (size_t)(end - at) : sizeof(window), step = 0;
		ssize_t got = pread(fd, window, want, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got < (ssize_t)sizeof(struct frm_desc))
			return 0;
		/* an entry may reach beyond the window: the next one starts where this one can't tell any more */
		while (step + sizeof(struct frm_desc) <= (size_t)got) {
			struct frm_desc desc;
			int error;

			if (step > 0 && (size_t)got == sizeof(window) && (size_t)got - step < ENTRY_MAX)
				break;
			memcpy(&desc, window + step, sizeof(desc));
			if (provider_at(window + step, (size_t)got - step, super->ring_id, &provider)) {
				provider.gate = 0;
				if (pread(fd, &provider.gate, 8, gate_offset(provider.id)) != 8)
					return -EIO;
				error = each(ctx, &provider);
				if (error)
					return error;
			}
			step += 8;
		}
		at += step;
	}
	return 0;
}

struct apply {
	int fd;
	const char *text;
	size_t size;
	const char *selector;
	int changed;
};

static int apply_one(void *ctx, const struct fr_gates_provider *provider)
{
	struct apply *apply = ctx;
	uint64_t gate;

	if (apply->selector && !fr_gate_selects(apply->selector, provider->name, provider->guid))
		return 0;
	if (fr_gates_find(apply->text, apply->size, provider->name, provider->guid, &gate) < 0 || gate == provider->gate)
		return 0;
	if (pwrite(apply->fd, &gate, sizeof(gate), gate_offset(provider->id)) != sizeof(gate))
		return errno ? -errno : -EIO;
	FR_TESTPOINT("gate-switched");
	apply->changed++;
	return 0;
}

int fr_gates_apply(int fd, const struct frm_super *super, const char *text, size_t size, const char *selector)
{
	struct apply apply = { .fd = fd, .text = text, .size = size, .selector = selector };
	int error = fr_gates_each(fd, super, apply_one, &apply);

	return error < 0 ? error : apply.changed;
}
