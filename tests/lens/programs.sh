#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The programs of examples/ with the kernel modules, in the lab (tests/lab/modules.sh): bytes
# changed by physical address, a hundred soldiers adopted, and memory measured at each step by all
# who can measure it.
# Usage: programs.sh BUILD-DIRECTORY KERNEL    (build/modules/KERNEL)
. "$(dirname "$0")/../cli/tap.sh"
. "$(dirname "$0")/memsteps.sh"
examples=$build/examples
modules=$build/modules/$2

if [ "${MATRIX_LAB:-}" != 1 ]; then
    echo "1..0 # SKIP kernel modules are loaded in the lab only: matrix lab run"
    exit 0
fi
if [ ! -e /dev/matrix ]; then
    insmod "$modules/matrix_lens.ko"
    trap 'rmmod matrix_lens; rm -rf "$scratch"' EXIT
fi

# --- poker --------------------------------------------------------------------------------------
attempt timeout 60 "$examples/poker" --pages 1000
check "poker: 0" has_status 0
is_written() { [ "$(grep -c '^0x[0-9a-f]*  0x[0-9a-f]* .* 0x[0-9a-f]*$' "$scratch/out")" = 1000 ]; }
check "poker: a thousand bytes, some of them in pages of 2 MiB, each seen by its own pointer" is_written
check "poker: is refused at a wrong physical address" prints "is not at that physical address"
check "poker: is refused a page that a child shares" prints "the page is shared"
check "poker: by force both see it" prints "and the child: 0x"
check "poker: nothing is amiss" is_silent

# --- station ------------------------------------------------------------------------------------
# Every soldier of the squad has a line of its own, and none falls otherwise than it was ordered to.
are_all_told() { # N
    [ "$(grep -c '^ *[0-9]*  pid ' "$scratch/out")" = "$1" ] &&
        [ "$(sed -n 's/^ *[0-9]*  pid \([0-9]*\) .*/\1/p' "$scratch/out" | sort -u | wc -l)" = "$1" ]
}
for seed in 1 2; do
    attempt timeout 300 "$examples/station" --squad 100 --life 1s --seed "$seed"
    check "station --squad 100 --seed $seed: 0" has_status 0
    check "each of the hundred is told of, once" are_all_told 100
    check "none is lost, each as ordered" \
        prints "100 of 100 adopted soldiers have fallen, 0 lost, 0 otherwise than ordered"
    check "the barracks' own wait() ends with ECHILD" prints "barracks: wait() ended with ECHILD"
done
attempt timeout 300 "$examples/station" --squad 200 --life 0ms
check "two hundred that fall at once: SIGCHLD comes for several at a time, none is lost" \
    prints "200 of 200 adopted soldiers have fallen, 0 lost, 0 otherwise than ordered"

# By pid: children of this shell, whose own wait then knows nothing of them.
# Stopped until both are adopted: on a slow machine they would have fallen before.
stopped() { exec bash -c 'kill -STOP $$; exec "$@"' - "$@"; } # in the background
stopped "$examples/soldier" --life 1s --status 7 &
one=$!
stopped "$examples/soldier" --life 500ms --signal KILL &
two=$!
for pid in "$one" "$two"; do
    until grep -q '^State:.T' "/proc/$pid/status"; do sleep 0.1; done
done
let_go_when_adopted() {
    for _ in {1..500}; do
        grep -qs "adopted pid $two" "$scratch/out" && break
        sleep 0.1
    done
    kill -CONT "$one" "$two" || true
}
let_go_when_adopted &
attempt timeout 60 "$examples/station" "$one" "$two"
check "station PID PID: 0" has_status 0
check "it tells whose they were" prints "adopted pid $one, a child of $$"
check "a status" grep -q "pid $one .* status 7$" "$scratch/out"
check "a signal" grep -q "pid $two .* signal SIGKILL$" "$scratch/out"
wait 2>/dev/null || true
attempt timeout 60 "$examples/station" "$one"
check "a pid that is gone: 125" has_status 125
check "and why" complains "there is no such process, or it has ended"
attempt timeout 60 "$examples/station" 1
check "the init process: 125" has_status 125
check "nobody is adopted then" complains "make process 1 "

# --- memsteps -----------------------------------------------------------------------------------
lkm4_numbers() { # PID: virtual and physical kB, by the module's line in the kernel's log
    insmod "$modules/lkm4.ko" "pid=$1" && rmmod lkm4
    dmesg | sed -n "s/.*lkm4: pid $1: virtual \([0-9]*\) kB in .* mappings, physical \([0-9]*\) kB$/\1 \2/p" |
        tail -n 1
}

footprint_numbers() { # PID SOURCE: the same by `matrix proc footprint`
    local bytes
    bytes=$("$matrix" proc footprint --json --source "$2" "$1" |
        sed -n 's/^ *"\(virtual\|resident\)_bytes": \([0-9]*\),$/\2/p')
    # shellcheck disable=SC2086 # a number a word
    printf '%d ' $bytes | awk '{ print $1 / 1024, $2 / 1024 }'
}

# All that there is must agree at each step: PID VIRTUAL_KB RESIDENT_KB
see_step() {
    local source virtual resident
    agree "VmSize" "$2" "$(status_kb "$1" VmSize)" 0 || return
    agree "Rss of smaps_rollup" "$3" "$(rollup_kb "$1" Rss)" 0 || return
    agree "VmRSS" "$3" "$(status_kb "$1" VmRSS)" "$(rss_lag_kb)" || return
    read -r virtual resident <<<"$(lkm4_numbers "$1")"
    agree "lkm4's virtual" "$2" "$virtual" 0 || return
    agree "lkm4's physical" "$3" "$resident" 0 || return
    for source in module proc; do
        read -r virtual resident <<<"$(footprint_numbers "$1" "$source")"
        agree "$source: virtual" "$2" "$virtual" 0 || return
        agree "$source: resident" "$3" "$resident" 0 || return
    done
}

check "memsteps, 3 steps of 8 MiB: lkm4, the lens and /proc agree at each" \
    watch_memsteps see_step 3 8192
check "memsteps --huge, 2 steps of 8 MiB: the same" watch_memsteps see_step 2 8192 --huge
finish
