# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# Which kernels there are, and how Debian's packages are fetched without installing them.
# Sourced by prepare.sh, headers.sh, debug-kernel.sh and root.sh, which set: state (the lab's
# state directory) and source (this directory).

# A caller may count this status as skipped: what was asked for cannot be had here, and why
# stands on stderr. (The number is that of Automake's tests.)
EXIT_UNAVAILABLE=77

say() { echo "matrix lab: $*" >&2; }
fail() {
    say "$1"
    say "what helps: $2"
    exit "${3:-1}"
}
unavailable() { fail "$1" "$2" "$EXIT_UNAVAILABLE"; }

host_suite() {
    # shellcheck disable=SC1091
    (. /etc/os-release && echo "${VERSION_CODENAME:-unknown}")
}

# Looks a kernel up in the table. Sets: name (where it is kept), version (of a short name, else
# empty), suite (empty: the host's), package, compiler, root (empty: build on the host).
find_kernel() {
    local host row found=
    host=$(host_suite)
    while read -ra row; do
        [[ ${row[0]:-} == "$1" ]] || continue
        found=yes name=$1 version=$1 suite=${row[1]} package=${row[2]} compiler=${row[3]} root=${row[4]}
    done <"$source/kernels"
    if [[ -z $found ]]; then
        [[ $1 =~ ^linux-image-[a-z0-9.+-]+$ ]] ||
            fail "'$1' is no kernel that the lab knows, and no Debian package of one" \
                "one of: $(sed -n 's/^\([a-z0-9.]\+\) .*/\1/p' "$source/kernels" | xargs), or for example linux-image-rt-amd64"
        name=$1 version="" suite=$host package=$1 compiler="" root="-"
    fi
    [[ $root != "$host" && $root != - ]] || root=
    [[ $suite == "$host" ]] || return 0
    suite=
    # The default by its other name: one copy of it. The debug kernel is made, not fetched.
    [[ $name == debug ]] || name=$package
}

# Takes the lab's lock of that name ($1), and makes the directory work, which is gone when the
# script ends. What is done under one lock touches nothing that is done under another.
begin_work() {
    mkdir -p "$state" 2>/dev/null || true
    [[ -w $state ]] ||
        fail "cannot write to $state, where the lab's kernel is to be" "set MATRIX_LAB_DIR to a directory of yours"
    exec 9>"$state/lock-$1"
    flock -n 9 || { say "waiting for another matrix lab to make a kernel ready" && flock 9; }
    rm -rf "$state/.new-$1".* # of a run that was killed; nobody else is at work, we hold the lock
    work=$(mktemp -d "$state/.new-$1.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM HUP
    : >"$work/apt.log"
}

# The mirror from which the host has a suite of its own, as its apt sources name it: $1 is
# empty or "-security".
find_mirror() {
    apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 2>>"$work/apt.log" |
        sed -nE "/^($(host_suite)|stable)$1 /{s/^[^ ]* //p;q}"
}

update_lists() {
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
    apt_options+=(-o "Dir::State::Lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache")
    apt-get "${apt_options[@]}" update >>"$work/apt.log" 2>&1
}

# The host's package lists may be missing, or too old for what the mirror still has, and
# only root could renew them: then use lists of our own, which any user may fetch.
use_private_lists() {
    [[ -z $suite && ! -d $work/apt ]] || return 1
    say "the host's package lists do not do; fetching lists of our own"
    update_lists
}

# Sets apt_options so that packages come from the suite, with those that they go with. A suite
# that is not the host's gets lists and sources of its own; the host's stay as they are.
open_archive() {
    apt_options=(-q -o APT::Sandbox::User=root)
    command -v apt-get dpkg-deb >/dev/null ||
        unavailable "apt-get and dpkg-deb are not here, so no Debian kernel can be fetched" \
            "use a Debian host, or copy $state from one"
    [[ -n $suite ]] || return 0

    local mirror security keyring=/usr/share/keyrings/debian-archive-keyring.gpg base=${suite%-backports}
    mirror=$(find_mirror "") security=$(find_mirror -security)
    [[ -n $mirror ]] ||
        unavailable "the host's apt sources name no mirror that could have $suite" "see /etc/apt/sources.list.d"
    {
        printf '%s\n' "deb [signed-by=$keyring] $mirror "{"$base","$suite"}" main" | sort -u
        [[ -z $security ]] || echo "deb [signed-by=$keyring] $security $base-security main"
    } >"$work/sources.list"
    apt_options+=(-o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=-
        -o Dir::State::Status=/dev/null -o APT::Default-Release="/^$base(-backports|-security)?\$/")
    say "fetching the package lists of $suite"
    update_lists || unavailable_archive "the package lists of $suite"
}

unavailable_archive() {
    cat "$work/apt.log" >&2
    unavailable "cannot download $1" "check the network and the host's apt sources, then 'sudo apt-get update'"
}

# What a package depends on, of the packages whose whole names match the pattern.
list_dependencies() {
    apt-cache "${apt_options[@]}" depends "$1" 2>>"$work/apt.log" |
        sed -nE "s/^[ |]*Depends: ($2)\$/\1/p" | sort -u
}

download() {
    say "downloading $*"
    (cd "$work" && apt-get "${apt_options[@]}" download "$@" >>apt.log 2>&1)
}

# Unpacks all that was downloaded into a directory.
unpack() {
    local deb
    say "unpacking"
    for deb in "$work"/*.deb; do
        dpkg-deb -x "$deb" "$1"
    done
    rm -f "$work"/*.deb
}
