#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The programs of examples/ as far as they go without a kernel module: arguments, what memsteps
# really does, how a soldier ends, and what is said where the module is missing. With the module:
# tests/lens/programs.sh.
# Usage: programs.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/../lens/memsteps.sh"
examples=$build/examples

# --- arguments --------------------------------------------------------------------------------
for program in memsteps poker soldier station; do
    attempt "$examples/$program" --help
    check "$program --help: 0" has_status 0
    check "$program --help tells the statuses" prints "Exit status:"
    attempt "$examples/$program" --nonsense
    check "$program --nonsense: 122" has_status 122
done

wrong() { # COMPLAINT PROGRAM ARGUMENT...
    local complaint=$1 program=$2 outcome=0
    shift 2
    attempt timeout 60 "$examples/$program" "$@"
    { has_status 122 && complains "$program: $complaint"; } || outcome=1
    result "$outcome" "$program $*: $complaint"
}

wrong "--steps: " memsteps --steps 0
wrong "--steps: " memsteps --steps four
wrong "--step: give a multiple of a page, 4 KiB" memsteps --step 5000
wrong "--step: give a multiple of a page, 4 KiB" memsteps --step 0
wrong "--step: give a multiple of a page, 2 MiB" memsteps --huge --step 3M
wrong "10000 steps are 9.8 PiB, and this machine has" memsteps --steps 10000 --step 1T
wrong "10000 steps are 16.0 EiB, and this machine has" memsteps --steps 10000 --step 10000000T
wrong "--pause: " memsteps --pause 5
wrong "--pages: " poker --pages 0
wrong "--life: " soldier --life long
wrong "--status: " soldier --status 256
wrong "--signal: no such signal: FOO" soldier --signal FOO
wrong "--signal: SIGSTOP ends no process" soldier --signal SIGSTOP
wrong "name the soldiers by their pids, or give --squad" station
wrong "name the soldiers by their pids, or give --squad" station --squad 3 12
wrong "--squad: " station --squad 0
wrong "PID: " station 0
wrong "PID: " station me
wrong "PID: 012 stands there twice" station 12 012

# --- memsteps ---------------------------------------------------------------------------------
# What another sees of it after each step: /proc/PID/status, and a walk of the page tables.
see_step() { # PID, and what must be: VIRTUAL_KB RESIDENT_KB
    agree "VmSize" "$2" "$(status_kb "$1" VmSize)" 0 &&
        agree "Rss of smaps_rollup" "$3" "$(rollup_kb "$1" Rss)" 0 &&
        agree "VmRSS" "$3" "$(status_kb "$1" VmRSS)" "$(rss_lag_kb)"
}

if nm -D "$examples/memsteps" 2>/dev/null | grep -q __asan; then
    skip "memsteps: /proc sees each step" "AddressSanitizer takes memory of its own"
else
    check "memsteps: /proc sees each of 3 steps of 8 MiB" watch_memsteps see_step 3 8192
    if grep -q '\[always\]\|\[madvise\]' /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null; then
        check "memsteps --huge: /proc sees each of 2 steps of 4 MiB" \
            watch_memsteps see_step 2 4096 --huge
    else
        skip "memsteps --huge: /proc sees each step" "this kernel has no huge pages"
    fi
fi
attempt "$examples/memsteps" --steps 2 --step 1M --pause 10ms
check "memsteps --pause goes on by itself" has_status 0
check "each step is told: allocate" prints "allocate  2 of 2"
check "each step is told: touch" prints "touch     2 of 2"
check "each step is told: free" prints "free      2 of 2"
attempt "$examples/memsteps" --interactive
check "memsteps --interactive ends with its input: 0" has_status 0
check "after the start" prints "start"

# --- soldier ----------------------------------------------------------------------------------
for wanted in 0 7 255; do
    attempt "$examples/soldier" --life 1ms --status "$wanted"
    check "soldier --status $wanted" has_status "$wanted"
done
for pair in TERM:143 SIGKILL:137 segv:139; do
    attempt "$examples/soldier" --life 1ms --signal "${pair%:*}"
    check "soldier --signal ${pair%:*} ends by it" has_status "${pair#*:}"
done
attempt env --ignore-signal=TERM "$examples/soldier" --life 1ms --signal TERM
check "soldier --signal TERM, though it was ignored" has_status 143

# --- without the module -----------------------------------------------------------------------
if [ -e /dev/matrix ]; then
    skip "what needs the module says so" "the module is loaded"
else
    for command in poker "station 1" "station --squad 3"; do
        # shellcheck disable=SC2086 # words
        attempt timeout 60 "$examples/"$command
        check "$command: 125 without the module" has_status 125
        check "$command: says what is missing" complains "matrix_lens is not loaded"
        check "$command: says what helps" complains "remedy: as root: matrix modules load"
    done
fi
finish
