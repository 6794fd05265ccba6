#!/bin/bash
# Each header compiles alone, for C and, in bpf/, for the BPF target.
set -u

folders="format report cmd"
[ "${RECORD:-1}" = 0 ] || folders="$folders record bpf"
headers=$(for folder in $folders; do ls "$folder"/*.h; done)
flags="-std=gnu11 -Wall -Wextra -Werror -iquote . -iquote $BUILD -DKYMO_RECORD=${RECORD:-1}"
multiarch=/usr/include/$(${CC:-cc} -print-multiarch)
case $(uname -m) in
x86_64) arch=x86 ;;
aarch64) arch=arm64 ;;
*) arch=$(uname -m) ;;
esac

echo "1..$(echo "$headers" | wc -l)"
i=0
for header in $headers; do
	i=$((i + 1))
	case $header in
	# A program has its argument, whether it looks at it or not.
	bpf/*) compile="clang $flags -target bpf -D__TARGET_ARCH_$arch -idirafter $multiarch"
		compile="$compile -Wno-unused-parameter" ;;
	*) compile="${CC:-cc} $flags" ;;
	esac
	# Twice: the guard, too, is tested.
	if out=$(printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
		 $compile -fsyntax-only -x c - 2>&1); then
		echo "ok $i - $header"
	else
		echo "not ok $i - $header"
		echo "$out" | sed 's/^/# /'
	fi
done
