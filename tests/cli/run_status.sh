#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The exit statuses of `matrix run`: the guest's own, or why it did not come to that.
# Usage: run_status.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm

for wanted in 0 1 2 77 119 120 121 122 123 124 125 126 128 200 255; do
    attempt "$matrix" run status "$wanted"
    check "the guest's own status: $wanted" has_status "$wanted"
done
attempt "$matrix" run hello
check "a good run prints nothing of its own" is_silent

attempt "$matrix" run faulty divide
check "120: a guest fault" has_status 120
attempt "$matrix" run /etc/passwd
check "121: a bad image" has_status 121
attempt "$matrix" run --memory 1 hello
check "122: bad usage" has_status 122
attempt "$matrix" run --kvm /dev/null hello
check "123: no KVM" has_status 123
attempt "$matrix" run --timeout 200ms spin
check "124: the time limit" has_status 124
check "the time limit is named" complains "spin: the time limit was up"
mkfifo "$scratch/silence" # with a writer, itself, that says nothing
attempt bash -c '"$1" run --timeout 200ms talk --read <>"$2"' - "$matrix" "$scratch/silence"
check "124: the time limit while a guest waits" has_status 124
attempt "$matrix" run --cpu 1023 hello
check "125: the host refused" has_status 125
check "the host CPU is named" complains "run on host CPU 1023"

# --- signals ---------------------------------------------------------------------------------
signalled() { # SIGNAL GUEST...: runs it, and sends the signal when it is at work
    local signal=$1 pid
    shift
    status=0
    "$@" >"$scratch/out" 2>"$scratch/err" </dev/null &
    pid=$!
    for _ in {1..1200}; do
        [ ! -S "$MATRIX_RUNTIME_DIR/$pid.sock" ] || break
        sleep 0.05
    done
    sleep 0.3
    kill "-$signal" "$pid" || true # the time limit may have been up
    wait "$pid" || status=$?
}

set -m # so that SIGINT is not ignored in background jobs
for pair in INT:130 TERM:143 HUP:129; do
    signalled "${pair%:*}" "$matrix" run spin
    check "SIG${pair%:*} ends a guest that computes: ${pair#*:}" has_status "${pair#*:}"
    signalled "${pair%:*}" "$matrix" run memory 1 zero --hold
    check "SIG${pair%:*} ends a guest that sleeps: ${pair#*:}" has_status "${pair#*:}"
done
signalled TERM "$matrix" run chatter
check "SIGTERM ends a guest that prints: 143" has_status 143
signalled HUP nohup "$matrix" run --timeout 6s spin
check "SIGHUP under nohup does not: the time limit's 124" has_status 124
set +m

# --- readers ---------------------------------------------------------------------------------
set +e
timeout 60 "$matrix" run chatter | head -n 1 >"$scratch/out"
status=${PIPESTATUS[0]}
set -e
check "141: the reader is gone" has_status 141
check "the reader has had its line" prints "line 1"

# --- without a subcommand ---------------------------------------------------------------------
attempt "$matrix"
check "no subcommand: 122" has_status 122
attempt "$matrix" nonsense
check "unknown subcommand: 122" has_status 122
check "it is named" complains "no such command: nonsense"
attempt "$matrix" --help
check "--help: 0" has_status 0
attempt "$matrix" run --help
check "run --help: 0" has_status 0
check "run --help tells the statuses" prints "120 guest fault"
attempt "$matrix" --version
check "--version" prints "matrix "
finish
