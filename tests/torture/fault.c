/* SPDX-License-Identifier: MIT */
/*
 * fault.c - a library to be preloaded, in which one chosen call of a program fails.
 *
 * Each function below takes the place of libc's (SQLite's, curl's, zstd's) of the same name, for
 * the program and for all libraries it uses. It notes the call's site in the file $FAULT_PAGE
 * (fault.h), fails if that is what the driver asked for, and else calls the real one. All processes
 * that come of the program by fork share the file and so the count.
 *
 * What returns memory, a descriptor or a mapping is remembered until it is given back; what is left
 * when a program ends by exit or by a return from main is written to its site: the driver compares
 * that with a run in which nothing failed.
 *
 * Prototypes of libc would be in the way (open, fcntl and syscall take what they are given), so
 * symbols are named by asm labels.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "tests/torture/fault.h"

#define O_CREAT_FLAG 0100
#define HELD 262144u /* a power of two */

/* what is needed of libc, by names that are not interposed here */
extern char *secure_getenv(const char *name);
extern int backtrace(void **frames, int count);
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void __libc_free(void *memory);

static struct fault_page *page;
static __thread bool inside __attribute__((tls_model("initial-exec")));

/* ------------------------------------------------------------------ modules and sites */

static struct module {
	uintptr_t from, to;
	uint8_t name; /* in page->module */
} modules[128];
static unsigned module_count;
static int lock;

static void take_lock(void)
{
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		;
}

static void give_lock(void)
{
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

static uint8_t module_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	unsigned i;

	for (i = 0; i < 63 && page->module[i][0]; i++)
		if (!strncmp(page->module[i], *base ? base : "program", 47))
			return (uint8_t)i;
	strncpy(page->module[i], *base ? base : "program", 47);
	return (uint8_t)i;
}

static int add_module(struct dl_phdr_info *info, size_t size, void *context)
{
	struct module found = { UINTPTR_MAX, 0, 0 };

	(void)size;
	(void)context;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t at = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

		if (info->dlpi_phdr[i].p_type != PT_LOAD)
			continue;
		found.from = at < found.from ? at : found.from;
		found.to = at + info->dlpi_phdr[i].p_memsz > found.to
				   ? at + info->dlpi_phdr[i].p_memsz
				   : found.to;
	}
	if (module_count < 128) {
		found.name = module_name(info->dlpi_name);
		modules[module_count++] = found;
	}
	return 0;
}

static const struct module *module_of(uintptr_t address)
{
	for (int again = 0; again < 2; again++) {
		for (unsigned i = 0; i < module_count; i++)
			if (address >= modules[i].from && address < modules[i].to)
				return &modules[i];
		if (!again) { /* a library was loaded meanwhile */
			module_count = 0;
			dl_iterate_phdr(add_module, NULL);
		}
	}
	return NULL;
}

/* The site of a call two frames up; its place in the table, noted if it is new. The lock is held. */
static struct fault_site *site_of(const char *call, uint32_t kinds)
{
	void *frame[FAULT_DEPTH + 3];
	int count = backtrace(frame, FAULT_DEPTH + 3), skip = 0;
	const struct module *own = module_of((uintptr_t)site_of);
	struct fault_site found = { .kinds = kinds };
	uint64_t key = 0xcbf29ce484222325ull;

	while (skip < count && module_of((uintptr_t)frame[skip]) == own)
		skip++;
	for (const char *p = call; *p; p++)
		key = (key ^ (uint8_t)*p) * 0x100000001b3ull;
	for (int i = skip; i < count && i - skip < FAULT_DEPTH; i++) {
		const struct module *module = module_of((uintptr_t)frame[i]);
		bool own_code = module && !strcmp(page->module[module->name], "program");

		found.frame[i - skip] = module ? (uint32_t)((uintptr_t)frame[i] - module->from) : 0;
		found.module[i - skip] = module ? module->name : 63;
		/*
		 * within libraries, the place of the call alone counts: their insides are not what
		 * is tested
		 */
		if (i > skip && !own_code)
			continue;
		for (const char *p = page->module[found.module[i - skip]]; *p; p++)
			key = (key ^ (uint8_t)*p) * 0x100000001b3ull;
		key = (key ^ found.frame[i - skip]) * 0x100000001b3ull;
		key ^= key >> 29;
	}
	key |= 1;
	for (uint64_t i = key; page->sites < FAULT_SITES - 1; i++) {
		struct fault_site *site = &page->site[i % FAULT_SITES];

		if (site->key == key)
			return site;
		if (site->key)
			continue;
		found.key = key;
		found.order = page->sites++;
		strncpy(found.call, call, sizeof(found.call) - 1);
		*site = found;
		return site;
	}
	page->overflow = 1;
	return NULL;
}

