/* SPDX-License-Identifier: MIT */
/* http.c - the request of schemas/WIRE.md by libcurl. Owns: headers, bounds, and the rule which endpoint may be used. */
#include "uploader/http.h"

#ifdef HAVE_CURL

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recorder/core/paths.h"

struct fr_http {
	CURL *curl;
	char *url;
	char *authorization; /* a header line, or NULL */
	const atomic_bool *stop;
	char error[CURL_ERROR_SIZE];
};

static void free_list(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

static void free_part(char **part)
{
	curl_free(*part);
}

static void free_url(CURLU **url)
{
	curl_url_cleanup(*url);
}

static bool is_loopback(const char *host)
{
	unsigned a, b, c, d;
	int end = 0;

	return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	       (sscanf(host, "%3u.%3u.%3u.%3u%n", &a, &b, &c, &d, &end) == 4 && !host[end] && a == 127);
}

static int check(const char *endpoint, bool *ret_loopback, char *why, size_t why_size)
{
	__attribute__((cleanup(free_url))) CURLU *url = curl_url();
	__attribute__((cleanup(free_part))) char *scheme = NULL, *host = NULL, *query = NULL, *fragment = NULL, *user = NULL;

	if (!url)
		return -ENOMEM;
	if (curl_url_set(url, CURLUPART_URL, endpoint, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK) {
		snprintf(why, why_size, "\"%s\" is no URL; want https://host or https://host/path", endpoint);
		return -EINVAL;
	}
	curl_url_get(url, CURLUPART_QUERY, &query, 0);
	curl_url_get(url, CURLUPART_FRAGMENT, &fragment, 0);
	curl_url_get(url, CURLUPART_USER, &user, 0);
	if (query || fragment || user) {
		snprintf(why, why_size, "the endpoint may hold no user, query or fragment; a token belongs into token_file");
		return -EINVAL;
	}
	if (strcasecmp(scheme, "https") != 0 && !(strcasecmp(scheme, "http") == 0 && is_loopback(host))) {
		snprintf(why, why_size, "\"%s\" would be sent in the clear; want https:// (http:// only to this machine)",
			 endpoint);
		return -EINVAL;
	}
	*ret_loopback = is_loopback(host);
	return 0;
}

int fr_http_check_endpoint(const char *endpoint, char *why, size_t why_size)
{
	bool loopback;

	return check(endpoint, &loopback, why, why_size);
}

static size_t take_body(char *data, size_t one, size_t size, void *ctx)
{
	struct fr_http_answer *answer = ctx;

	(void)one;
	if (size > FR_HTTP_ANSWER_MAX - answer->body_size)
		return 0; /* ends the transfer: nothing of ours answers that much */
	memcpy(answer->body + answer->body_size, data, size);
	answer->body_size += size;
	answer->body[answer->body_size] = '\0';
	return size;
}

static void take_value(const char *line, size_t size, const char *key, char *buf, size_t room)
{
	size_t key_size = strlen(key);

	if (size <= key_size || strncasecmp(line, key, key_size) != 0)
		return;
	line += key_size;
	size -= key_size;
	while (size && (*line == ' ' || *line == '\t')) {
		line++;
		size--;
	}
	while (size && (line[size - 1] == '\r' || line[size - 1] == '\n' || line[size - 1] == ' '))
		size--;
	if (size < room) {
		memcpy(buf, line, size);
		buf[size] = '\0';
	}
}

static size_t take_header(char *data, size_t one, size_t size, void *ctx)
{
	struct fr_http_answer *answer = ctx;

	(void)one;
	take_value(data, size, "Retry-After:", answer->retry_after, sizeof answer->retry_after);
	take_value(data, size, "Location:", answer->location, sizeof answer->location);
	return size;
}

static int stopped(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct fr_http *http = ctx;

	(void)a, (void)b, (void)c, (void)d;
	return http->stop && atomic_load_explicit(http->stop, memory_order_relaxed);
}

/* For functions with http and good. */
#define SET(option, value) (good &= curl_easy_setopt(http->curl, option, value) == CURLE_OK)

/* False: an option was not taken, for want of memory. None may be left out. */
static bool set_up(struct fr_http *http, const struct fr_http_options *options, bool loopback)
{
	bool good = true;

	SET(CURLOPT_URL, http->url);
	SET(CURLOPT_PROTOCOLS_STR, loopback ? "http,https" : "https");
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (options->ca_file)
		SET(CURLOPT_CAINFO, options->ca_file);
	if (loopback)
		SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms);
	SET(CURLOPT_TIMEOUT_MS, (long)options->total_timeout_ms);
	SET(CURLOPT_LOW_SPEED_LIMIT, 64L); /* bytes a second */
	SET(CURLOPT_LOW_SPEED_TIME, 30L);
	SET(CURLOPT_USERAGENT, "flightrec/" FR_VERSION);
	SET(CURLOPT_ERRORBUFFER, http->error);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_XFERINFOFUNCTION, stopped);
	SET(CURLOPT_XFERINFODATA, http);
	SET(CURLOPT_NOPROGRESS, 0L);
	return good;
}

