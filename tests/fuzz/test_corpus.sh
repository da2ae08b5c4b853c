#!/bin/bash
# SPDX-License-Identifier: MIT
# test_corpus.sh - every input that a search found worth keeping is run again: the properties hold, and nothing is read that should not be.
set -euo pipefail

# shellcheck source=tests/lib/torture.sh
. tests/lib/torture.sh
: "${FR_BUILD:?run it by make check}"
inputs=0 targets=0
for program in tests/fuzz/fuzz_*.c; do
	program=$FR_BUILD/${program%.c}
	[[ -x $program ]] || continue # what it is about was left out of this build
	said=$("$program" 2>&1) || {
		printf '%s\nFAILED: %s\n' "$said" "${program##*/}" >&2
		exit 1
	}
	inputs=$((inputs + $(sed -n 's/^\([0-9]*\) files$/\1/p' <<<"$said")))
	targets=$((targets + 1))
done
torture_row fuzz $inputs inputs "no crash, leak or broken property in $targets targets (make fuzz FUZZ_TIME=600 searches for more)"
