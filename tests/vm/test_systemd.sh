#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 900
# A whole Debian under systemd with the units as they are installed. The daemon starts early, with no more rights than its
# unit gives, and its eBPF attaches; an application of an ordinary user gets its ring from it. After a panic the next boot
# recovers before systemd-pstore takes the evidence away and before the daemon starts; the index follows; members of the group
# see it, others don't; and the uploader, a user without any capability, sends it once an endpoint is configured.
set -uo pipefail
# shellcheck source=tests/vm/guest.sh
. "$(dirname "$0")/guest.sh"
# shellcheck source=tests/vm/debian.sh
. "$(dirname "$0")/debian.sh"

vm_begin
vm_debian
vm_debian_modules ramoops
echo ramoops >"$vm/debian/etc/modules-load.d/ramoops.conf"
echo 'options ramoops mem_address=0xc800000 mem_size=0x100000 record_size=0x8000 ecc=1' \
	>"$vm/debian/etc/modprobe.d/ramoops.conf"
make -s --no-print-directory -C "$vm_here/../.." -j1 DEPS_DONE=1 O="$FR_BUILD" PREFIX=/usr DESTDIR="$vm/debian" install </dev/null ||
	vm_fail "make install"
install -m 755 "$FR_BUILD/tests/vm/witness" "$vm/debian/usr/bin/"
vm_debian_libraries "$FR_BUILD"/{flightrec,flightrecd,flightrec-collector,tests/vm/witness}
systemd-sysusers --root="$vm/debian" >/dev/null 2>&1
systemctl -q --root="$vm/debian" preset flightrecd.service flightrec-recover.service flightrec-index.timer flightrec-upload.timer
mkdir -p "$vm/debian/etc/systemd/system/flightrecd.service.d"
printf '[Service]\nWatchdogSec=4\n' >"$vm/debian/etc/systemd/system/flightrecd.service.d/watchdog.conf"
vm_debian_script <<'GUEST'
facts() {
	systemctl show "$1" -p ActiveState,SubState,NRestarts,StatusText,ExecMainStatus,ExecMainStartTimestampMonotonic \
		-p ExecMainExitTimestampMonotonic,MemoryCurrent,Result
}
until_active() {
	for ((i = 0; i < 240; i++)); do
		systemctl -q is-active "$1" && return
		sleep 0.5
	done
}
until_active flightrecd.service
if [[ ! -e /var/first-boot-is-over ]]; then
	touch /var/first-boot-is-over
	facts flightrecd.service | report daemon
	journalctl -b --no-pager -o cat -u flightrecd.service -u flightrec-recover.service | report journal
	systemctl is-enabled flightrec-upload.timer | report timer
	systemctl reload flightrecd.service
	echo $? | report reload
	flightrec status 2>&1 | report status

	# an application of an ordinary user, killed
	runuser -u nobody -- witness /tmp/paid 1000 2>/tmp/witness.err &
	for ((i = 0; i < 600; i++)); do
		[[ $(cat /tmp/paid 2>/dev/null | wc -l) -lt 200 ]] || break
		sleep 0.2
	done
	pid=$(pidof witness)
	kill -KILL $pid
	echo $pid | report victim
	cat /tmp/witness.err | report witness
	tail -n 3 /tmp/paid | report paid
	sleep 1
	runuser -u nobody -- ls /var/lib/flightrec/spool 2>&1 | report nobody

	# a daemon that hangs
	kill -STOP $(systemctl show -p MainPID --value flightrecd.service)
	for ((i = 0; i < 120; i++)); do
		sleep 1
		[[ $(systemctl show -p NRestarts --value flightrecd.service) == 0 ]] || break
	done
	until_active flightrecd.service
	facts flightrecd.service | report daemon-hung

	runuser -u nobody -- witness /tmp/paid-2 1000 2>/dev/null &
	for ((i = 0; i < 600; i++)); do
		[[ ! -s /tmp/paid-2 ]] || break
		sleep 0.2
	done
	sync
	panic