int fr_http_new(const struct fr_http_options *options, struct fr_http **ret_http, char *why, size_t why_size)
{
	struct fr_http *http;
	size_t size = strlen(options->endpoint);
	bool loopback;
	int r;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	r = check(options->endpoint, &loopback, why, why_size);
	if (r < 0)
		return r;
	http = calloc(1, sizeof *http);
	if (!http)
		return -ENOMEM;
	while (size && options->endpoint[size - 1] == '/')
		size--;
	http->stop = options->stop;
	http->curl = curl_easy_init();
	if (!http->curl || asprintf(&http->url, "%.*s/v1/batches", (int)size, options->endpoint) < 0 ||
	    (options->token && asprintf(&http->authorization, "Authorization: Bearer %s", options->token) < 0)) {
		fr_http_free(http);
		return -ENOMEM;
	}
	if (!set_up(http, options, loopback)) {
		fr_http_free(http);
		return -ENOMEM;
	}
	*ret_http = http;
	return 0;
}

void fr_http_free(struct fr_http *http)
{
	if (!http)
		return;
	curl_easy_cleanup(http->curl);
	if (http->authorization)
		explicit_bzero(http->authorization, strlen(http->authorization));
	free(http->authorization);
	free(http->url);
	free(http);
}

__attribute__((format(printf, 2, 3))) static bool add(struct curl_slist **list, const char *format, ...)
{
	char line[256];
	struct curl_slist *more;
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	more = curl_slist_append(*list, line);
	if (more)
		*list = more;
	return more;
}

static bool add_headers(struct curl_slist **list, const struct fr_http *http, const struct fr_batch *batch)
{
	char id[37], database[37], boot[37], machine[33];
	struct curl_slist *more;

	fr_uuid_text(id, batch->id);
	fr_uuid_text(database, batch->database);
	fr_uuid_text(boot, batch->boot);
	fr_hex(machine, batch->machine, 16);
	if (http->authorization) { /* may be longer than a line of add() */
		more = curl_slist_append(*list, http->authorization);
		if (!more)
			return false;
		*list = more;
	}
	return add(list, "Content-Type: application/x-ndjson") && add(list, "Content-Encoding: zstd") &&
	       add(list, "Expect:") && add(list, "Idempotency-Key: \"%s\"", id) && add(list, "Flightrec-Protocol: 1") &&
	       add(list, "Flightrec-Database: %s", database) && add(list, "Flightrec-Machine: %s", machine) &&
	       add(list, "Flightrec-Boot: %s", boot) && add(list, "Flightrec-Events: %" PRIu64, batch->events) &&
	       add(list, "Flightrec-Body-Crc: %08x", batch->body_crc);
}

static enum fr_http_result result_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return FR_HTTP_ANSWERED;
	case CURLE_PEER_FAILED_VERIFICATION: /* the certificate, its name, or a public key pinned elsewhere */
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return FR_HTTP_UNTRUSTED;
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_URL_MALFORMAT:
	case CURLE_NOT_BUILT_IN:
	case CURLE_SSL_ENGINE_NOTFOUND:
	case CURLE_SSL_CIPHER:
		return FR_HTTP_SETUP;
	case CURLE_ABORTED_BY_CALLBACK:
		return FR_HTTP_STOPPED;
	default:
		return FR_HTTP_NETWORK;
	}
}

void fr_http_post(struct fr_http *http, const struct fr_batch *batch, struct fr_http_answer *ret_answer)
{
	__attribute__((cleanup(free_list))) struct curl_slist *headers = NULL;
	struct fr_http_answer *answer = ret_answer;
	CURLcode code;
	curl_off_t sent = 0;
	long status = 0;
	bool good;

	answer->result = FR_HTTP_NETWORK;
	answer->status = 0;
	answer->sent_bytes = 0;
	answer->retry_after[0] = answer->location[0] = answer->body[0] = answer->error[0] = '\0';
	answer->body_size = 0;
	good = add_headers(&headers, http, batch);
	http->error[0] = '\0';
	SET(CURLOPT_HTTPHEADER, headers);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)batch->body_size);
	SET(CURLOPT_POSTFIELDS, batch->body);
	SET(CURLOPT_WRITEDATA, answer);
	SET(CURLOPT_HEADERDATA, answer);
	code = good ? curl_easy_perform(http->curl) : CURLE_OUT_OF_MEMORY;
	curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL); /* the list ends with this function */
	answer->result = result_of(code);
	if (good && curl_easy_getinfo(http->curl, CURLINFO_SIZE_UPLOAD_T, &sent) == CURLE_OK && sent > 0)
		answer->sent_bytes = (uint64_t)sent;
	if (code == CURLE_OK) {
		curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
		answer->status = (int)status;
	} else if (code == CURLE_WRITE_ERROR) {
		snprintf(answer->error, sizeof answer->error, "the answer is longer than %u bytes", FR_HTTP_ANSWER_MAX);
	} else {
		snprintf(answer->error, sizeof answer->error, "%s", *http->error ? http->error : curl_easy_strerror(code));
	}
}

#endif
