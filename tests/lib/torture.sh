# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# torture.sh - torture.h for scripts; to be sourced.

# torture_count SAMPLE FULL
torture_count() {
	if [[ ${FR_TORTURE:-} == full ]]; then echo "$2"; else echo "$1"; fi
}

# torture_row ROW COUNT UNIT WHAT WAS SEEN...: see torture_row() in torture.h
torture_row() {
	local full=false
	[[ ${FR_TORTURE:-} == full ]] && full=true
	printf '{"row":"%s","count":%d,"unit":"%s","full":%s,"seen":"%s"}\n' "$1" "$2" "$3" $full "${*:4}" |
		tee -a "${FR_REPORT:-/dev/null}"
}
