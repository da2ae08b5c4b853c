# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# index.sh - from a dead writer's ring into the index, and from there to the screen.

bench_index() {
	local line last=() minute=() rate=() size=() over=() command_last=()
	[[ -x $bench/index_bench ]] || return
	{
		for ((i = 0; i < 3; i++)); do "$bench/index_bench" "$scratch/index" recover; done
		"$bench/index_bench" "$scratch/index" show "$(realpath "$O/flightrec")"
	} >"$scratch/indexed"
	while read -r line; do
		case $line in
		*'"recover+index"'*)
			rate+=("$(value_of events_per_s "$line")")
			size+=("$(value_of bytes_per_event "$line")")
			over+=("$(awk -v r="$(value_of recover_s "$line")" -v i="$(value_of index_s "$line")" -v f="$(value_of floor_s "$line")" \
				'BEGIN { print (r + i) / f }')")
			;;
		*'"last 1,000'*) last+=("$(value_of ms "$line")") ;;
		*'"one minute'*) minute+=("$(value_of ms "$line")") ;;
		*'"command, last 1,000'*) command_last+=("$(value_of ms "$line")") ;;
		esac
	done <"$scratch/indexed"
	figure 'recover + index, 1 M events' events/s 'index_bench DIR recover' '>= 400000' "${rate[@]}"
	figure 'recover + index / SQLite alone' times 'index_bench DIR recover' '' "${over[@]}"
	figure 'index, payload of 64 bytes and all' B/event 'index_bench DIR recover' '<= 120' "${size[@]}"
	figure 'show the last 1,000 of 10 M' ms 'index_bench DIR show' '<= 100' "${last[@]}"
	figure 'show one minute of 10 M over 24 h' ms 'index_bench DIR show' '<= 100' "${minute[@]}"
	figure 'flightrec show -n 1000, of 10 M' ms 'flightrec show -n 1000' '<= 100' "${command_last[@]}"
}
