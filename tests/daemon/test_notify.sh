#!/bin/bash
# SPDX-License-Identifier: MIT
# The service manager is told: ready, alive, reloading, ready again, stopping; and lines for the journal carry a priority.
. tests/daemon/lib.sh

[[ $(ldd "$flightrecd") == *libsystemd* ]] || { echo "built without libsystemd"; exit 77; }
spawn notified notified "$scratch/notify"
until_true test -S "$scratch/notify" || fail "no socket to notify"
export NOTIFY_SOCKET=$scratch/notify WATCHDOG_USEC=300000
start_daemon --no-bpf
told() { grep -q "$1" "$scratch/notified"; }
until_true told '^READY=1' || fail "not told that it is ready"
told '^STATUS=.*programs record' || fail "told no status: $(cat "$scratch/notified")"
holds "ready is told once everything is open: $(grep -m 1 STATUS "$scratch/notified")"
alive() { (($(grep -c '^WATCHDOG=1' "$scratch/notified") >= 4)); }
until_true alive || fail "the watchdog is not fed"
holds "a watchdog of 300 ms is fed"
kill -HUP "$daemon"
until_true told '^RELOADING=1' || fail "not told of the reload"
until_true told '^STATUS=configuration reloaded' || fail "not told that the reload is done"
told '^MONOTONIC_USEC=[1-9]' || fail "no time of the reload"
stop_daemon
until_true told '^STOPPING=1' || fail "not told that it stops"
holds "reloading and stopping are told"

unset NOTIFY_SOCKET WATCHDOG_USEC
# standard error is the journal's stream
JOURNAL_STREAM=$(stat -Lc '%d:%i' "$log")
export JOURNAL_STREAM
start_daemon --no-bpf
stop_daemon
grep -q '^<6>version .* ready' "$log" || fail "no priority for the journal: $(tail -n 2 "$log")"
holds "lines for the journal begin with their priority"
