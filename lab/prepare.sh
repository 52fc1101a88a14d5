#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes what the lab boots: a stock Debian kernel and an initramfs. Called by matrix-lab
# before each run (lab/image.c) as: prepare.sh STATE_DIRECTORY KERNEL_PACKAGE. Prints the
# directory that holds vmlinux, initramfs.cpio and modules/ to stdout; what takes time is
# announced on stderr. Installs nothing and needs no root. When all is there it takes
# some milliseconds.
#
# STATE_DIRECTORY/unpacked/PACKAGE   the Debian packages, unpacked; fetched once
# STATE_DIRECTORY/machine/PACKAGE    what is made from them; made anew when lab/ changes
#
# Both come into being by rename(2) under a lock: they are whole or they are not there.
set -euo pipefail
export LC_ALL=C
umask 022

# Why linux-image-amd64, and not the smaller linux-image-cloud-amd64: the latter has no 9p.
package=$2
state=$(readlink -m -- "$1")
source=$(dirname -- "$(readlink -f -- "$0")")
unpacked=$state/unpacked/$package
machine=$state/machine/$package

# The machine needs these modules to reach the host's files and matrix-lab, and to be a
# KVM host; everything else is built in, or can be loaded by the command from /lib/modules.
modules=(virtio_pci virtio_console 9pnet_virtio 9p overlay kvm-amd)

say() { echo "matrix lab: $*" >&2; }
fail() {
    say "$1"
    say "what helps: $2"
    exit 1
}

recipe() { cat "$source/prepare.sh" "$source/init" "$source/session" | sha256sum; }
is_ready() { [[ -f $machine/recipe && $(<"$machine/recipe") == "$(recipe)" ]]; }

# The host's package lists may be missing, or too old for what the mirror still has, and
# only root could renew them: then use lists of our own, which any user may fetch.
apt_options=(-q -o APT::Sandbox::User=root)
use_private_lists() {
    say "the host's package lists do not do; fetching lists of our own"
    mkdir -p "$work/apt/state/lists/partial" "$work/apt/cache/archives/partial"
    apt_options+=(-o "Dir::State=$work/apt/state" -o "Dir::Cache=$work/apt/cache")
    apt-get "${apt_options[@]}" update >"$work/apt.log" 2>&1
}

# A metapackage (linux-image-amd64) names the newest image; an image names itself.
find_image() {
    if [[ $package =~ ^linux-image-[0-9] ]]; then
        echo "$package"
    else
        apt-cache "${apt_options[@]}" depends "$package" 2>>"$work/apt.log" |
            sed -nE '0,/^ *Depends: (linux-image-[0-9]\S+)$/s//\1/p'
    fi
}

download() {
    local image
    image=$(find_image) && [[ -n $image ]] || return 1
    say "downloading $image and busybox-static"
    (cd "$work" && apt-get "${apt_options[@]}" download "$image" busybox-static >>apt.log 2>&1)
}

find_busybox() {
    busybox=$1/bin/busybox
    [[ -x $busybox ]] || busybox=$1/usr/bin/busybox
}

