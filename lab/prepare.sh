#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes what the lab boots: a stock Debian kernel and an initramfs. Called by matrix-lab
# before each run (lab/image.c) as: prepare.sh STATE_DIRECTORY KERNEL, which is a short name
# (lab/kernels) or a Debian package. Prints the directory that holds vmlinux, initramfs.cpio
# and modules/ to stdout; what takes time is announced on stderr. Installs nothing and needs no
# root. When all is there it takes some milliseconds. Ends with status 77 where the kernel
# cannot be had.
#
# STATE_DIRECTORY/unpacked/NAME   the Debian packages, unpacked; fetched once
# STATE_DIRECTORY/machine/NAME    what is made from them; made anew when lab/ changes
#
# Both come into being by rename(2) under a lock: they are whole or they are not there.
set -euo pipefail
export LC_ALL=C
umask 022

state=$(readlink -m -- "$1")
source=$(dirname -- "$(readlink -f -- "$0")")
# shellcheck source=lab/packages.sh
. "$source/packages.sh"
# Why linux-image-amd64 is the default, and not the smaller linux-image-cloud-amd64: the latter
# has no 9p.
find_kernel "$2"
unpacked=$state/unpacked/$name
machine=$state/machine/$name

# The machine needs these modules to reach the host's files and matrix-lab, and to be a
# KVM host; everything else is built in, or can be loaded by the command from /lib/modules.
# Some are built into some kernels.
modules=(virtio_pci virtio_console 9pnet_virtio 9p overlay kvm-amd)

recipe() {
    local made=()
    [[ $name != debug ]] || made=("$source/"debug{-kernel.sh,.config,.patch})
    cat "$source/prepare.sh" "$source/init" "$source/session" "${made[@]}" | sha256sum
}
is_ready() { [[ -f $machine/recipe && $(<"$machine/recipe") == "$(recipe)" ]]; }

# A metapackage (linux-image-amd64) names the newest image; an image names itself. Where the
# suite has moved on, images of the version that is wanted may still be there.
find_image() {
    local image
    if [[ $package =~ ^linux-image-[0-9] ]]; then
        image=$package
    else
        image=$(list_dependencies "$package" 'linux-image-[0-9]\S+')
    fi
    if [[ -n $version && $image != "linux-image-$version"[.+-]* ]]; then
        image=$(apt-cache "${apt_options[@]}" pkgnames "linux-image-$version" |
            grep -xE "linux-image-${version//./\\.}[.+-][^a-z]*(deb[0-9.]+-)?amd64" | sort -V | tail -n1)
    fi
    [[ -n $image ]] && echo "$image"
}

# Newer kernels are split: the image's package only names those with its files.
download_image() {
    local image
    image=$(find_image) || return 1
    mapfile -t parts < <(list_dependencies "$image" 'linux-(base|binary|modules)-[0-9]\S+')
    download "$image" "${parts[@]}" busybox-static
}

find_busybox() {
    busybox=$1/bin/busybox
    [[ -x $busybox ]] || busybox=$1/usr/bin/busybox
}

fetch() {
    open_archive
    download_image || { use_private_lists && download_image; } || unavailable_archive "the kernel $name"
    unpack "$work/root"
    if [[ ! -d $work/root/lib/modules ]]; then
        mkdir -p "$work/root/lib"
        mv "$work/root/usr/lib/modules" "$work/root/lib/modules"
    fi
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
    local image release tree root=$work/initramfs module
    find_busybox "$unpacked"
    release=$(ls "$unpacked/lib/modules")
    tree=$unpacked/lib/modules/$release
    image=$unpacked/boot/vmlinuz-$release
    [[ -e $image ]] || image=$tree/vmlinuz
    mkdir -p "$work/machine" "$root/bin" "$root/modules"
    ln -s "../../unpacked/$name/lib/modules" "$work/machine/modules"

    for module in "${modules[@]}"; do
        list_modules "$module"
    done >"$work/paths"
    while read -r module; do
        # Compressed ones would be loaded only by some kernels, and only by some insmods.
        case $module in
        *.xz) xz -dc "$tree/$module" >"$root/modules/$(basename "$module" .xz)" ;;
        *) cp "$tree/$module" "$root/modules/" ;;
        esac
        echo "/modules/$(basename "$module" .xz)"
    done <"$work/paths" >"$root/modules/order"

    cp "$busybox" "$root/bin/busybox"
    cp "$source/init" "$root/init"
    cp "$source/session" "$root/session"
    chmod 755 "$root/init" "$root/session"
    (cd "$root" && find . | "$busybox" cpio -o -H newc >"$work/machine/initramfs.cpio" 2>/dev/null)

    # Not where KASAN is: the code at the entry of an uncompressed kernel (PVH) runs before the
    # memory stands that KASAN checks with.
    [[ $name == debug ]] || extract_vmlinux "$image" >"$work/machine/vmlinux" || true
    if [[ ! -s $work/machine/vmlinux || $(od -An -c -N4 "$work/machine/vmlinux") != ' 177   E   L   F' ]]; then
        cp "$image" "$work/machine/vmlinux"
    fi
    recipe >"$work/machine/recipe"

    mkdir -p "$state/machine"
    rm -rf "$machine"
    mv -T "$work/machine" "$machine"
}

if ! is_ready; then
    [[ $name != debug ]] || "$source/debug-kernel.sh" "$state"
    begin_work fetch
    if ! is_ready; then
        [[ -d $unpacked ]] || fetch
        build
    fi
fi
echo "$machine"
