# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# panic.sh - the story that test_dax.sh judges and demo-panic.sh tells; to be sourced after guest.sh.
#
# An application records into a ring on a DAX mount of reserved memory, never synced; state and spool lie on a disk. The
# kernel panics in the middle of it, the machine resets warm, and the next boot recovers: the ring, and from ramoops
# the kernel's own words.
# shellcheck disable=SC2154
: "${vm_here:?}"

# panic_story PAUSE_US GUEST_COMMANDS: the latter run in the second boot, after recovery
panic_story() {
	vm_begin
	vm_program "$FR_BUILD/flightrec" "$FR_BUILD/tests/vm/witness"
	vm_modules nd_pmem nd_e820 ramoops
	vm_disk "$vm/disk"
	echo "pause=$1" >"$vm/root/story"
	echo "$2" >"$vm/root/after"
	vm_script <<'GUEST'
. /story
state_on_disk
load nd_pmem
load nd_e820
mount_ext4 /dev/pmem0 /ram dax
mount -t pstore pstore /sys/fs/pstore
load ramoops mem_address=0xc800000 mem_size=0x100000 record_size=0x8000 ecc=1
export FLIGHTREC_RING_DIR=/ram/rings
mkdir -p /ram/rings

if [ -e /state/first-boot-is-over ]; then
	ls -l /ram/rings /sys/fs/pstore | report evidence
	flightrec recover --ring-dir /ram/rings 2>&1 | report recover
	flightrec index 2>&1 | report index
	. /after
	bye
fi

touch /state/first-boot-is-over
sync
witness /dev/ttyS1 "$pause" &
until ls /ram/rings/*.ring >/dev/null 2>&1; do sleep 0.1; done
sleep 3
panic
GUEST
	vm_run "memmap=64M!0x8000000 memmap=1M\$0xc800000" -drive file="$vm/disk",if=virtio,format=raw,cache=unsafe
}

# the last number that a till said it had committed
panic_witness() {
	grep -a "^paid $1 [0-9][0-9]*\$" "$vm/report" | tail -n 1 | cut -d ' ' -f 3
}