/* Whether the call is to fail; the errno in errno. *ret_site: who makes it. */
static bool fails(const char *call, uint32_t kinds, int error, struct fault_site **ret_site)
{
	int before = errno;
	struct fault_site *site;
	bool fail = false;

	*ret_site = NULL;
	if (!page || inside)
		return false;
	inside = true;
	take_lock();
	site = site_of(call, kinds);
	page->calls++;
	if (site) {
		site->count++;
		if (!page->fired && site->key == page->target && site->count == page->nth)
			page->fired = fail = true;
		else
			fail = page->fired && (kinds & page->onward) &&
			       (!(kinds & FAULT_UNDO) || (page->onward & FAULT_UNDO));
		page->failed += fail;
	}
	give_lock();
	inside = false;
	*ret_site = site;
	errno = fail ? ((kinds & FAULT_STORE) && page->error ? page->error : error) : before;
	return fail;
}

static void *real(const char *name)
{
	bool was = inside;
	void *symbol;

	inside = true;
	symbol = dlsym(RTLD_NEXT, name);
	inside = was;
	return symbol;
}

/* ------------------------------------------------------------------ what was not given back */

static struct held {
	uint64_t what; /* 0: free; 1: was used */
	struct fault_site *site;
} held[HELD];

#define MEMORY(pointer) ((uint64_t)(uintptr_t)(pointer))
#define MAPPING(pointer) ((uint64_t)(uintptr_t)(pointer) | 2)
#define DESCRIPTOR(fd) (1ull << 62 | (uint32_t)(fd))

static uint64_t place_of(uint64_t what)
{
	return what * 0x9e3779b97f4a7c15ull >> 40;
}

static void hold(uint64_t what, struct fault_site *site)
{
	if (!site)
		return;
	inside = true; /* a signal handler that comes now must not wait for the lock */
	take_lock();
	for (uint64_t i = place_of(what), n = 0; n < HELD; i++, n++) {
		struct held *slot = &held[i % HELD];

		if (slot->what > 1)
			continue;
		*slot = (struct held){ what, site };
		break;
	}
	give_lock();
	inside = false;
}

static void let_go(uint64_t what)
{
	if (!page || inside)
		return;
	inside = true;
	take_lock();
	for (uint64_t i = place_of(what), n = 0; n < HELD && held[i % HELD].what; i++, n++) {
		if (held[i % HELD].what != what)
			continue;
		held[i % HELD] = (struct held){ 1, NULL };
		break;
	}
	give_lock();
	inside = false;
}

__attribute__((destructor)) static void count_held(void)
{
	int (*is_open)(int, int, ...) = (int (*)(int, int, ...))(uintptr_t)real("fcntl");

	if (!page)
		return;
	inside = true;
	for (unsigned i = 0; i < HELD; i++) {
		/*
		 * libc keeps the buffer of standard output; fclose and the like close descriptors
		 * without our seeing
		 */
		if (held[i].what > 1 && held[i].what != MEMORY(stdout->_IO_buf_base) &&
		    (!(held[i].what >> 62) || is_open((int)held[i].what, 1 /* F_GETFD */) >= 0))
			__atomic_add_fetch(&held[i].site->held, 1, __ATOMIC_RELAXED);
	}
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = secure_getenv("FAULT_PAGE");
	int (*open_file)(const char *, int, ...) = (int (*)(const char *, int, ...))(uintptr_t)real("open");
	int (*close_file)(int) = (int (*)(int))(uintptr_t)real("close");
	void *(*map)(void *, size_t, int, int, int, long) =
		(void *(*)(void *, size_t, int, int, int, long))(uintptr_t)real("mmap");
	void *warm[4], *mapped;
	int fd;

	if (!path)
		return;
	inside = true;
	backtrace(warm, 4); /* loads what it needs */
	fd = open_file(path, 02 | 02000000);
	mapped = fd < 0 ? (void *)-1 : map(NULL, sizeof(*page), 3, 1, fd, 0);
	if (fd >= 0)
		close_file(fd);
	inside = false;
	if (mapped != (void *)-1)
		page = mapped;
}

/* ------------------------------------------------------------------ the calls */

#define EXPORT __attribute__((visibility("default")))

