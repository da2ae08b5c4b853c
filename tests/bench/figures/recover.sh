# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# recover.sh - how long `flightrec recover` holds up a boot, and whether an index made again is the same.

# recover_ms DIR: eight lapped rings of 2 MiB, whose writers are dead, until all sources are safe to reuse
recover_ms() {
	local begun ended
	"$bench/index_bench" "$1" dead || return
	begun=$(date +%s%N)
	FLIGHTREC_STATE_DIR=$1 FLIGHTREC_CONFIG=/dev/null FLIGHTREC_PSTORE_DIR='' FLIGHTREC_PSTORE_ARCHIVE='' \
		"$O/flightrec" recover >"$1/out" || return
	ended=$(date +%s%N)
	grep -q ' in 8 segments' "$1/out" || return
	awk -v ns=$((ended - begun)) 'BEGIN { printf "%.1f\n", ns / 1e6 }'
}

# index_content: everything that the stable views say, without order of arrival
index_content() {
	local of
	for of in 'boot, time_ns, real_ns, level, provider, event, pid, tid, comm, thread, cpu, session, ring, lane, seq, payload FROM events' \
		'* FROM boots' '* FROM processes' '* FROM sessions' '* FROM losses' 'name, ring, part, size, records FROM segments' \
		'id, kind, boot, time_ns, pid, comm, cause, evidence, recovered FROM incidents'; do
		FLIGHTREC_STATE_DIR=$scratch/made FLIGHTREC_CONFIG=/dev/null "$O/flightrec" index --sql "SELECT $of" || return
	done | LC_ALL=C sort | sha256sum
}

bench_recover() {
	local memory disk=() apart=() rate=() before after begun
	[[ -x $bench/index_bench ]] || return
	memory=$(mktemp -d /dev/shm/fr-recover.XXXXXX 2>/dev/null) || memory=
	recover_memory=$memory
	at_end remove_recover_memory
	for ((i = 0; i < runs; i++)); do
		disk+=("$(recover_ms "$scratch/recover")")
		[[ -z $memory ]] || apart+=("$(recover_ms "$memory")")
	done
	figure 'recover 16 MiB of rings, no fsync' ms 'index_bench /dev/shm/DIR dead; flightrec recover' '<= 150' "${apart[@]}"
	figure 'recover 16 MiB of rings, disk' ms 'index_bench DIR dead; flightrec recover' '' "${disk[@]}"

	"$bench/index_bench" "$scratch/made" made >/dev/null || return
	before=$(index_content)
	for ((i = 0; i < 3; i++)); do
		begun=$(date +%s%N)
		FLIGHTREC_STATE_DIR=$scratch/made FLIGHTREC_CONFIG=/dev/null "$O/flightrec" index --rebuild >/dev/null || return
		rate+=("$(awk -v ns=$(($(date +%s%N) - begun)) 'BEGIN { print int(1e15 / ns) }')")
	done
	after=$(index_content)
	figure 'index --rebuild, 1 M events' events/s 'index_bench DIR made; flightrec index --rebuild' '' "${rate[@]}"
	figure 'its content is the same' yes 'flightrec index --sql, all views, sorted' '>= 1' \
		"$([[ -n $before && $before == "$after" ]] && echo 1 || echo 0)"
	rm -rf "$scratch/made"
}

remove_recover_memory() {
	[[ -z $recover_memory ]] || rm -rf "$recover_memory"
}
