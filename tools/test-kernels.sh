#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tests the kernel modules on several kernels (lab/kernels): for each builds them, with no
# warning, on 6.1 has sparse look at them as well, and runs tests/lab/TEST.sh BUILD_DIRECTORY
# KERNEL, which prints TAP. A kernel that cannot be had is one that is skipped. Ends with one line
# that sums all: N passed, N failed, N skipped. What tests print is kept in
# BUILD_DIRECTORY/modules/KERNEL-TEST.tap. TEST_SCRIPTS is looked into in place of tests/lab/.
#   tools/test-kernels.sh BUILD_DIRECTORY TEST[,TEST...] KERNEL...
set -euo pipefail
cd "$(dirname -- "$(readlink -f -- "$0")")/.."
build=$(readlink -f -- "$1")
IFS=, read -ra tests <<<"$2"
shift 2
scripts=${TEST_SCRIPTS:-tests/lab}

passed=0 failures=() skips=()

# Counts what a command's status says: NAME STATUS.
count_status() {
    case $2 in
    0) echo "ok - $1" && passed=$((passed + 1)) ;;
    77) echo "ok - $1 # SKIP it cannot be had here, see above" && skips+=("$1") ;;
    *) echo "not ok - $1" && failures+=("$1") ;;
    esac
}

# Counts the lines of TAP: NAME FILE STATUS. The program may have died before the last, or have
# failed without one that says so.
count_tap() {
    local name=$1 line planned="" seen=0 failed=0
    while IFS= read -r line; do
        case $line in
        "1..0"*) planned=0 && skips+=("$name: ${line#*SKIP }") ;;
        1..[0-9]*) planned=${line#1..} && planned=${planned%% *} ;;
        "not ok "*"# TODO"* | "not ok "*"# SKIP"* | "ok "*"# SKIP"* | "ok "*"# skip"*)
            seen=$((seen + 1)) && skips+=("$name: ${line#*ok }") ;;
        "not ok"*) seen=$((seen + 1)) failed=1 && failures+=("$name: ${line#not ok }") ;;
        "ok"*) seen=$((seen + 1)) passed=$((passed + 1)) ;;
        "Bail out!"*) failed=1 && failures+=("$name: $line") ;;
        esac
    done <"$2"
    if [ "$3" = 77 ] && [ "$seen" = 0 ]; then
        [ "$planned" = 0 ] || skips+=("$name")
    elif [ "$failed" = 0 ] && [ "$seen" != "${planned:-none}" ]; then
        failures+=("$name: $seen lines of ${planned:-an unknown number}")
    elif [ "$failed" = 0 ] && [ "$3" != 0 ]; then
        failures+=("$name: ended with status $3")
    fi
}

test_kernel() {
    local kernel=$1 test status=0 file
    echo "=== Linux $kernel"
    WERROR=1 tools/modules.sh "$build" "$kernel" || status=$?
    count_status "$kernel: the modules build without a warning" "$status"
    [ "$status" = 0 ] || return 0
    if [ "$kernel" = 6.1 ]; then
        tools/modules.sh --sparse "$build" "$kernel" || status=$?
        count_status "$kernel: sparse finds nothing in them" "$status"
    fi
    if [ "$kernel" = debug ]; then # whose sources have it
        tools/checkpatch.sh "$build" || status=$?
        count_status "$kernel: checkpatch finds nothing in them" "$status"
    fi
    for test in "${tests[@]}"; do
        file=$build/modules/$kernel-$test.tap status=0
        "$scripts/$test.sh" "$build" "$kernel" 2>&1 | tee "$file" || status=${PIPESTATUS[0]}
        count_tap "$kernel: $test" "$file" "$status"
    done
}

for kernel in "$@"; do
    start=$SECONDS
    test_kernel "$kernel"
    echo "=== Linux $kernel: $((SECONDS - start)) s"
done

[ ${#failures[@]} = 0 ] || printf 'FAILED  %s\n' "${failures[@]}"
[ ${#skips[@]} = 0 ] || printf 'skipped  %s\n' "${skips[@]}"
echo "$passed passed, ${#failures[@]} failed, ${#skips[@]} skipped"
[ ${#failures[@]} = 0 ] && [ "$passed" -gt 0 ]
