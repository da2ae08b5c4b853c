#!/bin/bash
# SPDX-License-Identifier: MIT
# install-deps.sh GROUP... - installs the Debian packages that building (build), the demo (demo), testing (check),
# testing in guests (vm) and measuring (bench) need. Silent, and without the network, when nothing is missing.
# Written a|b, either will do; b is taken where the release no longer has a.
set -euo pipefail

declare -A groups=(
	[build]='gcc libc6-dev make pkg-config|pkgconf zlib1g-dev libelf-dev libbpf-dev clang llvm bpftool libsystemd-dev
		libzstd-dev libsqlite3-dev libcurl4-openssl-dev|libcurl4-gnutls-dev libmicrohttpd-dev'
	[demo]='openssl'
	[check]='libcmocka-dev g++ openssl procps jq ca-certificates cppcheck shellcheck valgrind zsh fish'
	[vm]='qemu-system-x86 busybox-static cpio kmod e2fsprogs xz-utils mmdebstrap'
	[bench]='lttng-tools liblttng-ust-dev libqb-dev gnuplot-nox jq'
)

wanted=()
for group; do
	if [[ -z ${groups[$group]:-} ]]; then
		echo "install-deps: no group '$group'; there are ${!groups[*]}" >&2
		exit 2
	fi
	read -r -d '' -a packages <<<"${groups[$group]}" || true
	wanted+=("${packages[@]}")
done

if ! command -v dpkg-query >/dev/null; then
	echo "install-deps: this is no Debian; what is missing from the following has to be installed by hand:" \
		"${wanted[*]}" >&2
	exit 0
fi

declare -A installed=()
while read -r state name; do
	[[ $state == ii ]] && installed[$name]=1
done < <(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n')

missing=()
for choice in "${wanted[@]}"; do
	[[ ${installed[${choice%|*}]:-} || ${installed[${choice#*|}]:-} ]] || missing+=("$choice")
done
((${#missing[@]})) || exit 0

# `missing` is turned into one name each when the package lists are fresh
names() {
	local choice
	for choice in "${missing[@]}"; do
		if [[ $choice == *'|'* ]] && [[ -z $(apt-cache madison "${choice%|*}" 2>/dev/null) ]]; then
			echo "${choice#*|}"
		else
			echo "${choice%|*}"
		fi
	done
}

as_root=()
if ((EUID)); then
	if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 && -t 2 ]]; }; then
		as_root=(sudo)
	else
		mapfile -t packages < <(names)
		echo "install-deps: packages are missing, and installing them needs root. As root, run:" >&2
		echo "  apt-get update && apt-get install --no-install-recommends ${packages[*]}" >&2
		echo "or go on without (make DEPS_DONE=1 ...): what needs them is then left out." >&2
		exit 1
	fi
fi

echo "installing: ${missing[*]%|*}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1
}
# a list that cannot be refreshed is no error as long as the packages can be had
apt update || echo "install-deps: the package lists could not be refreshed; trying with those that are there" >&2
mapfile -t packages < <(names)
if ! apt install -y --no-install-recommends "${packages[@]}"; then
	tail -n 20 "$log" >&2
	echo "install-deps: apt-get could not install ${packages[*]}; the reason stands above." >&2
	exit 1
fi
