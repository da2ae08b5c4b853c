#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 600
# Clients that mean harm do so by a random schedule (hostile.c), while others record. The daemon goes on answering, what it and its
# directory take is bounded, it says little, and nobody else loses an event. HOSTILE_SEED and HOSTILE_ROUNDS repeat a run.
public=1
. tests/daemon/lib.sh
. tests/lib/torture.sh

hostile=$build/tests/daemon/hostile
seed=${HOSTILE_SEED:-$((RANDOM << 30 | RANDOM << 15 | RANDOM))}
rounds=${HOSTILE_ROUNDS:-$(torture_count 150 6000)}
connections=$(torture_count 500 10000)
share=$(torture_count 24 256) # MiB a user may have
echo "HOSTILE_SEED=$seed HOSTILE_ROUNDS=$rounds"
sanitized=
[[ $(ldd "$flightrecd") == *lib[at]san* ]] && sanitized=1
cp "$client" "$scratch/client" # where another user gets at it
chmod 755 "$scratch/client"

cat >"$FLIGHTREC_CONFIG" <<-end
	[store]
	user_rings_max = 32
	user_bytes_max = ${share}M
	[server]
	request_timeout = 500ms
	attach_rate = 1000
end

fds() { find "/proc/$daemon/fd" | wc -l; }
memory_kib() { awk '/^RssAnon:/ { print $2 }' "/proc/$daemon/status"; }
state_mib() { du -sm "$state" | cut -f 1; }
# sample: a status has to come, and takes no longer than what a client can make the daemon wait for
slowest=0
sample() {
	local before=${EPOCHREALTIME/./} took
	timeout 200 "$client" status >/dev/null || fail "seed $seed: no status"
	took=$(((${EPOCHREALTIME/./} - before) / 1000))
	((took <= slowest)) || slowest=$took
}
# writers that behave: root's, and another user's
start_writers() {
	writers=()
	for i in 1 2 3; do
		spawn "good$i" write "$scratch/witness$i"
		writers+=("$child")
		ready "good$i"
	done
	if [[ $(id -u) == 0 ]]; then
		setpriv --reuid 60003 --regid 60003 --clear-groups "$scratch/client" write "$scratch/public/witness4" >"$scratch/good4" &
		writers+=("$!")
		children+=("$!")
		ready good4
	fi
}
committed() { # of writer $1
	od -An -tu8 -N8 "$([[ -e $scratch/witness$1 ]] && echo "$scratch/witness$1" || echo "$scratch/public/witness$1")" | tr -d ' '
}
# each event of the writers is there, or told as overwritten by younger ones
judge_writers() {
	local i number
	kill -KILL "${writers[@]}"
	wait "${writers[@]}" 2>/dev/null
	for i in "${!writers[@]}"; do
		number=$(committed $((i + 1)))
		((number > 0)) || fail "seed $seed: writer $((i + 1)) has recorded nothing"
		until_true salvaged_whole "${writers[i]}" "$number" ||
			fail "seed $seed: writer $((i + 1)) has committed $number events, and its ring is not there whole: $(heads | grep " pid=${writers[i]} ")"
		total=$((total + number))
	done
}
total=0
mkdir -m 777 "$scratch/public"
mkdir -p "$state"

start_daemon --no-bpf
start_writers
for ((i = 0; i < 5; i++)); do sample; done
idle_fds=$(fds)
idle_kib=$(memory_kib)
slowest=0
started=$SECONDS
"$hostile" "$seed" "$rounds" >"$scratch/hostile1" 2>&1 &
one=$!
"$hostile" $((seed + 1)) "$rounds" >"$scratch/hostile2" 2>&1 &
other=$!
children+=("$one" "$other")
most_kib=0
while kill -0 "$one" 2>/dev/null || kill -0 "$other" 2>/dev/null; do
	sample
	kib=$(memory_kib)
	((kib <= most_kib)) || most_kib=$kib
	sleep 0.2
done
for pid in "$one" "$other"; do
	wait "$pid" || fail "seed $seed: a hostile client ended with $?: $(cat "$scratch"/hostile?)"
