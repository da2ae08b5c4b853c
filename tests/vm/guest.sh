# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# guest.sh - runs a scenario in a QEMU guest on the release's own Debian kernel; to be sourced.
#
# A scenario is a script that ships programs and modules into an initramfs, says what the guest does (in busybox's
# sh, after guest-init.sh), lets it run through panic and warm reset, and judges what came back:
#
#	vm_begin				skips (77) what cannot run a guest; makes the scratch folder $vm
#	vm_program $FR_BUILD/flightrec ...	into /usr/bin, with the shared libraries it needs
#	vm_modules ramoops nd_e820 ...		kernel modules, for `load` in the guest
#	vm_script <<'GUEST' ... GUEST		what the guest does, at every boot of it
#	vm_run 'memmap=64M!0x8000000' [QEMU's arguments]
#	vm_cut_power TEXT ...			the same, but its power goes soon after it reported TEXT
#	vm_report NAME				what the guest wrote with `report NAME`
#
# What cost time to find: software emulation, one emulated CPU (a warm reset with two hangs or oopses early), and
# -cpu Haswell-v4 without cx16 (with "max", or with it, 6.12 dies early), and no_timer_check (on a busy machine no tick may
# come while the kernel waits for one, and it panics). Kernel and initramfs are given anew at each reset while memory is
# kept; QEMU puts the initramfs near the top of low memory, so what is to survive is reserved below it, at 0x8000000.
# panic=1 and no -no-reboot make one command out of crash and recovery.

vm_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
vm_cache=${XDG_CACHE_HOME:-$HOME/.cache}/flightrec-vm
vm_seconds=${VM_SECONDS:-300} # a guest that takes longer is taken for hung
FR_BUILD=${FR_BUILD:-$(realpath -m "$vm_here/../../build")}

vm_skip() {
	echo "$*"
	exit 77
}

vm_fail() {
	echo "FAILED: $*"
	echo "--- the guest's console ends with:"
	tail -n 40 "$vm/console" 2>/dev/null
	echo "--- its reports end with:"
	tail -n 30 "$vm/report" 2>/dev/null | cut -c 1-300
	grep -v 'warning: TCG' "$vm/qemu" 2>/dev/null
	exit 1
}

vm_begin() {
	local tool
	[[ $(uname -m) == x86_64 ]] || vm_skip "guests are run on x86-64 only so far"
	for tool in qemu-system-x86_64 busybox cpio apt-get dpkg-deb depmod modprobe mke2fs; do
		PATH=$PATH:/usr/sbin:/sbin command -v $tool >/dev/null || vm_skip "$tool is not installed (make deps DEPS=vm)"
	done
	PATH=$PATH:/usr/sbin:/sbin
	ldd "$(command -v busybox)" >/dev/null 2>&1 && vm_skip "busybox is not static (make deps DEPS=vm)"
	vm_kernel
	vm=$(mktemp -d "${TMPDIR:-/tmp}/flightrec-vm.XXXXXX")
	# VM_KEEP=FOLDER: what was said is kept there
	trap '[[ -z ${VM_KEEP:-} ]] || { mkdir -p "$VM_KEEP" && cp "$vm"/{console,report} "$VM_KEEP"; }; rm -rf "$vm"' EXIT
	mkdir -p "$vm"/root/{bin,usr/bin,lib,modules,proc,sys,dev,mnt,tmp,run,var/lib,etc}
	cp "$(command -v busybox)" "$vm/root/bin/busybox"
	cp "$vm_here/guest-init.sh" "$vm/root/init"
	chmod +x "$vm/root/init"
	vm_program "$(command -v mke2fs)"
	cp /etc/mke2fs.conf "$vm/root/etc/"
}

# vm_disk FILE: an empty ext4, for -drive, and what the guest needs for it (state_on_disk)
vm_disk() {
	vm_modules virtio_pci virtio_blk
	truncate -s 64M "$1"
	mke2fs -q -F -t ext4 -b 4096 "$1"
}

# The release's kernel, fetched once: $vm_kernel_dir holds vmlinuz and tree/lib/modules. A cached one needs no network.
vm_kernel() {
	local release
	# shellcheck source=/dev/null
	release=$(. /etc/os-release && echo "${VERSION_CODENAME:-$ID}")
	vm_kernel_dir=$vm_cache/$release
	[[ -f $vm_kernel_dir/vmlinuz ]] && return
	mkdir -p "$vm_cache"
	(
		flock 9
		[[ -f $vm_kernel_dir/vmlinuz ]] || vm_fetch_kernel
	) 9>"$vm_cache/lock" || exit
}

