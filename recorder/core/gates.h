/* SPDX-License-Identifier: MIT */
/*
 * gates.h - which levels and keywords of which provider are wanted: the policy as a text, and how it reaches a ring.
 *
 * Owns: the text, who wins in it, and the 8-byte write that changes a gate in a ring file.
 *
 *	SELECTOR LEVEL KEYWORDS ORIGIN
 *	acme.shop 5 0xffffffffffffff set
 *
 * SELECTOR is a provider's name, its GUID in 36 characters, or a beginning of names followed by `*`. LEVEL is 0 (off) to
 * 5, KEYWORDS 56 bits in hex (0: all), ORIGIN `config` or `set`. The LAST line that fits a provider decides, so what was
 * set later wins. Lines that make no sense are skipped.
 *
 * It lies in STATE/gates, where it persists, and, when a daemon runs, once more beside the daemon's socket
 * (RUNTIME/gates): that is where a library which got its ring from that daemon looks. Files are replaced by rename.
 *
 * PROTOCOL, so that a change and a registration that meet can't miss each other:
 *	who changes	1. replace the file(s)		2. for each ring: find the provider in its log, write its gate
 *	who registers	1. declare the provider (log)	2. fr_gates_policy() and store the gate
 *			3. fr_gates_policy() again, until two in a row agree
 * If the registrant's last look came before the change's step 1, its store came before step 2, which finds the provider;
 * else it saw the new text.
 */
#ifndef RECORDER_CORE_GATES_H
#define RECORDER_CORE_GATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/fr_format.h"

#define FR_GATES_FILE	   "gates"
#define FR_GATES_TEXT_MAX  (32u << 10) /* a longer file is read up to here */
#define FR_GATES_SELECTOR_MAX 128      /* with the terminator */

struct fr_gate_rule {
	char selector[FR_GATES_SELECTOR_MAX];
	uint8_t level;	   /* 0 off, 1..5 */
	bool from_config;
	uint64_t keywords; /* 0: all */
};

/* The word a ring holds. Level 0 is a shut gate whatever the keywords. */
uint64_t fr_gate_word(unsigned level, uint64_t keywords);

/* True when the selector means the provider. `guid` may be NULL. */
bool fr_gate_selects(const char *selector, const char *name, const uint8_t guid[16]);

/*
 * What the file at `path` wants of a provider. 0 and *ret_gate, or -ENOENT: the file says nothing of it or isn't there;
 * or what open and read say. Blocks on the disk; allocates nothing; any thread; not for signal handlers.
 */
int fr_gates_policy(const char *path, const char *name, const uint8_t guid[16], uint64_t *ret_gate);

/* Takes the next rule off a text; false at its end. *cursor starts at the text. */
bool fr_gates_next(const char **cursor, const char *end, struct fr_gate_rule *rule);
/* The last rule that fits, as above; -ENOENT. */
int fr_gates_find(const char *text, size_t size, const char *name, const uint8_t guid[16], uint64_t *ret_gate);

/*
 * Text without the rules that `rule` replaces (same selector and origin), then `rule`. Returns the bytes, or -ENOSPC; -EINVAL
 * when the rule can't be said (an empty selector, white space in it, a level above 5). `from` and `to` differ.
 */
int fr_gates_text_set(const char *from, size_t from_size, const struct fr_gate_rule *rule, char *to, size_t to_size);

/* Reads the file whole, up to size. Bytes, or negative errno. */
int fr_gates_read(const char *path, char *text, size_t size);
/* Replaces the file (mode 0644): durable when `sync`. 0 or negative errno. */
int fr_gates_write(const char *path, const char *text, size_t size, bool sync);

/*
 * Applies a text to a ring file, or only what concerns `selector` when it isn't NULL. Reads by pread: the file may be hostile
 * and may shrink meanwhile. `super` is what the caller believes of the ring (checked: not the file's present claim). A
 * provider no rule fits keeps its gate. Returns how many gates changed, or negative errno.
 */
int fr_gates_apply(int fd, const struct frm_super *super, const char *text, size_t size, const char *selector);

/* Goes over the providers in a ring's descriptor log. Stops when `each` returns non-zero, and returns that. */
struct fr_gates_provider {
	uint16_t id;
	uint8_t guid[16];
	char name[256];
	uint64_t gate;
};
int fr_gates_each(int fd, const struct frm_super *super, int (*each)(void *ctx, const struct fr_gates_provider *provider), void *ctx);

#endif
