#!/bin/sh
# Installs the Debian packages that the given lists name and that are missing.
# Does nothing, and needs no network, when all of them are there.
set -eu

if ! command -v dpkg-query >/dev/null; then
	echo "not a Debian system: these packages, or their like, are needed:" >&2
	sed '/^#/d' "$@" | sort -u | tr '\n' ' ' >&2
	echo >&2
	exit 0
fi

missing=
for package in $(sed '/^#/d' "$@" | sort -u); do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || :)
	case $state in
	installed*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "cannot install packages: neither root nor sudo;" \
			"as root: apt-get install$missing" >&2
		exit 1
	fi
	sudo=sudo
fi
echo "installing:$missing"

install() {
	# shellcheck disable=SC2086
	$sudo env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -q --no-install-recommends $missing
}

# A new machine, or one whose caches are cleaned, has no lists of packages.
if [ -z "$(find /var/lib/apt/lists -name '*_Packages*' 2>/dev/null | head -n 1)" ]; then
	$sudo apt-get update -q
fi
install || { $sudo apt-get update -q && install; }
