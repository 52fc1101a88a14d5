#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lkm1 and lkm2 as a user meets them: who runs, and a process's children with their states, in the
# kernel's log. In the lab (tests/lab/modules.sh).
#   processes.sh BUILD_DIRECTORY KERNEL
. "$(dirname "$0")/../cli/tap.sh"
modules=${MATRIX_MODULES:-$build/modules/${2:-}}

if [ "${MATRIX_LAB:-}" != 1 ]; then
    echo "1..0 # SKIP kernel modules are loaded in the lab only"
    exit 0
fi

# Lines that the kernel writes from here on.
marks=0
mark() {
    marks=$((marks + 1))
    echo "processes.sh: mark $marks" >/dev/kmsg
}
logged() { dmesg --notime | sed "1,/^processes.sh: mark $marks\$/d" | grep "^$1: " || true; }
logs() { logged "$1" | grep -qxE -e "$1: $2"; }
is_loaded() { [ -d "/sys/module/$1" ]; }

# A process's state, as /proc/PID/stat has it; the name before it may contain anything.
state_of() { sed 's/.*) \(.\).*/\1/' "/proc/$1/stat"; }
await_state() { until [ "$(state_of "$1")" = "$2" ]; do sleep 0.05; done; }

# insmod, and rmmod where that worked.
load() { # MODULE PARAMETER...
    mark
    local file=$modules/$1.ko module=$1
    shift
    attempt insmod "$file" "$@"
    ! is_loaded "$module" || rmmod "$module"
}

family=()
end_family() {
    kill -KILL "${family[@]}" 2>/dev/null || true
    rm -rf "${scratch:?}"
}
trap end_family EXIT

# --- The family -----------------------------------------------------------------------------------
# The parent becomes a program that waits for nobody, before the one that is to be a zombie ends.
mkfifo "$scratch/end"
# shellcheck disable=SC2016 # expanded by the parent
bash -c 'sleep 1000 & sleeping=$!
    sleep 1000 & stopped=$!
    { read -r <"$1"; exit 3; } & zombie=$!
    { while :; do :; done; } & spinning=$!
    until [ "$(cat "/proc/$stopped/comm")" = sleep ]; do :; done
    kill -STOP "$stopped"
    echo "$sleeping $stopped $zombie $spinning" >"$2"
    exec sleep 1000' parent "$scratch/end" "$scratch/pids" &
parent=$!
disown
family+=("$parent")
until [ "$(cat "/proc/$parent/comm")" = sleep ]; do sleep 0.05; done
read -r sleeping stopped zombie spinning <"$scratch/pids"
family+=("$sleeping" "$stopped" "$spinning")
echo >"$scratch/end"
await_state "$sleeping" S
await_state "$stopped" T
await_state "$zombie" Z
await_state "$spinning" R

# --- lkm1 -----------------------------------------------------------------------------------------
load lkm1
check "lkm1: loads" has_status 0
check "lkm1: a process that spins is listed" \
    logs lkm1 "pid $spinning, name bash, state R \((running|runnable)\), cpu [0-9]+"
check "lkm1: who loads the module runs" \
    logs lkm1 "pid [0-9]+, name insmod, state R \(running\), cpu [0-9]+"
for pid in $sleeping $stopped $zombie $parent; do
    check "lkm1: one that does not run is not listed ($(state_of "$pid"))" \
        eval "! logs lkm1 'pid $pid, .*'"
done
counts_what_it_lists() {
    local lines
    lines=$(logged lkm1 | grep -c '^lkm1: pid ')
    logs lkm1 "$lines running or runnable"
}
check "lkm1: the count is that of the lines" counts_what_it_lists

# A name that would move the cursor of who reads the log. (A newline would end bash's write.)
# shellcheck disable=SC2016 # expanded by the other shell
bash -c 'printf "x\ty\x1b" >/proc/self/comm; while :; do :; done' &
odd=$!
disown
family+=("$odd")
until grep -qz y "/proc/$odd/comm"; do sleep 0.05; done
load lkm1
check "lkm1: names are escaped" \
    logs lkm1 "pid $odd, name x\\\\ty\\\\e, state R .*"
kill -KILL "$odd"

# --- lkm2 -----------------------------------------------------------------------------------------
load lkm2 "pid=$parent"
check "lkm2: loads" has_status 0
check "lkm2: a sleeping child" logs lkm2 "child pid $sleeping, name sleep, state S \(sleeping\)"
check "lkm2: a stopped child" logs lkm2 "child pid $stopped, name sleep, state T \(stopped\)"
check "lkm2: a zombie" \
    logs lkm2 "child pid $zombie, name bash, state Z \(zombie: ended, not waited for\)"
check "lkm2: a running child" \
    logs lkm2 "child pid $spinning, name bash, state R \(running or runnable\)"
check "lkm2: and nobody else" logs lkm2 "pid $parent has 4 children"
kill -KILL "$spinning"

load lkm2 "pid=$sleeping"
check "lkm2: no children" logs lkm2 "pid $sleeping has 0 children"
load lkm2 "pid=$$"
check "lkm2: a child of the shell" logs lkm2 "child pid $parent, name sleep, state S \(sleeping\)"
load lkm2 pid=2
check "lkm2: of kernel threads" logs lkm2 "child pid [0-9]+, name kworker/.*, state I \(idle\)"

bash -c : &
dead=$!
wait "$dead"
explains() { # PID TEXT
    [ "$(logged lkm2)" = "lkm2: parameter pid=$1: $2" ]
}
for pid in "$dead" 2147483647; do
    load lkm2 "pid=$pid"
    # ESRCH, for which insmod has words of its own: "Module has wrong symbol version".
    check "lkm2: no such process: insmod fails ($pid)" has_status 1
    check "lkm2: no such process: is not loaded ($pid)" eval '! is_loaded lkm2'
    check "lkm2: no such process: says so in one line ($pid)" \
        explains "$pid" "there is no such process, or it has ended"
done
for pid in 0 -1; do
    load lkm2 "pid=$pid"
    check "lkm2: no number of a process: insmod fails ($pid)" complains "Invalid parameters"
    check "lkm2: no number of a process: says so in one line ($pid)" \
        explains "$pid" "give the number of a process, greater than 0"
done
load lkm2
check "lkm2: without its parameter insmod fails" complains "Invalid parameters"
check "lkm2: and says what is missing" explains 0 "give the number of a process, greater than 0"
load lkm2 pid=many
check "lkm2: a pid that is no number is refused" complains "Invalid parameters"
check "lkm2: and is not loaded" eval '! is_loaded lkm2'

finish
