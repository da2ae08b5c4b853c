/* SPDX-License-Identifier: MIT */
/*
 * modules.c - what lies where in the address space: the executable parts of the program and its libraries.
 *
 * Noted when the ring is made; libraries that are loaded later are not known. Twice: in the descriptor log, with
 * build ids, so that raw addresses mean something on any machine that has these builds (only if the log has room to spare:
 * events' descriptors come first); and in a table of our own, from which a dying thread names its frames.
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

static struct place {
	uint64_t start, end;
	uint64_t base; /* address - base is the address in the file, as addr2line wants it */
	char name[32];
} places[MODULES_MAX];
static unsigned place_count;

static void note_place(uint64_t start, uint64_t end, uint64_t base, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	struct place *place = &places[place_count];

	if (place_count == MODULES_MAX)
		return;
	*place = (struct place){ .start = start, .end = end, .base = base };
	memcpy(place->name, name, strnlen(name, sizeof(place->name) - 1));
	place_count++;
}

static char *put_hex(char *to, uint64_t value)
{
	int digits = 1;

	while (digits < 16 && value >> 4 * digits)
		digits++;
	while (digits-- > 0)
		*to++ = "0123456789abcdef"[value >> 4 * digits & 15];
	return to;
}

size_t fr_modules_name(uint64_t address, char buf[FR_FRAME_MAX])
{
	char *to = buf;

	for (unsigned i = 0; i < place_count; i++) {
		if (address < places[i].start || address >= places[i].end)
			continue;
		size_t length = strlen(places[i].name);

		memcpy(to, places[i].name, length);
		to += length;
		*to++ = '+';
		address -= places[i].base;
		break;
	}
	*to++ = '0';
	*to++ = 'x';
	return (size_t)(put_hex(to, address) - buf);
}

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
		char path[257];
	} entry = { 0 };
	const char *path = object->dlpi_name;
	size_t length;

	(void)size;
	if (!path || !*path)
		path = walk->count ? "" : walk->client->ring.super.exe;
	length = strnlen(path, sizeof(entry.path) - 1);
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
		if (walk->client->ring.log_size >= LOG_MIN)
			fr_ring_declare_raw(&walk->client->ring, FRM_DESC_MODULE, (char *)&entry + sizeof(struct frm_desc),
					    sizeof(entry.module) - sizeof(struct frm_desc) + length);
		note_place(entry.module.start, entry.module.end, object->dlpi_addr, entry.path);
		walk->count++;
	}
	return walk->count >= MODULES_MAX;
}

void fr_modules_declare(struct fr_client *client)
{
	struct walk walk = { .client = client };

	place_count = 0;
	dl_iterate_phdr(note_module, &walk);
}
