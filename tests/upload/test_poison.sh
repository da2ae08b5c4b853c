#!/bin/bash
# SPDX-License-Identifier: MIT
# test_poison.sh - a segment that ends whoever reads it stops the index once; a reader that was killed costs no segment.
# shellcheck source=tests/upload/lib.sh
. "$(dirname "$0")/lib.sh"
export FLIGHTREC_STATE_DIR=$scratch/state
pointed=$bin/flightrec-testpoints

# index PROGRAM: exit code in $code
index() {
	code=0
	"$1" index >"$scratch/out" 2>"$scratch/err" || code=$?
}

ask() { "$flightrec" index --keep --sql "$1" | tail -n +2; }

for boot in 1 2 3; do fill $boot 2 50; done
names=("$scratch"/state/spool/*.frs)
poison=${names[1]##*/}

echo "- a segment that aborts its reader stops the index once"
export FLIGHTREC_TESTPOINT=$poison:1:abort
ulimit -c 0
index "$pointed"
expect_code 134
index "$pointed"
expect_code 3
expect_said "spool/$poison is left out of the index: reading it ended the program"
expect_said "100 events from 2 segments"
unset FLIGHTREC_TESTPOINT

echo "- it is named once, and nothing else is lost"
[[ $(ask "SELECT name, error FROM segments WHERE error IS NOT NULL") == "$poison	left out: reading it ended the program" ]] ||
	fail "segments says: $(ask "SELECT name, error FROM segments")"
[[ $(ask "SELECT count(*) FROM events") == 200 ]] || fail "$(ask "SELECT count(*) FROM events") events, want 200"
index "$flightrec"
expect_code 0
[[ ! -s $scratch/err ]] || fail "it is named again"
[[ ! -s $scratch/state/index.lock ]] || fail "the note is left: $(<"$scratch/state/index.lock")"

echo "- an index made again ends once more, and only once"
export FLIGHTREC_TESTPOINT=$poison:1:abort
code=0
"$pointed" index --rebuild >"$scratch/out" 2>&1 || code=$?
expect_code 134
code=0
"$pointed" index --rebuild >"$scratch/out" 2>&1 || code=$?
expect_code 3
unset FLIGHTREC_TESTPOINT
[[ $(ask "SELECT count(*) FROM events") == 200 ]] || fail "$(ask "SELECT count(*) FROM events") events, want 200"

echo "- one whose reader was ended five times, but not the child that tries it first, is read after all others"
rm -rf "$scratch"/state/index.*
for ((i = 0; i < 5; i++)); do
	code=0
	FLIGHTREC_TESTPOINT=index-read "$pointed" index >/dev/null 2>&1 || code=$?
	expect_code 137
done
[[ $(sort -u "$scratch/state/index.lock") == "${names[0]##*/}" ]] || fail "the note says $(<"$scratch/state/index.lock")"
code=0
FLIGHTREC_TESTPOINT=index-read:3 "$pointed" index >/dev/null 2>&1 || code=$?
expect_code 137
index "$flightrec"
expect_code 0
expect_said "100 events from 1 segment"
[[ $(ask "SELECT count(*) FROM events") == 300 ]] || fail "$(ask "SELECT count(*) FROM events") events, want 300"
[[ ! -s $scratch/state/index.lock ]] || fail "the note is left"

echo "- a good segment whose reader was killed is read by the next one"
for victim in "${names[@]##*/}"; do
	rm -rf "$scratch"/state/index.*
	code=0
	printf 'a torn\n\0\0line' >"$scratch/state/index.lock"
	FLIGHTREC_TESTPOINT=$victim:1 "$pointed" index >/dev/null 2>&1 || code=$?
	expect_code 137
	grep -qF "$victim" "$scratch/state/index.lock" || fail "there is no note of $victim"
	index "$flightrec"
	expect_code 0
	[[ $(ask "SELECT count(*) FROM events") == 300 ]] || fail "$(ask "SELECT count(*) FROM events") events, want 300"
	[[ $(<"$scratch/state/index.lock") == 'a torn' ]] || fail "the note is left"
done
