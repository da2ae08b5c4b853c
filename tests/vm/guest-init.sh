#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# shellcheck shell=dash
# guest-init.sh - the guest's /init: mounts what a machine has, offers what scenarios need, runs /scenario.
# Console: ttyS0. What the host is to judge goes to ttyS1 (report, witness), where no kernel message interferes.

/bin/busybox --install -s /bin
export PATH=/usr/bin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
ip link set lo up 2>/dev/null
echo 1 >/proc/sys/kernel/sysrq
exec 3>/dev/ttyS1

# report NAME: standard input, for the host
report() {
	printf '\n<<< %s\n' "$1" >&3 # what came before may have been cut in the middle of a line
	cat >&3
	echo ">>>" >&3
}

# load MODULE [PARAMETERS]: with what it depends on
load() {
	local name=$1 file last
	shift
	last=$(tail -n 1 "/modules/$name.order")
	while read -r file; do
		[ -d "/sys/module/$(basename "$file" .ko | tr - _)" ] && continue
		if [ "$file" = "$last" ]; then insmod "/modules/$file" "$@"; else insmod "/modules/$file"; fi
	done <"/modules/$name.order"
}

# a device appears a while after its driver
wait_for() {
	local tries=0
	until [ -e "$1" ]; do
		[ $tries -lt 1200 ] || return 1
		sleep 0.1
		tries=$((tries + 1))
	done
}

# mount_ext4 DEVICE FOLDER [OPTIONS]: formats only what holds no file system, or the evidence is gone. Not by busybox's
# mke2fs: what it makes has no journal, and after a panic without a sync neither names nor inodes can be trusted.
mount_ext4() {
	wait_for "$1" || return 1
	[ "$(dd if="$1" bs=2 skip=540 count=1 2>/dev/null | hexdump -e '1/2 "%04x"')" = ef53 ] ||
		/usr/bin/mke2fs -q -F -t ext4 -b 4096 "$1"
	mkdir -p "$2"
	mount -t ext4 ${3:+-o "$3"} "$1" "$2"
}

# the disk that vm_disk made, with the recorder's state on it
state_on_disk() {
	load virtio_pci
	load virtio_blk
	mount_ext4 /dev/vda /state
	export FLIGHTREC_STATE_DIR=/state/flightrec FLIGHTREC_RUNTIME_DIR=/run/flightrec
}

panic() {
	echo c >/proc/sysrq-trigger
	sleep 60
}

bye() {
	exec 3>&-
	sleep 0.1
	poweroff -f
}

# shellcheck source=/dev/null
. /scenario
bye
