#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The merge map on kernels of the lab: 6.1 has few files of KSM, 6.12 a kpageflags that sets KPF_KSM
# on every anonymous page, so that another rule is needed. Each machine runs tests/ksm/map.py.
#   ksm.sh BUILD_DIRECTORY [KERNEL...]     default: 6.1 6.12
#   ksm.sh --inside BUILD_DIRECTORY
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "$0")")
. "$here/inside.sh"

if [ "$1" = --inside ]; then
    # Debian's own python3 starts ten times as fast in here as one out of several.
    export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
    run_inside "$2" -- "$tests/ksm/map.py"
    exit
fi

build=$(readlink -f -- "$1")
shift
[ $# -gt 0 ] || set -- 6.1 6.12
count=0
for kernel in "$@"; do
    lines=$(mktemp)
    status=0
    "$build/matrix" lab run --kernel "$kernel" --memory 2G --timeout 20min -- \
        "$here/ksm.sh" --inside "$build" >"$lines" || status=$?
    while IFS= read -r line; do
        case $line in
        "ok "* | "not ok "*)
            count=$((count + 1))
            echo "${line%%ok *}ok $count - Linux $kernel, ${line#*- }"
            ;;
        "#"*) echo "$line" ;;
        esac
    done <"$lines"
    rm -f "$lines"
    if [ "$status" = 125 ]; then
        echo "ok $((count += 1)) - Linux $kernel # SKIP the lab cannot have this kernel here"
    elif [ "$status" != 0 ]; then
        echo "not ok $((count += 1)) - Linux $kernel: the lab ended with status $status"
    fi
done
echo "1..$count"
