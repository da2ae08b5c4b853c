#!/bin/bash
# SPDX-License-Identifier: MIT
# plot.sh BENCH.JSONL OUT.SVG - draws what one event costs, ours, the floor and its peers, as bars on a logarithmic scale, and how long single
# events take. README shows cost.svg beside this file, drawn from a run on a quiet machine. Needs jq and gnuplot.
set -euo pipefail
lines=$1 out=$2
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT

jq -r 'select(.name | IN("floor, one thread", "event, one thread", "LTTng-UST, one thread", "libqb'"'"'s blackbox", "fprintf, buffered",
		"fprintf and fflush, to a file", "syslog, to journald", "SQLite INSERT, WAL, not synced", "sd_journal_send")) |
	[.median, (.name | sub(", one thread"; "") | sub("^event$"; "flightrec") | sub("^floor$"; "floor: clock, copy, CRC, store"))] | @tsv' \
	"$lines" | sort -rg >"$data/bars"
for p in p50 p99 p99.9; do
	jq -r --arg p "event $p, " 'select((.name | startswith($p)) and (.name | endswith("caches hot, 1 thread"))) |
		[(.name | capture("(?<b>[0-9]+) bytes").b), .median] | @tsv' "$lines" | sort -n >"$data/$p"
done
[[ -s $data/bars ]] || { echo "plot: $lines has no figures of events" >&2; exit 1; }

gnuplot <<PLOT
set terminal svg size 900,560 dynamic font "sans-serif,13" background "white" noenhanced
set output "$out"
set datafile separator "\t"
set multiplot layout 2,1
set title "One event, two integers and a 40-byte string: nanoseconds, less is better"
set logscale x
set xrange [1:*]
set format "%.0f"
set yrange [-0.7:$(wc -l <"$data/bars")-0.3]
set grid xtics lt 1 lc rgb "#dddddd"
set border 3
set tics nomirror
unset key
set style fill solid
set boxwidth 0.6
set lmargin 32
colour(name) = name eq "flightrec" ? 0x2a6f97 : name[1:5] eq "floor" ? 0xa9b4c2 : 0xd08c60
plot "$data/bars" using (\$1/2):0:(\$1/2):(0.3):(colour(strcol(2))):ytic(2) with boxxyerror lc rgb variable, \
     "" using (\$1*1.15):0:(sprintf(\$1 < 100 ? "%.1f ns" : \$1 < 10000 ? "%.0f ns" : "%.0f us", \$1 < 10000 ? \$1 : \$1/1000)) with labels left font ",11"
set title "A single event timed alone, by payload: nanoseconds"
set logscale xy
set xrange [6:6000]
set yrange [10:*]
set xtics (8, 64, 256, 1024, 4096)
set ytics autofreq
set format "%.0f"
set xlabel "bytes of payload"
set key left top
plot for [p in "p50 p99 p99.9"] "$data/".p using 1:2 with linespoints lw 2 pt 7 ps 0.5 title p
PLOT
