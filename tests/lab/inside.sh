# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the suites that run inside the lab share. Sourced.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH # as in tests/cli/tap.sh
tests=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")

# Runs programs and scripts, each with the same arguments, and passes their TAP on under one
# numbering and one plan; one that dies is a failure of its own.
#   run_inside [ARGUMENT...] -- TEST...
run_inside() {
    local arguments=() count=0 line status test
    while [ "$1" != -- ]; do arguments+=("$1") && shift; done
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
        done < <("$tests/tap" "$test" "${arguments[@]}" 2>&1 || echo "status $?")
    done
    echo "1..$count"
}
