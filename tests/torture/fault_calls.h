/* SPDX-License-Identifier: MIT */
/*
 * fault_calls.h - the calls that can fail, one a line: fault.c includes it where its macros CALL,
 * FD, INT and SIZE turn a line into a function. Name, parameters, arguments, (what it returns,) its
 * errno, FAULT_* kinds.
 */
FD(open, (path_t path, int flags, int mode), (path, flags, mode),
   flags &O_CREAT_FLAG ? ENOSPC : EMFILE, flags & 03 ? FAULT_STORE : 0)
FD(open64, (path_t path, int flags, int mode), (path, flags, mode),
   flags &O_CREAT_FLAG ? ENOSPC : EMFILE, flags & 03 ? FAULT_STORE : 0)
FD(openat, (int dir, path_t path, int flags, int mode), (dir, path, flags, mode),
   flags &O_CREAT_FLAG ? ENOSPC : EMFILE, flags & 03 ? FAULT_STORE : 0)
FD(openat64, (int dir, path_t path, int flags, int mode), (dir, path, flags, mode),
   flags &O_CREAT_FLAG ? ENOSPC : EMFILE, flags & 03 ? FAULT_STORE : 0)
CALL(void *, fopen, (path_t path, path_t mode), (path, mode), NULL, EMFILE, *mode == 'r' ? 0 : FAULT_STORE)
CALL(void *, fopen64, (path_t path, path_t mode), (path, mode), NULL, EMFILE, *mode == 'r' ? 0 : FAULT_STORE)
CALL(void *, fdopen, (int fd, path_t mode), (fd, mode), NULL, ENOMEM, 0)
CALL(void *, opendir, (path_t path), (path), NULL, EMFILE, 0)
CALL(void *, fdopendir, (int fd), (fd), NULL, ENOMEM, 0)
CALL(void *, readdir, (void *dir), (dir), NULL, EIO, 0)
CALL(void *, readdir64, (void *dir), (dir), NULL, EIO, 0)
CALL(int, scandir64, (path_t path, void *list, void *filter, void *compare),
     (path, list, filter, compare), -1, ENOMEM, 0)
SIZE(read, (int fd, void *to, size_t size), (fd, to, size), EIO, 0)
SIZE(__read_chk, (int fd, void *to, size_t size, size_t room), (fd, to, size, room), EIO, 0)
SIZE(pread, (int fd, void *to, size_t size, long at), (fd, to, size, at), EIO, 0)
SIZE(pread64, (int fd, void *to, size_t size, long at), (fd, to, size, at), EIO, 0)
SIZE(readlink, (path_t path, char *to, size_t size), (path, to, size), EIO, 0)
SIZE(__getdelim, (char **line, size_t *room, int end, void *file), (line, room, end, file), ENOMEM, 0)
SIZE(pwritev, (int fd, const void *parts, int count, long at), (fd, parts, count, at), ENOSPC, FAULT_STORE)
INT(ftruncate, (int fd, long size), (fd, size), EIO, FAULT_STORE)
INT(ftruncate64, (int fd, long size), (fd, size), EIO, FAULT_STORE)
INT(fallocate64, (int fd, int mode, long at, long size), (fd, mode, at, size), ENOSPC, FAULT_STORE)
CALL(int, posix_fallocate64, (int fd, long at, long size), (fd, at, size), errno, ENOSPC, FAULT_STORE)
INT(fsync, (int fd), (fd), EIO, FAULT_STORE)
INT(fdatasync, (int fd), (fd), EIO, FAULT_STORE)
INT(sync_file_range, (int fd, long at, long size, unsigned flags), (fd, at, size, flags), EIO, 0)
INT(msync, (void *at, size_t size, int flags), (at, size, flags), EIO, FAULT_STORE)
INT(rename, (path_t from, path_t to), (from, to), ENOSPC, FAULT_STORE)
INT(renameat, (int from_dir, path_t from, int to_dir, path_t to), (from_dir, from, to_dir, to),
    ENOSPC, FAULT_STORE)
INT(renameat2, (int from_dir, path_t from, int to_dir, path_t to, unsigned flags),
    (from_dir, from, to_dir, to, flags), ENOSPC, FAULT_STORE)
