# SPDX-License-Identifier: MIT
# bash completion for flightrec(1)
# shellcheck shell=bash

# Names that the rings and the index of this machine know, for an option's argument.
_flightrec_values() {
	case $1 in
	--level | -l) echo critical error warning info verbose ;;
	--boot | -b) echo current previous -2 ;;
	--since | --until | -S | -U) echo today yesterday now ;;
	--color) echo auto always never ;;
	--event | -e) flightrec events --json 2>/dev/null | sed -n 's/^{"id":[0-9]*,"event":"\([^"]*\)".*/\1/p' ;;
	--around) flightrec incidents --no-update --json 2>/dev/null | sed -n 's/.*"id":"\([0-9a-f]*\)".*/\1/p' ;;
	--pid | -p) flightrec status --json 2>/dev/null | grep -o '"pid":[0-9]*' | cut -d : -f 2 ;;
	esac
}

_flightrec() {
	local command=${COMP_WORDS[1]:-} word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} options=
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "show incidents status recover index upload verify emit set events help --help --version" -- "$word")
		return
	fi
	case $command in
	show)
		options="--boot --since --until --pid --comm --provider --event --level --grep --session --around --last --follow --json
			--losses --boot-time --utc --color --state --help"
		;;
	status) options="--json --state --help" ;;
	incidents) options="--boot --last --no-update --state --utc --color --json --help" ;;
	recover) options="--state --ring-dir --pstore --archive --live --json --help" ;;
	index) options="--rebuild --sql --max-size --max-age --keep --state --json --help" ;;
	upload) options="--once --watch --endpoint --database --token-file --ca-file --option --state --json --quiet --help" ;;
	verify) options="--json --quiet --help" ;;
	emit) options="--provider --guid --level --event --session --json --help" ;;
	events) options="--json --markdown --help" ;;
	help) options="show incidents status recover index upload verify emit set events" ;;
	set)
		options="--help"
		((COMP_CWORD == 3)) && options="off critical error warning info verbose"
		;;
	esac
	case $command,$before in
	*,--level | *,-l | *,--boot | *,-b | *,--since | *,-S | *,--until | *,-U | *,--color | show,--event | show,-e | *,--around | show,--pid | show,-p)
		mapfile -t COMPREPLY < <(compgen -W "$(_flightrec_values "$before")" -- "$word")
		return
		;;
	esac
	case $before in
	--state | --ring-dir | --pstore | --archive)
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		return
		;;
	--token-file | --ca-file)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	esac
	if [[ $word == -* || $command == help || $command == set ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
	elif [[ $command == show || $command == verify ]]; then
		mapfile -t COMPREPLY < <(compgen -f -X '!*.ring' -- "$word"; compgen -f -X '!*.frs' -- "$word"; compgen -d -S / -- "$word")
		compopt -o nospace 2>/dev/null
	fi
}
complete -F _flightrec flightrec
