#!/bin/bash
# SPDX-License-Identifier: MIT
# test_headers.sh - the public headers compile as C99 and C++17 without a word from any compiler that is here, the macros expand in
# both, and reserve and commit are freestanding (I16). check-timeout: 600
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
dir=${TMPDIR:-/tmp}/headers-$$
mkdir -p "$dir"
trap 'rm -rf "$dir"' EXIT
failed=0

try() { # what, command...
	local what=$1
	shift
	"$@" >"$dir/log" 2>&1 && [[ ! -s $dir/log ]] && return
	echo "$what: $*"
	head -n 20 "$dir/log"
	failed=1
}

cat >"$dir/app.c" <<'END'
#include <flightrec/flightrec.h>
#include <flightrec/telemetry.h>

FLIGHTREC_PROVIDER(shop, "acme.shop", "5c0d1f9e-8d6b-4c1e-9a53-0f6a2d7b9e11", 1, 0);
FLIGHTREC_PROVIDER_GLOBAL(shared, "acme.shared", "5c0d1f9e-8d6b-4c1e-9a53-0f6a2d7b9e12", 1, 0);

#define ALL(F) F(u8, a, "") F(u16, b, "") F(u32, c, "B") F(u64, d, "ns") F(i8, e, "") F(i16, f, "") F(i32, g, "errno") \
	F(i64, h, "") F(f64, i, "") F(str, j, "") F(bytes, k, "hex") F(json, l, "")
FLIGHTREC_EVENT(shop, all, FLIGHTREC_INFO, 0x3, ALL)
#define NAMED(F) F(u32, session, "") F(u32, bytes, "") F(str, slot, "") F(str, fixed, "") F(str, tail, "") F(u64, size, "")
FLIGHTREC_EVENT(shared, named, FLIGHTREC_VERBOSE, 0, NAMED)

int main(void)
{
	flightrec_register(&shop);
	flightrec_emit_all(0, 1, 2, 3, 4, -1, -2, -3, -4, 0.5, "text", "bytes", 5, "{}");
	flightrec_emit_named(0, 1, 2, "a", "b", "c", 3);
	flightrec_printf(&shop, FLIGHTREC_ERROR, 0, "%d", 1);
	flightrec_unregister(&shop);
	return 0;
}
END
cp "$dir/app.c" "$dir/app.cpp"

compilers=0
for pair in 'gcc g++' 'clang clang++'; do
	read -r c cxx <<<"$pair"
	strict=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-variadic-macros -Wno-sign-conversion -Irecorder/include -c -o "$dir/app.o")
	if command -v "$c" >/dev/null; then
		compilers=$((compilers + 1))
		for standard in c99 c11 gnu17; do
			try "$c -std=$standard" "$c" -std=$standard "${strict[@]}" -O2 "$dir/app.c"
		done
		# reserve and commit: nothing of a C library is asked for but what a compiler itself may call
		printf '#include "recorder/core/ring.h"\nint use(struct fr_lane *lane, struct fr_reservation *res);\nint use(struct fr_lane *lane, struct fr_reservation *res)\n{\n\tint r = fr_lane_reserve(lane, 64, res);\n\n\tif (r == 0)\n\t\tfr_lane_commit(res, 0);\n\treturn r;\n}\n' >"$dir/free.c"
		try "$c: reserve and commit" "$c" -std=gnu11 -O2 -Wall -Wextra -ffreestanding -I. -c -o "$dir/free.o" "$dir/free.c"
		unknown=$(nm -u "$dir/free.o" 2>/dev/null | awk '{ print $2 }' |
			grep -vxE 'fr_crc32c_hardware|fr_crc32c_table|memcpy|memset|_GLOBAL_OFFSET_TABLE_')
		if [[ -n $unknown ]]; then
			echo "$c: reserve and commit need $unknown"
			failed=1
		fi
	fi
	if command -v "$cxx" >/dev/null && echo '#include <cstddef>' | "$cxx" -x c++ -fsyntax-only - 2>/dev/null; then
		for standard in c++17 c++20; do
			try "$cxx -std=$standard" "$cxx" -std=$standard "${strict[@]}" -O2 "$dir/app.cpp"
		done
	fi
done
((compilers)) || {
	echo "no compiler"
	exit 77
}
# test_I16_reserve_and_commit_are_freestanding is the part above
exit $failed
