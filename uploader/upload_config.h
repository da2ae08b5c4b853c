/* SPDX-License-Identifier: MIT */
/*
 * upload_config.h - section [upload] of the configuration: where to send, as whom, how much.
 *
 * Owns: the keys, their defaults and bounds. The same keys come from the file, from the environment
 * (FLIGHTREC_UPLOAD_ENDPOINT for endpoint ...) and from options of `flightrec upload`; later ones win in this order. An empty
 * value means the default. Without endpoint upload is off.
 */
#ifndef UPLOADER_UPLOAD_CONFIG_H
#define UPLOADER_UPLOAD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/core/ini.h"

struct fr_upload_config {
	char endpoint[1024];   /* "" : upload is off */
	char database[40];     /* GUID */
	char token_file[1024]; /* one line: the token; readable by the uploader only */
	char ca_file[1024];    /* PEM, "" : the system's authorities */
	uint64_t budget_bytes_per_day; /* as sent; 0: no budget */
	uint64_t batch_events;
	uint64_t batch_bytes; /* before compression */
	uint64_t zstd_level;
	uint64_t connect_timeout_ms, timeout_ms; /* of one request */
	uint64_t retry_base_ms, retry_cap_ms;
	uint64_t give_up_ms;  /* --once: longest time to wait for an endpoint that does not take a batch */
	uint64_t interval_ms; /* --watch: between two looks at the spool */
};

void fr_upload_config_default(struct fr_upload_config *config);

/* One key. FR_INI_UNKNOWN_KEY, or a negative errno with `why`. */
int fr_upload_config_set(struct fr_upload_config *config, const char *key, const char *value, char *why, size_t why_size);

/* Defaults, file with drop-ins, environment. `error` as fr_ini_load() fills it. */
int fr_upload_config_load(struct fr_upload_config *config, void (*warning)(void *ctx, const char *text), void *ctx,
			  char *error, size_t error_size);

/* 0, or -EINVAL with `why`: what else is needed before a batch can be sent. */
int fr_upload_config_check(const struct fr_upload_config *config, char *why, size_t why_size);

/* The token of token_file, without its line feed; "" without a file. -EINVAL: empty, too long, or not printable. */
int fr_upload_config_token(const struct fr_upload_config *config, char *buf, size_t size, char *why, size_t why_size);

#endif
