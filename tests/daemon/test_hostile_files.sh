#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 120
# Whoever may write to the directory of rings can put anything there under a ring's name: links, pipes, devices, folders, giants,
# other users' rings, what changes its kind while it is read. The daemon waits for none of it, touches nothing outside, and others'
# rings stay as they are.
. tests/daemon/lib.sh

start_daemon --no-bpf
rings=$state/rings
fds() { find "/proc/$daemon/fd" | wc -l; }
name() { printf '4194304-%032x.ring' "$1"; }   # of nobody: no such pid
alive() { printf '%d-%032x.ring' "$$" "$1"; }  # of one who lives
answers() { timeout 100 "$client" status >/dev/null || fail "$1: the daemon does not answer"; }

spawn good write "$scratch/witness"
good=$child
ready good
mine=$(basename "$rings/$good"-*)
idle=$(fds)

# they arrive by a rename, as rings do
mkdir "$scratch/make"
echo 'not a ring, and precious' >"$scratch/precious"
chmod 600 "$scratch/precious"
sum=$(sha256sum <"$scratch/precious")
n=0
arrive() { # what is in $scratch/make/x
	n=$((n + 1))
	cp -a "$scratch/make/x" "$scratch/make/y" 2>/dev/null
	mv "$scratch/make/x" "$rings/$(name $n)"
	[[ ! -e $scratch/make/y && ! -L $scratch/make/y ]] || mv "$scratch/make/y" "$rings/$(alive $n)"
	answers "$1"
}
ln -s "$scratch/precious" "$scratch/make/x" && arrive "symbolic link"
ln -s "$rings/$mine" "$scratch/make/x" && arrive "symbolic link to another's ring"
ln -s loop "$scratch/make/x" && arrive "symbolic link to nothing"
mkfifo "$scratch/make/x" && arrive "pipe"
mkdir -p "$scratch/make/x/folder" && arrive "folder"
mknod "$scratch/make/x" c 1 5 2>/dev/null && arrive "/dev/zero"
truncate -s 1T "$scratch/make/x" && arrive "a terabyte of nothing"
set_aside() { [[ -e $state/spool/quarantine/$(name $n) ]]; }
until_true set_aside || fail "a terabyte of nothing is not set aside"
truncate -s 1T "$scratch/make/x" && mv "$scratch/make/x" "$rings/$(name $n)" # another of that name: nobody compares the two
: >"$scratch/make/x" && arrive "empty file"
head -c 300000 /dev/urandom >"$scratch/make/x" && arrive "rubbish"
cp "$rings/$mine" "$scratch/make/x" && arrive "copy of another's ring"
ln "$rings/$mine" "$scratch/make/x" && mv "$scratch/make/x" "$rings/$(name 77)" && answers "another's ring under a second name"
ln "$scratch/precious" "$rings/$(name 78)" && answers "precious under a second name"
# names that are nearly right, and names that are not text
for odd in $'1-\e[31m.ring' $'1-\n.ring' '%s%n%s.ring' '-1-0.ring' '4294967295-x.ring' '.ring' "$(printf 'x%.0s' {1..200}).ring" $'\xff\xfe.ring' \
	'1-../../precious.ring/..' '99999999999999999999-00000000000000000000000000000000.ring'; do
	: >"$scratch/make/x"
	mv "$scratch/make/x" "$rings/$odd" 2>/dev/null
	answers "name $(printf %q "$odd")"
done
holds "links, pipes, folders, devices, giants and odd names among the rings: the daemon answers after each"

# what changes its kind while it is looked at
(
	for ((i = 0; i < 100; i++)); do
		at=$rings/$(name $((1000 + i % 7)))
		rm -f "$scratch/swap"
		case $((i % 5)) in
		0) head -c 70000 /dev/zero >"$scratch/swap" ;;
		1) ln -sf "$scratch/precious" "$scratch/swap" ;;
		2) mkfifo "$scratch/swap" 2>/dev/null ;;
		3) cp "$rings/$mine" "$scratch/swap" ;;
		4) truncate -s 3G "$scratch/swap" ;;
		esac
		mv -fT "$scratch/swap" "$at"
	done
) 2>/dev/null &
changer=$!
children+=("$changer")
while kill -0 "$changer" 2>/dev/null; do answers "a ring that is replaced"; done
holds "files that are replaced by others, again and again, while they are read"

# what the next start finds
kill_daemon
start_daemon --no-bpf
answers "a start among all that"
# those that are named after this script are watched
settled() { (($(fds) <= idle + n + 2)); }
until_true settled || fail "$idle descriptors before, $(fds) after: $(ls -l "/proc/$daemon/fd")"
[[ $(sha256sum <"$scratch/precious") == "$sum" ]] || fail "a file outside was changed: $(head -c 100 "$scratch/precious")"
[[ $(stat -c %a "$scratch/precious") == 600 ]] || fail "a file outside has another mode"
size=$(stat -c %s "$rings/$mine") || fail "another's ring is gone: $(ls "$rings")"
[[ $size == 2097152 ]] || fail "another's ring has now $size bytes"
lines=$(wc -l <"$log")
! grep -q 'Invalid argument' "$log" || fail "what is no file is taken for a ring"
((lines <= 60 + 24 * (SECONDS / 10))) || fail "$lines lines of log"
! LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f]' "$log" || fail "control characters in the log: $(cat -v "$log")"
holds "nothing outside was touched, nothing leaks, $lines lines of log"

kill -KILL "$good"
wait "$good" 2>/dev/null
committed=$(od -An -tu8 -N8 "$scratch/witness" | tr -d ' ')
until_true salvaged_whole "$good" "$committed" || fail "$committed events committed, and the good one's ring is not there whole: $(heads)"
[[ $(heads | grep -c " pid=$good .*reason=died\|reason=died .*pid=$good ") == 1 ]] || fail "more than one end of one ring: $(heads)"
holds "the ring of one who behaved is salvaged, once, with all that it held"
stop_daemon
