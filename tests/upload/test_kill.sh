#!/bin/bash
# SPDX-License-Identifier: MIT
# test_kill.sh - the uploader is killed at every testpoint, and at random instants: each event arrives exactly once.
# check-timeout: 900
# shellcheck source=tests/upload/lib.sh
. "$(dirname "$0")/lib.sh"
. tests/lib/torture.sh

# What is on the way of a batch that is accepted, of one that is cut in two, and of one event that nobody wants.
prepare_plain() {
	fill 1 2 150
	to=$port options=(-o batch_events=100) want=300
}
prepare_cut() {
	fill 1 2 150
	start_collector --max-body 1000
	to=$port options=() want=300
}
prepare_refused() {
	fill 1 1 20 POISON
	start_hostile poison=POISON
	to=$hostile options=() want=19
}

judge() {
	if [[ $1 == refused ]]; then
		expect_rejected 1
		expect_waiting 0
		[[ $(stat_of unique) == "$want" && $(stat_of events) == "$want" ]] || fail "the collector has $(stat_of unique) events, want $want"
	else
		expect_exactly_once "$want"
	fi
}

# killed_at SCENARIO POINT NTH...: killed there for the first time, started again, killed there, ...; false when it never comes there
killed_at() {
	local scenario=$1 point=$2 deaths=0
	shift 2
	begin "killed at $point ($scenario; time $*)"
	"prepare_$scenario"
	for nth; do
		flightrec=$bin/flightrec-testpoints FLIGHTREC_TESTPOINT=$point:$nth upload "$to" "${options[@]}" 2>/dev/null
		[[ $code != 137 ]] || deaths=$((deaths + 1))
	done
	upload "$to" "${options[@]}"
	judge "$scenario"
	runs=$((runs + 1)) kills=$((kills + deaths))
	((deaths))
}

runs=0 kills=0
mapfile -t points < <(tests/lib/testpoints.sh upload)
((${#points[@]} >= 15)) || fail "only ${#points[@]} testpoints found"
for point in "${points[@]}"; do
	reached=0
	for scenario in plain cut refused; do
		# the sample: where it is reached first, the first and the second time
		if killed_at $scenario "$point" 1 2; then
			reached=1
			[[ $(torture_count 0 1) == 1 ]] || break
			killed_at $scenario "$point" 3 || true
		fi
	done
	((reached)) || fail "$point is never reached"
done
torture_row "kill at every testpoint: upload" $runs runs "${#points[@]} testpoints, killed $kills times: each event once at the collector"

begin "killed at random instants while the network fails, until everything has arrived"
each=$(torture_count 800 4000)
fill 1 3 "$each"
deeds=()
for ((i = 0; i < 60; i++)); do
	deeds+=(drop 500 forward cut drop)
done
start_hostile "${deeds[@]}"
RANDOM=7
kills=0 result=0
for ((i = 0; i < $(torture_count 60 400) && result != 4; i++)); do
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
((kills >= $(torture_count 5 20))) || fail "only $kills kills hit"
upload "$hostile"
expect_exactly_once $((3 * each))
deliveries=$(stat_of deliveries) batches=$(stat_of batches)
torture_row "kill at random instants: upload" "$kills" kills "$((3 * each)) events once each in $batches batches, delivered $deliveries times"
