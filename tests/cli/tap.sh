# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the TAP scripts of this directory share: a scratch directory, runs of `matrix`, checks that
# print a line each. Sourced with the build directory as $1; the script ends with `finish`.
set -euo pipefail

# Debian's own programs first: a python3 that a script picks out of several takes ten times as long to start, which is
# five seconds where the processor is emulated.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH

build=$1
matrix=$build/matrix
scratch=$(mktemp -d "${TMPDIR:-/tmp}/matrix-test-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export MATRIX_RUNTIME_DIR=$scratch/runtime # what others run is nothing to these tests
tests=0

# One line of TAP: `result STATUS NAME`; with what the last run printed if it is bad.
result() {
    tests=$((tests + 1))
    local name=${2//#/}
    if [ "$1" -eq 0 ]; then
        echo "ok $tests - $name"
        return
    fi
    echo "not ok $tests - $name"
    echo "# status ${status-none}; output and errors:"
    cat -v "$scratch/out" "$scratch/err" 2>/dev/null | sed 's/^/#   /' | cut -c 1-300 | head -n 20 || true
}

skip() { # NAME REASON
    tests=$((tests + 1))
    echo "ok $tests - $1 # SKIP $2"
}

# The test called $1 is whether the rest, a command, succeeds.
check() {
    local name=$1 outcome=0
    shift
    "$@" || outcome=1
    result "$outcome" "$name"
}

# Runs a command; its output, errors and status are for the checks after it.
attempt() {
    status=0
    "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
}

has_status() { [ "$status" -eq "$1" ]; }
prints() { grep -qF -e "$1" "$scratch/out"; }
complains() { grep -qF -e "$1" "$scratch/err"; }
is_silent() { [ ! -s "$scratch/err" ]; }

# `matrix run` with these arguments fails with this status and complaint: STATUS COMPLAINT NAME ...
refuses() {
    local wanted=$1 complaint=$2 name=$3 outcome=0
    shift 3
    attempt timeout 60 "$matrix" run "$@"
    { has_status "$wanted" && complains "$complaint"; } || outcome=1
    result "$outcome" "$name: $complaint"
}

# A value in the JSON object that the last run printed: a Python expression of `result`.
json() {
    python3 -c 'import json, sys
result = json.load(open(sys.argv[1]))
sys.exit(0 if eval(sys.argv[2]) else 1)' "$scratch/out" "$1"
}

finish() { echo "1..$tests"; }

# Without KVM there is nothing to test here; whoever reads the result must see that.
need_kvm() {
    attempt "$matrix" run hello
    if has_status 123; then
        echo "1..0 # SKIP $(head -n 1 "$scratch/err")"
        exit 0
    fi
}
