/* SPDX-License-Identifier: MIT */
/*
 * aside.h - keeps spool/quarantine, which salvage fills (pstore/quarantine.h), from growing with
 * time.
 *
 * Owns: which of the sources that can't be read go, and that it is said: spool/retention.log has
 * the line "quarantine/NAME" (NAME cut to 53 characters; boot and lane say nothing, count is
 * bytes), durably, before NAME goes.
 */
#ifndef UPLOADER_ASIDE_H
#define UPLOADER_ASIDE_H

#include <stdint.h>

/* Bytes on disk of all that lies there. */
int fr_aside_measure(const char *state_dir, uint64_t *ret_bytes);

/*
 * Drops those set aside longest ago until the others fit into `max_bytes`. *ret_count is how many
 * went. Idempotent; may be killed anywhere: a source is named again then, or only its reason is
 * left, which goes a day later.
 */
int fr_aside_drop(const char *state_dir, uint64_t max_bytes, uint64_t *ret_count);

#endif
