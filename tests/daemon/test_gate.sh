#!/bin/bash
# SPDX-License-Identifier: MIT
# A gate is switched in running programs at once, is remembered, and meets programs that start later.
public=1
. tests/daemon/lib.sh

start_daemon --no-bpf
"$client" gate-now >"$scratch/out" || fail "a gate was not seen at once: $(cat "$scratch/out")"
holds "200 changes of a gate, each in force in the running program when the order is answered"

"$client" gate >"$scratch/out" || fail "$(cat "$scratch/out")"
read -r _ median _ worst <"$scratch/out"
((median < 100000)) || fail "threads see a change after $median us in the median"
holds "four threads of a program see a change $median us (worst $worst us) after the order is answered"

spawn holder hold
ready holder
[[ $("$client" set acme.shop 5) == "error 0 affected 1" ]] || fail "set by name"
[[ $("$client" set 5c0d1f9e-8d6b-4c1e-9a53-0f6a2d7b9e11 2) == "error 0 affected 1" ]] || fail "set by GUID"
[[ $("$client" set 'acme.*' 4) == "error 0 affected 1" ]] || fail "set by the beginning of a name"
[[ $("$client" set nobody 4) == "error 0 affected 0" ]] || fail "set of a provider that nobody has"
[[ $("$client" set acme.shop 9) == error\ -22* ]] || fail "a level that is none was taken"
[[ $("$client" set 'two words' 1) == error\ -22* ]] || fail "a name that is none was taken"
holds "orders by name, GUID and beginning of a name; what makes no sense is refused"

"$client" set acme.shop 1 >/dev/null
[[ $("$client" policy) == "gate 0xffffffffffffff02" ]] || fail "a program that starts later has $("$client" policy)"
holds "a program that registers later starts with the gate that was set"

kill_daemon
start_daemon --no-bpf
[[ $("$client" policy) == "gate 0xffffffffffffff02" ]] || fail "after a restart it has $("$client" policy)"
holds "a gate that was set is remembered over a killed daemon"

# configuration first, then what was set
printf '[gates]\nacme.shop = verbose\nacme.other = error 0xff\n' >"$FLIGHTREC_CONFIG"
kill -HUP "$daemon"
until_true grep -q 'acme.other 2 0xff config' "$state/gates" || fail "the configuration's gates are not in: $(cat "$state/gates")"
[[ $("$client" policy) == "gate 0xffffffffffffff02" ]] || fail "the configuration went over what was set"
cmp -s "$state/gates" "$FLIGHTREC_RUNTIME_DIR/gates" || fail "the public copy differs"
holds "gates of the configuration are in force for those that nobody set"

# found again, and obeying
kill_daemon
start_daemon --no-bpf
[[ $("$client" set acme.shop 3) == "error 0 affected 1" ]] || fail "a ring that was found again is not switched"
holds "a ring that a restarted daemon found again obeys"

if [[ $(id -u) == 0 ]] && command -v setpriv >/dev/null; then
	chmod 755 "$scratch"
	cp "$client" "$scratch/client" && chmod 755 "$scratch/client"
	[[ $(setpriv --reuid 65534 --regid 65534 --clear-groups "$scratch/client" set acme.shop 5) == error\ -1* ]] || fail "anybody may set gates"
	holds "who is neither root nor the recorder's user may not set gates"
fi
stop_daemon
all_events
grep -q 'fr.config .*provider=acme.shop source="process' "$scratch/events" || fail "no record of who set a gate"
holds "who set a gate is recorded"
