#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A host that is short of something: descriptors, address space, memory that may be locked, memory of a cgroup,
# room on a disk. Somebody is told what and why, and the guests that need none of it go on.
# Usage: shortages.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm

yaml=$scratch/cloud.yaml
saved=$scratch/report.json
small=$scratch/small # a disk of 16 KiB
cgroup=
trap 'kill "${pid-}" 2>/dev/null || true; umount "$small" 2>/dev/null || true
      [ -z "$cgroup" ] || rmdir "$cgroup" 2>/dev/null || true; rm -rf "$scratch"' EXIT

# Starts a cloud in the background, as $pid, by this command before it.
cloud_begins() { # COMMAND...
    rm -f "$saved"
    "$@" "$matrix" cloud --plain --quiet --keep --control auto --report "$saved" --duration 15min \
        "$yaml" >"$scratch/cloud.out" 2>"$scratch/cloud.err" </dev/null &
    pid=$!
    local socket=$MATRIX_RUNTIME_DIR/$pid.sock
    for _ in {1..1200}; do
        [ ! -S "$socket" ] || return 0
        sleep 0.05
    done
}

# ... and ends it; its errors are for the checks after it.
cloud_ends() {
    status=0
    kill "$pid" || true
    wait "$pid" || status=$?
    cp "$scratch/cloud.out" "$scratch/out"
    cp "$scratch/cloud.err" "$scratch/err"
    pid=
}

manage() { attempt timeout 60 "$matrix" "$@"; }
reported() { cp "$saved" "$scratch/out" && json "$1"; }
# The life of a guest, by the cloud's word: GUEST LIFE.
lives() {
    python3 - "$MATRIX_RUNTIME_DIR/$pid.sock" "$@" <<'END' >"$scratch/out" 2>"$scratch/err"
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall((json.dumps({"version": 1, "command": "guest", "guest": sys.argv[2]}) + "\n").encode())
result = json.loads(s.makefile().readline())
sys.exit(None if result.get("life") == sys.argv[3] else str(result))
END
}
goes_on() { lives good running; }

printf 'guests:\n  - {name: good, image: spin, memory: 2M}\n' >"$yaml"

# --- descriptors ----------------------------------------------------------------------------------------------------
cloud_begins bash -c 'ulimit -n 24; exec "$@"' -
for i in {1..12}; do
    manage add --no-wait --name "more$i" --memory 2M spin
done
manage stop more1
check "no descriptors are left: it can still be asked" has_status 0
manage add --name last --memory 2M spin
check "no descriptors are left: no more guests" has_status 125
check "... which is said" complains "Too many open files"
check "... with what helps" complains "ulimit -n"
check "... and the others go on" goes_on
cloud_ends
check "... to the end" has_status 143
check "... and all are in the report" reported '(len(result["guests"]) == 14 and
    [g["error"] for g in result["guests"] if g["name"] == "last"][0] is not None)'

# --- address space --------------------------------------------------------------------------------------------------
cloud_begins bash -c 'ulimit -v 400000; exec "$@"' -
manage add --name large --memory 1G spin
check "no address space: the guest is refused" has_status 125
check "... with its name, size and reason" eval 'complains large && complains "Cannot allocate memory"'
check "... and the others go on" goes_on
cloud_ends
check "... to the end" has_status 143
printf 'guests:\n  - {name: good, image: spin}\n  - {name: large, image: spin, memory: 1G}\n' >"$scratch/both.yaml"
attempt bash -c 'ulimit -v 400000; exec "$@"' - "$matrix" cloud --plain --duration 1s "$scratch/both.yaml"
check "no address space for a guest of the file: 125" has_status 125
check "... with its name" complains "guest large"

# --- locked memory --------------------------------------------------------------------------------------------------
attempt setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock bash -c 'ulimit -l 64; exec "$@"' - \
    "$matrix" run --lock hello
if [ "$status" -eq 127 ]; then
    skip "locked memory: 125" "no setpriv"
else
    check "locked memory: 125" has_status 125
    check "... with what helps" complains "ulimit -l"
fi

