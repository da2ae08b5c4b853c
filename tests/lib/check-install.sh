#!/bin/bash
# SPDX-License-Identifier: MIT
# check-install.sh - what `make install DESTDIR=` leaves is complete: the README's example compiles against it with
# pkg-config as C and as C++, records, and the installed flightrec reads it; the library exports flightrec_* and nothing
# else; systemd accepts the units; `make uninstall` takes all of it away but the configuration.
set -euo pipefail
cd "$(dirname "$0")/../.."
tmp=${TMPDIR:?}
root=$tmp/root
prefix=/opt/flightrec
fail() {
	echo "FAILED: $*"
	exit 1
}
[[ -e $FR_BUILD/flightrec ]] || {
	echo "the program flightrec is not built"
	exit 77
}

[[ -e README.md ]] || {
	echo "there is no README.md, whose example would be tried"
	exit 77
}

# the options of the make that runs us hold here too, but not its job server
MAKEFLAGS=$(sed -E 's/-j[0-9]*|--jobserver-[a-z]+=[^ ]*//g' <<<"${MAKEFLAGS:-}")
make_quietly() {
	make -s --no-print-directory O="$FR_BUILD" DESTDIR="$root" PREFIX=$prefix "$@" </dev/null
}
make_quietly install

library=$root$prefix/lib/libflightrec.so
[[ -L $library && -e $library ]] || fail "libflightrec.so is no link to a library"
soname=$(readelf -d "$library" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
[[ -e $root$prefix/lib/$soname ]] || fail "no file by the library's own name $soname"
foreign=$(nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | sed 's/@.*//' |
	grep -vE '^(flightrec_|register_telemetry$|unregister_telemetry$|session_begin$|session_end$|telemetry_msg$)' || true)
[[ -z $foreign ]] || fail "the library exports $foreign"

# the example: the first block of C in the README that includes the header
awk '/^```c/ { block = ""; inside = 1; next } /^```/ && inside { inside = 0
	if (block ~ /flightrec\/flightrec\.h/) { printf "%s", block; exit } } inside { block = block $0 "\n" }' \
	README.md >"$tmp/example.c" 2>/dev/null || true
[[ -s $tmp/example.c ]] || fail "README.md shows no example that includes flightrec/flightrec.h"
cp "$tmp/example.c" "$tmp/example.cpp"

export PKG_CONFIG_PATH=$root$prefix/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
sanitize=${SAN:+-fsanitize=$SAN}
read -r -a flags <<<"$(pkg-config --cflags --libs flightrec) $sanitize"
"${CC:-cc}" -std=c99 -pedantic -Wall -Wextra -Werror "$tmp/example.c" "${flags[@]}" -o "$tmp/example"
if command -v g++ >/dev/null; then
	g++ -std=c++17 -pedantic -Wall -Wextra -Werror "$tmp/example.cpp" "${flags[@]}" -o "$tmp/example-cpp"
else
	echo "no g++: the example was not tried as C++"
fi
[[ $(pkg-config --modversion flightrec) ]] || fail "flightrec.pc has no version"

for example in "$tmp/example" "$tmp/example-cpp"; do
	[[ -x $example ]] || continue
	rm -rf "$FLIGHTREC_STATE_DIR"
	LD_LIBRARY_PATH=$root$prefix/lib "$example" >"$tmp/said" || fail "the example ends with $?"
	ring=$(ls "$FLIGHTREC_STATE_DIR"/rings/*.ring)
	"$root$prefix/bin/flightrec" show --json "$ring" >"$tmp/events" || fail "flightrec show ends with $?"
	grep -q '"event"' "$tmp/events" || fail "nothing of the example was recorded: $(cat "$tmp/events")"
done

# nothing else keeps the spool below its cap, so that has to run where nothing is uploaded
units=$root$prefix/lib/systemd
grep -qx "ExecStart=$prefix/bin/flightrec index" "$units/system/flightrec-index.service" || fail "no unit runs flightrec index"
grep -qx 'OnUnitInactiveSec=10min' "$units/system/flightrec-index.timer" || fail "no timer runs it each ten minutes, as flightrec.conf(5) says"
grep -qx 'enable flightrec-index.timer' "$units/system-preset/90-flightrec.preset" || fail "the preset leaves the timer off"
! grep -q upload "$units/system/flightrec-index."* || fail "the index waits for upload"

if command -v systemd-analyze >/dev/null; then
	mkdir -p "$tmp/units"
	for unit in "$root$prefix"/lib/systemd/system/flightrec*; do
		grep -q @ "$unit" && grep -E '@[A-Z]+@' "$unit" && fail "${unit##*/} has a name that was not filled in"
		sed "s#=$prefix/#=$root$prefix/#" "$unit" >"$tmp/units/${unit##*/}"
	done
	for unit in "$tmp"/units/*; do
		systemd-analyze verify --man=no --recursive-errors=no "$unit" >"$tmp/said" 2>&1 ||
			fail "$(cat "$tmp/said")"
		[[ ! -s $tmp/said ]] || fail "$(cat "$tmp/said")"
	done
	[[ $(systemd-sysusers --dry-run "$root$prefix/lib/sysusers.d/flightrec.conf" 2>&1) != *rror* ]] ||
		fail "sysusers does not take flightrec.conf"
fi

make_quietly uninstall
left=$(find "$root" -type f -o -type l | grep -v "^$root/etc/flightrec/" || true)
[[ -z $left ]] || fail "uninstall leaves $left"
echo "installed, compiled against, recorded, read, uninstalled"
