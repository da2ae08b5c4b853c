#!/bin/bash
# SPDX-License-Identifier: MIT
# A client may do what it likes with its ring: cut it, grow it to a terabyte, write over all of it. It hurts nobody but itself,
# and does not become somebody else.
. tests/daemon/lib.sh

start_daemon --no-bpf
declare -A bad
for how in grow cut scribble; do
	spawn "$how" "$how"
	bad[$how]=$child
	ready "$how"
done
spawn good hold 5
good=$child
ready good
status >/dev/null || fail "no status with rings like these"
"$client" set acme.shop 4 >/dev/null || fail "no gates with rings like these"
kill -0 "$daemon" || fail "the daemon is dead"
until_true grep -q 'has grown it from 65536' "$log" || fail "growth is not noticed: $(cat "$log")"
find "$state/rings" -name "${bad[grow]}-*" -size -100k | grep -q . || fail "growth is not undone"
until_true grep -q "has cut it from 65536 to 100" "$log" || fail "the cut is not noticed"
sleep 0.1
(($(grep -c 'has grown it\|has cut it' "$log") == 2)) || fail "more than a line each"
holds "growth is undone and said once, a cut is said once"

kill -KILL "${children[@]}"
until_true segment_of "$good" events=5 || fail "the good one's ring: $(heads)"
until_true segment_of "${bad[scribble]}" vouched=1 "uid=$(id -u)" comm=client || fail "the scribbled superblock was not mended: $(heads)"
grep -q 'which is put right' "$log" || fail "nothing said of the forged identity"
holds "a superblock that was written over is put right before salvage: identity is the kernel's word"
no_rings_of_clients() { [[ -z $(find "$state/rings" -name '*.ring' ! -name "$daemon-*") ]]; }
until_true no_rings_of_clients || fail "left: $(ls "$state/rings")"
holds "all rings of the dead have found their place: $(find "$state/spool/quarantine" -name '*.ring' | wc -l) set aside"
kill -0 "$daemon" || fail "the daemon is dead"

# a ring that no daemon vouches for, with rubbish in it
head -c 200000 /dev/urandom >"$scratch/rubbish"
mv "$scratch/rubbish" "$state/rings/4194304-00112233445566778899aabbccddeeff.ring"
until_true grep -q 'can.t be read: .* set aside' "$log" || fail "rubbish is not set aside: $(cat "$log")"
[[ -n $(find "$state/spool/quarantine" -name '4194304*' ) ]] || fail "rubbish is not in quarantine: $(ls "$state/spool/quarantine")"
holds "rubbish among the rings is set aside"

# a living writer's own file whose superblocks are gone: watched by its name; its lanes say where the records are
stop_daemon
spawn lost hold 6
lost=$child
ready lost
ring=$(ls "$state/rings")
size=$(stat -c %s "$state/rings/$ring")
for at in 0 $((size / 16)); do
	dd if=/dev/zero of="$state/rings/$ring" bs=1 count=2048 seek=$((at / 4096 * 4096)) conv=notrunc status=none
done
start_daemon --no-bpf
[[ -e $state/rings/$ring ]] || fail "the ring of a living writer was taken away"
"$client" set acme.shop 4 >/dev/null || fail "no gates with a ring like this"
kill -KILL "$lost"
until_true no_rings_of_clients || fail "left: $(ls "$state/rings")"
until_true segment_of 0 events=6 vouched=0 || fail "its records are not there: $(heads)"
holds "a ring that lost both superblocks is left alone while its writer lives, then gives its records, without a name"
stop_daemon
