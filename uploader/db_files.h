/* SPDX-License-Identifier: MIT */
/*
 * db_files.h - the files of a database: it, and the journals beside it.
 *
 * Owns: how a new database takes the place of an old one. The old one's journals go before it (and before them the old
 * one itself, if they hold anything), the directory is synced, and the new one is renamed: a crash
 * leaves the old one, none, or the new one, never a mixture. A reader keeps the file that it opened.
 */
#ifndef UPLOADER_DB_FILES_H
#define UPLOADER_DB_FILES_H

/* The database and what lies beside it, as far as it is there. What the disk says of the first that stays. */
int fr_db_remove(const char *path);
/* -EPERM: something of it is another user's, in a directory where only an owner may remove; before anything is touched. */
int fr_db_may_remove(const char *dir, const char *path);
/* Puts `made`, which is closed and synced, into `place`, in the directory `dir`, durably. What the disk says. */
int fr_db_replace(const char *dir, const char *place, const char *made);

#endif
