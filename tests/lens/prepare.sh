#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Gives the lab what the tests of this directory need: large pages, swap, a quick KSM, securityfs,
# and the module. A thing that the machine has not is missed by the test that needs it, by name.
#   prepare.sh MODULES        the directory of the .ko files
set -euo pipefail

try_write() { # TEXT FILE
    { echo "$1" >"$2"; } 2>/dev/null || echo "$2: not to be had here" >&2
}

mm=/sys/kernel/mm
# The large ones first: memory is in one piece as long as it is fresh.
try_write 2 $mm/hugepages/hugepages-1048576kB/nr_hugepages
try_write 32 $mm/hugepages/hugepages-2048kB/nr_hugepages
try_write madvise $mm/transparent_hugepage/enabled
try_write madvise $mm/transparent_hugepage/defrag
try_write advise $mm/transparent_hugepage/shmem_enabled
try_write 1 $mm/transparent_hugepage/use_zero_page
# What khugepaged and KSM do is for a test to start, not for the time that passes.
try_write 100000000 $mm/transparent_hugepage/khugepaged/scan_sleep_millisecs
try_write 0 $mm/ksm/run
try_write 10 $mm/ksm/sleep_millisecs
try_write 10000 $mm/ksm/pages_to_scan
try_write 0 $mm/ksm/smart_scan # or two equal pages may never be compared: docs/ksm.md

mountpoint -q /sys/kernel/security || mount -t securityfs security /sys/kernel/security || true
if modprobe zram 2>/dev/null || [ -e /sys/block/zram0 ]; then
    echo 256M >/sys/block/zram0/disksize
    { mkswap /dev/zram0 && swapon /dev/zram0; } >/dev/null
else
    echo "no zram, so no swap" >&2
fi

insmod "$1/matrix_lens.ko"