fetch() {
    command -v apt-get dpkg-deb >/dev/null ||
        fail "apt-get and dpkg-deb are not here, so no Debian kernel can be fetched" \
            "use a Debian host, or copy $unpacked from one"
    : >"$work/apt.log"
    if ! download && ! { use_private_lists && download; }; then
        cat "$work/apt.log" >&2
        fail "cannot download $package" "check the network and /etc/apt/sources.list, then 'sudo apt-get update'"
    fi
    say "unpacking"
    local deb
    for deb in "$work"/*.deb; do
        dpkg-deb -x "$deb" "$work/root"
    done
    find_busybox "$work/root"
    # kmod's own writes the binary indexes that its modprobe reads; busybox's will do for the boot.
    local depmod
    depmod=$(PATH=$PATH:/sbin:/usr/sbin command -v depmod) || depmod="$busybox depmod"
    $depmod -b "$work/root" "$(ls "$work/root/lib/modules")"
    mkdir -p "$state/unpacked"
    mv -T "$work/root" "$unpacked"
}

# An uncompressed kernel boots some 3 s sooner than the bzImage, whose xz decompressor
# would run in the emulated processor. Where the payload stands in a bzImage:
# Documentation/x86/boot.rst, "payload_offset".
extract_vmlinux() {
    local image=$1 setup_sectors payload_offset magic start
    setup_sectors=$(od -An -tu1 -j497 -N1 "$image")
    payload_offset=$(od -An -tu4 -j584 -N4 "$image")
    start=$(((setup_sectors + 1) * 512 + payload_offset))
    magic=$(od -An -tx1 -j$start -N4 "$image")
    local -A decompressors=(
        [" fd 37 7a 58"]="xz -dc --single-stream"
        [" 28 b5 2f fd"]="zstd -dc"
        [" 02 21 4c 18"]="lz4 -dc"
        [" 1f 8b 08 00"]="gzip -dc"
    )
    [[ -v decompressors[$magic] ]] || return 1
    # Behind the payload follows its size, which decompressors take for garbage: what
    # they wrote counts, not their status.
    { tail -c +$((start + 1)) "$image" | ${decompressors[$magic]}; } 2>/dev/null || true
}

# Prints the files of a module and of all that it needs, in the order to load them.
# busybox's depmod lists only what a module needs directly.
declare -A seen=()
list_modules() {
    local path dependency dependencies
    path=$(grep -oE "^[^:]*/$1\.ko[^:]*" "$tree/modules.dep") || return 0
    [[ -v seen[$path] ]] && return 0
    seen[$path]=1
    dependencies=$(sed -n "s|^$path:||p" "$tree/modules.dep")
    for dependency in $dependencies; do
        dependency=${dependency##*/}
        list_modules "${dependency%%.ko*}"
    done
    echo "$path"
}

build() {
    local image tree root=$work/initramfs module
    find_busybox "$unpacked"
    image=$(echo "$unpacked"/boot/vmlinuz-*)
    tree=$unpacked/lib/modules/${image##*/vmlinuz-}
    mkdir -p "$work/machine" "$root/bin" "$root/modules"
    ln -s "../../unpacked/$package/lib/modules" "$work/machine/modules"

    for module in "${modules[@]}"; do
        list_modules "$module"
    done >"$work/paths"
    while read -r module; do
        cp "$tree/$module" "$root/modules/"
        echo "/modules/${module##*/}"
    done <"$work/paths" >"$root/modules/order"

    cp "$busybox" "$root/bin/busybox"
    cp "$source/init" "$root/init"
    cp "$source/session" "$root/session"
    chmod 755 "$root/init" "$root/session"
    (cd "$root" && find . | "$busybox" cpio -o -H newc >"$work/machine/initramfs.cpio" 2>/dev/null)

    extract_vmlinux "$image" >"$work/machine/vmlinux" || true
    if [[ $(od -An -c -N4 "$work/machine/vmlinux") != ' 177   E   L   F' ]]; then
        cp "$image" "$work/machine/vmlinux"
    fi
    recipe >"$work/machine/recipe"

    mkdir -p "$state/machine"
    rm -rf "$machine"
    mv -T "$work/machine" "$machine"
}

[[ $package =~ ^[a-z0-9][a-z0-9.+-]+$ ]] ||
    fail "'$package' is no name of a Debian package" "for example linux-image-amd64"
if ! is_ready; then
    mkdir -p "$state" 2>/dev/null || true
    [[ -w $state ]] ||
        fail "cannot write to $state, where the lab's kernel is to be" "set MATRIX_LAB_DIR to a directory of yours"
    exec 9>"$state/lock"
    flock -n 9 || { say "waiting for another matrix lab to fetch the kernel" && flock 9; }
    if ! is_ready; then
        rm -rf "$state"/.new.* # of a run that was killed; nobody else is at work, we hold the lock
        work=$(mktemp -d "$state/.new.XXXXXX")
        trap 'rm -rf "$work"' EXIT
        trap 'exit 130' INT TERM HUP
        [[ -d $unpacked ]] || fetch
        build
    fi
fi
echo "$machine"
