#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The merge map on kernels of the lab: 6.1 has few files of KSM, 6.12 a kpageflags that sets KPF_KSM
# on every anonymous page, so that another rule is needed. Each machine runs tests/ksm/map.py.
#   ksm.sh BUILD_DIRECTORY [KERNEL...]     default: 6.1 6.12
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "$0")")
build=$(readlink -f -- "$1")
shift
[ $# -gt 0 ] || set -- 6.1 6.12

# The path as in tests/cli/tap.sh. And swap, for what is swapped out.
# shellcheck disable=SC2016
inside='export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
modprobe zram && echo 64M >/sys/block/zram0/disksize && mkswap /dev/zram0 >/dev/null && swapon /dev/zram0
exec "$@"'
count=0
for kernel in "$@"; do
    status=0 before=$count plan=
    lines=$("$build/matrix" lab run --kernel "$kernel" --memory 2G --timeout 60min -- \
        sh -c "$inside" sh "$here/../ksm/map.py" "$build") || status=$?
    while IFS= read -r line; do
        case $line in
        "ok "* | "not ok "*)
            count=$((count + 1))
            echo "${line%%ok *}ok $count - Linux $kernel, ${line#*- }"
            ;;
        "1..0 "*) plan=0 && echo "ok $((count += 1)) - Linux $kernel # SKIP ${line#*SKIP }" ;;
        "1.."*) plan=${line#1..} ;;
        *) echo "# $line" ;;
        esac
    done <<<"$lines"
    if [ "$status" = 125 ]; then
        echo "ok $((count += 1)) - Linux $kernel # SKIP the lab cannot have this kernel here"
    elif [ "$status" != 0 ] || { [ "$plan" != 0 ] && [ "$plan" != $((count - before)) ]; }; then
        echo "not ok $((count += 1)) - Linux $kernel: the lab ended with status $status, before the tests did"
    fi
done
echo "1..$count"
