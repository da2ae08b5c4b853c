#!/bin/bash
# SPDX-License-Identifier: MIT
# check-shell.sh - shellcheck over every shell script of the tree
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
command -v shellcheck >/dev/null || {
	echo "shellcheck is not installed"
	exit 77
}
grep -rlE --exclude-dir=golden '^#!(/usr)?/bin/(env )?(ba|da|a)?sh' recorder bpf pstore uploader schemas systemd tests .ci 2>/dev/null |
	sort | xargs shellcheck -x -x
