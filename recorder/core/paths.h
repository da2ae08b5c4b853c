/* SPDX-License-Identifier: MIT */
/*
 * paths.h - where things lie on a machine: state and runtime directories, names of rings and segments.
 *
 * state:   $FLIGHTREC_STATE_DIR, else /var/lib/flightrec for root, else $XDG_STATE_HOME/flightrec, else
 *          ~/.local/state/flightrec; holds rings/ spool/ outbox/ index.db boots
 * runtime: $FLIGHTREC_RUNTIME_DIR, else /run/flightrec for root, else $XDG_RUNTIME_DIR/flightrec, else the state
 *          directory; holds socket. A user who is not root also tries /run/flightrec/socket (the system's daemon).
 */
#ifndef RECORDER_CORE_PATHS_H
#define RECORDER_CORE_PATHS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FR_PATH_MAX 4096

int fr_path_state(char *buf, size_t size, const char *below);   /* "" or "rings" ...; -ENAMETOOLONG, -ENOENT no home */
int fr_path_runtime(char *buf, size_t size, const char *below);
/*
 * mkdir -p; 0 when it exists. What is made here is durable on return, as far as the directories
 * above may be read.
 */
int fr_path_make(const char *path, mode_t mode);
int fr_path_sync(const char *path); /* fsync of a file, or of a directory: of the names in it */
/* The same of the directory that holds the file: of the file's name. */
int fr_path_sync_parent(const char *path);
/* Mode for a file that whoever may write in `dir` may write, too: 0660 where its group may, else 0640. */
mode_t fr_path_file_mode(const char *dir);

void fr_hex(char *buf, const uint8_t *bytes, size_t count);	    /* 2 * count characters and the terminator */
int fr_unhex(uint8_t *bytes, size_t count, const char *text);	    /* exactly 2 * count digits; -EINVAL */
void fr_uuid_text(char buf[37], const uint8_t uuid[16]);
int fr_uuid_parse(uint8_t uuid[16], const char *text); /* with or without dashes; -EINVAL */

#endif
