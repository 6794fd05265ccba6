#!/bin/bash
# The same bytes everywhere: a 32-bit and a big-endian build of the analyser read
# every golden file as this machine does, and write traces bit by bit the same.
# The big-endian one runs under QEMU's user emulation; both are built against
# Debian's libraries, unpacked by tests/vm/sysroot.
set -u

folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
n=0

result() # name; the status before decides
{
	local status=$?

	n=$((n + 1))
	if [ $status = 0 ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		head -n 20 "$folder/log" | sed 's/^/# /'
	fi
	return $status
}

skip_all() # name, reason
{
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

build()
{
	local there=$BUILD/foreign/$1

	make -s -j2 O="$there" RECORD=0 SAN= CC="$2" CFLAGS='-O0 -w' SYSROOT="$3" \
		"$there/kymo" "$there/tests/dump" "$there/tests/tracegen" >"$folder/log" 2>&1
}

# All of a trace, by each view.
views() # golden file, then what runs kymo
{
	local trace=$1
	shift

	"$@" info -i "$trace" --json
	"$@" script -i "$trace"
	"$@" script -i "$trace" --json
	"$@" report -i "$trace" -g
	"$@" report -i "$trace" --csv
	"$@" flamegraph -i "$trace" -o -
} 2>&1

check() # name, machine of Debian, compiler, what runs its programs
{
	local name=$1 arch=$2 cc=$3 root there golden command
	shift 3

	for command in "$cc" "${1:-true}"; do
		command -v "$command" >/dev/null || { skip_all "$name" "no $command"; return; }
	done
	root=$(tests/vm/sysroot "$arch" analyser 2>"$folder/log") || {
		if [ $? = 3 ]; then
			skip_all "$name" "$(tail -n 1 "$folder/log")"
		else
			false
			result "$name: its libraries"
		fi
		return
	}
	[ $# = 0 ] && set -- "$root"/lib/ld-linux.so.2 --library-path "$root/usr/lib/i386-linux-gnu"
	[ $# = 1 ] && set -- "$1" -L "$root"
	there=$BUILD/foreign/$arch

	build "$arch" "$cc" "$root"
	result "$name builds" || return

	for golden in tests/golden/*.kymo; do
		"$@" "$there/tests/dump" "$golden" >"$folder/there" 2>&1
		"$BUILD/tests/dump" "$golden" >"$folder/here" 2>&1
		diff "$folder/here" "$folder/there" >"$folder/log"
		result "$name reads ${golden##*/} the same"
		views "$golden" "$KYMO" >"$folder/here"
		views "$golden" "$@" "$there/kymo" >"$folder/there"
		[ -s "$folder/here" ] && diff "$folder/here" "$folder/there" >"$folder/log"
		result "$name shows ${golden##*/} the same"
	done
	"$BUILD/tests/tracegen" 2000 "$folder/here.kymo" --all --hostile >"$folder/log" 2>&1 &&
		"$@" "$there/tests/tracegen" 2000 "$folder/there.kymo" --all --hostile \
			>>"$folder/log" 2>&1 &&
		cmp "$folder/here.kymo" "$folder/there.kymo" >>"$folder/log" 2>&1
	result "$name writes the same"
}

check "a 32-bit build" i386 i686-linux-gnu-gcc
check "a big-endian build" s390x s390x-linux-gnu-gcc qemu-s390x-static
echo "1..$n"
