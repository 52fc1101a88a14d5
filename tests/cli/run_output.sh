#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Where a guest's output goes and its input comes from: pipes, files, full disks, terminals.
# Usage: run_output.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm

same() { cmp "$1" "$2" >/dev/null 2>&1; }

# --- input ------------------------------------------------------------------------------------------
for bytes in 0 1 4095 4096 4097 300000; do
    head -c "$bytes" /dev/urandom >"$scratch/in"
    status=0
    timeout 60 "$matrix" run talk --read <"$scratch/in" >"$scratch/out" 2>"$scratch/err" || status=$?
    check "an echo of $bytes bytes" same "$scratch/in" "$scratch/out"
    check "an echo of $bytes bytes: status 0" has_status 0
done
status=0
{ echo knock; sleep 0.3; echo knock; } | timeout 60 "$matrix" run talk --read >"$scratch/out" || status=$?
check "input that comes slowly" [ "$(cat "$scratch/out")" = $'knock\nknock' ]
status=0
timeout 60 "$matrix" run talk --read <&- >"$scratch/out" 2>"$scratch/err" || status=$?
check "closed standard input does no harm" [ "$status" -lt 124 ]

# --- output -------------------------------------------------------------------------------------------
timeout 60 "$matrix" run chatter 20000 >"$scratch/out"
check "20,000 lines into a file" [ "$(wc -l <"$scratch/out")" -eq 20000 ]
timeout 60 "$matrix" run chatter 20000 | cat >"$scratch/out"
check "20,000 lines into a pipe" [ "$(tail -n 1 "$scratch/out")" = "line 20000" ]
timeout 60 "$matrix" run chatter 20000 | { sleep 1; cat; } >"$scratch/out"
check "20,000 lines into a slow pipe, none lost" \
    same "$scratch/out" <(seq 1 20000 | sed 's/^/line /')
status=0
timeout 60 "$matrix" run chatter 100000 >/dev/full 2>"$scratch/err" || status=$?
check "a full disk: 125" has_status 125
check "a full disk: said" complains "No space left on device"
status=0
timeout 60 "$matrix" run hello >/dev/full 2>"$scratch/err" || status=$?
check "a full disk, and a guest that ends: it is said" complains "No space left on device"
status=0
timeout 60 "$matrix" run --json hello >/dev/full 2>"$scratch/err" || status=$?
check "a full disk for JSON: 125" has_status 125
status=0
timeout 60 "$matrix" run hello >&- 2>"$scratch/err" || status=$?
check "closed standard output does no harm" [ "$status" -le 125 ]
attempt "$matrix" run hello
check "a run to a file is not escaped or changed" prints "Hello from hello, with 16384 KiB of memory."

# --- terminals --------------------------------------------------------------------------------------------
on_terminal() { # runs a command line on a terminal of its own
    timeout 60 script -qec "$1" /dev/null </dev/null >"$scratch/out" 2>"$scratch/err" || status=$?
}
escape=$(printf '\033')
if command -v script >/dev/null; then
    status=0
    on_terminal "printf '\033[31mred' | $matrix run talk --read"
    check "control characters are shown on a terminal" prints '\x1b[31mred'
    check "and not passed on" bash -c '! grep -qF "$1" "$2"' - "$escape" "$scratch/out"
    on_terminal "printf '\033[31mred' | $matrix run --raw talk --read"
    check "--raw passes them on" prints "${escape}[31mred"
    on_terminal "$matrix run status 9"
    check "the status comes through" has_status 9
    on_terminal "stty -g >$scratch/before; $matrix run --timeout 200ms spin; stty -g >$scratch/after"
    check "the terminal is as it was" same "$scratch/before" "$scratch/after"
else
    skip "terminals" "the program script is not installed (bsdutils)"
fi
finish
