#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `kill -9` at random moments leaves nothing that hinders the next run, nor anything else.
# Usage: run_killed.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm

leftovers() { find /dev/shm /tmp -maxdepth 1 -name '*matrix*' ! -path "$scratch" 2>/dev/null | sort; }

before=$(leftovers)
RANDOM=2024
guests=("spin" "chatter" "neo" "memory 8 unique --hold" "vcpus 8" "faulty divide" "hello")
for round in {1..20}; do
    read -ra guest <<<"${guests[round % ${#guests[@]}]}"
    "$matrix" run --memory 32M "${guest[@]}" >/dev/null 2>&1 </dev/null &
    pid=$!
    sleep "0.$(printf %03d $((RANDOM % 150)))"
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    attempt timeout 60 "$matrix" run hello
    check "round $round: after ${guest[*]} was killed, hello runs" has_status 0
done
check "nothing is left in /dev/shm and /tmp" [ "$(leftovers)" = "$before" ]
none_is_left() { # what has lost its parent may take a moment to end
    for _ in {1..600}; do
        pgrep -f "^$build/matrix(-report)? " >/dev/null || return 0
        sleep 0.1
    done
    return 1
}
check "no process is left" none_is_left
finish
