#!/bin/bash
# SPDX-License-Identifier: MIT
# test_hostile.sh - a table of what a server, or what stands before it, may do, and what the uploader then does: each batch meets one deed of
# hostile.c, and at the end every event is at the receiver once.
# shellcheck source=tests/upload/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/lib/torture.sh
. tests/lib/torture.sh

# after these the same batch is sent again, byte for byte
again=(refuse reset half garbage empty html huge endless-head cut other-id other-count other-word twice bad-chunks gzip length=3 length=9999
	408 425 429 500 502 503 504 429:0 503@-100 "429=soon" "429=-5" "503=1e9" "429=Fri, 31 Feb 2020" drop)
# these are acknowledgements, though odd ones
taken=(chunked continue duplicate)
# these may be taken or not: the collector has the batch, and what the server says of it is ambiguous
either=(lengths length=-1 length=99999999999999999999999 length=)
# these only a timeout ends, and then the batch is sent again
slow=(hang slow-body slow-head deaf continue-flood)
requests=0

# send_all DEED...: one batch of 3 events meets each deed, in the order given
send_all() {
	local deed deeds=()
	for deed; do
		deeds+=("$deed")
		[[ " ${taken[*]} ${either[*]} " == *" $deed "* ]] || deeds+=(forward)
	done
	fill 1 1 $((3 * $# + 3))
	start_hostile "${deeds[@]}"
	upload "$hostile" -o batch_events=3 "${options[@]}"
	expect_code 0
}

# The log holds a line a request. Each deed was followed by what the table says; there were no more requests than batches and tries
# that were announced.
judge() {
	local asked tries batches
	grep -v '^sent ' "$scratch/hostile.log" >"$scratch/requests"
	awk -v taken=" ${taken[*]} " -v either=" ${either[*]} forward " '
		NR > 1 && !index(either, " " deed " ") {
			if (index(taken, " " deed " ") ? id == $3 : id " " body != $3 " " $4) {
				print deed ": then " $0
				exit 1
			}
		}
		{ deed = $2; id = $3; body = $4 }' "$scratch/requests" >&2 || fail "it did not do what the table says"
	asked=$(wc -l <"$scratch/requests")
	batches=$(cut -d ' ' -f 3 "$scratch/requests" | sort -u | wc -l)
	tries=$(grep -c 'next try in' "$scratch/err" || true)
	((asked <= batches + tries)) || fail "$asked requests for $batches batches and $tries further tries"
	(($(cut -d ' ' -f 3,4 "$scratch/requests" | sort -u | wc -l) == batches)) || fail "a batch was not sent again byte for byte"
	requests=$((requests + asked))
	awk '/^sent / && $2 > 32 * 1048576 { print; bad = 1 } END { exit bad }' "$scratch/hostile.log" >&2 ||
		fail "it listened to an answer without end"
}

begin "what is no acknowledgement is none, and the batch is sent again as it was"
options=(-o give_up=60s)
send_all "${again[@]}" "${taken[@]}" "${either[@]}"
judge
expect_exactly_once $((3 * (${#again[@]} + ${#taken[@]} + ${#either[@]}) + 3))

begin "a server that is slow is left after the timeout"
options=(-o timeout=1s -o give_up=60s)
# shellcheck disable=SC2046
slow=("${slow[@]:0:$(torture_count 2 5)}")
send_all "${slow[@]}"
judge
expect_exactly_once $((3 * ${#slow[@]} + 3))

rounds=$(torture_count 0 10)
for ((round = 0; round < rounds; round++)); do
	RANDOM=${HOSTILE_SEED:-$((1000 + round))}
	begin "deeds in any order, round $round (HOSTILE_SEED=$((1000 + round)) repeats it)"
	options=(-o give_up=300s)
	all=("${again[@]}" "${taken[@]}" "${either[@]}")
	deeds=()
	for ((i = 0; i < 60; i++)); do deeds+=("${all[RANDOM % ${#all[@]}]}"); done
	send_all "${deeds[@]}"
	judge
	expect_exactly_once 183
done

begin "what is a matter of configuration stops it at once: nothing follows a redirect, and the batch is kept"
fill 1 1 10
places=("http://127.0.0.1:$port/v1/batches" "https://127.0.0.1:$port/" "http://192.0.2.1/" "file:///etc/passwd" "/v1/batches")
stops=(redirect "redirect=307,${places[0]}" 401 403 404 405 407 411 415 418 501 304 "redirect=301,${places[1]}" "redirect=303,${places[2]}"
	"redirect=308,${places[3]}" "redirect=308,${places[4]}" "redirect=300,${places[0]}")
stops=("${stops[@]:0:$(torture_count 6 17)}")
start_hostile "${stops[@]}"
for ((i = 1; i <= ${#stops[@]}; i++)); do
	upload "$hostile"
	expect_code 1
	grep -q 'check\|set endpoint' "$scratch/err" || fail "${stops[i - 1]}: does not say what to do"
	(($(wc -l <"$scratch/hostile.log") == i)) || fail "${stops[i - 1]}: it tried again"
	expect_waiting 1
	expect_rejected 0
done
[[ $(stat_of deliveries) == 0 ]] || fail "a redirect was followed"
expect_batches_seen 1
requests=$((requests + ${#stops[@]}))
upload "$hostile"
expect_exactly_once 10

begin "Retry-After is a floor under the wait, in seconds or as a date; it silences a machine for a day at most"
fill 1 1 10
for told in "429:7 7" "503@9 [89]" "429=99999999999 86400" "503=Fri,_01_Jan_2999_00:00:00_GMT 86400"; do
	read -r deed floor <<<"$told"
	start_hostile "${deed//_/ }"
	"$flightrec" upload --watch --endpoint "http://127.0.0.1:$hostile" --database "$database" -o retry_base=5ms -o retry_cap=50ms \
		>"$scratch/out" 2>"$scratch/err" &
	watcher=$!
	for ((i = 0; i < 600; i++)); do
		! grep -q 'next try in' "$scratch/err" || break
		sleep 0.05
	done
	stop "$watcher"
	grep -q "next try in $floor\.0[0-9][0-9] s" "$scratch/err" || grep -q "next try in $floor\.[0-9]* s" "$scratch/err" ||
		fail "$deed: does not wait for that long"
	start_hostile "${deed//_/ }"
	upload "$hostile" -o give_up=500ms
	expect_code 1
	expect_said "given up for now"
	(($(wc -l <"$scratch/hostile.log") == 1)) || fail "$deed: it tried again"
	expect_waiting 1
	requests=$((requests + 2))
done
upload "$port"
expect_exactly_once 10

if [[ $(torture_count sample full) == full ]]; then
	begin "and it is waited for that long"
	fill 1 1 10
	start_hostile 429:1 503@2
	upload "$hostile"
	expect_code 0
	awk '{ t[NR] = $1 } END { exit !(t[2] - t[1] >= 1000 && t[3] - t[2] >= 950) }' "$scratch/hostile.log" || fail "it came back too early"
	expect_exactly_once 10
fi

begin "tries are spread, and become rarer"
fill 1 1 10
tries=16
mapfile -t deeds < <(yes 503 | head -n $tries)
start_hostile "${deeds[@]}"
upload "$hostile" -o retry_base=10ms -o retry_cap=80ms -o give_up=60s
expect_code 0
sed -n 's/.*next try in \([0-9]*\)\.\([0-9]*\) s.*/\1\2/p' "$scratch/err" >"$scratch/waits"
# each wait is below its bound; together they are more than a tenth of what they may be (10^-9 that they are not); and each was waited for
paste -d ' ' "$scratch/waits" <(awk 'NR > 1 { print $1 - t } { t = $1 }' "$scratch/hostile.log") |
	awk -v tries=$tries '
		{ bound = 10 * 2 ^ (NR - 1); if (bound > 80) bound = 80; may += bound; sum += $1 }
		$1 > bound || $2 < $1 - 1 { print "try " NR ": wait " $1 " ms of " bound ", came after " $2; bad = 1 }
		END { if (NR != tries || sum < may / 10) { print NR " tries, " sum " ms of " may; bad = 1 } exit bad }' >&2 ||
	fail "that is no back-off"
spread=$(awk '{ sum += $1 } END { print int(sum / NR) }' "$scratch/waits")
requests=$((requests + tries + 1))
expect_exactly_once 10

begin "a batch that is too large for the server is cut until it fits"
fill 1 1 16
start_hostile 413 413 forward 413
upload "$hostile"
expect_code 0
(($(stat_of batches) == 4)) || fail "$(stat_of batches) batches, want 4 of a batch that was cut three times"
requests=$((requests + $(wc -l <"$scratch/hostile.log")))
expect_exactly_once 16

kinds=$((${#again[@]} + ${#taken[@]} + ${#either[@]} + ${#slow[@]} + ${#stops[@]} + 5))
torture_row "hostile server" $requests requests "$kinds kinds of answers; every event at the receiver once, each batch sent again byte for byte," \
	"no redirect followed, waits of $spread ms on average up to 80 and never before Retry-After"
