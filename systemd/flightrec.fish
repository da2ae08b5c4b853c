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

function __flightrec_option -d 'COMMANDS, then the rest of a complete command'
    complete -c flightrec -n "__fish_seen_subcommand_from $argv[1]" $argv[2..-1]
end
__flightrec_option 'show incidents' -s b -l boot -x -a 'current previous -2' -d 'Boot'
__flightrec_option 'show' -s S -l since -x -a 'today yesterday' -d 'Not before'
__flightrec_option 'show' -s U -l until -x -a 'today yesterday now' -d 'Not after'
__flightrec_option 'show' -s p -l pid -x -a '(__fish_complete_pids)' -d 'Process'
__flightrec_option 'show' -s c -l comm -x -d 'Name of process or thread'
__flightrec_option 'show' -s P -l provider -x -d 'Provider'
__flightrec_option 'show' -s e -l event -x -d 'Event'
__flightrec_option 'show emit' -s l -l level -x -a "$levels" -d 'Level'
__flightrec_option 'show' -s g -l grep -x -d 'Text in the fields'
__flightrec_option 'show emit' -l session -x -d 'Session'
__flightrec_option 'show' -l around -x -d 'Around an incident'
__flightrec_option 'show incidents' -s n -l last -x -d 'Only the newest'
__flightrec_option 'show' -s f -l follow -d 'Go on'
__flightrec_option 'show' -l losses -d 'List what is missing'
__flightrec_option 'show' -l boot-time -d 'Seconds since boot'
__flightrec_option 'show incidents' -l utc -d 'UTC'
__flightrec_option 'show incidents' -l color -x -a 'auto always never' -d 'Colour'
__flightrec_option 'incidents' -l no-update -d 'The index as it is'
__flightrec_option 'recover' -l ring-dir -x -a '(__fish_complete_directories)' -d 'Look for rings there, too'
__flightrec_option 'recover' -l pstore -x -a '(__fish_complete_directories)' -d 'Instead of /sys/fs/pstore'
__flightrec_option 'recover' -l archive -x -a '(__fish_complete_directories)' -d "Instead of systemd's archive"
__flightrec_option 'recover' -l live -d 'Also what the living recorded'
__flightrec_option 'index' -l rebuild -d 'Make it again'
__flightrec_option 'index' -l sql -x -d 'Answer a query'
__flightrec_option 'index' -l max-size -x -d 'Of spool and index'
__flightrec_option 'index' -l max-age -x -d 'Of a segment'
__flightrec_option 'index' -l keep -d 'Drop nothing'
__flightrec_option 'upload' -l once -d 'Send what there is, then end'
__flightrec_option 'upload' -l watch -d 'Go on'
__flightrec_option 'upload' -l endpoint -x -d 'Where to: a URL'
__flightrec_option 'upload' -l database -x -d 'GUID of the database there'
__flightrec_option 'upload' -l token-file -r -F -d 'Bearer token'
__flightrec_option 'upload' -l ca-file -r -F -d 'Authorities, PEM'
__flightrec_option 'upload' -s o -l option -x -d 'KEY=VALUE of [upload]'
__flightrec_option 'upload verify' -s q -l quiet -d 'Only what matters'
__flightrec_option 'emit' -s p -l provider -x -d 'Whose event it is'
__flightrec_option 'emit' -l guid -x -d 'Its GUID'
__flightrec_option 'emit' -s e -l event -x -d "The event's name"
__flightrec_option 'emit' -s j -l json -x -d 'A JSON text'
__flightrec_option 'events' -s m -l markdown -d 'As documentation'
__flightrec_option 'show status incidents recover index upload' -l state -x -a '(__fish_complete_directories)' -d 'State directory'
__flightrec_option 'show status verify events incidents recover index upload' -s j -l json -d 'JSON'
__flightrec_option "$commands" -s h -l help -d 'Help'
__flightrec_option 'show verify' -F
__flightrec_option 'set' -a "off $levels"
__flightrec_option 'help' -a "$commands"
functions -e __flightrec_option