# --- memory ---------------------------------------------------------------------------------------------------------
printf 'guests:\n  - {name: good, image: spin, memory: 2M}\n  - {name: vast, image: spin, memory: 4T}\n' >"$yaml"
attempt "$matrix" cloud --check "$yaml"
check "a file with more memory than the host has: --check says so" complains "may come to need 4.0 TiB"
check "... and that is no error" has_status 0
printf 'guests:\n  - {name: good, image: spin, memory: 2M}\n' >"$yaml"
attempt "$matrix" cloud --check "$yaml"
check "one with less: nothing is said" eval '! complains "may come to need"'
cloud_begins
manage add --name giant --memory 4T spin
check "more memory than the host has: the guest is refused" has_status 125
check "... with how much is left" complains "the host has"
check "... and the others go on" goes_on
cloud_ends

make_cgroup() {
    local top=$scratch/cgroups
    mkdir -p "$top"
    mount -t cgroup2 none "$top" 2>/dev/null || return 1
    echo +memory >"$top/cgroup.subtree_control" 2>/dev/null || true
    mkdir "$top/matrix-test-$$" 2>/dev/null && [ -e "$top/matrix-test-$$/memory.max" ] || return 1
    cgroup=$top/matrix-test-$$
}
if make_cgroup; then
    echo 64M >"$cgroup/memory.max"
    # shellcheck disable=SC2016
    cloud_begins bash -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$cgroup"
    if mountpoint -q /sys/fs/cgroup; then
        manage add --name big --memory 200M spin
        check "a cgroup without room: the guest is refused" has_status 125
        check "... with the cgroup's name" complains "matrix-test-$$"
        check "... and the others go on" goes_on
    else
        skip "a cgroup without room: the guest is refused" "/sys/fs/cgroup is not mounted"
    fi
    cloud_ends
    check "... to the end" has_status 143
    # What was let in and then touches more than there is: the kernel ends the process.
    printf 'guests:\n  - {name: good, image: spin, memory: 2M}\n  - {name: fills, image: %s, args: [fill-memory], memory: 200M}\n' \
        "$build/tests/kvm/guests/attack.elf" >"$yaml"
    # shellcheck disable=SC2016
    attempt timeout 120 bash -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$cgroup" \
        "$matrix" cloud --plain --duration 10min "$yaml"
    check "a cgroup's memory is used up: the kernel ends the cloud" has_status 137
    if mountpoint -q /sys/fs/cgroup; then
        check "... which was said before" complains "may come to need 202"
    else
        skip "... which was said before" "/sys/fs/cgroup is not mounted"
    fi
    printf 'guests:\n  - {name: good, image: spin, memory: 2M}\n' >"$yaml"
    umount "$scratch/cgroups" 2>/dev/null || true
else
    skip "a cgroup without room" "no memory controller of cgroup version 2"
fi

# --- disks ----------------------------------------------------------------------------------------------------------
mkdir "$small"
if mount -t tmpfs -o size=16k none "$small" 2>/dev/null; then
    printf 'guests:\n  - {name: good, image: spin, memory: 2M}\n  - {name: loud, image: chatter, memory: 2M, output: %s}\n' \
        "$small/log" >"$yaml"
    cloud_begins
    for _ in {1..600}; do
        ! grep -q "No space left" "$scratch/cloud.err" || break
        sleep 0.1
    done
    check "a full disk: said at once" grep -q "guest loud.*$small/log.*No space left" "$scratch/cloud.err"
    check "... the others go on" goes_on
    check "... and who prints there, too" lives loud running
    full=$(stat -c %s "$small/log")
    : >"$small/log" # somebody makes room
    for _ in {1..600}; do
        [ ! -s "$small/log" ] || break
        sleep 0.1
    done
    check "... and prints again when there is room" [ -s "$small/log" ]
    check "... not more than fits" [ "$full" -le 16384 ]
    cloud_ends
    check "... what was lost counts at the end: 125" has_status 125
    check "... with name and path" eval 'complains "guest loud" && complains "$small/log"'
    check "... and the report has how much" reported \
        '[g["dropped_lines"] for g in result["guests"] if g["name"] == "loud"][0] > 0'

    # The report itself.
    head -c 16384 /dev/zero >"$small/fill" 2>/dev/null || true
    printf 'guests:\n  - {name: good, image: hello, memory: 2M}\n' >"$yaml"
    attempt timeout 60 "$matrix" cloud --plain --report "$small/report" "$yaml"
    check "no room for the report: 125" has_status 125
    check "... which is said" complains "No space left"
    check "... with the one for people on standard output" prints "exited, status 0"
else
    skip "a full disk" "no tmpfs can be mounted here"
fi

finish
