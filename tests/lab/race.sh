#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The race (tests/lens/race/) on a kernel of the lab, best one that watches itself: KASAN, lockdep,
# kmemleak. What that kernel complains of fails the lab; what has leaked is asked for at the end.
#   race.sh BUILD_DIRECTORY [KERNEL]        on the host; KERNEL: one of lab/kernels, default debug
#   race.sh --inside BUILD_DIRECTORY KERNEL
# RACE_SECONDS: how long, default 300. RACE_SEED: what the random arguments begin with, default 1.
# RACE_CPUS: default 2.
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "$0")")
seconds=${RACE_SECONDS:-300} seed=${RACE_SEED:-1} cpus=${RACE_CPUS:-2}

# Names one of our modules, in what kmemleak lists: a trace has "[lkm2]" at its functions.
leaks_of_ours() {
    grep -nE '\[(helloworld|hello_procfs|get_pgfaults|lkm[1-4]|matrix_lens)\]' "$1"
}

check_leaks() { # NUMBER
    local file=/sys/kernel/debug/kmemleak
    if ! { echo scan >$file; } 2>/dev/null; then
        echo "ok $1 - race: nothing has leaked # SKIP this kernel has no kmemleak"
        return
    fi
    # Twice: what a scan finds for the first time may only have been on its way.
    sleep 6
    echo scan >$file
    cat $file >/tmp/leaks
    sed 's/^/# /' /tmp/leaks | head -n 200
    if leaks_of_ours /tmp/leaks >/dev/null; then
        echo "not ok $1 - race: nothing has leaked"
    else
        echo "ok $1 - race: nothing has leaked"
    fi
}

run_inside() { # BUILD KERNEL
    local modules=$1/modules/$2 status=0 count
    "$here/../lens/prepare.sh" "$modules" 2>&1 | sed 's/^/# /'
    echo 1 >/sys/kernel/mm/ksm/run || true
    echo "# seed $seed, $seconds s, $(nproc) CPUs, $(uname -r)"
    "$1/tests/lens_race" "$seconds" "$seed" "$modules" >/tmp/race || status=$?
    grep -v '^1\.\.' /tmp/race || true
    count=$(grep -cE '^(not )?ok ' /tmp/race || true)
    if [ "$status" != 0 ]; then
        echo "not ok $((count += 1)) - race: ended with status $status"
    fi
    # What a module holds may be found only when it is gone.
    rmmod matrix_lens
    check_leaks $((count += 1))
    echo "1..$count"
}

if [ "$1" = --inside ]; then
    run_inside "$2" "$3"
    exit
fi

build=$(readlink -f -- "$1") kernel=${2:-debug} status=0
"$here/../../tools/modules.sh" "$build" "$kernel" >&2 || status=$?
if [ "$status" = 77 ]; then
    echo "1..0 # SKIP the modules for $kernel cannot be built here"
    exit
elif [ "$status" != 0 ]; then
    echo "Bail out! the modules for $kernel do not build"
    exit 1
fi
# A machine that hangs is ended, and so has failed.
"$build/matrix" lab run --kernel "$kernel" --memory 4G --cpus "$cpus" \
    --timeout $((seconds * 2 + 600))s --env "RACE_SECONDS=$seconds" --env "RACE_SEED=$seed" -- \
    "$here/race.sh" --inside "$build" "$kernel" || status=$?
[ "$status" = 0 ] || echo "Bail out! the lab ended with status $status"
