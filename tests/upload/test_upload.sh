#!/bin/bash
# SPDX-License-Identifier: MIT
# test_upload.sh - `flightrec upload` against the real collector, and where it matters what it says and keeps, against a server that misbehaves.
# test_hostile.sh has the table of what a server may do.
# shellcheck source=tests/upload/lib.sh
. "$(dirname "$0")/lib.sh"

begin "without an endpoint nothing is sent, and it says how to change that"
fill 1 1 10
code=0
"$flightrec" upload >"$scratch/out" 2>"$scratch/err" || code=$?
expect_code 4
expect_said "upload is off"
expect_said "endpoint ="
[[ ! -e $scratch/state/outbox ]] || fail "it made an outbox"

begin "events of two boots arrive, each once, in batches of one boot"
fill 1 3 700
fill 2 2 500
upload "$port" -o batch_events=400
expect_code 0
expect_said "acknowledged: 3,100 events"
expect_exactly_once 3100

begin "configuration comes from the file, the environment goes over it"
fill 1 1 10
printf '[upload]\nendpoint = http://127.0.0.1:%s\ndatabase = wrong\nspeling = 1\n' "$port" >"$scratch/f.conf"
code=0
FLIGHTREC_CONFIG=$scratch/f.conf "$flightrec" upload >"$scratch/out" 2>"$scratch/err" || code=$?
expect_code 1
expect_said "want a GUID"
expect_said 'f.conf:4: unknown key "speling"'
code=0
FLIGHTREC_CONFIG=$scratch/f.conf FLIGHTREC_UPLOAD_DATABASE=$database "$flightrec" upload >"$scratch/out" 2>"$scratch/err" || code=$?
expect_code 0
expect_exactly_once 10

begin "an answer that is lost leads to a duplicate, which counts as acknowledged"
fill 1 1 100
start_hostile drop drop
upload "$hostile" --json
expect_code 0
expect_said '"batches_acked":1,"batches_duplicate":1,"events_acked":100'
expect_exactly_once 100

begin "an endpoint that can't be reached is given up for now, and the batch waits"
fill 1 1 10
start_hostile
stop "$hostile_pid"
hostile_pid=''
upload "$hostile" -o give_up=100ms -o budget_bytes_per_day=800
expect_code 1
expect_said "given up for now"
expect_said "left:         10 events"
expect_waiting 1
upload "$port"
expect_code 0
expect_exactly_once 10

begin "a token is sent from its file, and a wrong one is no reason to lose a batch"
fill 1 1 10
echo "s3cret-token" >"$scratch/token"
echo "another" >"$scratch/wrong"
start_collector --token-file "$scratch/token"
upload "$port" --token-file "$scratch/wrong"
expect_code 1
expect_said "token_file"
upload "$port" --token-file "$scratch/token"
expect_code 0
! grep -rq "s3cret-token" "$scratch/state" "$scratch/out" "$scratch/err" || fail "the token is to be seen"
printf 'two words\n' >"$scratch/wrong"
upload "$port" --token-file "$scratch/wrong"
expect_code 1
start_collector
expect_exactly_once 10

begin "a batch that is too large is cut until it fits"
fill 1 2 2000
start_collector --max-body 3000
upload "$port"
expect_code 0
(($(stat_of batches) > 3)) || fail "it was not cut"
expect_exactly_once 4000

begin "one event that is refused is set aside and named, and the rest arrives"
fill 1 2 500 POISON
start_hostile poison=POISON
upload "$hostile"
expect_code 0
expect_said "set aside:    1 events"
expect_said "event 7 of lane 0 of ring"
expect_rejected 1
expect_waiting 0
[[ $(stat_of unique) == 999 ]] || fail "the collector has $(stat_of unique) events, want 999"
[[ $(stat_of events) == 999 ]] || fail "some came twice"
upload "$hostile"
expect_code 4
rm "$scratch"/state/index.db*
upload "$hostile"
expect_code 4
mv "$scratch"/state/outbox/rejected/*.frb "$scratch/state/outbox/"
upload "$port"
expect_exactly_once 1000

begin "a bare 400 is believed only from an endpoint that acknowledged before"
fill 1 1 100 POISON
start_hostile poison400=POISON
upload "$hostile"
expect_code 1
expect_said "never acknowledged a batch"
expect_waiting 1
expect_rejected 0
upload "$port"
fill 2 1 100 POISON
upload "$hostile"
expect_code 0
expect_rejected 1
[[ $(stat_of unique) == 199 ]] || fail "the collector has $(stat_of unique) events, want 199"

begin "an endpoint that refuses everything does not eat the recording"
fill 1 1 200
start_hostile reject-all
upload "$hostile"
expect_code 1
expect_said "refused 16 events one after the other"
expect_rejected 16
mv "$scratch"/state/outbox/rejected/*.frb "$scratch/state/outbox/"
upload "$port"
expect_code 0
expect_exactly_once 200

begin "what is over the day's budget waits, and says so"
fill 1 1 3000
upload "$port" -o batch_events=500 -o budget_bytes_per_day=9000
expect_code 0
expect_said "budget is used up"
(($(stat_of bytes) <= 9000)) || fail "$(stat_of bytes) bytes were sent"
(($(stat_of unique) > 0 && $(stat_of unique) < 3000)) || fail "$(stat_of unique) events came"
upload "$port" -o batch_events=500 -o budget_bytes_per_day=9000
expect_code 0
(($(stat_of bytes) <= 9000)) || fail "a restart renewed the budget"
upload "$port" -o batch_events=500
expect_code 0
expect_exactly_once 3000

begin "a damaged file of the outbox is set aside, and its events are sent in another batch"
fill 1 1 50
start_hostile 404
upload "$hostile"
expect_waiting 1
for file in "$scratch"/state/outbox/*.frb; do
	printf 'X' | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") - 20)) conv=notrunc status=none
done
upload "$port"
expect_code 0
expect_said "is damaged and set aside"
expect_exactly_once 50

begin "the index may go at any time: what was acknowledged is not sent again"
fill 1 1 50
upload "$port"
rm "$scratch"/state/index.db*
fill 2 1 30
upload "$port"
expect_said "acknowledged: 30 events"
rm "$scratch"/state/index.db*
expect_exactly_once 80

begin "only one uploader is at work"
fill 1 1 50
start_hostile hang
"$flightrec" upload --watch --endpoint "http://127.0.0.1:$hostile" --database "$database" >/dev/null 2>&1 &
first=$!
for ((i = 0; i < 1200; i++)); do
	[[ ! -s $scratch/hostile.log ]] || break
	sleep 0.05
done
upload "$port"
expect_code 1
expect_said "another \`flightrec upload\` is at work"
stop "$first"
upload "$port"
expect_exactly_once 50

begin "--watch sends what comes, and ends in order on SIGTERM"
fill 1 1 50
"$flightrec" upload --watch --endpoint "http://127.0.0.1:$port" --database "$database" -o interval=100ms \
	>"$scratch/out" 2>"$scratch/err" &
watcher=$!
fill 2 1 40
for ((i = 0; i < 1200; i++)); do
	[[ $(stat_of unique) != 90 ]] || break
	sleep 0.05
done
kill "$watcher"
code=0
wait "$watcher" || code=$?
expect_code 0
expect_exactly_once 90
