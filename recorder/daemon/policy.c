/* SPDX-License-Identifier: MIT */
/* policy.c - see policy.h. */
#include "recorder/daemon/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "recorder/core/testpoint.h"
#include "recorder/daemon/daemon.h"

static int path_of(const char *dir, char path[FR_PATH_MAX])
{
	return snprintf(path, FR_PATH_MAX, "%s/%s", dir, FR_GATES_FILE) >= FR_PATH_MAX
		       ? -ENAMETOOLONG
		       : 0;
}

/* Durable first, then public: what a client saw is not forgotten by a restart. */
static int store(struct daemon *daemon, const char *text, size_t size)
{
	char state[FR_PATH_MAX], runtime[FR_PATH_MAX];
	int error = path_of(daemon->state, state);

	if (error == 0)
		error = path_of(daemon->runtime, runtime);
	if (error == 0)
		error = fr_gates_write(state, text, size, true);
	FR_TESTPOINT("gates-stored");
	if (error == 0 && strcmp(state, runtime) != 0)
		error = fr_gates_write(runtime, text, size, false);
	return error;
}

static int apply_to(struct daemon *daemon, const char *name, const struct frm_super *super,
		    const char *selector)
{
	char path[FR_PATH_MAX];
	int fd, changed;

	if (snprintf(path, sizeof(path), "%s/%s", daemon->ring_dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	changed = fr_gates_apply(fd, super, daemon->policy.text, daemon->policy.size, selector);
	close(fd);
	return changed;
}

static int apply_writer(struct daemon *daemon, const struct writer *writer, const char *selector)
{
	struct frm_super super = { .meta_size = writer->meta_size };

	memcpy(super.ring_id, writer->ring_id, 16);
	return apply_to(daemon, writer->name, &super, selector);
}

static int apply_all(struct daemon *daemon, const char *selector)
{
	int rings = 0;

	for (struct writer *writer = daemon->writers.first; writer; writer = writer->next) {
		if (writer->state == WRITER_LIVING && apply_writer(daemon, writer, selector) > 0)
			rings++;
	}
	if (daemon->own.open &&
	    apply_to(daemon, daemon->own.name, &daemon->own.ring.super, selector) > 0)
		rings++;
	return rings;
}

void policy_apply(struct daemon *daemon, const struct writer *writer)
{
	if (daemon->policy.size > 0)
		apply_writer(daemon, writer, NULL);
}

int policy_load(struct daemon *daemon)
{
	static char old[FR_GATES_TEXT_MAX], next[FR_GATES_TEXT_MAX];
	struct policy *policy = &daemon->policy;
	char path[FR_PATH_MAX];
	struct fr_gate_rule rule;
	const char *cursor = old;
	int size = 0, got, error;

	error = path_of(daemon->state, path);
	if (error < 0)
		return error;
	got = fr_gates_read(path, old, sizeof(old));
	if (got < 0 && got != -ENOENT)
		log_line(
			LOG_PRIO_WARNING,
			"%s can't be read: %s. Gates that `flightrec set` remembered are not in force",
			path, strerror(-got));
	policy->size = 0;
	for (unsigned i = 0; i < daemon->config.gate_count && size >= 0; i++) {
		size = fr_gates_text_set(policy->text, policy->size, &daemon->config.gate[i], next,
					 sizeof(next));
		if (size >= 0) {
			memcpy(policy->text, next, (size_t)size);
			policy->size = (size_t)size;
		}
	}
	while (got > 0 && fr_gates_next(&cursor, old + got, &rule)) {
		if (rule.from_config)
			continue;
		size = fr_gates_text_set(policy->text, policy->size, &rule, next, sizeof(next));
		if (size < 0)
			break;
		memcpy(policy->text, next, (size_t)size);
		policy->size = (size_t)size;
	}
	error = store(daemon, policy->text, policy->size);
	if (error < 0)
		log_line(
			LOG_PRIO_WARNING,
			"%s can't be written: %s. Programs that start from now don't learn of gates",
			path, strerror(-error));
	apply_all(daemon, NULL);
	return error;
}

int policy_set(struct daemon *daemon, const char *selector, unsigned level, uint64_t keywords,
	       const char *source)
{
	static char next[FR_GATES_TEXT_MAX];
	struct policy *policy = &daemon->policy;
	struct fr_gate_rule rule = { .level = (uint8_t)level, .keywords = keywords };
	int size, error, rings;

	if (level > FRM_LEVEL_VERBOSE || snprintf(rule.selector, sizeof(rule.selector), "%s",
						  selector) >= (int)sizeof(rule.selector))
		return -EINVAL;
	size = fr_gates_text_set(policy->text, policy->size, &rule, next, sizeof(next));
	if (size < 0)
		return size;
	error = store(daemon, next, (size_t)size);
	if (error < 0)
		return error;
	memcpy(policy->text, next, (size_t)size);
	policy->size = (size_t)size;
	rings = apply_all(daemon, rule.selector);
	FR_TESTPOINT("gates-applied");
	OWN_SAY(&daemon->own, FR_EVENT_FR_CONFIG,
		{ .u = fr_gate_word(level, keywords) >> FRM_GATE_KEYWORD_SHIFT }, { .u = level },
		{ .s = rule.selector }, { .s = source });
	return rings;
}