/* CALL(type, name, (parameters), (arguments), what it returns when it fails, its errno, kinds) */
#define CALL(type, name, params, args, failed, error, kinds)                        \
	EXPORT type fault_##name params __asm__(#name);                             \
	type fault_##name params                                                    \
	{                                                                           \
		static type(*next) params;                                          \
		struct fault_site *site;                                            \
                                                                                    \
		if (!next)                                                          \
			next = (type(*) params)(uintptr_t)real(#name);              \
		if (fails(#name, FAULT_ANY | (kinds), error, &site))                \
			return failed;                                              \
		return next args;                                                   \
	}
/* the same for what returns something to be given back: `what` is made of `result` when that is good */
#define GETS(type, name, params, args, failed, error, kinds, good, what)            \
	EXPORT type fault_##name params __asm__(#name);                             \
	type fault_##name params                                                    \
	{                                                                           \
		static type(*next) params;                                          \
		struct fault_site *site;                                            \
		type result;                                                        \
                                                                                    \
		if (!next)                                                          \
			next = (type(*) params)(uintptr_t)real(#name);              \
		if (fails(#name, FAULT_ANY | FAULT_GETS | (kinds), error, &site))   \
			return failed;                                              \
		result = next args;                                                 \
		if (good)                                                           \
			hold(what, site);                                           \
		return result;                                                      \
	}
#define FD(name, params, args, error, kinds) GETS(int, name, params, args, -1, error, kinds, result >= 0, DESCRIPTOR(result))
#define INT(name, params, args, error, kinds) CALL(int, name, params, args, -1, error, kinds)
#define SIZE(name, params, args, error, kinds) CALL(ssize_t, name, params, args, -1, error, kinds)

typedef const char *path_t;

#include "tests/torture/fault_calls.h"

/* ------------------------------------------------------------------ those that need a hand */

/* For a program that tests: what this thread does meanwhile is not counted and does not fail. */
EXPORT void fault_spare(bool spare);
void fault_spare(bool spare)
{
	inside = spare;
}

/* A disk that fills up takes a part first. */
#define WRITES(name, params, short_args, args)                                      \
	EXPORT ssize_t fault_##name params __asm__(#name);                          \
	ssize_t fault_##name params                                                 \
	{                                                                           \
		static ssize_t(*next) params;                                       \
		struct fault_site *site;                                            \
                                                                                    \
		if (!next)                                                          \
			next = (ssize_t(*) params)(uintptr_t)real(#name);           \
		if (fd == 2 || !fails(#name, FAULT_ANY | FAULT_STORE, ENOSPC, &site)) /* what went wrong can be said */ \
			return next args;                                           \
		if (page->onward && page->failed == 1 && size > 1 && errno == ENOSPC) \
			return next short_args;                                     \
		return -1;                                                          \
	}
WRITES(write, (int fd, const void *from, size_t size), (fd, from, size / 2), (fd, from, size))
WRITES(pwrite, (int fd, const void *from, size_t size, long at), (fd, from, size / 2, at),
       (fd, from, size, at))
WRITES(pwrite64, (int fd, const void *from, size_t size, long at), (fd, from, size / 2, at),
       (fd, from, size, at))

/* What closes has closed, whatever it says. */
EXPORT int fault_close(int fd) __asm__("close");
int fault_close(int fd)
{
	static int (*next)(int);
	struct fault_site *site;
	int result;

	if (!next)
		next = (int (*)(int))(uintptr_t)real("close");
	let_go(DESCRIPTOR(fd));
	result = next(fd);
	return result == 0 && fails("close", FAULT_ANY, EIO, &site) ? -1 : result;
}

EXPORT int fault_pipe2(int *ends, int flags) __asm__("pipe2");
int fault_pipe2(int *ends, int flags)
{
	static int (*next)(int *, int);
	struct fault_site *site;
	int result;

	if (!next)
		next = (int (*)(int *, int))(uintptr_t)real("pipe2");
	if (fails("pipe2", FAULT_ANY | FAULT_GETS, EMFILE, &site))
		return -1;
	result = next(ends, flags);
	for (int i = 0; i < 2 && result == 0; i++)
		hold(DESCRIPTOR(ends[i]), site);
	return result;
}

static void *map(const char *name, void *(*next)(void *, size_t, int, int, int, long), void *at,
		 size_t size, int protection, int flags, int fd, long offset)
{
	struct fault_site *site;
	void *result;

	if (fails(name, FAULT_ANY | FAULT_GETS, ENOMEM, &site))
		return (void *)-1;
	result = next(at, size, protection, flags, fd, offset);
	if (result != (void *)-1)
		hold(MAPPING(result), site);
	return result;
}
#define MAP(name)                                                                                                        \
	EXPORT void *fault_##name(void *at, size_t size, int protection, int flags, int fd, long offset) __asm__(#name); \
	void *fault_##name(void *at, size_t size, int protection, int flags, int fd, long offset)                        \
	{                                                                                                                \
		static void *(*next)(void *, size_t, int, int, int, long);                                               \
                                                                                                                         \
		if (!next)                                                                                               \
			next = (void *(*)(void *, size_t, int, int, int, long))(uintptr_t)real(#name);                   \
		return map(#name, next, at, size, protection, flags, fd, offset);                                        \
	}
MAP(mmap)
MAP(mmap64)

EXPORT int fault_munmap(void *at, size_t size) __asm__("munmap");
int fault_munmap(void *at, size_t size)
{
	static int (*next)(void *, size_t);

	if (!next)
		next = (int (*)(void *, size_t))(uintptr_t)real("munmap");
	let_go(MAPPING(at));
	return next(at, size);
}

/*
 * Of the system calls that have no function: what eBPF, watching and signalling a process by
 * descriptor need.
 */
EXPORT long fault_syscall(long number, long a, long b, long c, long d, long e, long f) __asm__("syscall");
long fault_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	static long (*next)(long, ...);
	struct fault_site *site;

	if (!next)
		next = (long (*)(long, ...))(uintptr_t)real("syscall");
	if ((number == SYS_bpf && fails("bpf", FAULT_ANY, EPERM, &site)) ||
	    (number == SYS_perf_event_open && fails("perf_event_open", FAULT_ANY, EMFILE, &site)) ||
	    (number == SYS_pidfd_open && fails("pidfd_open", FAULT_ANY, EMFILE, &site)) ||
	    (number == SYS_renameat2 && fails("renameat2", FAULT_ANY | FAULT_STORE, ENOSPC, &site)))
		return -1;
	return next(number, a, b, c, d, e, f);
}

/* A child must not inherit the lock from a thread it does not have. */
EXPORT int fault_fork(void) __asm__("fork");
int fault_fork(void)
{
	static int (*next)(void);
	struct fault_site *site;
	int pid;

	if (!next)
		next = (int (*)(void))(uintptr_t)real("fork");
	if (fails("fork", FAULT_ANY, EAGAIN, &site))
		return -1;
	inside = true;
	take_lock();
	pid = next();
	if (pid == 0) /* what the parent holds is the parent's to give back */
		memset(held, 0, sizeof(held));
	give_lock();
	inside = false;
	return pid;
}

/* The environment's memory is libc's own. */
EXPORT int fault_setenv(path_t name, path_t value, int overwrite) __asm__("setenv");
int fault_setenv(path_t name, path_t value, int overwrite)
{
	static int (*next)(path_t, path_t, int);
	struct fault_site *site;
	bool was = inside;
	int result;

	if (!next)
		next = (int (*)(path_t, path_t, int))(uintptr_t)real("setenv");
	if (fails("setenv", FAULT_ANY, ENOMEM, &site))
		return -1;
	inside = true;
	result = next(name, value, overwrite);
	inside = was;
	return result;
}

#define ALLOCATES(name, params, args)                                                               \
	EXPORT void *fault_##name params __asm__(#name);                                            \
	void *fault_##name params                                                                   \
	{                                                                                           \
		struct fault_site *site;                                                            \
		void *result;                                                                       \
                                                                                                    \
		if (fails(#name, FAULT_ANY | FAULT_GETS, ENOMEM, &site))                            \
			return NULL;                                                                \
		result = __libc_##name args;                                                        \
		if (result)                                                                         \
			hold(MEMORY(result), site);                                                 \
		return result;                                                                      \
	}
ALLOCATES(malloc, (size_t size), (size))
ALLOCATES(calloc, (size_t count, size_t size), (count, size))

EXPORT void *fault_realloc(void *memory, size_t size) __asm__("realloc");
void *fault_realloc(void *memory, size_t size)
{
	struct fault_site *site;
	void *result;

	if (size && fails("realloc", FAULT_ANY | FAULT_GETS, ENOMEM, &site))
		return NULL;
	let_go(MEMORY(memory));
	result = __libc_realloc(memory, size);
	if (result && size)
		hold(MEMORY(result), site);
	return result;
}

EXPORT void *fault_reallocarray(void *memory, size_t count, size_t size) __asm__("reallocarray");
void *fault_reallocarray(void *memory, size_t count, size_t size)
{
	return fault_realloc(memory, count * size);
}

EXPORT void fault_free(void *memory) __asm__("free");
void fault_free(void *memory)
{
	if (memory)
		let_go(MEMORY(memory));
	__libc_free(memory);
}
