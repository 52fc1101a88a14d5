#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the kernel "debug": Debian's sources of 6.1 with debug.config on top of tinyconfig, for
# KASAN, lockdep and the like, which no packaged kernel has on. Called by prepare.sh as:
# debug-kernel.sh STATE_DIRECTORY. It takes some ten minutes on two processors, once, and again
# when this file, debug.config or debug.patch changes. Installs nothing and needs no root. Ends with status 77
# where it cannot be built.
#
# STATE_DIRECTORY/unpacked/debug   the kernel, laid out like an unpacked package
# STATE_DIRECTORY/headers/debug    what is needed to build modules for it
set -euo pipefail
export LC_ALL=C
umask 022

state=$(readlink -m -- "$1")
source=$(dirname -- "$(readlink -f -- "$0")")
# shellcheck source=lab/packages.sh
. "$source/packages.sh"
find_kernel debug
unpacked=$state/unpacked/debug
headers=$state/headers/debug

recipe() { cat "$source/"debug{-kernel.sh,.config,.patch} | sha256sum; }
is_ready() { [[ -f $unpacked/recipe && -d $headers && $(<"$unpacked/recipe") == "$(recipe)" ]]; }

download_source() { download "$package" busybox-static; }

# The make of whoever called has nothing to say here.
kernel_make() {
    env -u MAKEFLAGS -u MAKELEVEL nice make -s -C "$work/tree" CC="$compiler" HOSTCC="$compiler" \
        -j"$(nproc)" "$@" >>"$work/log" 2>&1 || {
        tail -n 40 "$work/log" >&2
        fail "the debug kernel does not build (make $*)" "see the errors above"
    }
}

# Kconfig drops what does not fit together without a word: KASAN, for one, with the wrong slab.
check_config() {
    local line dropped=
    while read -r line; do
        case $line in
        CONFIG_*) grep -qxF -- "$line" "$work/tree/.config" || dropped+=" $line" ;;
        "# CONFIG_"*" is not set")
            line=${line#\# }
            ! grep -q "^${line%% *}=" "$work/tree/.config" || dropped+=" -${line%% *}"
            ;;
        esac
    done <"$source/debug.config"
    [[ -z $dropped ]] || fail "not as debug.config wants it:$dropped" "mend lab/debug.config"
}

configure() {
    kernel_make tinyconfig
    # Of two lines about one option the later counts; merging says so, and that is no news.
    (cd "$work/tree" && scripts/kconfig/merge_config.sh -m .config "$source/debug.config") >>"$work/log" 2>&1
    kernel_make olddefconfig
    check_config
}

# Of the tree only what an external module needs is kept, as in Debian's headers.
trim() {
    (
        cd "$work/tree"
        rm -rf Documentation block certs crypto drivers fs init io_uring ipc kernel lib mm net rust \
            samples security sound usr virt vmlinux* .tmp_* .git*
        find arch -mindepth 1 -maxdepth 1 ! -name x86 ! -name 'Kconfig' -exec rm -rf {} +
        find . \( -path ./scripts -o -path ./tools \) -prune -o -name '*.[oa]' -exec rm -f {} +
    )
}

build() {
    local release root=$work/root
    say "building the debug kernel; it takes some ten minutes, once"
    open_archive
    download_source || { use_private_lists && download_source; } || unavailable_archive "the sources of Linux 6.1"
    unpack "$root"
    mkdir "$work/tree"
    tar -xf "$root/usr/src/$package.tar.xz" -C "$work/tree" --strip-components 1
    rm -rf "$root/usr/src"
    # A newer source may have a part of it already.
    patch -d "$work/tree" -p1 -N -r - <"$source/debug.patch" >>"$work/log" ||
        say "not all of lab/debug.patch applies: $(grep -c FAILED "$work/log") parts do not"

    configure
    kernel_make bzImage modules
    release=$(<"$work/tree/include/config/kernel.release")
    mkdir -p "$root/boot" "$root/lib/modules/$release"
    cp "$work/tree/arch/x86/boot/bzImage" "$root/boot/vmlinuz-$release"
    cp "$work/tree/System.map" "$root/boot/System.map-$release"
    cp "$work/tree/.config" "$root/boot/config-$release"
    # It has no modules of its own: what modprobe reads is empty.
    touch "$root/lib/modules/$release/modules."{order,builtin,dep}
    ln -s "$headers" "$root/lib/modules/$release/build"
    recipe >"$root/recipe"

    trim
    mkdir -p "$state/unpacked" "$state/headers"
    rm -rf "$unpacked" "$headers"
    mv -T "$work/tree" "$headers"
    mv -T "$root" "$unpacked"
}

is_ready && exit
for program in bc bison flex patch "$compiler"; do
    command -v "$program" >/dev/null ||
        unavailable "$program is not here, so the debug kernel cannot be built" "tools/deps.sh modules debug"
done
# A lock of its own: for ten minutes nobody else shall have to wait.
begin_work debug
is_ready || build
