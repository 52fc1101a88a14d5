#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The tests of suite kvm once more, in the lab: there /dev/kvm is AMD-V itself (emulated by QEMU),
# whatever this host has. One machine runs all of them; it prints one plan for all.
#   kvm.sh BUILD_DIRECTORY TEST...      on the host
#   kvm.sh --inside BUILD_DIRECTORY TEST...
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "$0")")

# Passes each program's TAP on under one numbering; a program that dies is a failure of its own.
run_inside() {
    local build=$1 count=0 line status test
    shift
    for test in "$@"; do
        local name=${test##*/}
        while IFS= read -r line; do
            case $line in
            "ok "[0-9]* | "not ok "[0-9]*)
                # "ok 3 - text" keeps its verdict and its text.
                count=$((count + 1))
                echo "${line%%ok *}ok $count - $name:$(sed 's/^[^0-9]*[0-9]* *-*//' <<<"$line")"
                ;;
            "1..0 "*)
                count=$((count + 1))
                echo "ok $count - $name # SKIP ${line#*SKIP }"
                ;;
            "1.."* | "TAP version"*) ;;
            "status "*)
                status=${line#status }
                [ "$status" -lt 126 ] || echo "not ok $((count += 1)) - $name: ended with status $status"
                ;;
            *) echo "# $line" ;;
            esac
        done < <("$here/../tap" "$test" "$build" 2>&1 || echo "status $?")
    done
    echo "1..$count"
}

if [ "$1" = --inside ]; then
    shift
    run_inside "$@"
    exit
fi

# Some tests make a guest of more than 3 GiB; memory that is not touched costs the host nothing.
status=0
"$1/matrix" lab run --memory 8G --timeout 20min -- "$here/kvm.sh" --inside "$@" || status=$?
[ "$status" = 0 ] || echo "Bail out! the lab ended with status $status"
