/* SPDX-License-Identifier: MIT */
/*
 * notify.h - what the service manager is told: ready, reloading, stopping, alive. Nothing without libsystemd, or when
 * nobody asked.
 */
#ifndef RECORDER_DAEMON_NOTIFY_H
#define RECORDER_DAEMON_NOTIFY_H

#include <stdint.h>

void notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);
void notify_status(const char *status);
void notify_alive(void);
uint64_t notify_watchdog_ms(void); /* how often it wants to hear from us at least; 0: never */

#endif
