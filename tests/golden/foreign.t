#!/bin/bash
# The same bytes everywhere: a 32-bit and a big-endian build read the golden
# file as this machine does, and write it bit by bit the same.  Needs a cross
# compiler and static libzstd and zlib for it (Debian: gcc-i686-linux-gnu
# libzstd-dev:i386 zlib1g-dev:i386; gcc-s390x-linux-gnu qemu-user-static
# libzstd-dev:s390x zlib1g-dev:s390x, or unpacked elsewhere and FOREIGN_FLAGS
# with -I and -L); what is not there is skipped.

folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
golden=tests/golden/first
n=0

report() # status name
{
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}

skip() # name reason
{
	n=$((n + 1))
	echo "ok $n - $1 # skip $2"
}

build() # compiler program
{
	"$1" -std=gnu11 -O2 -w -static -iquote . -o "$folder/$1-$2" "tests/$2.c" format/*.c \
		$FOREIGN_FLAGS -lzstd -lz 2>"$folder/log"
}

check() # compiler, name, what runs its programs
{
	local cc=$1 name=$2
	shift 2
	if ! command -v "$cc" >/dev/null || ! command -v "${1:-true}" >/dev/null; then
		skip "$name reads the same" "no $cc or no ${1:-compiler}"
		skip "$name writes the same" "no $cc or no ${1:-compiler}"
	elif ! build "$cc" dump || ! build "$cc" tracegen; then
		if grep -q 'cannot find -l\|zstd.h\|zlib.h' "$folder/log"; then
			skip "$name reads the same" "no libzstd or zlib for it"
			skip "$name writes the same" "no libzstd or zlib for it"
		else
			sed 's/^/# /' "$folder/log"
			report 1 "$name builds"
			report 1 "$name builds"
		fi
	else
		"$@" "$folder/$cc-dump" $golden.kymo | cmp - $golden.txt
		report $? "$name reads the same"
		"$BUILD/tests/tracegen" 2000 "$folder/here.kymo" --all --hostile &&
			"$@" "$folder/$cc-tracegen" 2000 "$folder/there.kymo" --all --hostile &&
			cmp "$folder/here.kymo" "$folder/there.kymo"
		report $? "$name writes the same"
	fi
}

echo 1..4
check i686-linux-gnu-gcc "a 32-bit build"
check s390x-linux-gnu-gcc "a big-endian build" qemu-s390x-static
