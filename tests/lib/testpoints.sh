#!/bin/bash
# SPDX-License-Identifier: MIT
# testpoints.sh GROUP... - prints the names of the testpoints (recorder/core/testpoint.h) of these groups, as they stand in the
# source, so that a new one is tortured without a change to any test.
# testpoints.sh --check - fails when there is one in a file of no group, or of a group that no test asks for.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
shopt -s nullglob

declare -A group=(
	[lane]='recorder/core/ring.h'
	[emit]='recorder/core/ring.h recorder/client/emit.c recorder/client/lanes.c'
	[writer]='recorder/core/ring.h recorder/core/map.c recorder/core/declare.c recorder/core/ringfile.c recorder/core/host.c
		recorder/client/*.c'
	[daemon]='recorder/daemon/*.c recorder/core/gates*.c pstore/vouch.c'
	[evidence]='pstore/[!v]*.c recorder/core/segment.c'
	[index]='uploader/index.c uploader/index_update.c uploader/db_files.c uploader/ingest.c uploader/retention.c uploader/compact.c
		uploader/aside.c'
	[upload]='uploader/upload.c uploader/outbox.c'
)

names_in() {
	(($#)) && grep -hoE 'FR_TESTPOINT\("[a-z-]+"\)' "$@" | grep -oE '"[a-z-]+"' | tr -d '"' | sort -u
}

if [[ ${1:-} == --check ]]; then
	wrong=0
	mapfile -t files < <(grep -rlE 'FR_TESTPOINT\("' --include='*.[ch]' recorder pstore uploader bpf | grep -v core/testpoint.h)
	# shellcheck disable=SC2206
	grouped=(${group[*]})
	for file in "${files[@]}"; do
		[[ " ${grouped[*]} " == *" $file "* ]] || { echo "$file: its testpoints are in no group of tests/lib/testpoints.sh"; wrong=1; }
	done
	for name in "${!group[@]}"; do
		grep -rqE "(testpoints\.sh |life_points\(\")([a-z]+ )*$name\b" tests --include='test_*' ||
			{ echo "tests/lib/testpoints.sh: no test kills at the testpoints of group $name"; wrong=1; }
	done
	exit $wrong
fi
for name; do
	[[ ${group[$name]:-} ]] || { echo "no group $name" >&2; exit 2; }
	# shellcheck disable=SC2086
	names_in ${group[$name]}
done | sort -u