vm_fetch_kernel() {
	local package log=$vm_cache/fetch.log new=$vm_cache/new
	package=$(apt-cache depends linux-image-cloud-amd64 2>"$log" | awk '/Depends:/ { print $2; exit }')
	if [[ -z $package ]] && ((EUID == 0)); then
		apt-get -qq update >>"$log" 2>&1
		package=$(apt-cache depends linux-image-cloud-amd64 2>>"$log" | awk '/Depends:/ { print $2; exit }')
	fi
	[[ $package ]] || vm_skip "apt knows no linux-image-cloud-amd64 here (apt-get update may help)"
	rm -rf "$new"
	mkdir "$new"
	if ! (cd "$new" && apt-get -qq download "$package" >>"$log" 2>&1 && dpkg-deb -x ./*.deb tree); then
		cat "$log"
		vm_skip "the kernel $package could not be fetched"
	fi
	mv "$new"/tree/boot/vmlinuz-* "$new/vmlinuz"
	# where modules lie below /usr, put them where modprobe -d looks
	[[ -d $new/tree/lib/modules ]] || { mkdir -p "$new/tree/lib" && mv "$new/tree/usr/lib/modules" "$new/tree/lib/"; }
	rm -rf "$new"/*.deb "$new"/tree/{boot,usr} "$vm_kernel_dir"
	depmod -b "$new/tree" "$(ls "$new/tree/lib/modules")"
	mv "$new" "$vm_kernel_dir"
}

# A program, and the shared libraries it needs. Where busybox has an applet of that name, call it by its whole path.
vm_program() {
	local program library
	for program; do
		[[ -x $program ]] || vm_fail "$program is not built"
		cp "$program" "$vm/root/usr/bin/"
		while read -r library; do
			[[ -e $vm/root$library ]] || install -D "$library" "$vm/root$library"
		done < <(ldd "$program" 2>/dev/null | grep -oE '/[^ ]+' | sort -u)
	done
}

# What modprobe would do to load a module: "insmod FILE" or "builtin NAME" a line, in order.
vm_module_files() {
	modprobe -C /dev/null -d "$vm_kernel_dir/tree" -S "$(ls "$vm_kernel_dir/tree/lib/modules")" --show-depends "$1"
}

# Modules with all they depend on, in the order of loading, unpacked: /modules/NAME.order lists files. One that is built
# into this kernel has an empty list.
vm_modules() {
	local name files how file plain
	for name; do
		files=$(vm_module_files "$name" 2>&1) || vm_fail "the kernel has no module $name: $files"
		: >"$vm/root/modules/$name.order"
		while read -r how file; do
			[[ $how == insmod ]] || continue
			plain=$(basename "$file")
			plain=${plain%.ko*}.ko
			case $file in
			*.xz) xz -dc "$file" >"$vm/root/modules/$plain" ;;
			*.zst) zstd -qdc "$file" >"$vm/root/modules/$plain" ;;
			*.gz) gzip -dc "$file" >"$vm/root/modules/$plain" ;;
			*) cp "$file" "$vm/root/modules/$plain" ;;
			esac
			echo "$plain" >>"$vm/root/modules/$name.order"
		done <<<"$files"
	done
}

vm_script() {
	cat >"$vm/root/scenario"
}

# vm_start SECONDS CMDLINE [QEMU's arguments]: the guest, in the place of this shell
vm_start() {
	local seconds=$1 cmdline=$2
	shift 2
	exec timeout -k 5 "$seconds" qemu-system-x86_64 -machine q35,accel=tcg -cpu Haswell-v4,-cx16 -smp 1 -m 512 \
		-nodefaults -no-user-config -display none \
		-serial file:"$vm/console.raw" -serial file:"$vm/report.raw" \
		-kernel "$vm_kernel_dir/vmlinuz" -initrd "$vm/initramfs" \
		-append "console=ttyS0 panic=1 quiet no_timer_check $cmdline" "$@" </dev/null >"$vm/qemu" 2>&1
}

vm_pack() {
	(cd "$vm/root" && find . | cpio --quiet -o -H newc -R 0:0) >"$vm/initramfs" || vm_fail "no initramfs"
}

vm_collect() {
	tr -d '\r' <"$vm/console.raw" >"$vm/console"
	tr -d '\r' <"$vm/report.raw" >"$vm/report"
}

vm_run() {
	local started=$SECONDS
	vm_pack
	(vm_start "$vm_seconds" "$@")
	vm_status=$?
	vm_collect
	((vm_status == 0)) || vm_fail "the guest did not end by itself within $vm_seconds s (qemu: $vm_status)"
	echo "guest: $((SECONDS - started)) s, $(grep -ac 'Kernel panic - not syncing' "$vm/console") panic(s)," \
		"kernel $(ls "$vm_kernel_dir/tree/lib/modules")"
}

# vm_cut_power TEXT CMDLINE [QEMU's arguments]: runs the guest until it has reported a line TEXT and up to a second
# more, then takes its power away: QEMU is killed. What the guest's kernel had not written to the disk is gone.
vm_cut_power() {
	local text=$1 tries=$((vm_seconds * 10)) guest
	shift
	vm_pack
	: >"$vm/report.raw"
	(vm_start "$vm_seconds" "$@") &
	guest=$!
	until grep -aq "^$text" "$vm/report.raw"; do
		if ((tries-- == 0)) || ! kill -0 "$guest" 2>/dev/null; then
			vm_collect
			vm_fail "the guest never reported: $text"
		fi
		sleep 0.1
	done
	sleep "$((RANDOM % 10 / 9)).$((RANDOM % 10))"
	pkill -KILL -P "$guest" # the guest itself; timeout follows
	wait "$guest" 2>/dev/null
	vm_collect
	echo "guest: lost its power"
}

# What the guest reported under that name (at its last boot that did).
vm_report() {
	awk -v begin="<<< $1" '$0 == begin { inside = 1; text = ""; next } $0 == ">>>" { inside = 0 }
		inside { text = text $0 "\n" } END { printf "%s", text }' "$vm/report"
}

# vm_expect WHAT COMMAND...: a sentence of the verdict, true when COMMAND succeeds
vm_expect() {
	local what=$1
	shift
	"$@" || vm_fail "$what"
	echo "proved: $what"
}
