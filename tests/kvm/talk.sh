#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The guest talk checks every hypercall from inside; each of its checks is a test here, in several
# kinds of guest. Usage: talk.sh BUILD-DIRECTORY
. "$(dirname "$0")/../cli/tap.sh"
need_kvm

talk() { # NAME OPTION...
    local name=$1 line
    shift
    attempt timeout 300 "$matrix" run "$@" talk
    while IFS= read -r line; do
        case $line in
        "ok  "*) result 0 "$name: ${line#ok   }" ;;
        "FAIL "*) result 1 "$name: ${line#FAIL }" ;;
        esac
    done <"$scratch/out"
    check "$name: status 0" has_status 0
    check "$name: the summary" grep -qE '^[0-9]+ checks, 0 failed$' "$scratch/out"
}

talk "as usual"
talk "least memory" --memory 2M
talk "small pages" --memory 64M --small-pages
talk "host addresses hidden" --hide-host-addresses
talk "one vCPU" --vcpus-max 1
attempt "$matrix" run talk
for line in 255 0xff 4294967295 0xfffffffe 18446744073709551615 0xffffffffffffffff '#' string written; do
    check "printed: $line" grep -qxF -e "$line" "$scratch/out"
done
finish
