# SPDX-License-Identifier: MIT
set -l commands show incidents status recover index upload verify emit set events help
set -l levels critical error warning info verbose

complete -c flightrec -f
complete -c flightrec -n "not __fish_seen_subcommand_from $commands" -a show -d 'The timeline'
complete -c flightrec -n "not __fish_seen_subcommand_from $commands" -a incidents -d 'Deaths and their causes'
complete -c flightrec -n "not __fish_seen_subcommand_from $commands" -a status -d 'What is recording, and where'
complete -c flightrec -n "not __fish_seen_subcommand_from $commands" -a recover -d 'Salvage what the dead left behind'
complete -c flightrec -n "not __fish_seen_subcommand_from $commands" -a index -d 'Bring the index up to date'
complete -c flightrec -n "not __fish_seen_subcommand_from $commands" -a upload -d 'Send what was not sent yet'
complete -c flightrec -n "not __fish_seen_subcommand_from $commands" -a verify -d 'Judge a ring or segment'
complete -c flightrec -n "not __fish_seen_subcommand_from $commands" -a emit -d 'Record an event'
complete -c flightrec -n "not __fish_seen_subcommand_from $commands" -a set -d 'Switch a provider'
complete -c flightrec -n "not __fish_seen_subcommand_from $commands" -a events -d 'The catalogue'
complete -c flightrec -n "not __fish_seen_subcommand_from $commands" -a help -d 'Help'

complete -c flightrec -n '__fish_seen_subcommand_from show' -s b -l boot -x -a 'current previous -2' -d 'Boot'
complete -c flightrec -n '__fish_seen_subcommand_from show' -s S -l since -x -a 'today yesterday' -d 'Not before'
complete -c flightrec -n '__fish_seen_subcommand_from show' -s U -l until -x -a 'today yesterday now' -d 'Not after'
complete -c flightrec -n '__fish_seen_subcommand_from show' -s p -l pid -x -d 'Process'
complete -c flightrec -n '__fish_seen_subcommand_from show' -s c -l comm -x -d 'Name of process or thread'
complete -c flightrec -n '__fish_seen_subcommand_from show' -s P -l provider -x -d 'Provider'
complete -c flightrec -n '__fish_seen_subcommand_from show' -s e -l event -x -d 'Event'
complete -c flightrec -n '__fish_seen_subcommand_from show emit' -s l -l level -x -a "$levels" -d 'Level'
complete -c flightrec -n '__fish_seen_subcommand_from show' -s g -l grep -x -d 'Text in the fields'
complete -c flightrec -n '__fish_seen_subcommand_from show emit' -l session -x -d 'Session'
complete -c flightrec -n '__fish_seen_subcommand_from show' -l around -x -d 'Around an incident'
complete -c flightrec -n '__fish_seen_subcommand_from show incidents' -s n -l last -x -d 'Only the newest'
complete -c flightrec -n '__fish_seen_subcommand_from show' -s f -l follow -d 'Go on'
complete -c flightrec -n '__fish_seen_subcommand_from show' -l losses -d 'List what is missing'
complete -c flightrec -n '__fish_seen_subcommand_from show' -l boot-time -d 'Seconds since boot'
complete -c flightrec -n '__fish_seen_subcommand_from show incidents' -l utc -d 'UTC'
complete -c flightrec -n '__fish_seen_subcommand_from show' -l color -x -a 'auto always never' -d 'Colour'
complete -c flightrec -n '__fish_seen_subcommand_from show status incidents recover index upload' -l state -x -a '(__fish_complete_directories)' -d 'State directory'
complete -c flightrec -n '__fish_seen_subcommand_from show status verify events incidents recover index upload' -s j -l json -d 'JSON'
complete -c flightrec -n '__fish_seen_subcommand_from show verify' -F
complete -c flightrec -n '__fish_seen_subcommand_from set' -a "off $levels"
