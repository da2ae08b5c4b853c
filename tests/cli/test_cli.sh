#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 900
# test_cli.sh [-u] - what flightrec prints, byte for byte, against tests/cli/golden/. Rings come from make_rings with fixed ids and times.
#
#	-u	takes what is printed now as what has to be printed (then read the diff before you commit it)
#
# A golden holds the command, what it prints, what it prints to standard error (marked "!"), and the exit code.
# shellcheck disable=SC2016 # what is in single quotes is for another shell
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

build=${FR_BUILD:-$PWD/build}
golden=$PWD/tests/cli/golden
update=0
[[ ${1:-} == -u ]] && update=1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
mkdir bin
ln -s "$build/flightrec" bin/flightrec
export PATH=$work/bin:$PATH TZ=UTC LC_ALL=C FLIGHTREC_STATE_DIR=$work/state FLIGHTREC_RUNTIME_DIR=$work/run FLIGHTREC_CONFIG=$work/none.conf
unset NO_COLOR FLIGHTREC_LEVEL FLIGHTREC_RING_DIR FLIGHTREC_RING_SIZE COLUMNS
: >none.conf
failed=0 passed=0
mkdir -p "$golden"

"$build/tests/cli/make_rings" state || exit 1

verdict() { # name ok?
	if (($2)); then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $1"
	fi
}

# golden NAME COMMAND: a line of shell
golden() {
	local name=$1 command=$2 file=$golden/$1.txt code
	bash -c "$command" >"$name.stdout" 2>"$name.stderr"
	code=$?
	{
		echo "\$ $command"
		cat "$name.stdout"
		sed 's/^/! /' "$name.stderr"
		echo "exit $code"
	} | sed "s#$work#WORK#g" >"$name.out"
	if ((update)); then
		cp "$name.out" "$file"
	elif ! diff -u --label "golden/$name.txt" --label "now" "$file" "$name.out"; then
		verdict "$name" 0
		return
	fi
	verdict "$name" 1
}

# holds NAME COMMAND...: the command succeeds
holds() {
	local name=$1
	shift
	if "$@"; then verdict "$name" 1; else verdict "$name" 0; fi
}

is() {
	[[ $1 == "$2" ]] || {
		printf 'want: %s\ngot:  %s\n' "$2" "$1"
		return 1
	}
}

# ---------------------------------------------------------------- the program

golden version 'flightrec --version'
golden no_command 'flightrec'
golden typo 'flightrec shwo'
golden unknown 'flightrec frobnicate'
every=(show status verify emit set events)
for command in incidents recover index upload; do # not in each build
	[[ $(flightrec help) == *" $command "* ]] && every+=("$command")
done
for command in "${every[@]}"; do
	golden "help_$command" "flightrec help $command"
	golden "usage_$command" "flightrec $command --no-such-option 2>&1 | tail -n 1"
	holds "help_is_help_$command" diff <(flightrec help "$command") <(flightrec "$command" --help)
	holds "help_fits_$command" is "$(flightrec help "$command" | grep -cE '.{81}')" 0
done

# ---------------------------------------------------------------- show

golden show_all 'flightrec show'
golden show_shop_file 'flightrec show state/rings/shop.ring'
golden show_directory 'flightrec show -n 2 state'
golden show_boot_number 'flightrec show --boot 7'
golden show_boot_prefix 'flightrec show --boot 80000000-0000-4008 -n 1'
golden show_boot_previous 'flightrec show --boot -2 -n 1'
golden show_boot_none 'flightrec show --boot 9'
golden show_boot_nonsense 'flightrec show --boot here'
golden show_boot_time 'flightrec show --boot 7 --boot-time -n 3'
golden show_zone 'TZ=EST5 flightrec show --boot 7 -n 1'
golden show_utc 'TZ=EST5 flightrec show --utc --boot 7 -n 1'
golden show_since_until "flightrec show --since '2026-11-18 11:08:20.2524' --until '2026-11-18 11:08:20.2526'"
golden show_since_boot 'flightrec show --boot 7 --since +101.3 --until +101.3035'
golden show_time_nonsense 'flightrec show --since whenever'
golden show_pid 'flightrec show --pid 4711 -n 2'
golden show_comm "flightrec show --comm 'worker*'"
golden show_provider_guid 'flightrec show --provider 5c0d1f9e-8d6b-4c1e-9a53-0f6a2d7b9e11 -n 1'
golden show_event "flightrec show --event 'proc.*'"
golden show_level 'flightrec show --boot 7 --level error'
golden show_grep 'flightrec show --grep LOVELACE'
golden show_session "flightrec show --session 'check*'"
golden show_nothing_matches 'flightrec show --grep nowhere'
golden show_nothing_there 'FLIGHTREC_STATE_DIR=$PWD/empty flightrec show'
golden show_no_file 'flightrec show no.ring'
golden show_not_a_ring 'flightrec show none.conf'
golden show_json 'flightrec show --json state/rings/shop.ring state/rings/batch.ring'
golden show_losses 'flightrec show --losses -n 1'
golden show_losses_json 'flightrec show --losses --json -n 1'
golden show_damaged_file 'flightrec show state/rings/damaged.ring'
golden show_colour 'flightrec show --boot 7 --color always'
golden show_around_needs_index 'flightrec show --around 1234'
holds follow_ends_at_until timeout 100 flightrec show --follow --until now >/dev/null

