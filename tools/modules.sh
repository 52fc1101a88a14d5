#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds every module of kernel/ for a kernel of the lab (lab/kernels; default 6.1), as
# BUILD_DIRECTORY/modules/KERNEL/NAME.ko, with the warnings of W=1. Prints only what changed and
# what is wrong. Warnings are failures if CI is set, or with WERROR=1. Ends with status 77 where
# the kernel or what it is built with cannot be had. KERNEL_SOURCE is built in place of kernel/.
#   tools/modules.sh BUILD_DIRECTORY [KERNEL]
#   tools/modules.sh --sparse BUILD_DIRECTORY [KERNEL]      checks with sparse instead
set -euo pipefail
sparse=
[ "$1" != --sparse ] || { sparse=yes && shift; }
project=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
build=$(readlink -f -- "$1") kernel=${2:-6.1}
source=$(readlink -f -- "${KERNEL_SOURCE:-$project/kernel}")
state=${MATRIX_LAB_DIR:-$build/lab}
# Not beside the others: `matrix modules` would find them.
target=$build/modules${sparse:+-sparse}/$kernel

headers=$("$project/lab/headers.sh" "$state" "$kernel")
mapfile -t lines <<<"$headers"
tree=${lines[0]} compiler=${lines[1]} root=${lines[2]:-}

mkdir -p "$target"
exec 8>"${target%/*}/.lock-$kernel"
flock 8

# Kbuild writes beside the sources: what it sees are links, and the source tree stays clean.
link_sources() {
    find "$target" -xtype l -delete
    (cd "$source" && find . -type f -printf '%P\n') | while read -r file; do
        [ "$target/$file" -ef "$source/$file" ] && continue
        mkdir -p "$(dirname "$target/$file")"
        ln -sfn "$source/$file" "$target/$file"
    done
    ln -sfn "$project/include" "$target/include"
}

# Everything is compiled anew the next time.
forget() { find "$target" -type f ! -name 'log*' -delete; }

run_make() {
    local in_root=()
    [ -z "$root" ] || in_root=("$project/lab/in-root.sh" "$root" "$project" "$source" "$target" "$state" --)
    # The make that called us has nothing to say here.
    env -u MAKEFLAGS -u MAKELEVEL LC_ALL=C "${in_root[@]}" make -C "$tree" M="$target" \
        CC="$compiler" HOSTCC="$compiler" -j"$(nproc)" "$@" modules >"$target/log" 2>&1
}

# gcc, modpost and objtool all say "warning: ". That the compiler is not the kernel's own, and that
# there is no pahole, is known.
list_warnings() {
    grep -E '(warning|WARNING): ' "$target/log" | grep -v -e 'the compiler differs' -e 'pahole version differs' || true
}

fail() {
    echo "modules for $kernel: $1" >&2
    exit 1
}

check() {
    command -v sparse >/dev/null || { echo "sparse is not here" >&2 && exit 77; }
    [ -z "$root" ] || { echo "no sparse for $kernel, which is built in a root of its own" >&2 && exit 77; }
    # What is not compiled anew is not checked anew, and its warnings would be forgotten.
    [ -n "$(find "$source" "$project/include/matrix/uapi" "$tree/Makefile" -newer "$target/checked" 2>&1)" ] || return 0
    forget
    run_make C=1 CHECK=sparse || { cat "$target/log" >&2 && fail "sparse: the build failed"; }
    # The kernel's own headers are not ours to mend.
    if grep -E '(warning|error): ' "$target/log" | grep -vE "^(\./|$state/headers/|$tree/)" >&2; then
        fail "sparse found faults"
    fi
    touch "$target/checked"
    echo "modules for $kernel: sparse finds nothing"
}

link_sources
if [ -n "$sparse" ]; then
    check
    exit
fi

strict=
[ -z "${CI:-}" ] && [ "${WERROR:-0}" = 0 ] || strict=yes
# Warnings of files that are not compiled this time count as well.
[ -z "$strict" ] || [ ! -e "$target/warnings" ] || forget
if ! run_make W=1; then
    cat "$target/log" >&2
    fail "the build failed"
fi
if [ -n "$(list_warnings)" ]; then
    list_warnings >"$target/warnings"
    cat "$target/log" >&2
    [ -z "$strict" ] || fail "there are warnings"
fi
shopt -s nullglob
for module in "$target"/*.ko; do # that the sources no longer have
    grep -qE "(^|/)$(basename "$module" .ko)\.k?o\$" "$target/modules.order" || rm "$module"
done
if grep -qF 'LD [M]' "$target/log"; then
    (cd "$target" && echo "modules for $kernel:" *.ko)
fi
