#!/bin/bash
# SPDX-License-Identifier: MIT
# run.sh TARGET... - lets libFuzzer search for FUZZ_TIME seconds each, from tests/fuzz/corpus/TARGET and from what earlier runs found ($O/fuzz/found/TARGET).
# A finding (crash, hang, leak, too much memory) stays as a file in $O/fuzz/findings/, and the exit code is 1. $O/fuzz.jsonl gets a line for
# each target: what was executed, how much of the code was reached, what was found.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

out=${O:-build}/fuzz
seconds=${FUZZ_TIME:-60}
mkdir -p "$out/findings"
declare -A longest=([ring]=24576 [segment]=24576)
result=0

# figure NAME LOG: a number of libFuzzer's last words
figure() {
	sed -n "s/^stat::$1: *\([0-9]*\).*/\1/p" "$2" | tail -n 1
}

for target; do
	log=$out/$target.log
	mkdir -p "$out/found/$target"
	dictionary=tests/fuzz/$target.dict
	[[ -f $dictionary ]] || dictionary=
	ASAN_OPTIONS=detect_leaks=1:quarantine_size_mb=16 "$out/fuzz_$target" -max_total_time="$seconds" -max_len="${longest[$target]:-8192}" -timeout=60 -rss_limit_mb=2048 \
		-detect_leaks=1 -print_final_stats=1 ${dictionary:+-dict="$dictionary"} -artifact_prefix="$out/findings/$target-" \
		"$out/found/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1
	code=$?
	finding=$(sed -n 's/.*Test unit written to \(.*\)/\1/p' "$log" | tail -n 1)
	edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
	printf '{"fuzz":"%s","seconds":%d,"executions":%d,"edges":%d,"rss_mib":%d,"finding":"%s"}\n' "$target" "$seconds" \
		"$(figure number_of_executed_units "$log")" "${edges:-0}" "$(figure peak_rss_mb "$log")" "$finding" |
		tee -a "${O:-build}/fuzz.jsonl"
	if ((code)); then
		result=1
		echo "fuzz_$target: ${finding:-did not run}; the end of $log:" >&2
		tail -n 30 "$log" >&2
	fi
done
exit $result