# what a terminal of so many columns shows
terminal() {
	TERM=xterm script -qec "stty cols $1; flightrec show ${2:-}" /dev/null </dev/null | tr -d '\r'
}
export -f terminal
if command -v script >/dev/null; then
	golden terminal_80 "terminal 80 '--boot 7'"
	golden terminal_120 "terminal 120 '--boot 7'"
	golden terminal_no_colour "NO_COLOR=1 terminal 80 '-n 2'"
fi

# what takes over a second shows how far it is, on a terminal alone, and takes that away at the end
slowly() { # the index is somebody else's for three seconds
	mkdir -p slow
	flock slow/index.lock sleep 3 &
	while flock -n slow/index.lock true; do sleep 0.01; done
	TERM=${1:-xterm} script -qec "flightrec index --state slow ${2:-}" /dev/null </dev/null | tr -d '\n'
	wait
}
if command -v script >/dev/null && command -v flock >/dev/null && [[ $(flightrec help) == *' index '* ]]; then
	slowly >progress
	holds progress_is_shown grep -qaP '\rindexing 0 B, \d+\.\d s\e\[K' progress
	holds progress_goes_away grep -qaP '\r\e\[K0 events' progress
	slowly dumb >progress
	holds no_progress_on_a_dumb_terminal is "$(grep -ca indexing progress)" 0
	slowly xterm '2>progress.stderr' >progress
	holds no_progress_without_a_terminal is "$(cat progress.stderr)$(grep -ca indexing progress)" 0
	golden incidents_none 'flightrec incidents --state slow'
	golden incidents_nothing_recorded 'flightrec incidents --state empty'
fi

# every line of JSON is JSON, and no output of any kind holds a control character
if command -v jq >/dev/null; then
	holds json_is_json bash -c 'flightrec show --json | jq -R fromjson >/dev/null'
else
	echo "no jq: whether each line is JSON was not tried"
fi
controls=$'[\001-\010\013-\037\177]'
holds no_controls_in_text bash -c '! flightrec show | grep -qa "$1"' _ "$controls"
holds no_controls_in_json bash -c '! flightrec show --json | grep -qa "$1"' _ "$controls"

# ---------------------------------------------------------------- verify, events, status

for ring in shop kernel batch damaged lapped; do
	golden "verify_$ring" "flightrec verify state/rings/$ring.ring"
done
golden verify_json 'flightrec verify --json state/rings/damaged.ring state/rings/shop.ring'
golden verify_quiet 'flightrec verify -q state/rings/*.ring'
head -c 40000 state/rings/shop.ring >short.ring
golden verify_short 'flightrec verify short.ring'
golden verify_unreadable 'flightrec verify none.conf no.ring'
golden verify_which 'flightrec verify'
golden events_text "flightrec events 'proc.*'"
golden events_json "flightrec events --json 'fr.start'"
golden events_markdown "flightrec events --markdown 'fr.loss'"
golden events_none 'flightrec events nothing'
golden status_nothing 'FLIGHTREC_STATE_DIR=$PWD/empty flightrec status'
golden status_argument 'flightrec status all'

# ---------------------------------------------------------------- documents

