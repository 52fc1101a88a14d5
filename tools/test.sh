#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs all tests, and ends with one line that sums them: N passed, N failed, N skipped.
#   tools/test.sh BUILD_DIRECTORY [ARGUMENT FOR meson test...]
set -euo pipefail
build=$1
shift
status=0
meson test -C "$build" --no-rebuild --print-errorlogs --num-processes 1 "$@" || status=$?
python3 tests/summary.py "$build/meson-logs/testlog.junit.xml" || status=1
exit "$status"
