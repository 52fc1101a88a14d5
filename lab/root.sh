#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes a root directory with a suite's C compiler and make, for kernels whose headers come with
# programs that need a newer libc than the host's. Called by headers.sh as: root.sh
# STATE_DIRECTORY SUITE COMPILER. Prints the directory. Nothing is installed and no root is
# needed: packages are unpacked, and none of those named has to be set up before it works.
#
# STATE_DIRECTORY/root/SUITE-COMPILER
set -euo pipefail
export LC_ALL=C
umask 022

state=$(readlink -m -- "$1")
source=$(dirname -- "$(readlink -f -- "$0")")
# shellcheck source=lab/packages.sh
. "$source/packages.sh"
suite=$2
root=$state/root/$suite-$3
# libelf1t64: the kernel's objtool, part of linux-kbuild, is linked with it.
packages=("$3" make libelf1t64 libc6-dev base-files bash dash coreutils sed grep gawk findutils diffutils)

# apt knows what else they need, if it thinks that nothing is installed.
fetch() {
    open_archive
    say "downloading $3 of $suite"
    apt-get "${apt_options[@]}" --print-uris -y --no-install-recommends install "${packages[@]}" \
        2>>"$work/apt.log" | sed -nE "s/^'.*' ([^_]+)_.*\.deb .*/\1/p" >"$work/packages" || return 1
    mapfile -t packages <"$work/packages"
    download "${packages[@]}" 2>/dev/null || return 1
    # First, since it has the links /bin, /lib and /lib64: what follows goes through them.
    dpkg-deb -x "$work"/base-files_*.deb "$work/root"
    unpack "$work/root"
    # What the scripts of packages would have done, as far as a build sees it.
    ln -sf gawk "$work/root/usr/bin/awk"
    mkdir -p "$state/root"
    mv -T "$work/root" "$root"
}

if [[ ! -d $root ]]; then
    begin_work fetch
    [[ -d $root ]] || fetch "$@" || unavailable_archive "$3 of $suite"
fi
echo "$root"
