#!/bin/bash
# SPDX-License-Identifier: MIT
# test_json.sh - what --json prints and what flightrec-json(5) says of it: every member that is printed is documented under its command, and
# every member that is documented exists in the code that prints.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/daemon/lib.sh
. tests/daemon/lib.sh
command -v jq >/dev/null || { echo "no jq"; exit 77; }

flightrec=$build/flightrec
page=systemd/flightrec-json.5
bad=0

# members SECTION: what the page says of one command, a path a line ("a[], b[]: c, d" is each of b's and a's c and d)
members() {
	awk -v section="$1" '
		/^\.S[HS] / { gsub(/"/, "", $2); inside = $2 == section }
		!inside || !/^\.B / { next }
		{
			sub(/^\.B /, ""); gsub(/\\/, "")
			before = ""
			if (split($0, half, ": ") == 2) { before = half[1]; $0 = half[2] }
			objects = before == "" ? 1 : split(before, object, ", ")
			names = split($0, name, ", *")
			for (i = 1; i <= objects; i++)
				for (k = 1; k <= names; k++)
					print (before == "" ? "" : object[i] ".") name[k]
		}' <(sed -e ':a' -e '/\\$/N; s/\\\n//; ta' "$page") | tr -d ' ' | grep . | sort -u
}

# printed SECTION: each member that is printed (on standard input) is on the page, or lies below one that is: an object whose keys are free
printed() {
	local path up section=$1
	members "$section" >"$scratch/members"
	[[ -s $scratch/members ]] || { echo "$page has no section $section"; bad=1; }
	while read -r path; do
		up=$path
		until grep -qxF -e "$up" -e "${up%\[\]}" "$scratch/members" || [[ $up != *.* ]]; do up=${up%.*}; done
		grep -qxF -e "$up" -e "${up%\[\]}" "$scratch/members" ||
			awk -v a="$path." -v b="${path}[]." 'index($0, a) == 1 || index($0, b) == 1 { found = 1 } END { exit !found }' \
				"$scratch/members" || {
			echo "$page: $section prints $path, and does not say what that is"
			bad=1
		}
	done < <(jq -r 'paths | map(if type == "number" then "[]" else . end) | join(".") | gsub("[.]\\[\\]"; "[]")' |
		grep -v '\[\]$' | sort -u)
}

start_daemon --no-bpf
spawn victim hold 9
until_true test -s "$scratch/victim" || fail "the program does not record"
"$flightrec" emit -p acme.shop --session night -e paid --json '{"a":1}'
"$flightrec" set acme.shop verbose >/dev/null
"$flightrec" status --json >"$scratch/status"
printed status < <(jq -c 'del(.daemon)' "$scratch/status")
printed daemon < <(jq -c '.daemon | del(.config, .losses)' "$scratch/status")
kill -KILL "$child"
stop_daemon
"$flightrec" emit later
head -c 5000 /dev/zero >"$state/rings/$(printf '%032d' 7).ring"
"$flightrec" recover --json --pstore "" --archive "" >"$scratch/recover"
printed recover <"$scratch/recover"
printed index < <("$flightrec" index --json)
printed incidents < <("$flightrec" incidents --json)
printed show < <("$flightrec" show --json --losses | jq -c 'if .fields then .fields = {} else . end')
printed events < <("$flightrec" events --json)
printed upload < <("$flightrec" upload --json --endpoint http://127.0.0.1:9 --database 7d9f9a3e-3c1d-4a52-8a43-6f0b1f5c2e10 -o give_up=10ms 2>/dev/null)
"$build/tests/cli/make_rings" "$scratch/rings" || fail "no rings were made"
printed verify < <("$flightrec" verify --json "$scratch"/rings/rings/*.ring "$state"/spool/*.frs "$page")
[[ $(jq -s length "$scratch/recover") -ge 3 ]] || fail "recover found too little: $(<"$scratch/recover")"

# what is documented is printed by somebody
for section in show incidents status daemon recover index upload verify events; do
	while read -r path; do
		name=${path##*.}
		name=${name%\[\]}
		grep -rqE "\"$name\\\\?\"" recorder/cli recorder/daemon uploader pstore recorder/core || {
			echo "$page: $section documents $path, which nothing prints"
			bad=1
		}
	done < <(members "$section")
done
((bad == 0)) || fail "members and $page differ"
holds "every member of --json is documented, and the other way round"
