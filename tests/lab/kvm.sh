#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The tests of suite kvm once more, in the lab: there /dev/kvm is AMD-V itself (emulated by QEMU),
# whatever this host has. One machine runs all of them; it prints one plan for all. It has one CPU: with
# two that run guests at the same time, QEMU's machine was seen to stand still as a whole, once in a dozen runs.
#   kvm.sh BUILD_DIRECTORY TEST...      on the host
#   kvm.sh --inside BUILD_DIRECTORY TEST...
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "$0")")
. "$here/inside.sh"

if [ "$1" = --inside ]; then
    build=$2
    shift 2
    run_inside "$build" -- "$@"
    exit
fi

# Some tests make a guest of more than 3 GiB; memory that is not touched costs the host nothing.
status=0
"$1/matrix" lab run --memory 8G --timeout 40min -- "$here/kvm.sh" --inside "$@" || status=$?
[ "$status" = 0 ] || echo "Bail out! the lab ended with status $status"
