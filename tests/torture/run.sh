#!/bin/bash
# SPDX-License-Identifier: MIT
# run.sh PROGRAM... - runs them as run-checks.sh does, with full counts. $O/torture.jsonl has a JSON line for each program ("check": how
# it ended) and for each row it reported ("row": what was tried and held). Prints the rows as a table of Markdown.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

report=$(realpath -m "${O:-build}/torture.jsonl")
: >"$report" || exit 1
FR_TORTURE=full FR_REPORT=$report CHECK_TIMEOUT=${CHECK_TIMEOUT:-1800} tests/lib/run-checks.sh "$@"
result=$?
printf '\n| what | tried | seen |\n|---|---|---|\n'
jq -r 'select(.row) | "| \(.row) | \(.count) \(.unit) | \(.seen) |"' "$report"
printf '\nalso in %s\n' "${report#"$PWD"/}"
exit $result
