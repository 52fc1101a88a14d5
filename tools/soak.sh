#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Guests started, stopped and changed at random for a while, under the sanitizers (tests/kvm/soak.c); in the lab
# where the host has no usable /dev/kvm. `make soak` calls it.
# Usage: soak.sh BUILD-DIRECTORY SANITIZED-BUILD-DIRECTORY [SECONDS [GUESTS [SEED]]]
set -euo pipefail
build=$(realpath "$1")
sanitized=$(realpath "$2")
seconds=${3:-600}
guests=${4:-200}
ninja -C "$sanitized" matrix-cloud tests/soak guest/spin.elf guest/status.elf >/dev/null
run=()
if [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; then
    run=("$build/matrix" lab run --memory 8G --timeout "$((seconds + 900))s" --)
fi
output=$(mktemp)
trap 'rm -f "$output"' EXIT
"${run[@]}" "$sanitized/tests/soak" "$sanitized" "$seconds" "$guests" "${@:5}" | tee "$output"
grep -q '^1\.\.' "$output" && ! grep -q '^not ok' "$output"