# every option of a command's help is in the man page and in the completions; every key of the configuration in its page
completes() { # SHELL COMMAND: the part of the completion that is about it
	awk -v command="$2" '/^\t[a-z]+\)/ { inside = $1 == command ")" } inside; /^\tesac/ { inside = 0 }' "$source/systemd/flightrec.$1"
}
documented() {
	local command option shell page missing=0
	page=$(sed 's/\\//g' "$source/systemd/flightrec.1")
	for command in "${every[@]}"; do
		while read -r option; do
			if ! grep -q -e "$option\b" <<<"$page"; then
				echo "flightrec.1 lacks $option of $command"
				missing=1
			fi
			[[ $command != set ]] || continue
			for shell in bash zsh; do
				completes "$shell" "$command" | grep -q -e "$option\b" || {
					echo "flightrec.$shell lacks $option of $command"
					missing=1
				}
			done
			grep -E "'[^']*\b$command\b[^']*'|commands\"" "$source/systemd/flightrec.fish" | grep -q -e "-l ${option#--}\b" || {
				echo "flightrec.fish lacks $option of $command"
				missing=1
			}
		done < <(flightrec help "$command" | sed -n '/^Examples/q; p' | grep -oE -e '--[a-z][a-z-]+' | sort -u)
	done
	while read -r option; do
		grep -qE "(^|[^a-z_])$option([^a-z_]|$)" "$source/systemd/flightrec.conf.5" || {
			echo "flightrec.conf.5 lacks $option"
			missing=1
		}
	done < <(sed -n '/^\[events\]/,/^\[upload\]/!s/^#\([a-z_]*\) =.*/\1/p' "$source/systemd/flightrec.conf")
	((missing == 0))
}
source=$(cd "$golden/../../.." && pwd)
holds documented documented
completed() { # what a shell offers for the last of these words
	bash -c 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _flightrec; printf "%s " "${COMPREPLY[@]}"' _ \
		"$source/systemd/flightrec.bash" "$@"
}
holds completes_commands is "$(completed flightrec s)" "show status set "
holds completes_options is "$(completed flightrec show --bo)" "--boot --boot-time "
holds completes_levels is "$(completed flightrec show --level e)" "error "
completed_by_fish() {
	fish --no-config -c "source $source/systemd/flightrec.fish; complete -C '$1'" | cut -f 1 | tr '\n' ' '
}
if command -v fish >/dev/null; then
	holds fish_completes_commands is "$(completed_by_fish 'flightrec rec')" "recover "
	holds fish_completes_options is "$(completed_by_fish 'flightrec index --max')" "--max-age --max-size "
	holds fish_completes_levels is "$(completed_by_fish 'flightrec emit --level e')" "error "
fi
if command -v zsh >/dev/null; then
	holds zsh_reads_its_completion zsh -n "$source/systemd/flightrec.zsh"
fi
holds completes_events is "$(completed flightrec show --event proc.)" "proc.exec proc.exit "

# ---------------------------------------------------------------- emit, set

golden emit_what 'flightrec emit'
golden emit_level 'flightrec emit --level loud x'
golden emit_guid 'flightrec emit --guid 12 x'
golden set_what 'flightrec set acme.shop'
golden set_level 'flightrec set acme.shop loud'
golden set_keywords 'flightrec set acme.shop info none'

export FLIGHTREC_STATE_DIR=$work/live
emitted() { # what show makes of the newest event, without time and process
	flightrec show -n "${1:-1}" | grep -v '^--' | sed 's/^[^]]*\] *//'
}
flightrec emit backup started
holds emit_text is "$(emitted)" "info  shell backup started"
flightrec emit -p acme.backup -l error -e finished files=1204 ratio=0.5 target=/srv 'note=two words' empty=
holds emit_fields is "$(emitted)" 'ERROR acme.backup finished files=1204 ratio=0.5 target=/srv note="two words" empty=""'
flightrec emit -p acme.backup -e result --json '{"code":7}'
holds emit_json is "$(emitted)" 'info  acme.backup result {"code":7}'
flightrec emit -p acme.backup -e result --json '{"code":' 2>/dev/null
holds emit_no_json is "$(emitted)" 'info  acme.backup result {"code": (not JSON)'
printf 'one\n\ntwo' | flightrec emit --session night -
holds emit_lines is "$(emitted 4 | sed -n '2,3p')" $'info  shell #1:night one\ninfo  shell #1:night two'
{
	head -c 100000 /dev/zero | tr '\0' x
	printf '\nafterwards\n'
} | FLIGHTREC_RING_SIZE=64K flightrec emit - 2>err
holds emit_lines_refused is "$? $(cut -c 1-32 err)" "1 flightrec: could not be recorded"
holds emit_lines_go_on is "$(emitted)" 'info  shell afterwards'
flightrec emit -l verbose quiet
holds emit_verbose is "$(emitted)" 'verb  shell quiet'

# a provider that is switched off refuses, and says how it is switched on
flightrec set shell off >/dev/null
holds emit_off bash -c '! flightrec emit x 2>/dev/null'
holds emit_off_says bash -c 'flightrec emit x 2>&1 | grep -q "flightrec set shell info"'
flightrec set shell info >/dev/null
holds emit_on_again flightrec emit x

# a running process sees `set` without a daemon
mkfifo lines
flightrec emit -p acme.follow - <lines &
writer=$!
exec 5>lines
for ((i = 0; i < 1200; i++)); do
	[[ $(flightrec status --json) == *'"alive":true'* ]] && break
	sleep 0.05