fi
facts flightrec-recover.service | report recover
facts flightrecd.service | report daemon-2
facts systemd-pstore.service | report pstore-service
journalctl -b --no-pager -o cat -u flightrec-recover.service | report recover-journal
systemctl --failed --no-legend | report failed
ls -lR /sys/fs/pstore /var/lib/systemd/pstore | report pstore
systemctl start flightrec-index.service
facts flightrec-index.service | report index
journalctl -b --no-pager -o cat -u flightrec-index.service | report index-journal
flightrec incidents --json | report incidents
flightrec incidents | report incidents-text
flightrec show --json | report events
export FLIGHTREC_STATE_DIR=/var/lib/flightrec
runuser -u flightrec-upload -g flightrec -- flightrec incidents --json 2>/tmp/member | report member
report member-said </tmp/member
runuser -u nobody -- flightrec incidents 2>&1 | report stranger
unset FLIGHTREC_STATE_DIR

systemctl start flightrec-upload.service
facts flightrec-upload.service | report upload-off
systemd-run -q --unit collector flightrec-collector --listen 127.0.0.1:8080 --db /tmp/fleet.db --port-file /tmp/port
for ((i = 0; i < 300; i++)); do
	[[ ! -e /tmp/port ]] || break
	sleep 0.2
done
mkdir -p /etc/flightrec/flightrec.conf.d
printf '[upload]\nendpoint = http://127.0.0.1:8080\ndatabase = 3c4b0a52-7c68-4d39-8f52-0a53a4b0c1de\n' \
	>/etc/flightrec/flightrec.conf.d/50-upload.conf
systemctl start flightrec-upload.service
facts flightrec-upload.service | report upload
journalctl -b --no-pager -o cat -u flightrec-upload.service | report upload-journal
flightrec-collector --db /tmp/fleet.db --stats 2>&1 | report collector
systemctl --failed --no-legend | report failed-at-last
ls -la /var/lib/flightrec /var/lib/flightrec/spool | report state
GUEST
vm_debian_run "memmap=1M\$0xc800000"

fact() { vm_report "$1" | sed -n "s/^$2=//p"; }
vm_report daemon
vm_report journal
vm_expect "the daemon is up" test "$(fact daemon ActiveState)" = active
vm_expect "it reads its configuration again when asked" test "$(vm_report reload)" = 0
vm_expect "uploading is off until somebody configures it" test "$(vm_report timer)" = disabled
vm_expect "an ordinary user sees nothing of what was recorded" grep -q 'Permission denied' <(vm_report nobody)
vm_expect "a daemon that hangs is restarted by its watchdog" test "$(fact daemon-hung NRestarts)" -ge 1
vm_expect "and is up again" test "$(fact daemon-hung ActiveState)" = active
vm_report recover-journal
vm_expect "no unit failed after the panic" test -z "$(vm_report failed)"
vm_expect "recovery was over before the daemon started" test \
	"$(fact recover ExecMainExitTimestampMonotonic)" -le "$(fact daemon-2 ExecMainStartTimestampMonotonic)"
vm_report events >"$vm/events"
vm_report incidents-text
vm_expect "the panic is an incident" test "$(vm_report incidents | grep -c '"kernel"')" -eq 1
victim=$(vm_report victim)
last=$(vm_report paid | awk '$2 == 1 { last = $3 } END { print last }')
vm_expect "so is the killed application" test "$(vm_report incidents | grep -c "\"pid\":$victim,")" -eq 1
vm_expect "what it committed last ($last) is there" grep -q "\"pid\":$victim,.*\"till\":1,\"number\":$last," "$vm/events"
vm_expect "the index was made by its service" test "$(fact index Result)/$(fact index ExecMainStatus)" = success/0
vm_expect "a member of the group sees the incidents" test "$(vm_report member | wc -l)" -eq "$(vm_report incidents | wc -l)"
vm_expect "a stranger sees none" test "$(vm_report stranger | grep -ci panic)" -eq 0
vm_expect "without an endpoint nothing is sent, and that is no failure" test "$(fact upload-off Result)" = success
vm_report upload-journal
vm_report collector
vm_expect "the uploader, without any capability, sends" test "$(fact upload Result)/$(fact upload ExecMainStatus)" = success/0
vm_expect "the collector has it" grep -qE '"events": ?[1-9]' <(vm_report collector)
vm_expect "no unit failed after all that" test -z "$(vm_report failed-at-last)"
vm_expect "nothing of the panic is left in pstore" test "$(vm_report pstore | grep -c dmesg)" -eq 0
