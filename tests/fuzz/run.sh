#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the fuzz targets and runs each for a while; prints TAP.
#   tests/fuzz/run.sh BUILD_DIR SECONDS_PER_TARGET [TARGET...]
# What libFuzzer finds worth keeping stays in BUILD_DIR/fuzz/corpus and is where the next run goes on
# from; the seeds in tests/fuzz/corpus are only read. Crashes are kept in BUILD_DIR/fuzz/crashes.
# To keep what was found: BUILD_DIR/fuzz/fuzz_T -merge=1 tests/fuzz/corpus/T BUILD_DIR/fuzz/corpus/T
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 2 ]; then
    echo "usage: $0 BUILD_DIR SECONDS_PER_TARGET [TARGET...]" >&2
    exit 2
fi
mkdir -p "$1/fuzz"
build=$(cd "$1/fuzz" && pwd)
seconds=$2
shift 2

if ! command -v clang >/dev/null; then
    echo "1..0 # SKIP the fuzz targets need clang and libclang-rt (see docs/dependencies.md)"
    exit 0
fi

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for seeds in "$here"/corpus/*/; do
        targets+=("$(basename "$seeds")")
    done
fi

echo "TAP version 13"
echo "1..${#targets[@]}"
mkdir -p "$build/crashes"

# The last lines of a log, as comments.
show() {
    tail -n "$2" "$1" | cut -c 1-200 | sed 's/^/# /'
}

if ! make -j"$(nproc)" -f "$here/build.mk" BUILD="$build" >"$build/build.log" 2>&1; then
    show "$build/build.log" 30
    echo "Bail out! the fuzz targets do not build: $build/build.log"
    exit 1
fi

# Says what was found, and how to see it again.
explain() {
    local target=$1 log=$2 input
    grep -m 3 -E 'not so:|ERROR: |SUMMARY: |runtime error:' "$log" | cut -c 1-300 | sed 's/^/# /' || true
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    if [ -n "$input" ]; then
        echo "# the input, $(wc -c <"$input") bytes, begins with:"
        head -c 1024 "$input" | od -An -v -tx1 | sed 's/^/#  /'
        echo "# again:   $build/fuzz_$target $input"
        echo "# shorter: $build/fuzz_$target -minimize_crash=1 -max_total_time=60 $input"
    else
        show "$log" 20
    fi
}

number=0 passed=0 failed=0 skipped=0
for target in "${targets[@]}"; do
    number=$((number + 1))
    log=$build/$target.log
    mkdir -p "$build/corpus/$target"
    options=(-max_total_time="$seconds" -timeout=30 -rss_limit_mb=4096 -print_final_stats=1
        -artifact_prefix="$build/crashes/$target-")
    if [ -e "$here/dictionaries/$target.dict" ]; then
        options+=(-dict="$here/dictionaries/$target.dict")
    fi
    result=0
    "$build/fuzz_$target" "${options[@]}" "$build/corpus/$target" "$here/corpus/$target" \
        >"$log" 2>&1 || result=$?
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
    case $result in
    0)
        passed=$((passed + 1))
        echo "ok $number - $target # cov: ${edges:-0} edges, ${runs:-0} runs in $seconds s"
        ;;
    4)
        skipped=$((skipped + 1))
        echo "ok $number - $target # SKIP $(sed -n 's/^SKIP: //p' "$log")"
        ;;
    *)
        failed=$((failed + 1))
        echo "not ok $number - $target"
        explain "$target" "$log"
        ;;
    esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
