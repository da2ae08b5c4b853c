#!/bin/bash
# SPDX-License-Identifier: MIT
# check-includes.sh - holds the source tree to its rules:
#	1. who may include whom (the table below; ARCHITECTURE.md says why)
#	2. a licence line in each source file
#	3. no source file longer than 600 lines
#	4. each invariant of schemas/FORMAT.md is cited by a test's name: test_I3_...
# Prints FILE:LINE: what is wrong, and ends with 1 when anything is.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C

mapfile -t files < <(find schemas recorder bpf pstore uploader systemd tests Makefile .ci -type f \
	! -path 'tests/golden/*' ! -path 'tests/fuzz/corpus/*' | sort)
wrong=0

# shellcheck disable=SC2016
includes() {
	printf '%s\n' "${files[@]}" | grep -E '\.[ch]$' | xargs awk '
	# what a file in a folder may include with "..." or, of our own, with <...>; the first row that fits decides
	function allowed(file) {
		if (file ~ /^tests\//)			  return "."
		if (file ~ /^schemas\//)		  return "^schemas/"
		if (file ~ /^recorder\/include\//)	  return "^flightrec/"
		if (file ~ /^recorder\/core\//)		  return "^(schemas|recorder/core)/"
		if (file ~ /^recorder\/client\//)	  return "^(schemas|recorder/core|recorder/client|flightrec)/"
		if (file ~ /^recorder\/daemon\//)	  return "^(schemas|recorder/core|recorder/daemon|pstore|bpf|flightrec)/"
		if (file ~ /^recorder\/cli\//)		  return "^(schemas|recorder/core|recorder/cli|pstore|uploader|flightrec)/"
		if (file ~ /^bpf\/.*\.bpf\.[ch]$/)	  return "^(schemas|bpf)/"
		if (file ~ /^bpf\//)			  return "^(schemas|recorder/core|bpf)/"
		if (file ~ /^pstore\//)			  return "^(schemas|recorder/core|pstore)/"
		if (file ~ /^uploader\//)		  return "^(schemas|recorder/core|uploader)/"
		return "^$"
	}
	# libraries that only one folder may know
	function home(header) {
		if (header ~ /^bpf\/|^linux\/bpf/)	  return "^bpf/"
		if (header ~ /^sqlite3/)		  return "^uploader/"
		if (header ~ /^curl\//)			  return "^uploader/"
		if (header ~ /^microhttpd/)		  return "^uploader/collector/"
		if (header ~ /^systemd\//)		  return "^recorder/daemon/"
		return ""
	}
	function bad(why) { printf "%s:%d: %s\n", FILENAME, FNR, why; status = 1 }
	/^[ \t]*#[ \t]*include/ {
		quoted = $0 ~ /include[ \t]*"/
		header = $0
		sub(/^[^"<]*["<]/, "", header)
		sub(/[">].*$/, "", header)
		if (FILENAME ~ /^tests\//)
			next
		if (quoted || header ~ /^(schemas|recorder|pstore|uploader|flightrec)\//) {
			if (header !~ allowed(FILENAME))
				bad("may not include " header)
			else if (quoted && header !~ /\//)
				bad("include \"" header "\" is not written from the top of the tree")
		} else if (home(header) != "" && FILENAME !~ home(header)) {
			bad("<" header "> is only known in " substr(home(header), 2))
		}
	}
	END { exit status }'
}

licences() {
	local file status=0
	for file in "${files[@]}"; do
		case $file in
		*.[ch] | *.cpp | *.sh | *.mk | *.sql | *.def | *.map | *.conf | *.service | *.timer | *.socket | *.preset | */run | Makefile)
			head -n 3 "$file" | grep -q 'SPDX-License-Identifier: ' && continue
			echo "$file:1: no SPDX-License-Identifier line at the top"
			status=1
			;;
		esac
	done
	return $status
}

lengths() {
	local file lines status=0
	for file in "${files[@]}"; do
		[[ $file == *.[ch] || $file == *.sh || $file == *.cpp ]] || continue
		lines=$(wc -l <"$file")
		((lines <= 600)) && continue
		echo "$file:$lines: $lines lines; a file has one reason to be, and at most 600"
		status=1
	done
	return $status
}

invariants() {
	local number status=0
	[[ -f schemas/FORMAT.md ]] || return 0
	while read -r number; do
		grep -rqE "test_I${number}_" tests && continue
		echo "schemas/FORMAT.md: invariant I$number is not cited by any test (test_I${number}_...)"
		status=1
	done < <(grep -oE '^[-*#|. ]*\**I[0-9]+\b' schemas/FORMAT.md | grep -oE '[0-9]+$' | sort -nu)
	return $status
}

includes || wrong=1
licences || wrong=1
lengths || wrong=1
invariants || wrong=1
exit $wrong
