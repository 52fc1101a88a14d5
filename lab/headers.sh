#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes the kernel headers ready that fit a kernel of the lab exactly. Called by
# tools/modules.sh as: headers.sh STATE_DIRECTORY KERNEL (as for prepare.sh). Prints three
# lines: the directory for `make -C`, the compiler, and the root directory to build in (empty:
# the host's own). Installs nothing and needs no root. Ends with status 77 where the kernel or
# its headers cannot be had.
#
# STATE_DIRECTORY/headers/NAME   the Debian packages of headers and kbuild, unpacked
set -euo pipefail
export LC_ALL=C
umask 022

state=$(readlink -m -- "$1")
source=$(dirname -- "$(readlink -f -- "$0")")
# shellcheck source=lab/packages.sh
. "$source/packages.sh"
find_kernel "$2"
unpacked=$state/unpacked/$name
headers=$state/headers/$name

# Sets: release (of the kernel that stands in the lab), tree (where its headers are to be).
find_tree() {
    release=$(ls "$unpacked/lib/modules")
    tree=$headers/usr/src/linux-headers-$release
}

download_headers() {
    local package=linux-headers-$release parts
    mapfile -t parts < <(list_dependencies "$package" 'linux-headers-[0-9]\S+-common(-rt)?|linux-kbuild-[0-9]\S+')
    [[ ${#parts[@]} -ge 2 ]] && download "$package" "${parts[@]}"
}

# The packages expect to be installed below /usr: lead what they include to where they stand.
# Kbuild's links are relative.
relocate() {
    sed -i "s|[^ =]*/usr/src/|$headers/usr/src/|" "$tree/Makefile"
    ln -sfn "$tree" "$unpacked/lib/modules/$release/build"
    ln -sfn "$(dirname "$(sed -n 's/^include //p' "$tree/Makefile")")" "$unpacked/lib/modules/$release/source"
}

fetch() {
    open_archive
    download_headers || { use_private_lists && download_headers; } || return 1
    unpack "$work/headers"
    # What BTF is made from. Without it no module gets any, and nobody needs pahole.
    rm -f "$work/headers/usr/src/linux-headers-$release/vmlinux"
    mkdir -p "$state/headers"
    rm -rf "$headers"
    mv -T "$work/headers" "$headers"
}

# The archive keeps only what is current. If it no longer has the headers for the kernel that
# was fetched some time ago, a current kernel and its headers come in its place.
fetch_anew() {
    say "there are no headers for $release any more; fetching a current kernel with its headers"
    rm -rf "$unpacked" "$state/machine/$name"
    exec 9>&- # prepare.sh takes the lock for itself, and clears away what it finds of our work
    "$source/prepare.sh" "$state" "$kernel" >/dev/null
    begin_work fetch
    find_tree
    fetch || unavailable_archive "the headers of $release"
}

kernel=$2
"$source/prepare.sh" "$state" "$kernel" >/dev/null
find_tree
if [[ $name == debug ]]; then
    tree=$headers # it came with its kernel
elif ! grep -qsF "include $headers/" "$tree/Makefile"; then
    begin_work fetch
    [[ -d $tree ]] || fetch || fetch_anew
    relocate
fi
[[ -n $compiler ]] || compiler=$(sed -nE 's/^CC = .*(gcc-[0-9]+)$/\1/p' "$tree/.kernelvariables")
exec 9>&-
case $root in
"" | -) root= ;;
*) root=$("$source/root.sh" "$state" "$root" "$compiler") ;;
esac
printf '%s\n' "$tree" "$compiler" "$root"
