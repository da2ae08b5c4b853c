#compdef flightrec
# SPDX-License-Identifier: MIT

_flightrec() {
	local -a commands levels
	levels=(critical error warning info verbose)
	commands=(
		'show:the timeline of all processes and the kernel'
		'incidents:deaths of processes and kernels, with their causes'
		'status:stores, writers, horizons, rates, losses, cost'
		'recover:salvage what the dead left behind, and harvest pstore'
		'index:bring the index up to date, or rebuild it'
		'upload:send what was not sent yet'
		'verify:judge every record of a ring or segment'
		'emit:record an event from a shell'
		'set:switch a provider in all running processes'
		'events:the catalogue of events'
		'help:the text of a command'
	)
	if ((CURRENT == 2)); then
		_describe command commands
		return
	fi
	shift words
	((CURRENT--))
	case $words[1] in
	show)
		_arguments -s \
			'(-b --boot)'{-b,--boot}'[boot]:boot:(current previous -2)' \
			'(-S --since)'{-S,--since}'[not before]:time:(today yesterday now)' \
			'(-U --until)'{-U,--until}'[not after]:time:(today yesterday now)' \
			'(-p --pid)'{-p,--pid}'[process]:pid:_pids' \
			'(-c --comm)'{-c,--comm}'[name of process or thread]:glob:' \
			'(-P --provider)'{-P,--provider}'[provider]:glob:' \
			'(-e --event)'{-e,--event}'[event]:glob:' \
			'(-l --level)'{-l,--level}"[this and graver]:level:($levels)" \
			'(-g --grep)'{-g,--grep}'[text in the fields]:text:' \
			'--session[session]:glob:' '--around[around an incident]:incident:' \
			'(-n --last)'{-n,--last}'[only the newest]:count:' \
			'(-f --follow)'{-f,--follow}'[go on]' '(-j --json)'{-j,--json}'[one object a line]' \
			'--losses[list what is missing]' '--boot-time[seconds since boot]' '--utc[UTC]' \
			'--color[colour]:when:(auto always never)' '--state[state directory]:directory:_directories' \
			'--help[help]' '*:ring or segment:_files'
		;;
	verify) _arguments '(-j --json)'{-j,--json}'[JSON]' '(-q --quiet)'{-q,--quiet}'[verdict only]' '*:ring or segment:_files -g "*.(ring|frs)"' ;;
	incidents)
		_arguments '(-b --boot)'{-b,--boot}'[boot]:boot:(current previous -2)' '(-n --last)'{-n,--last}'[only the newest]:count:' \
			'--no-update[the index as it is]' '--state[state directory]:directory:_directories' '--utc[UTC]' \
			'--color[colour]:when:(auto always never)' '(-j --json)'{-j,--json}'[one object a line]' '(-h --help)'{-h,--help}'[help]'
		;;
	recover)
		_arguments '--state[state directory]:directory:_directories' '*--ring-dir[look for rings there, too]:directory:_directories' \
			'--pstore[instead of /sys/fs/pstore]:directory:_directories' \
			"--archive[instead of systemd's archive]:directory:_directories" '--live[also what the living recorded]' \
			'(-j --json)'{-j,--json}'[one object a line]' '(-h --help)'{-h,--help}'[help]'
		;;
	index)
		_arguments '--rebuild[make it again]' '--sql[answer a query]:query:' '--max-size[of spool and index]:size:' \
			'--max-age[of a segment]:time:' '--keep[drop nothing]' '--state[state directory]:directory:_directories' \
			'(-j --json)'{-j,--json}'[JSON]' '(-h --help)'{-h,--help}'[help]'
		;;
	upload)
		_arguments '(--watch)--once[send what there is, then end]' '(--once)--watch[go on]' '--endpoint[where to]:URL:' \
			'--database[the database there]:GUID:' '--token-file[bearer token]:file:_files' '--ca-file[authorities, PEM]:file:_files' \
			'*'{-o,--option}'[any key of \[upload\]]:KEY=VALUE:' '--state[state directory]:directory:_directories' \
			'(-j --json)'{-j,--json}'[one object a run]' '(-q --quiet)'{-q,--quiet}'[only what went wrong]' '(-h --help)'{-h,--help}'[help]'
		;;
	status) _arguments '(-j --json)'{-j,--json}'[JSON]' '--state[state directory]:directory:_directories' ;;
	events) _arguments '(-j --json)'{-j,--json}'[JSON]' '(-m --markdown)'{-m,--markdown}'[documentation]' ;;
	set) _arguments '1:provider:' "2:level:(off $levels)" '3:keywords:' ;;
	emit)
		_arguments '(-p --provider)'{-p,--provider}'[provider]:name:' '--guid[GUID]:guid:' \
			'(-l --level)'{-l,--level}"[level]:level:($levels)" '(-e --event)'{-e,--event}'[name]:name:' \
			'--session[session]:name:' '(-j --json)'{-j,--json}'[JSON]:text:' '*:text or KEY=VALUE:'
		;;
	help) _describe command commands ;;
	esac
}

_flightrec "$@"