INT(unlink, (path_t path), (path), EIO, FAULT_STORE | FAULT_UNDO)
INT(unlinkat, (int dir, path_t path, int flags), (dir, path, flags), EIO, FAULT_STORE | FAULT_UNDO)
INT(rmdir, (path_t path), (path), EIO, FAULT_STORE | FAULT_UNDO)
INT(mkdir, (path_t path, unsigned mode), (path, mode), ENOSPC, FAULT_STORE)
INT(mkdirat, (int dir, path_t path, unsigned mode), (dir, path, mode), ENOSPC, FAULT_STORE)
INT(link, (path_t from, path_t to), (from, to), ENOSPC, FAULT_STORE)
INT(linkat, (int from_dir, path_t from, int to_dir, path_t to, int flags),
    (from_dir, from, to_dir, to, flags), ENOSPC, FAULT_STORE)
INT(symlink, (path_t to, path_t path), (to, path), ENOSPC, FAULT_STORE)
INT(chmod, (path_t path, unsigned mode), (path, mode), EPERM, FAULT_STORE)
INT(fchmod, (int fd, unsigned mode), (fd, mode), EPERM, FAULT_STORE)
INT(fchmodat, (int dir, path_t path, unsigned mode, int flags), (dir, path, mode, flags), EPERM, FAULT_STORE)
INT(fchown, (int fd, unsigned uid, unsigned gid), (fd, uid, gid), EPERM, FAULT_STORE)
INT(access, (path_t path, int mode), (path, mode), EIO, 0)
INT(faccessat, (int dir, path_t path, int mode, int flags), (dir, path, mode, flags), EIO, 0)
INT(stat, (path_t path, void *to), (path, to), EIO, 0)
INT(stat64, (path_t path, void *to), (path, to), EIO, 0)
INT(lstat64, (path_t path, void *to), (path, to), EIO, 0)
INT(fstat64, (int fd, void *to), (fd, to), EIO, 0)
INT(fstatat64, (int dir, path_t path, void *to, int flags), (dir, path, to, flags), EIO, 0)
INT(statfs64, (path_t path, void *to), (path, to), EIO, 0)
INT(statvfs64, (path_t path, void *to), (path, to), EIO, 0)
CALL(long, lseek64, (int fd, long at, int from), (fd, at, from), -1, EIO, 0)
INT(flock, (int fd, int how), (fd, how), ENOLCK, 0)
INT(fcntl64, (int fd, int what, long value), (fd, what, value), ENOLCK, 0)
INT(ioctl, (int fd, unsigned long what, long value), (fd, what, value), ENOTTY, 0)
CALL(char *, getcwd, (char *to, size_t size), (to, size), NULL, ENOMEM, 0)
INT(setrlimit64, (int what, const void *limit), (what, limit), EPERM, 0)
INT(getrlimit64, (int what, void *limit), (what, limit), EPERM, 0)
INT(dup2, (int fd, int as), (fd, as), EBUSY, 0)

FD(socket, (int domain, int type, int protocol), (domain, type, protocol), EMFILE, 0)
INT(connect, (int fd, const void *to, unsigned size), (fd, to, size), ECONNREFUSED, 0)
INT(bind, (int fd, const void *to, unsigned size), (fd, to, size), EADDRINUSE, 0)
INT(listen, (int fd, int backlog), (fd, backlog), EADDRINUSE, 0)
FD(accept4, (int fd, void *from, void *size, int flags), (fd, from, size, flags), EMFILE, 0)
SIZE(send, (int fd, const void *from, size_t size, int flags), (fd, from, size, flags), ECONNRESET, 0)
SIZE(sendto, (int fd, const void *from, size_t size, int flags, const void *to, unsigned length),
     (fd, from, size, flags, to, length), ECONNRESET, 0)
SIZE(sendmsg, (int fd, const void *message, int flags), (fd, message, flags), ECONNRESET, 0)
SIZE(recv, (int fd, void *to, size_t size, int flags), (fd, to, size, flags), ECONNRESET, 0)
SIZE(recvmsg, (int fd, void *message, int flags), (fd, message, flags), ECONNRESET, 0)
INT(getsockopt, (int fd, int level, int what, void *to, void *size), (fd, level, what, to, size), ENOBUFS, 0)
INT(setsockopt, (int fd, int level, int what, const void *from, unsigned size),
    (fd, level, what, from, size), ENOBUFS, 0)
