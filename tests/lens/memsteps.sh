# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Watches memsteps at each of its steps. Sourced after tests/cli/tap.sh, with $examples set.

status_kb() { sed -n "s/^$2:\s*\([0-9]*\) kB$/\1/p" "/proc/$1/status"; }
rollup_kb() { sed -n "s/^$2:\s*\([0-9]*\) kB$/\1/p" "/proc/$1/smaps_rollup"; }

# VmRSS may be behind: by 64 pages a thread before Linux 6.2 (SPLIT_RSS_COUNTING), and since then by
# a batch of 2 * processors, at least 32, a processor (lib/percpu_counter.c), in three counters.
rss_lag_kb() {
    local cpus
    cpus=$(nproc --all)
    echo $((3 * 4 * (cpus * (2 * cpus > 32 ? 2 * cpus : 32) + 64)))
}

# Two numbers that must be equal, within a tolerance: WHAT EXPECTED SEEN TOLERANCE
agree() {
    [ -n "$3" ] && [ $(($3 - $2)) -le "$4" ] && [ $(($2 - $3)) -le "$4" ] && return
    echo "$1: ${3:-nothing}, and not $2" >>"$scratch/err"
    return 1
}

# Runs memsteps with STEPS steps of STEP_KB, and at each line that it prints calls
# `OBSERVER PID VIRTUAL_KB RESIDENT_KB` with what must be: counted here, from the first line on.
#   watch_memsteps OBSERVER STEPS STEP_KB [OPTION...]
watch_memsteps() {
    local observer=$1 steps=$2 step_kb=$3 pid line phase virtual resident lines=0 outcome=0
    shift 3
    : >"$scratch/out" && : >"$scratch/err"
    coproc MEMSTEPS { exec "$examples/memsteps" -i --steps "$steps" --step "${step_kb}K" "$@"; }
    local from=${MEMSTEPS[0]} to=${MEMSTEPS[1]} process=$MEMSTEPS_PID
    while IFS= read -r -u "$from" line; do
        echo "$line" >>"$scratch/out"
        phase=${line%% *}
        case $phase in
        memsteps:) pid=${line#*pid } pid=${pid%%;*} && continue ;;
        start) virtual=$(status_kb "$pid" VmSize) resident=$(rollup_kb "$pid" Rss) ;;
        allocate) virtual=$((virtual + step_kb)) ;;
        touch) resident=$((resident + step_kb)) ;;
        free) virtual=$((virtual - step_kb)) resident=$((resident - step_kb)) ;;
        *) continue ;;
        esac
        lines=$((lines + 1))
        "$observer" "$pid" "$virtual" "$resident" || outcome=1
        # What it says itself: expected and measured, twice.
        read -r -a numbers <<<"${line##*of "$steps"}"
        [ "$phase" = start ] ||
            [ "${numbers[*]}" = "$virtual $virtual $resident $resident" ] || outcome=1
        echo >&"$to"
    done
    status=0
    wait "$process" || status=$?
    [ "$outcome" = 0 ] && [ "$status" = 0 ] && [ "$lines" = $((3 * steps + 1)) ]
}
