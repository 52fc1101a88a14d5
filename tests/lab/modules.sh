#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The kernel modules on a kernel of the lab (lab/kernels; default 6.1): builds them, starts one
# machine, loads the driver, and runs there all that BUILD_DIRECTORY/tests/lens_tests lists, under one
# plan. Without the kernel, or what modules for it are built with, all is skipped.
#   modules.sh BUILD_DIRECTORY [KERNEL [TEST...]]     on the host; TEST: pages, modules.sh, ...
#   modules.sh --inside BUILD_DIRECTORY KERNEL TEST...
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "$0")")
. "$here/inside.sh"

# A name is a script of tests/lens/, or what meson has made of tests/lens/test_NAME.c.
find_test() { # BUILD NAME
    case $2 in
    *.sh) echo "$tests/lens/$2" ;;
    *) echo "$1/tests/lens_$2" ;;
    esac
}

if [ "$1" = --inside ]; then
    build=$2 kernel=$3 paths=()
    shift 3
    export MATRIX_MODULES=$build/modules/$kernel
    # stderr is matrix-lab's own; what cannot be had is said beside the test that misses it.
    "$tests/lens/prepare.sh" "$MATRIX_MODULES" 2>&1 | sed 's/^/# /'
    for name in "$@"; do paths+=("$(find_test "$build" "$name")"); done
    run_inside "$build" "$kernel" -- "${paths[@]}"
    exit
fi

build=$(readlink -f -- "$1")
kernel=${2:-6.1}
shift $(($# < 2 ? $# : 2))
# Only the debug kernel can let allocations fail on purpose.
[ $# -gt 0 ] || mapfile -t names < <([ "$kernel" = debug ] && cat "$build/tests/lens_tests" ||
    grep -vx faults "$build/tests/lens_tests")
[ $# -eq 0 ] || names=("$@")

status=0
"$tests/../tools/modules.sh" "$build" "$kernel" >&2 || status=$?
if [ "$status" = 77 ]; then
    echo "1..0 # SKIP the modules for $kernel cannot be built here"
    exit
elif [ "$status" != 0 ]; then
    echo "Bail out! the modules for $kernel do not build"
    exit 1
fi

# 1 GiB pages want memory in large pieces; a kernel that watches itself (debug) takes an eighth of
# it, and ten times as long.
memory=6G timeout=90min
[ "$kernel" != debug ] || memory=10G timeout=200min
"$build/matrix" lab run --kernel "$kernel" --memory "$memory" --timeout "$timeout" -- \
    "$here/modules.sh" --inside "$build" "$kernel" "${names[@]}" || status=$?
[ "$status" = 0 ] || echo "Bail out! the lab ended with status $status"
