#!/bin/bash
# SPDX-License-Identifier: MIT
# test_kill.sh - the uploader is killed at every testpoint, and at random instants: each event arrives exactly once.
# check-timeout: 240
# shellcheck source=tests/upload/lib.sh
. "$(dirname "$0")/lib.sh"

# killed_at TESTPOINT TIMES [OPTION...]: 137 expected
killed_at() {
	local point=$1 nth=$2
	shift 2
	flightrec=$bin/flightrec-testpoints FLIGHTREC_TESTPOINT=$point:$nth upload "$@" 2>/dev/null
	[[ $code == 137 ]] || fail "$point:$nth is not reached (exit code $code)"
}

for point in outbox-written outbox-synced outbox-renamed upload-batched upload-queued upload-charged upload-answered upload-evidence \
	upload-marked upload-removed outbox-removed; do
	begin "killed at $point, twice"
	fill 1 2 150
	killed_at "$point" 1 "$port" -o batch_events=100
	killed_at "$point" 2 "$port" -o batch_events=100
	upload "$port" -o batch_events=100
	expect_exactly_once 300
done

# a batch of 300 events is cut several times here
for point in outbox-first-half outbox-second-half outbox-removed upload-answered; do
	for nth in 1 2; do
		begin "killed at $point:$nth while cutting"
		fill 1 2 150
		start_collector --max-body 1000
		killed_at "$point" "$nth" "$port"
		upload "$port"
		expect_exactly_once 300
	done
done

for point in outbox-why upload-rejected; do
	begin "killed at $point"
	fill 1 1 20 POISON
	start_hostile poison=POISON
	killed_at "$point" 1 "$hostile"
	upload "$hostile"
	expect_rejected 1
	expect_waiting 0
	[[ $(stat_of unique) == 19 && $(stat_of events) == 19 ]] || fail "the collector has $(stat_of unique) events, want 19"
done

begin "killed at random instants while the network fails, until everything has arrived"
fill 1 3 4000
deeds=()
for ((i = 0; i < 60; i++)); do
	deeds+=(drop 500 forward cut drop)
done
start_hostile "${deeds[@]}"
RANDOM=7
kills=0 result=0
for ((i = 0; i < 400 && result != 4; i++)); do
	"$flightrec" upload -q --endpoint "http://127.0.0.1:$hostile" --database "$database" -o batch_events=50 -o retry_base=2ms \
		-o retry_cap=5ms -o zstd_level=1 >/dev/null 2>&1 &
	# short at first, so that a fast machine is caught, too; then long enough for a slow one to get on
	printf -v nap '0.%03d' $((RANDOM % (i < 60 ? 20 : 70) + 5))
	sleep "$nap"
	kill -KILL $! 2>/dev/null || true
	result=0
	wait $! 2>/dev/null || result=$?
	((result != 137)) || kills=$((kills + 1))
done
((kills >= 20)) || fail "only $kills kills hit"
upload "$hostile"
expect_exactly_once 12000
echo "  ($kills kills, $(stat_of deliveries) deliveries of $(stat_of batches) batches)"
