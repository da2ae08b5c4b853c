#!/bin/bash
# SPDX-License-Identifier: MIT
# check-timeout: 900
# What a power cut costs. An application records in a guest and tells each number on the serial line when its call has returned; at a
# random instant the guest is killed, and its disk forgets what it was not told to keep (volatile_disk.c). The next boot
# recovers. Of level critical nothing that was told may be missing, with the daemon or without it; at other levels, with the
# daemon, at most the last 100 ms.
#
# The limit of 100 ms is one of the guest's clock, and a guest that is emulated on a busy machine, or its disk, stands still now and then: how
# long at most is seen in the application's own rhythm of 10 ms, and what is beyond 20 ms is added. POWER_CUTS: how many cuts (5; 20 in
# torture), POWER_SEED: another run.
set -uo pipefail
# shellcheck source=tests/vm/guest.sh
. "$(dirname "$0")/guest.sh"
# shellcheck source=tests/lib/torture.sh
. "$(dirname "$0")/../lib/torture.sh"

cuts=${POWER_CUTS:-$(torture_count 5 20)}
seed=${POWER_SEED:-$(date +%N)}
RANDOM=$((10#$seed % 32768))
echo "seed $seed"

vm_begin
vm_program "$FR_BUILD/flightrec" "$FR_BUILD/flightrecd" "$FR_BUILD/tests/vm/power_witness"
vm_disk "$vm/disk"
vm_script <<'GUEST'
state_on_disk
if [ -d /state/flightrec ]; then
	flightrec recover 2>&1 | report recover
	flightrec show --json --provider example.power --level verbose |
		sed -n 's/.*"event":"\([a-z]*\)".*"till":\([0-9]*\),"number":\([0-9]*\).*/\1 \2 \3/p' | report events
	rm -rf /state/flightrec
	sync
fi
case $(cat /proc/cmdline) in
*last_boot*) bye ;;
*no_daemon*) ;;
*)
	flightrecd --no-bpf 2>/run/log &
	wait_for /run/flightrec/socket || cat /run/log >&3
	;;
esac
echo "recording" >&3
power_witness /dev/ttyS1
GUEST

# disk_on: $disk is QEMU's argument for it; disk_off: as if its power went
disk_on() {
	"$FR_BUILD/tests/vm/volatile_disk" "$vm/disk.socket" "$vm/disk" $RANDOM &
	server=$!
	until [[ -S $vm/disk.socket ]]; do
		kill -0 "$server" 2>/dev/null || vm_fail "volatile_disk doesn't start"
		sleep 0.05
	done
}
disk_off() {
	kill -TERM "$server"
	wait "$server"
	rm -f "$vm/disk.socket"
}
disk=(-drive "file=nbd:unix:$vm/disk.socket,if=virtio,format=raw,cache=writeback")

# until_cut CMDLINE: a boot that ends soon after some number of the critical till's was told
until_cut() {
	disk_on
	vm_cut_power "t 3 $((1 + RANDOM % 80)) " "$1" "${disk[@]}"
	disk_off
}

# told: whole lines of the guest's last boot, "TILL NUMBER US"
told() { sed '$d' "$vm/report" | sed -n '/^recording/,$p' | sed -nE 's/^t ([123]) ([0-9]+) ([0-9]+)$/\1 \2 \3/p'; }

# lost_critical: numbers of till 3 in $1 (told) that are not in $2 (recovered)
lost_critical() {
	awk 'NR == FNR { if ($2 == 3) have[$3] = 1; next } $1 == 3 && !($2 in have) { print $2 }' "$2" "$1"
}

# lost_ms: how many ms before the last event told the newest recovered one began, and what is allowed; the worse of the two tills
lost_ms() {
	awk 'NR == FNR { if ($2 < 3 && $3 > newest[$2]) newest[$2] = $3; next }
		$1 in before && $3 - before[$1] - 20000 > gap { gap = $3 - before[$1] - 20000 }
		{ before[$1] = $3 }
		$1 < 3 {
			if (!($1 in first)) first[$1] = $3 - 10000
			if ($2 <= newest[$1]) reached[$1] = $3
			last[$1] = $3
		}
		{ end = $3 > end ? $3 : end }
		END {
			for (till in before) # one that stood still until the cut
				if (end - before[till] - 20000 > gap)
					gap = end - before[till] - 20000
			for (till in last) {
				lost = last[till] - (till in reached ? reached[till] : first[till])
				if (lost > worst) worst = lost
			}
			printf "%.1f %.1f\n", worst / 1000, 100 + gap / 1000
		}' "$2" "$1"
}

losses=() criticals=0 next=no_daemon
until_cut "$next"
for ((cut = 1; cut <= cuts; cut++)); do
	told >"$vm/told"
	was=$next
	next=""
	((cut % 3)) || next=no_daemon
	if ((cut < cuts)); then
		until_cut "$next"
	else
		disk_on
		vm_run last_boot "${disk[@]}"
		disk_off
	fi
	vm_report recover | tail -n 2
	vm_report events >"$vm/recovered"
	lost=$(lost_critical "$vm/told" "$vm/recovered" | wc -l)
	told_critical=$(grep -c '^3 ' "$vm/told")
	criticals=$((criticals + told_critical))
	((lost == 0)) || vm_fail "cut $cut: $lost of $told_critical critical events that were told are missing: $(lost_critical "$vm/told" "$vm/recovered" | head -n 5 | xargs)"
	if [[ $was != no_daemon ]]; then
		read -r ms allowed < <(lost_ms "$vm/told" "$vm/recovered")
		echo "cut $cut: $told_critical critical events told, none missing; at level info the last $ms ms are lost ($allowed allowed)"
		awk -v ms="$ms" -v allowed="$allowed" 'BEGIN { exit ms > allowed }' || vm_fail "cut $cut: the last $ms ms are lost; $allowed are allowed"
		losses+=("$ms")
	else
		echo "cut $cut, without a daemon: $told_critical critical events told, none missing"
	fi
done
((criticals > cuts)) || vm_fail "hardly anything was told: $criticals critical events in $cuts cuts"
((${#losses[@]})) || losses=(none) # of a single cut, which is one without the daemon
mapfile -t sorted < <(printf '%s\n' "${losses[@]}" | sort -n)
vm_expect "of $criticals critical events told before $cuts cuts, none is missing" true
torture_row "power cut" "$cuts" cuts "$criticals critical events told, 0 lost; level info with the daemon: worst ${sorted[-1]} ms," \
	"median ${sorted[${#sorted[@]} / 2]} ms lost"
