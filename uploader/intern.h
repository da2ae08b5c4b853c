/* SPDX-License-Identifier: MIT */
/*
 * intern.h - what many events share is stored once: boots, rings, processes, providers, descriptors, thread names.
 *
 * Owns: the small tables of the index, their keys, and the statements that fill them. Each call returns the row's id,
 * making the row when it is new, or a negative errno.
 */
#ifndef UPLOADER_INTERN_H
#define UPLOADER_INTERN_H

#include "uploader/db.h"

enum fr_intern_statement {
	FR_INTERN_BOOT_GET, FR_INTERN_BOOT_PUT, FR_INTERN_BOOT_SEQ, FR_INTERN_RING_GET, FR_INTERN_RING_PUT,
	FR_INTERN_PROCESS_GET, FR_INTERN_PROCESS_PUT, FR_INTERN_PROVIDER_GET, FR_INTERN_PROVIDER_PUT,
	FR_INTERN_DESCRIPTOR_GET, FR_INTERN_DESCRIPTOR_PUT, FR_INTERN_NAME_GET, FR_INTERN_NAME_PUT,
	FR_INTERN_STREAM_GET, FR_INTERN_STREAM_PUT, FR_INTERN_COUNT
};

struct fr_intern {
	struct fr_index *index;
	sqlite3_stmt *statement[FR_INTERN_COUNT]; /* prepared when first used */
};

void fr_intern_done(struct fr_intern *intern);

struct fr_process_key {
	int64_t boot;
	uint32_t pid, ppid, uid, gid;
	uint64_t start_time_ns;
	const char *comm, *exe, *cgroup;
};

int64_t fr_intern_boot(struct fr_intern *intern, const uint8_t boot_id[16], uint64_t seq, const uint8_t machine_id[16]);
int64_t fr_intern_process(struct fr_intern *intern, const struct fr_process_key *key);
int64_t fr_intern_ring(struct fr_intern *intern, const struct frm_super *super, int64_t boot, int64_t process);
int64_t fr_intern_stream(struct fr_intern *intern, int64_t ring, uint32_t lane, uint32_t high);
int64_t fr_intern_name(struct fr_intern *intern, const char *text);
int64_t fr_intern_provider(struct fr_intern *intern, const struct fr_provider *provider);
/* `desc` NULL: the descriptor of event `event` was lost. */
int64_t fr_intern_descriptor(struct fr_intern *intern, const struct fr_image *image, const struct fr_event_desc *desc,
			     uint16_t event);

#endif
