#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Test programs under valgrind: no leak, no use of memory that is not theirs; with guests that run,
# fault and are refused. (The command is static, which valgrind cannot look into.)
# Usage: valgrind.sh BUILD-DIRECTORY PROGRAM...
. "$(dirname "$0")/tap.sh"
shift

if ! command -v valgrind >/dev/null; then
    echo "1..0 # SKIP valgrind is not installed"
    exit 0
fi
if nm -D "$1" 2>/dev/null | grep -q __asan_init; then
    echo "1..0 # SKIP the build has sanitizers, which do the same"
    exit 0
fi

clean() { # PROGRAM: passes under valgrind, which finds nothing
    # A forked child ends with what its parent holds; that is no leak.
    attempt timeout 600 valgrind --quiet --child-silent-after-fork=yes --leak-check=full --show-leak-kinds=all \
        --errors-for-leak-kinds=all --error-exitcode=99 --log-file="$scratch/valgrind" \
        --suppressions="$(dirname "$0")/valgrind.supp" "$1" "$build"
    [ "$status" -eq 0 ] && [ ! -s "$scratch/valgrind" ] && return
    cat "$scratch/valgrind" >>"$scratch/err"
    return 1
}

for program; do
    check "$(basename "$program")" clean "$program"
done
finish