INT(poll, (void *fds, unsigned long count, int ms), (fds, count, ms), EINTR, 0)
FD(epoll_create1, (int flags), (flags), EMFILE, 0)
INT(epoll_ctl, (int fd, int what, int which, void *event), (fd, what, which, event), ENOSPC, 0)
INT(epoll_wait, (int fd, void *events, int count, int ms), (fd, events, count, ms), EINTR, 0)
FD(timerfd_create, (int clock, int flags), (clock, flags), EMFILE, 0)
INT(timerfd_settime, (int fd, int flags, const void *value, void *old), (fd, flags, value, old), EINVAL, 0)
FD(signalfd, (int fd, const void *mask, int flags), (fd, mask, flags), EMFILE, 0)
FD(eventfd, (unsigned value, int flags), (value, flags), EMFILE, 0)
FD(inotify_init1, (int flags), (flags), EMFILE, 0)
INT(inotify_add_watch, (int fd, path_t path, unsigned mask), (fd, path, mask), ENOSPC, 0)
FD(memfd_create, (path_t name, unsigned flags), (name, flags), EMFILE, 0)
INT(waitpid, (int pid, int *status, int flags), (pid, status, flags), EINTR, 0)
INT(kill, (int pid, int signal), (pid, signal), EPERM, 0)
SIZE(getrandom, (void *to, size_t size, unsigned flags), (to, size, flags), ENOSYS, 0)
INT(prctl, (int what, long a, long b, long c, long d), (what, a, b, c, d), EINVAL, 0)
INT(madvise, (void *at, size_t size, int advice), (at, size, advice), EINVAL, 0)
INT(mprotect, (void *at, size_t size, int protection), (at, size, protection), ENOMEM, 0)
INT(sigaltstack, (const void *now, void *before), (now, before), ENOMEM, 0)
INT(sigaction, (int number, const void *now, void *before), (number, now, before), EINVAL, 0)
CALL(int, pthread_create, (void *thread, const void *attributes, void *run, void *context),
     (thread, attributes, run, context), EAGAIN, 0, 0)
CALL(int, pthread_key_create, (void *key, void *end), (key, end), EAGAIN, 0, 0)
CALL(int, getaddrinfo, (path_t node, path_t service, const void *hints, void *result),
     (node, service, hints, result), -3, 0, 0)

CALL(int, sqlite3_open_v2, (path_t path, void **db, int flags, path_t vfs), (path, db, flags, vfs),
     (*db = NULL, 7), 0, 0)
CALL(int, sqlite3_prepare_v2, (void *db, path_t sql, int size, void **made, void *tail),
     (db, sql, size, made, tail), (*made = NULL, 7), 0, 0)
CALL(int, sqlite3_prepare_v3,
     (void *db, path_t sql, int size, unsigned flags, void **made, void *tail),
     (db, sql, size, flags, made, tail), (*made = NULL, 7), 0, 0)
CALL(int, sqlite3_step, (void *statement), (statement), 10, 0, 0)
CALL(int, sqlite3_exec, (void *db, path_t sql, void *row, void *context, void *why),
     (db, sql, row, context, why), 10, 0, 0)
CALL(int, curl_global_init, (long flags), (flags), 27, 0, 0)
CALL(void *, curl_easy_init, (void), (), NULL, 0, 0)
CALL(int, curl_easy_setopt, (void *handle, int option, long value), (handle, option, value), 27, 0, 0)
CALL(int, curl_easy_perform, (void *handle), (handle), 7, 0, 0)
CALL(int, curl_easy_getinfo, (void *handle, int what, void *to), (handle, what, to), 48, 0, 0)
CALL(void *, curl_slist_append, (void *list, path_t text), (list, text), NULL, 0, 0)
CALL(void *, ZSTD_createCCtx, (void), (), NULL, 0, 0)
CALL(void *, ZSTD_createDStream, (void), (), NULL, 0, 0)
CALL(size_t, ZSTD_compressStream2, (void *context, void *out, void *in, int end),
     (context, out, in, end), (size_t)-64, 0, 0)
