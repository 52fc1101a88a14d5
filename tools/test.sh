#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs all tests, and ends with one line that sums them: N passed, N failed, N skipped.
#   tools/test.sh BUILD_DIRECTORY [ARGUMENT FOR meson test...]
# One after the other, for many of them measure; but those in the lab, which mostly wait for an emulated processor,
# two at a time where there are two CPUs. With arguments all are run one after the other.
set -euo pipefail
build=$1
shift
status=0
logs=()
run() { # NAME-OF-LOG PROCESSES ARGUMENT...
    logs+=("$build/meson-logs/$1.junit.xml")
    rm -f "${logs[-1]}"
    # Under nohup SIGHUP would be ignored by all that is started, and tests see what it ends.
    env --default-signal=HUP meson test -C "$build" --no-rebuild --print-errorlogs --logbase "$1" --num-processes "${@:2}" || status=$?
}
if [ $# -gt 0 ]; then
    run testlog 1 "$@"
else
    run testlog 1 --no-suite lab
    run lablog $(($(nproc) > 1 ? 2 : 1)) --suite lab
fi
python3 tests/summary.py "${logs[@]}" || status=1
exit "$status"
