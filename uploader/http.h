/* SPDX-License-Identifier: MIT */
/*
 * http.h - one batch over one HTTP request: sends the bytes, brings back what was answered, judges nothing.
 *
 * Owns: libcurl. The certificate and its name are always verified; redirects are not followed; every wait and every
 * size is bounded. Blocking; a handle belongs to one thread. answer.h says what an answer means.
 */
#ifndef UPLOADER_HTTP_H
#define UPLOADER_HTTP_H

#include <stdatomic.h>

#include "uploader/batch.h"

#define FR_HTTP_ANSWER_MAX (64u << 10)

struct fr_http_options {
	const char *endpoint;	/* https://host/base, or http:// on a loopback address */
	const char *token;	/* NULL: none */
	const char *ca_file;	/* NULL: the system's */
	uint64_t connect_timeout_ms, total_timeout_ms;
	const atomic_bool *stop; /* becomes true: give up the request; NULL: never */
};

/* How far a request came. */
enum fr_http_result {
	FR_HTTP_ANSWERED,  /* there is a status */
	FR_HTTP_NETWORK,   /* no answer, or not a whole one: may be tried again */
	FR_HTTP_UNTRUSTED, /* the server's certificate does not hold */
	FR_HTTP_SETUP,	   /* nothing was sent: the endpoint or the CA file can't be used */
	FR_HTTP_STOPPED,
};

struct fr_http_answer {
	enum fr_http_result result;
	int status;
	uint64_t sent_bytes; /* of the body */
	char retry_after[64]; /* as sent, "" when not */
	char location[256];
	char body[FR_HTTP_ANSWER_MAX + 1];
	size_t body_size;
	char error[256]; /* in words, when there is no status */
};

struct fr_http;

/* -EINVAL: the endpoint is none that may be used, and `why` says so; -ENOMEM. The options' strings are not kept. */
int fr_http_new(const struct fr_http_options *options, struct fr_http **ret_http, char *why, size_t why_size);
void fr_http_free(struct fr_http *http);

void fr_http_post(struct fr_http *http, const struct fr_batch *batch, struct fr_http_answer *ret_answer);

/* 0, or -EINVAL with `why`: is this an endpoint that batches may be sent to? */
int fr_http_check_endpoint(const char *endpoint, char *why, size_t why_size);

#endif
