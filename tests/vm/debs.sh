# Debian packages of any suite and architecture, without touching what this
# machine has installed or set up: sourced by kernel and sysroot.
#
# shellcheck shell=bash

# Where kernels and sysroots are kept, for all checkouts of a user.
vm_cache=${KYMO_VM_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/kymo-vm}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Says why nothing could be fetched; callers turn status 3 into a skipped test.
cannot_fetch() # what, reason
{
	echo "cannot fetch $1: $2" >&2
	exit 3
}

# The archives as apt is set up with them: debian, and its security updates.
mirror_of() # debian or debian-security
{
	local found

	command -v apt-get >/dev/null || return 1
	found=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
		sed -n "s|/$1/*\$|/$1|p" | head -n 1)
	# A machine without security updates is still set up with a mirror.
	if [ -z "$found" ] && [ "$1" != debian ]; then
		found=$(mirror_of debian) && found=${found%/debian}/$1
	fi
	[ -n "$found" ] && echo "$found"
}

# debs_open FOLDER ARCH SUITE...: an apt of its own below FOLDER, for debs_apt.
debs_open()
{
	local folder=$1 arch=$2 suite archive mirror
	shift 2

	mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
	: >"$folder/status"
	: >"$folder/sources"
	for suite in "$@"; do
		case $suite in
		*-security) archive=debian-security ;;
		*) archive=debian ;;
		esac
		mirror=$(mirror_of "$archive") || return 1
		echo "deb [arch=$arch signed-by=$keyring] $mirror $suite main" >>"$folder/sources"
	done
	debs_options=(
		-o "APT::Architecture=$arch" -o "APT::Architectures=$arch"
		-o "Dir::Etc::sourcelist=$folder/sources" -o Dir::Etc::sourceparts=/dev/null
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
		-o "Dir::State=$folder" -o "Dir::State::lists=$folder/lists"
		-o "Dir::State::status=$folder/status" -o "Dir::Cache=$folder/cache"
		-o APT::Sandbox::User= -o Debug::NoLocking=1 -o Acquire::Languages=none
		-o Acquire::Retries=2)
	# Without --error-on=any a list that is not there is only warned of.
	apt-get "${debs_options[@]}" -qq --error-on=any update
}

debs_apt() # apt-get or apt-cache, arguments
{
	local tool=$1
	shift

	"$tool" "${debs_options[@]}" -qq "$@"
}

# debs_unpack FOLDER DEB...: links of a merged /usr that are there stay links.
debs_unpack()
{
	local folder=$1 deb
	shift

	for deb in "$@"; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$folder"
	done
}
