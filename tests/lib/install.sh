#!/bin/bash
# SPDX-License-Identifier: MIT
# install.sh install|uninstall - puts what was built in its places, or takes it away: one list for both.
# From the environment: O VERSION DESTDIR PREFIX BINDIR SBINDIR LIBDIR SYSCONFDIR SYSTEMD_UNIT_DIR.
# Configuration and recorded data are never removed, and a configuration that is there is never overwritten.
set -euo pipefail
cd "$(dirname "$0")/../.."
mode=$1
share=$PREFIX/share
systemd_lib=$(dirname "$(dirname "$SYSTEMD_UNIT_DIR")") # .../lib, above systemd/system

# put MODE SOURCE TARGET: a source that was not built is left out
put() {
	local permissions=$1 source=$2 target=$DESTDIR$3
	if [[ $mode == uninstall ]]; then
		rm -f "$target"
	elif [[ -e $source ]]; then
		install -D -m "$permissions" "$source" "$target"
	fi
}

# fill MODE SOURCE TARGET: the same for a text with @NAMES@ in it
fill() {
	local made=
	if [[ $mode == install && -e $2 ]]; then
		made=$(mktemp)
		sed -e "s#@PREFIX@#$PREFIX#g; s#@LIBDIR@#$LIBDIR#g; s#@BINDIR@#$BINDIR#g; s#@SBINDIR@#$SBINDIR#g" \
			-e "s#@INCLUDEDIR@#$PREFIX/include#g; s#@VERSION@#$VERSION#g" "$2" >"$made"
	fi
	put "$1" "${made:-$2}" "$3"
	[[ -z $made ]] || rm -f "$made"
}

link() {
	local target=$DESTDIR$2
	if [[ $mode == uninstall ]]; then
		rm -f "$target"
	else
		ln -sfn "$1" "$target"
	fi
}

put 755 "$O/flightrec" "$BINDIR/flightrec"
put 755 "$O/flightrec-collector" "$BINDIR/flightrec-collector"
put 755 "$O/flightrecd" "$SBINDIR/flightrecd"

if [[ $mode == uninstall || -e $O/libflightrec.so.$VERSION ]]; then
	put 755 "$O/libflightrec.so.$VERSION" "$LIBDIR/libflightrec.so.$VERSION"
	link "libflightrec.so.$VERSION" "$LIBDIR/libflightrec.so.${VERSION%%.*}"
	link "libflightrec.so.${VERSION%%.*}" "$LIBDIR/libflightrec.so"
fi
put 644 "$O/libflightrec.a" "$LIBDIR/libflightrec.a"
for header in recorder/include/flightrec/*.h; do
	put 644 "$header" "$PREFIX/include/flightrec/${header##*/}"
done
fill 644 recorder/client/flightrec.pc.in "$LIBDIR/pkgconfig/flightrec.pc"

for unit in systemd/*.service systemd/*.timer; do
	fill 644 "$unit" "$SYSTEMD_UNIT_DIR/${unit##*/}"
done
put 644 systemd/flightrec.sysusers "$systemd_lib/sysusers.d/flightrec.conf"
put 644 systemd/flightrec.tmpfiles "$systemd_lib/tmpfiles.d/flightrec.conf"
put 644 systemd/flightrec.preset "$systemd_lib/systemd/system-preset/90-flightrec.preset"
if [[ $mode == install && ! -e $DESTDIR$SYSCONFDIR/flightrec/flightrec.conf ]]; then
	put 644 systemd/flightrec.conf "$SYSCONFDIR/flightrec/flightrec.conf"
fi

shopt -s nullglob
for page in systemd/*.[1-8]; do
	put 644 "$page" "$share/man/man${page##*.}/${page##*/}"
done
put 644 systemd/flightrec.bash "$share/bash-completion/completions/flightrec"
put 644 systemd/flightrec.zsh "$share/zsh/site-functions/_flightrec"
put 644 systemd/flightrec.fish "$share/fish/vendor_completions.d/flightrec.fish"
for text in README.md ARCHITECTURE.md schemas/FORMAT.md schemas/WIRE.md CHANGELOG.md LICENSE; do
	put 644 "$text" "$share/doc/flightrec/${text##*/}"
done

if [[ $mode == install && -z $DESTDIR ]]; then
	command -v ldconfig >/dev/null && ldconfig
	if [[ -d /run/systemd/system ]]; then
		systemd-sysusers "$systemd_lib/sysusers.d/flightrec.conf"
		systemd-tmpfiles --create "$systemd_lib/tmpfiles.d/flightrec.conf"
		systemctl daemon-reload
		echo "to start: systemctl enable --now flightrec-recover.service flightrecd.service flightrec-index.timer"
	fi
fi
exit 0
