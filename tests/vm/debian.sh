# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# debian.sh - for scenarios that need a whole Debian under systemd, on a disk; to be sourced after guest.sh.
#
#	vm_debian			unpacks the release's minimal system (made once by mmdebstrap) to $vm/debian
#	... put things into $vm/debian ...
#	vm_debian_script <<'GUEST'	runs when the guest has reached multi-user.target, at every boot; report NAME
#	vm_debian_run CMDLINE [QEMU]	makes the disk and runs it until it powers off
#
# shellcheck disable=SC2154
: "${vm_here:?}"

vm_debian() {
	local release tar
	((EUID == 0)) || vm_skip "a Debian root is made by root only"
	command -v mmdebstrap >/dev/null || vm_skip "mmdebstrap is not installed (make deps DEPS=vm)"
	release=$(basename "$vm_kernel_dir")
	tar=$vm_cache/$release-root.tar
	if [[ ! -f $tar ]]; then
		rm -rf "$tar" "$tar.new"
		mmdebstrap --quiet --format=tar --variant=minbase --include=systemd,systemd-sysv,udev,kmod \
			--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
			--dpkgopt='path-exclude=/usr/share/locale/*' "$release" "$tar.new" >"$vm_cache/root.log" 2>&1 || {
			cat "$vm_cache/root.log"
			vm_skip "no Debian root could be made"
		}
		mv "$tar.new" "$tar"
	fi
	mkdir "$vm/debian"
	tar -C "$vm/debian" --exclude='./var/lib/apt/*' --exclude='./var/cache/apt/*' -xf "$tar"
	rm -f "$vm/debian/etc/machine-id"
	echo 0123456789abcdef0123456789abcdef >"$vm/debian/etc/machine-id"
	echo guest >"$vm/debian/etc/hostname"
}

# the libraries of programs that were put into $vm/debian
vm_debian_libraries() {
	local program library
	for program; do
		while read -r library; do
			[[ -e $vm/debian$library ]] || install -D "$library" "$vm/debian$library"
		done < <(ldd "$program" 2>/dev/null | grep -oE '/[^ ]+' | sort -u)
	done
}

# modules for the guest's own modprobe and modules-load.d
vm_debian_modules() {
	local version name how file
	version=$(ls "$vm_kernel_dir/tree/lib/modules")
	for name; do
		while read -r how file; do
			[[ $how == insmod ]] || continue
			install -D -m 644 "$file" "$vm/debian/usr${file#"$vm_kernel_dir/tree"}"
		done < <(vm_module_files "$name")
	done
	cp "$vm_kernel_dir/tree/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} \
		"$vm/debian/usr/lib/modules/$version/"
	depmod -b "$vm/debian/usr" "$version" 2>/dev/null || depmod -b "$vm/debian" "$version"
}

vm_debian_script() {
	cat >"$vm/debian/usr/local/sbin/scenario" <<'SCENARIO'
#!/bin/bash
exec 3>/dev/ttyS1
report() {
	printf '\n<<< %s\n' "$1" >&3
	cat >&3
	echo ">>>" >&3
}
panic() {
	echo c >/proc/sysrq-trigger
	sleep 60
}
SCENARIO
	cat >>"$vm/debian/usr/local/sbin/scenario"
	echo 'systemctl poweroff --force' >>"$vm/debian/usr/local/sbin/scenario"
	chmod +x "$vm/debian/usr/local/sbin/scenario"
	cat >"$vm/debian/etc/systemd/system/scenario.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=simple
ExecStart=/usr/local/sbin/scenario
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1
[Install]
WantedBy=graphical.target multi-user.target
UNIT
	systemctl -q --root="$vm/debian" enable scenario.service
	systemctl -q --root="$vm/debian" mask serial-getty@ttyS0.service getty@tty1.service systemd-networkd.service \
		apt-daily.timer apt-daily-upgrade.timer e2scrub_reap.service
	systemctl -q --root="$vm/debian" set-default multi-user.target
}

vm_debian_run() {
	local cmdline=$1
	shift
	rm -f "$vm/disk"
	truncate -s 1G "$vm/disk"
	mke2fs -q -t ext4 -E lazy_itable_init=0 -d "$vm/debian" "$vm/disk" || vm_fail "no disk"
	vm_modules virtio_pci virtio_blk
	vm_script <<'GUEST'
load virtio_pci
load virtio_blk
wait_for /dev/vda
mount -t ext4 /dev/vda /mnt
exec 3>&-
umount /run /tmp
exec switch_root /mnt /sbin/init
GUEST
	vm_seconds=${VM_SECONDS:-800} vm_run "root=/dev/vda rw systemd.show_status=0 $cmdline" \
		-drive file="$vm/disk",if=virtio,format=raw,cache=unsafe "$@"
}
