#!/bin/bash
# SPDX-License-Identifier: MIT
# test_tls.sh - the server has to prove who it is: its own authority, its name, its dates.
# shellcheck source=tests/upload/lib.sh
. "$(dirname "$0")/lib.sh"

command -v openssl >/dev/null || {
	echo "openssl is not installed"
	exit 77
}

# certificate NAME SUBJECT_ALT_NAME [OPTION...]: $scratch/NAME.pem and .key, signed by itself
certificate() {
	local name=$1 alt=$2
	shift 2
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$scratch/$name.key" -out "$scratch/$name.pem" \
		-subj "/CN=$name" -addext "subjectAltName=$alt" "$@" 2>/dev/null
}

# renew NAME FROM UNTIL: the same key and name, with these dates (YYYYMMDDHHMMSSZ), which `openssl req` takes from version 3.4 on
renew() {
	local ca=$scratch/$1.ca
	mkdir -p "$ca"
	: >"$ca/index"
	cat >"$ca/conf" <<-EOF
		[ca]
		default_ca = own
		[own]
		database = $ca/index
		new_certs_dir = $ca
		rand_serial = yes
		unique_subject = no
		default_md = sha256
		policy = any
		x509_extensions = names
		[any]
		commonName = supplied
		[names]
		subjectAltName = IP:127.0.0.1
		basicConstraints = critical, CA:TRUE
	EOF
	openssl req -new -config /dev/null -key "$scratch/$1.key" -subj "/CN=$1" -out "$ca/request" 2>"$scratch/err" ||
		fail "openssl made no request"
	openssl ca -batch -notext -config "$ca/conf" -selfsign -keyfile "$scratch/$1.key" -in "$ca/request" \
		-startdate "$2" -enddate "$3" -out "$scratch/$1.pem" 2>"$scratch/err" || fail "openssl made no certificate"
}

# to the collector by HTTPS
upload_https() {
	local host=$1
	shift
	upload 1 --endpoint "https://$host:$port" "$@"
}

begin "a server whose authority is known gets the batch"
certificate good IP:127.0.0.1 -days 2
certificate other IP:127.0.0.1 -days 2
certificate name DNS:fleet.example.com -days 2
fill 1 1 25
start_collector --cert "$scratch/good.pem" --key "$scratch/good.key"
for ca in "" other; do
	upload_https 127.0.0.1 ${ca:+--ca-file "$scratch/$ca.pem"}
	expect_code 1
	expect_said "can't prove who it is"
	expect_waiting 1
done
upload_https 127.0.0.1 --ca-file "$scratch/missing.pem"
expect_code 1
expect_said "ca_file"
start_collector --cert "$scratch/name.pem" --key "$scratch/name.key"
upload_https 127.0.0.1 --ca-file "$scratch/name.pem"
expect_code 1
expect_said "can't prove who it is"
[[ $(stat_of batches) == 0 ]] || fail "a batch was given to a stranger"
start_collector --cert "$scratch/good.pem" --key "$scratch/good.key"
upload_https 127.0.0.1 --ca-file "$scratch/good.pem"
expect_code 0
[[ $(stat_of unique) == 25 ]] || fail "the collector has $(stat_of unique) events, want 25"

begin "a certificate counts between its dates, and not before or after"
certificate dated IP:127.0.0.1 -days 2
fill 1 1 5
for dates in "20200101000000Z 20200102000000Z 1" "20990101000000Z 20990102000000Z 1" "20200101000000Z 20990102000000Z 0"; do
	read -r from until want <<<"$dates"
	renew dated "$from" "$until"
	start_collector --cert "$scratch/dated.pem" --key "$scratch/dated.key"
	upload_https 127.0.0.1 --ca-file "$scratch/dated.pem"
	expect_code "$want"
	expect_waiting "$want"
	((want == 0)) || expect_said "can't prove who it is"
	[[ $(stat_of batches) == $((1 - want)) ]] || fail "from $from until $until: the collector has $(stat_of batches) batches"
done
[[ $(stat_of unique) == 5 ]] || fail "the collector has $(stat_of unique) events, want 5"

begin "a handshake that is cut off, or leads nowhere, is no answer: it is tried again, and nothing is told before it is done"
fill 1 1 5
start_hostile refuse refuse
for timeout in 10s 300ms; do # the second server never says a word
	upload 1 --endpoint "https://127.0.0.1:$hostile" -o give_up=1ms -o timeout=$timeout
	expect_code 1
	expect_said "no answer"
	expect_waiting 1
	start_hostile hang
done
[[ ! -s $scratch/hostile.log ]] || fail "a request was sent without TLS"

begin "a redirect from HTTPS to plain HTTP is not followed"
certificate good IP:127.0.0.1 -days 2
fill 1 1 5
redirect() { # once it was asked: the server ends with what it reads here
	for ((i = 0; i < 1200; i++)); do
		grep -qa '^POST' "$scratch/server" && break
		sleep 0.05
	done
	printf 'HTTP/1.1 307 x\r\nLocation: http://127.0.0.1:%s/v1/batches\r\nContent-Length: 0\r\n\r\n' "$port"
	sleep 1
}
: >"$scratch/server"
redirect |
	openssl s_server -accept 127.0.0.1:0 -naccept 1 -cert "$scratch/good.pem" -key "$scratch/good.key" >"$scratch/server" 2>&1 &
server=$!
for ((i = 0; i < 1200; i++)); do
	redirecting=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' "$scratch/server")
	[[ -z $redirecting ]] || break
	sleep 0.05
done
upload 1 --endpoint "https://127.0.0.1:$redirecting" --ca-file "$scratch/good.pem"
stop "$server"
expect_code 1
expect_said "redirects are not followed"
expect_waiting 1
[[ $(stat_of deliveries) == 0 ]] || fail "the redirect was followed"

begin "plain HTTP to another machine is refused before anything is sent"
fill 1 1 5
upload 1 --endpoint http://192.0.2.1
expect_code 1
expect_said "would be sent in the clear"

begin "the collector does not listen in the clear where others can reach it"
code=0
timeout 5 "$FR_BUILD/flightrec-collector" --listen 0.0.0.0:0 --db "$scratch/x.db" >"$scratch/out" 2>"$scratch/err" || code=$?
expect_code 1
expect_said "needs --cert and --key"
