#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The units for systemd, as systemd reads them. Usage: units.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"

if ! type systemd-analyze >/dev/null 2>&1; then
    echo "1..0 # SKIP systemd-analyze is missing: install the package systemd"
    exit 0
fi

# Below the scratch directory as they would be installed, with the program that is built.
units=$scratch/units
mkdir "$units"
for unit in "$build"/share/matrix-*.service "$build"/share/matrix-*.socket; do
    sed "s|^\(Exec[A-Za-z]*=\)[^ ]*|\1$matrix|" "$unit" >"$units/${unit##*/}"
done
# What an instance is made of is looked at as an instance.
for kind in service socket; do
    cp "$units/matrix-cloud@.$kind" "$units/matrix-cloud@test.$kind"
done
for unit in matrix-cloud@test.service matrix-cloud@test.socket matrix-metrics.service; do
    attempt env SYSTEMD_UNIT_PATH="$units:" systemd-analyze verify --man=no "$units/$unit"
    if grep -qE "Failed to (initialize manager|connect|create)" "$scratch/err"; then
        skip "$unit is as systemd wants it" "$(head -n 1 "$scratch/err" | tr -d '#')"
        continue
    fi
    # Of other units of the host nothing is said here.
    grep -F matrix "$scratch/err" >"$scratch/complaints" || true
    cp "$scratch/complaints" "$scratch/err"
    check "$unit is as systemd wants it" is_silent
done
attempt grep -h '^Exec' "$units/matrix-cloud@.service"
check "it reloads by matrix reload" prints "reload --cloud \$MAINPID"
finish