done
elapsed=$((SECONDS - started))
cat "$scratch"/hostile?
rings=$(sed -n "s/.* rings \([0-9]*\) .*/\1/p" "$scratch"/hostile? | paste -sd +)
((rings > 10)) || fail "seed $seed: no rings to speak of"
kill -0 "$daemon" 2>/dev/null || fail "seed $seed: the daemon is dead"
holds "$rounds acts of each of two hostile clients in $elapsed s: the slowest answer took $slowest ms"
# far below what lingering sockets or a memory map could make it wait for, far above what a busy machine does
((slowest < 100000)) || fail "seed $seed: an answer took $slowest ms"

# names of rings that may stay
theirs="^($daemon$(printf '|%s' "${writers[@]}"))-"
no_rings_of_strangers() { ! find "$state/rings" -name '*.ring' -printf '%f\n' | grep -qvE "$theirs"; }
until_true no_rings_of_strangers || fail "seed $seed: rings of strangers are left: $(ls -l "$state/rings")"
settled() { (($(fds) <= idle_fds + 2)); }
until_true settled || fail "seed $seed: $idle_fds descriptors before, $(fds) after: $(ls -l "/proc/$daemon/fd")"
((sanitized || most_kib <= idle_kib + 2048)) || fail "seed $seed: the daemon has grown from $idle_kib to $most_kib KiB"
mib=$(state_mib)
# what two users may have, metas and blocks that are not full; its own ring and four good ones
((mib <= 2 * share * 13 / 10 + 30)) || fail "seed $seed: the state directory takes $mib MiB: $(du -m "$state")"
[[ -z $(find "$state/spool/quarantine" -type f) ]] || fail "seed $seed: set aside, which has no bound: $(ls -l "$state/spool/quarantine")"
lines=$(wc -l <"$log")
((lines <= 30 + 40 * (elapsed / 10 + 1))) || fail "seed $seed: $lines lines of log in $elapsed s"
holds "afterwards: $(fds) descriptors (before: $idle_fds), $(memory_kib) KiB ($idle_kib), $mib MiB of files, $lines lines"

# all at once, and none says a word
ulimit -n "$(ulimit -Hn)"
(($(ulimit -n) >= connections + 100)) || connections=$(($(ulimit -n) - 100))
"$client" connect "$connections" >"$scratch/silent" &
silent=$!
children+=("$silent")
while kill -0 "$silent" 2>/dev/null; do
	(($(fds) <= idle_fds + 2 * 64 + 8)) || fail "$(fds) descriptors"
	sleep 0.1
done
[[ $(cat "$scratch/silent") == "dropped $connections" ]] || fail "of $connections silent connections: $(cat "$scratch/silent")"
until_true settled || fail "descriptors leak: $idle_fds before, $(fds) after"
sample
holds "$connections silent connections are dropped"

judge_writers
holds "each of $total events of ${#writers[@]} writers beside them is there, or was overwritten by younger ones and is counted"
stop_daemon
segments | xargs -r "$look" events >/dev/null || fail "seed $seed: a segment can't be read"

# a kernel that doesn't refuse descriptors: what is sent along is closed, and that takes no longer than it may
binary=$build/tests/daemon/flightrecd-testpoints
if [[ -x $binary ]]; then
	export FLIGHTREC_TEST_PASSRIGHTS=1
	start_daemon --no-bpf
	unset FLIGHTREC_TEST_PASSRIGHTS
	idle_fds=$(fds)
	sent=$("$hostile" stuck 600)
	if [[ $sent == sent ]]; then
		sample
		((slowest < 100000)) || fail "a lingering socket has stopped the daemon for $slowest ms"
		"$hostile" "$seed" $((rounds / 3)) rights || fail "seed $seed: rights: $?"
		until_true settled || fail "descriptors that were sent along stay: $idle_fds before, $(fds) after"
		sample
		((slowest < 100000)) || fail "seed $seed: an answer took $slowest ms"
		holds "descriptors sent along are closed, also where the kernel doesn't refuse them: the slowest answer took $slowest ms"
	fi
	stop_daemon
fi
torture_row "hostile client" $((2 * rounds)) acts "with $((rings)) rings, and $connections connections at once: $total events of ${#writers[@]} writers beside them kept or counted as overwritten; the daemon grew by $((most_kib - idle_kib)) KiB and said $lines lines in $elapsed s; slowest answer $slowest ms"
