# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# peers.sh - what else people use to have an event after a death, in turns with ours. Published whatever it says: no bars.
# The journal is a journald of the benchmark's own where root can start one (it writes to a memory file system, which flatters it), else the machine's.

journald=

# a journald and a /dev/log of our own, in the mount namespace that run.sh has made
start_journald() {
	local program=/lib/systemd/systemd-journald node
	[[ -x $program && ${BENCH_ALONE:-} ]] || return 0
	mkdir -p "$scratch/dev" /run/systemd /run/log
	for node in null zero full random urandom tty kmsg; do
		[[ -e /dev/$node ]] && : >"$scratch/dev/$node" && mount --bind "/dev/$node" "$scratch/dev/$node"
	done
	mkdir "$scratch/dev/shm" && mount -t tmpfs none "$scratch/dev/shm"
	ln -s /run/systemd/journal/dev-log "$scratch/dev/log"
	mount -t tmpfs none /run/systemd
	mount -t tmpfs none /run/log
	mount --rbind "$scratch/dev" /dev
	printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\nReadKMsg=no\nAudit=no\n' >"$scratch/journald.conf"
	[[ ! -e /etc/systemd/journald.conf ]] || mount --bind "$scratch/journald.conf" /etc/systemd/journald.conf
	mkdir -p /run/systemd/journal
	"$program" >"$scratch/journald.log" 2>&1 &
	journald=$!
	at_end stop_journald
	for ((i = 0; i < 50; i++)); do
		[[ -S /run/systemd/journal/socket && -S /run/systemd/journal/dev-log ]] && return
		sleep 0.1
	done
	echo "bench: no journald of our own: $(tail -n 1 "$scratch/journald.log")" >&2
}

stop_journald() {
	kill "$journald" 2>/dev/null
	wait "$journald" 2>/dev/null
	umount -l /dev "$scratch"/dev/* 2>/dev/null
}

bench_peers() {
	local -A v=() title=([journal]='sd_journal_send' [syslog]='syslog, to journald' [file]='fprintf and fflush, to a file'
		[buffered]='fprintf, buffered' [libqb]="libqb's blackbox" [sqlite]='SQLite INSERT, WAL, not synced' [ours]='event, beside its peers')
	local mode count value
	[[ -x $bench/bench_peers ]] || return
	start_journald
	for ((i = 0; i < (runs + 2) / 3; i++)); do
		for mode in ours buffered libqb file syslog sqlite journal; do
			count=200000
			[[ $mode != sqlite && $mode != journal && $mode != syslog ]] || count=50000
			rm -f "$FLIGHTREC_STATE_DIR"/peer.*
			if [[ $mode == ours ]]; then
				value=$("$bench/bench_event" one 2000000)
			else
				value=$("$bench/bench_peers" $mode $count 2>>"$scratch/peers.log")
			fi || continue
			v[$mode]+=" $value"
		done
	done
	for mode in ours buffered libqb file syslog sqlite journal; do
		if [[ -z ${v[$mode]:-} ]]; then
			echo "bench: ${title[$mode]} can't be measured here" >&2
			continue
		fi
		# shellcheck disable=SC2086
		figure "${title[$mode]}" ns/event "$([[ $mode == ours ]] && echo bench_event one || echo "bench_peers $mode")" '' ${v[$mode]}
	done
}
