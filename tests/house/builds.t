#!/bin/bash
# The other ways to build and to install: they are tested as a user does them.
set -u

nr=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

result() {
	local status=$?

	nr=$((nr + 1))
	if [ $status = 0 ]; then
		echo "ok $nr - $1"
	else
		echo "not ok $nr - $1"
		tail -n 20 "$tmp/log" | sed 's/^/# /'
	fi
}

# Without optimisation: only what it builds and links is looked at.  What `make check` has
# compiled in the same way is not compiled again, though flags of other parts differ.
build() # folder, variables
{
	local o=$1

	shift
	make -s -o "$o/flags" CFLAGS="${CFLAGS:-} -O0" SAN= O="$o" "$@" >"$tmp/log" 2>&1
}
take() # folder, what of $BUILD it begins with
{
	local o=$1

	shift
	mkdir -p "$o" && echo none >"$o/flags" || return
	[ -n "${SAN:-}" ] || (cd "$BUILD" && cp -a "$@" "$o")
}
libraries() { ldd "$1" 2>&1 | sed 's/^/# /' >"$tmp/log"; cat "$tmp/log"; }
recorder_libraries='libbpf|libelf|libdw|libiberty|libtraceevent'

! grep -l KYMO_RECORD format/* report/* >"$tmp/log"
result 'RECORD=0 changes nothing of format/ and report/'
take "$tmp/analyser" format report
build "$tmp/analyser" RECORD=0
result 'RECORD=0 builds'
! libraries "$tmp/analyser/kymo" | grep -E "$recorder_libraries"
result 'RECORD=0 links none of the libraries of the recorder'
! grep -q -a -E 'bpf_object__|elf_begin' "$tmp/analyser/kymo"
result 'RECORD=0 has nothing of them inside'
"$tmp/analyser/kymo" --version >"$tmp/log" && grep -q '^recorder: no' "$tmp/log" &&
	"$tmp/analyser/kymo" help >"$tmp/log" && ! grep -q '^  record ' "$tmp/log"
result 'RECORD=0 says so and has no record command'
"$tmp/analyser/kymo" record -- true 2>"$tmp/log"
[ $? = 2 ] && grep -q "built without the recorder" "$tmp/log"
result 'RECORD=0: record is told apart from a mistyped command'
"$tmp/analyser/kymo" list 2>"$tmp/log"
[ $? = 2 ] && grep -q "built without the recorder" "$tmp/log"
result 'RECORD=0: so is list'
[ ! -e "$tmp/analyser/record" ] && [ ! -e "$tmp/analyser/bpf" ]
result 'RECORD=0 compiles neither record/ nor bpf/'
GIT_DIR=/nonexistent build "$tmp/analyser" RECORD=0 &&
	"$tmp/analyser/kymo" --version >"$tmp/log" && grep -q "^kymo $(cat VERSION)$" "$tmp/log"
result 'without a git checkout the version is the number alone'

parts="format report cmd Documentation"
[ "${RECORD:-1}" = 0 ] || parts="$parts record bpf"
# shellcheck disable=SC2086
take "$tmp/static" $parts
build "$tmp/static" STATIC=1 RECORD="${RECORD:-1}"
result 'STATIC=1 builds'
libraries "$tmp/static/kymo" | grep -q -E 'not a dynamic executable|statically linked'
result 'STATIC=1 needs no library'
env -i "$tmp/static/kymo" --version >"$tmp/log" 2>&1
result 'STATIC=1 runs with an empty environment'

# What `make check` has built is installed as it is.
(
	unset CFLAGS
	make -s -o all O="$BUILD" RECORD="${RECORD:-1}" SAN="${SAN:-}" \
		DESTDIR="$tmp/root" PREFIX=/opt/kymo install
) >"$tmp/log" 2>&1
result 'install to DESTDIR'
[ -x "$tmp/root/opt/kymo/bin/kymo" ] && "$tmp/root/opt/kymo/bin/kymo" --version >"$tmp/log"
result 'the installed binary runs'
(
	for page in Documentation/*.[15]; do
		cmp "$page" "$tmp/root/opt/kymo/share/man/man${page##*.}/${page##*/}" || exit
	done
) >"$tmp/log" 2>&1
result 'the manual pages are installed'
! find "$tmp/root" -type f ! -path "$tmp/root/opt/kymo/*" | grep .
result 'nothing outside PREFIX'
make -s -o all O="$BUILD" DESTDIR="$tmp/root" PREFIX=/opt/kymo uninstall >"$tmp/log" 2>&1 &&
	! find "$tmp/root" -type f | tee -a "$tmp/log" | grep -q .
result 'uninstall takes everything away'

echo "1..$nr"