done
holds set_changes_one is "$(flightrec set acme.follow error)" "acme.follow: error; changed in 1 running process"
holds set_changes_none is "$(flightrec set acme.nobody error)" \
	"acme.nobody: error; no running process was changed by it; those that start from now on begin with it"
flightrec set acme.follow verbose >/dev/null
holds status_alive bash -c "flightrec status | grep -q '^  flightrec\[$writer\] * alive'"

# follow: new events appear, in order, after those that are there
echo before >&5
flightrec show --follow --provider acme.follow >followed 5>&- &
follower=$!
for ((i = 0; i < 1200; i++)); do
	grep -q before followed && break
	sleep 0.05
done
echo first >&5
echo second >&5
for ((i = 0; i < 1200; i++)); do
	grep -q second followed && break
	sleep 0.05
done
exec 5>&-
wait "$writer"
sleep 0.6
kill "$follower"
wait "$follower" 2>/dev/null
holds follow is "$(sed 's/^[^]]*\] *//' followed | grep -v '^--')" $'info  acme.follow before\ninfo  acme.follow first\ninfo  acme.follow second'

# ---------------------------------------------------------------- pipes

export FLIGHTREC_STATE_DIR=$work/state
holds broken_pipe bash -c 'set -o pipefail; flightrec show --json | head -n 1 >/dev/null; exit "${PIPESTATUS[0]}"'
holds broken_pipe_is_quiet is "$( { flightrec show | head -n 1 >/dev/null; } 2>&1)" ""
holds follow_ends_with_its_reader timeout 100 bash -c 'flightrec show -f state/rings/batch.ring | head -n 1 >/dev/null'
if [[ -c /dev/full ]]; then
	golden full_disk 'flightrec show >/dev/full'
fi

# ---------------------------------------------------------------- the same timeline from rings, spool and index

flightrec show >from_rings
if flightrec help recover >/dev/null 2>&1 && [[ $(flightrec help) == *' recover '* ]]; then
	# where the configuration says that rings are; not with --state; and all the same when it does not hold
	recover_there() { # CONFIGURATION [OPTION...]
		rm -rf there other
		mkdir there
		cp state/rings/shop.ring there/
		printf '%b' "$1" >there.conf
		shift
		FLIGHTREC_CONFIG=there.conf FLIGHTREC_STATE_DIR=$work/other flightrec recover --pstore "" --archive "" "$@" >/dev/null 2>there.stderr
	}
	recover_there "[store]\nring_dir = $work/there\n"
	holds "recover: configured ring_dir" is "$? $(ls there) $(find other/spool -name '*.frs' | wc -l) $(<there.stderr)" '0  1 '
	recover_there "[store]\nring_dir = $work/there\n" --state other
	holds "recover: --state leaves the configuration out" is "$? $(ls there) $(<there.stderr)" '4 shop.ring '
	recover_there "[store]\nring_dir $work/there\n"
	holds "recover: a configuration that does not hold" is "$? $(ls there) $(grep -c 'there.conf:2: .*ring_dir' there.stderr)" '4 shop.ring 1'

	flightrec recover --pstore "" --archive "" >/dev/null
	flightrec show >from_spool
	holds same_from_spool diff -u from_rings from_spool
	golden verify_segment 'flightrec verify state/spool/72696e672d6261746368000000000000-000000.frs'
	cp state/spool/72696e672d6261746368000000000000-000000.frs flipped.frs
	printf '\377' | dd of=flipped.frs bs=1 seek=2400 conv=notrunc status=none # in the meta's chunk, behind the superblock
	golden verify_flipped 'flightrec verify flipped.frs; flightrec show flipped.frs >flipped.shown; echo $?'
	head -c 3000 state/spool/72696e672d6261746368000000000000-000000.frs >unsealed.frs
	golden verify_unsealed 'flightrec verify unsealed.frs'
	if [[ $(flightrec help) == *' index '* ]]; then
		flightrec index >/dev/null
		# how a death is told differs; what happened at the same instant may change places
		flightrec show >from_index
		holds same_from_index diff -u <(grep -v ' DEATH fr.gone ' from_rings | sort) <(grep -v ' DEATH fr.gone ' from_index | sort)
		for filter in '--level error' "--comm worker*" '--grep lovelace' '--boot 7' '--session check*' '--event proc.*' \
			'--since +100.25 --boot 7' '-n 5' '--provider acme.*' '--pid 4711'; do
			read -ra words <<<"$filter"
			flightrec show --json "${words[@]}" >index.json
			FLIGHTREC_STATE_DIR=$work/empty flightrec show --json "${words[@]}" state/spool >spool.json
			holds "index filters as images do: $filter" diff index.json spool.json
		done
	fi
fi

echo "$passed hold, $failed do not"
((failed == 0))
