#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 120
# Clients that connect and say nothing, lie, or want too much: they are bounded, cost a line each up to a limit, and others
# are served meanwhile.
. tests/daemon/lib.sh

printf '[server]\nconnections_max = 16\nrequest_timeout = 500ms\n' >"$FLIGHTREC_CONFIG"
start_daemon --no-bpf
fds() { find "/proc/$daemon/fd" | wc -l; }
idle=$(fds)

"$client" connect 500 >"$scratch/flood" &
flood=$!
sleep 0.2
(($(fds) < idle + 50)) || fail "$(fds) descriptors in a flood of connections"
spawn holder hold
ready holder
wait "$flood"
[[ $(cat "$scratch/flood") == "dropped 500" ]] || fail "silent connections stay: $(cat "$scratch/flood")"
settled() { (($(fds) <= idle + 2)); }
until_true settled || fail "descriptors leak: $idle before, $(fds) after"
holds "500 silent connections are dropped, and a good client gets in"

started=$SECONDS
"$client" lie >"$scratch/lies"
lines=$(grep -c 'refused:' "$log")
((lines <= 6 * ((SECONDS - started) / 10 + 2))) || fail "$lines lines for 400 lies"
[[ $(cat "$scratch/lies") == "refused 400 of 400" ]] || fail "lies were not refused: $(cat "$scratch/lies")"
holds "400 lying packets are refused, at a price of $lines lines"

printf '[store]\nrings_max = 12\n' >"$FLIGHTREC_CONFIG"
kill -HUP "$daemon"
until_true grep -q 'configuration reloaded' "$log"
spawn greedy attach 50
ready greedy
[[ $(cat "$scratch/greedy") == "got 8" ]] || fail "one process $(cat "$scratch/greedy") rings"
spawn greedy2 attach 50
ready greedy2
[[ $(cat "$scratch/greedy2") == "got 3" ]] || fail "with one ring and eight of twelve taken, another $(cat "$scratch/greedy2")"
holds "a process has at most 8 rings, all together have rings_max"

"$client" exit 3 >"$scratch/own" # bounds reached: it makes a ring file of its own, and the daemon finds that
read -r _ _ own from_daemon <"$scratch/own"
[[ $from_daemon == 0 ]] || fail "a ring beyond the bound came from the daemon"
until_true segment_of "$own" events=3 vouched=0 reason=closed || fail "its own ring was not found: $(heads)"
holds "a program that is refused records into a file of its own, which is found and salvaged"

kill -KILL "${children[@]}"
no_rings_of_clients() { [[ -z $(find "$state/rings" -name '*.ring' ! -name "$daemon-*") ]]; }
until_true no_rings_of_clients || fail "rings of the dead stay"
status >/dev/null || fail "no status after all that"
holds "the daemon is as it was"
stop_daemon
