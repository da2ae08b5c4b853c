/* SPDX-License-Identifier: MIT */
/*
 * modules.c - notes the executable parts of the program and its libraries, with their build ids, in the descriptor log:
 * raw addresses of a crash record become file and offset on any machine that has these builds.
 *
 * Only what is loaded at attach, and only into a log with room to spare: events' descriptors come first.
 */
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "recorder/client/client.h"

#define LOG_MIN	    (32u << 10)
#define MODULES_MAX 64

struct walk {
	struct fr_client *client;
	unsigned count;
};

/* The build id among the notes of a loaded object. */
static void find_build_id(const struct dl_phdr_info *object, struct frm_desc_module *module)
{
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &object->dlpi_phdr[i];
		const char *at = (const char *)(object->dlpi_addr + header->p_vaddr), *end = at + header->p_memsz;

		if (header->p_type != PT_NOTE)
			continue;
		while (at + sizeof(ElfW(Nhdr)) <= end) {
			const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)at;
			const char *name = at + sizeof(*note), *value = name + ((note->n_namesz + 3) & ~3u);

			if (value + note->n_descsz > end)
				break;
			if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && !memcmp(name, "GNU", 4)) {
				module->build_id_len = note->n_descsz <= 20 ? (uint8_t)note->n_descsz : 20;
				memcpy(module->build_id, value, module->build_id_len);
				return;
			}
			at = value + ((note->n_descsz + 3) & ~3u);
		}
	}
}

static int note_module(struct dl_phdr_info *object, size_t size, void *ctx)
{
	struct walk *walk = ctx;
	struct {
		struct frm_desc_module module;
		char path[256];
	} entry = { 0 };
	const char *path = object->dlpi_name;
	size_t length;

	(void)size;
	if (!path || !*path)
		path = walk->count ? "" : walk->client->ring.super.exe;
	length = strnlen(path, sizeof(entry.path));
	memcpy(entry.path, path, length);
	entry.module.path_len = (uint16_t)length;
	find_build_id(object, &entry.module);
	for (int i = 0; i < object->dlpi_phnum && length; i++) {
		const ElfW(Phdr) *header = &object->dlpi_phdr[i];

		if (header->p_type != PT_LOAD || !(header->p_flags & PF_X))
			continue;
		entry.module.start = object->dlpi_addr + header->p_vaddr;
		entry.module.end = entry.module.start + header->p_memsz;
		entry.module.offset = header->p_offset;
		fr_ring_declare_raw(&walk->client->ring, FRM_DESC_MODULE, (char *)&entry + sizeof(struct frm_desc),
				    sizeof(entry.module) - sizeof(struct frm_desc) + length);
		walk->count++;
	}
	return walk->count >= MODULES_MAX;
}

void fr_modules_declare(struct fr_client *client)
{
	struct walk walk = { .client = client };

	if (client->ring.log_size >= LOG_MIN)
		dl_iterate_phdr(note_module, &walk);
}
