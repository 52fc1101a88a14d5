#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `matrix proc` by /proc: addresses, sizes, children, names, what ends in the middle, bad arguments.
# Usage: proc.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
here=$(cd "$(dirname "$0")" && pwd)
proc=("$matrix" proc)
targets=()
trap 'kill -9 "${targets[@]}" 2>/dev/null || true; rm -rf "$scratch"' EXIT

# Starts the target, and waits until it is ready, and sleeps; its pid is in $pid, what it says in $scratch/says.
target() {
    : >"$scratch/says"
    python3 "$here/proc_target.py" "$@" >"$scratch/says" &
    pid=$!
    disown # bash would report that it was killed
    targets+=("$pid")
    until grep -q ready "$scratch/says" && grep -q '^State:.S' "/proc/$pid/status"; do
        kill -0 "$pid" || { echo "Bail out! the target does not start"; exit 1; }
        sleep 0.05
    done
}
fails() { # STATUS COMPLAINT NAME ARGUMENT...
    local wanted=$1 complaint=$2 name=$3 outcome=0
    shift 3
    attempt timeout 60 "${proc[@]}" "$@"
    { has_status "$wanted" && complains "$complaint" && [ ! -s "$scratch/out" ]; } || outcome=1
    result "$outcome" "$name: $complaint"
}
place() { awk -v name="$1" '$1 == name { print $2 }' "$scratch/says"; }

# --- translate -------------------------------------------------------------------------------
target hold
if [ "$(id -u)" -eq 0 ]; then
    for name in written untouched read closed shared hole; do
        pages=$(awk -v name=$name '$1 == name { print $3 }' "$scratch/says")
        attempt "${proc[@]}" translate --source proc --json "$pid" "$(place $name)+$((pages * 4))K"
        checked=$(python3 "$here/proc_target.py" check "$scratch/out" "$pid" 2>"$scratch/err" || true)
        check "translate: $name memory is where pagemap says" [ "$checked" = "$pages" ]
    done
    flags() { json "all($1 for run in result['ranges'] for flags in [run['flags']])"; }
    attempt "${proc[@]}" translate --source proc --json "$pid" "$(place written)+256K"
    check "written memory is anonymous" flags "'anonymous' in flags and 'file' not in flags"
    attempt "${proc[@]}" translate --source proc --json "$pid" "$(place untouched)+64K"
    check "untouched memory is mapped, and is one run" json \
        "[(run['pages'], run['flags']) for run in result['ranges']] == [(16, ['mapped'])]"
    attempt "${proc[@]}" translate --source proc --json "$pid" "$(place read)+16K"
    # Seen from outside: a kernel that is a guest itself may have given a page of its own.
    zero=$(python3 "$here/proc_target.py" zero "$pid" "$(place read)")
    check "memory that was only read is the zero page, where the kernel has one" flags \
        "('zero' in flags) == ('$zero' == 'yes')"
    attempt "${proc[@]}" translate --source proc --json "$pid" "$(place closed)+32K"
    check "PROT_NONE is told" flags "'no_access' in flags and 'present' in flags"
    attempt "${proc[@]}" translate --source proc --json "$pid" "$(place shared)+32K"
    check "shared memory is told" flags "'shmem' in flags and 'file' in flags"
    attempt "${proc[@]}" translate --source proc --json "$pid" "$(place hole)+16K"
    check "a hole is not mapped" json \
        "[run['flags'] for run in result['ranges'] if 'mapped' not in run['flags']] == [[]]"
    address=$(place written)
    attempt "${proc[@]}" translate --source proc --json "$pid" "$(printf '0x%x' $((address + 0x123)))"
    check "the offset in the page stays" json \
        "result['ranges'][0]['physical_address'].endswith('123') and result['ranges'][0]['pages'] == 1"
    attempt "${proc[@]}" translate --source proc "$pid" "$(place written)" "$(place read)"
    check "a table, with its source" prints "source: /proc/$pid/pagemap"
    check "and the kind of page" prints "$([ "$zero" = yes ] && echo zero || echo anonymous)"
    # Above where a program that is not position-independent lies, below where others do.
    attempt "${proc[@]}" translate --source proc --json "$pid" 0x100000000-0x200000000
    check "4 GiB of holes are one run" json "len(result['ranges']) == 1 and result['version'] == 1"
    attempt "${proc[@]}" translate --source proc --json "$pid" 0xffffffffff600000 0xfffffffffffff000
    check "the end of the address space" json "all(not run['flags'] for run in result['ranges'])"
else
    skip "translate" "physical addresses need root"
fi
attempt "${proc[@]}" translate --source proc --no-addresses --json "$pid" "$(place written)+8K"
check "without addresses: pages are told all the same" json \
    "result['ranges'] == [{'virtual_address': hex($(place written)), 'physical_address': None, 'pages': 2, 'mapped_piece_bytes': None, 'flags': ['mapped', 'present']}]"
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
    drop=(setpriv --bounding-set=-all --inh-caps=-all --clear-groups --regid 65534 --reuid 65534)
    # By a path that nobody can go: the program is opened for it.
    chmod 755 "$scratch"
    cp "$build/matrix-proc" "$scratch/matrix-proc"
    attempt "${drop[@]}" "$scratch/matrix-proc" translate --source proc "$pid" 0x1000
    check "another's process: 125" has_status 125
    check "and what helps" complains "remedy: run it as root"
    # shellcheck disable=SC2016
    attempt "${drop[@]}" bash -c '"$1" translate --source proc $$ \
        "0x$(grep -m1 heap /proc/$$/maps | cut -d- -f1)"; exit $?' - "$scratch/matrix-proc"
    check "one's own process without CAP_SYS_ADMIN: 125" has_status 125
    check "the kernel hides frames" complains "hides page frames"
else
    skip "without rights" "needs root and setpriv, to give rights up"
fi

# --- footprint -------------------------------------------------------------------------------
attempt "${proc[@]}" footprint --source proc --json "$pid"
status_kb() { awk -v field="$1:" '$1 == field { print $2 * 1024 }' "/proc/$pid/status"; }
check "footprint: virtual memory is VmSize" json "result['virtual_bytes'] == $(status_kb VmSize)"
# status may be some pages behind: up to 64 for each thread and kind (Linux 6.1).
check "resident memory is VmRSS" json "abs(result['resident_bytes'] - $(status_kb VmRSS)) <= 3 * 64 * 4096"
check "anonymous memory is RssAnon" json "abs(result['anonymous_bytes'] - $(status_kb RssAnon)) <= 64 * 4096"
check "its kinds add up" json \
    "result['anonymous_bytes'] + result['file_bytes'] + result['shmem_bytes'] == result['resident_bytes']"
check "PROT_NONE is counted" json "result['no_access_bytes'] >= 8 * 4096"
check "what /proc does not tell is null" json "result['zero_bytes'] is None and result['source'] == 'proc'"
attempt "${proc[@]}" footprint --source proc "$pid"
check "a table, with its source" prints "source: /proc/$pid/smaps"

# --- watch and plot --------------------------------------------------------------------------
attempt "${proc[@]}" watch --source proc --interval 20ms --duration 2s --csv "$scratch/seen.csv" "$pid"
check "watch: lines where there is no terminal" prints "resident"
check "their source" prints "source: /proc/$pid/status"
check "the file's head has the units" grep -q '^time_s,virtual_bytes,resident_bytes,' "$scratch/seen.csv"
check "a line for each look" [ "$(wc -l <"$scratch/seen.csv")" -ge 3 ]
attempt "${proc[@]}" watch --source proc --interval 20ms --duration 100ms --json "$pid"
check "watch --json: an object a line" python3 -c \
    'import json, sys; assert all(json.loads(line)["resident_bytes"] > 0 for line in open(sys.argv[1]))' "$scratch/out"
for kind in svg png; do
    attempt "${proc[@]}" plot "$scratch/seen.csv" --out "$scratch/seen.$kind"
    check "plot: $kind" has_status 0
    check "plot: a picture, not empty" [ "$(wc -c <"$scratch/seen.$kind")" -gt 2000 ]
done
check "the axes have units" grep -qE 'memory \((KiB|MiB|GiB)\)' "$scratch/seen.svg"
fails 122 "no such kind of picture" "plot" plot "$scratch/seen.csv" --out "$scratch/seen.txt"
fails 122 "no column time_s" "plot" plot /etc/passwd --out "$scratch/no.svg"
printf 'time_s,virtual_bytes,resident_bytes\n1,nan,2\n' >"$scratch/bad.csv"
fails 122 "line 2: no numbers" "plot" plot "$scratch/bad.csv" --out "$scratch/no.svg"
fails 125 "No such file" "plot" plot "$scratch/none.csv" --out "$scratch/no.svg"
check "no picture of nothing" [ ! -e "$scratch/no.svg" ]

# On a terminal: a picture in place, and the cursor comes back.
attempt env LC_ALL=C.UTF-8 TERM=xterm script -qec "stty cols 80 rows 24; ${proc[*]} watch --source proc -i 20ms -d 2s $pid" /dev/null
check "watch on a terminal: blocks" prints "█"
check "virtual and resident" prints "resident memory:"
check "the cursor is shown again" prints $'\033[?25h'
attempt env LC_ALL=C TERM=xterm script -qec "stty cols 80 rows 24; ${proc[*]} watch --source proc -i 20ms -d 2s $pid" /dev/null
check "ASCII where the locale says so" prints "####"

# --- processes that end in the middle -----------------------------------------------------------
# Once something was seen of it.
: >"$scratch/out"
(until [ -s "$scratch/out" ]; do sleep 0.05; done; kill -9 "$pid") &
attempt timeout 60 "${proc[@]}" watch --source proc --interval 20ms "$pid"
check "watch ends when the process does" has_status 0
check "and says so" complains "has ended"
until [ ! -e "/proc/$pid" ]; do sleep 0.05; done
fails 125 "no such process, or it has ended" "a pid that is gone" footprint --source proc "$pid"
fails 125 "no such process, or it has ended" "a pid that is gone" translate --source proc "$pid" 0x1000
fails 125 "no such process, or it has ended" "a pid that is gone" children --source proc "$pid"
fails 125 "matrix proc list --all" "the remedy" watch "$pid"
sleep 600 &
targets+=($!)
disown
attempt timeout --signal INT 3 "${proc[@]}" watch --source proc --interval 20ms "${targets[-1]}"
check "Ctrl-C ends watch, and timeout says 124" has_status 124
check "what was seen till then is told" prints "source: "

# --- children --------------------------------------------------------------------------------
target children
read -r sleeping stopped zombie threads <"$scratch/says"
targets+=("$sleeping" "$stopped" "$threads")
attempt "${proc[@]}" children --source proc --json "$pid"
state() { json "[child['state'] for child in result['children'] if child['pid'] == $1] == ['$2']"; }
check "children: four of them" json "result['total'] == 4 and result['pid'] == $pid"
check "one sleeps" state "$sleeping" sleeping
check "one is stopped" state "$stopped" stopped
check "one is a zombie" state "$zombie" zombie
check "one is of another thread" state "$threads" sleeping
thread=$(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 ! -name "$pid" -printf '%f\n' | head -n 1)
attempt "${proc[@]}" children --source proc --json "$thread"
check "a thread's children are its process's" json "result['total'] == 4"
fails 125 "a kernel thread, or a zombie" "a zombie's memory" footprint --source proc "$zombie"
fails 125 "a kernel thread, or a zombie" "a zombie's memory" translate --source proc "$zombie" 0x1000
attempt "${proc[@]}" children --source proc "$sleeping"
check "none at all" prints "has 0 children"

# --- list, and names that mislead --------------------------------------------------------------
for name in ') R 1 1 1' '\x1b[2Jx' '\xff\xfe' 'a\nb'; do
    target name "$name"
    attempt "${proc[@]}" list --all --source proc
    check "a name like $name: no control characters come out" \
        bash -c '! LC_ALL=C grep -q "[^[:print:][:space:]]" "$1"' - "$scratch/out"
    attempt "${proc[@]}" list --all --json --source proc
    check "its parent and state are right" json \
        "[(task['parent_pid'], task['state']) for task in result['tasks'] if task['pid'] == $pid] == [($$, 'sleeping')]"
done
attempt "${proc[@]}" list --json --source proc
check "list: who asks runs" json "'matrix-proc' in [task['name'] for task in result['tasks']]"
check "all of them run" json "all(task['state'] == 'running' for task in result['tasks'])"
attempt "${proc[@]}" list --all
check "list --all has the first process" prints "source: /proc/*/stat"

# --- page faults -----------------------------------------------------------------------------
attempt "${proc[@]}" pgfaults
check "pgfaults says where from" prints "source: "
attempt "${proc[@]}" pgfaults --json --interval 20ms --duration 2s
check "pgfaults over time, with a rate" grep -q '"page_faults_per_s":[0-9]' "$scratch/out"

# --- what only the module can do ----------------------------------------------------------------
if [ -e /dev/matrix ]; then
    skip "without the module" "it is loaded here; tests/lens has the rest"
else
    fails 125 "remedy: as root: matrix modules load" "poke without the module" poke $$ 0x1000 1
    fails 125 "only the kernel module matrix_lens can do this" "reparent without it" reparent $$ --to 1
    fails 125 "write physical address 0x1000" "poke without it" poke --physical 0x1000 1
    fails 125 "not loaded" "--source module" footprint --source module $$
fi

# --- bad arguments ---------------------------------------------------------------------------
fails 122 "no such command" "unknown" nonsense
fails 122 "not a number" "a pid" footprint self
fails 122 "out of range" "a pid" footprint 0
fails 122 "out of range" "a pid" footprint 2147483648
fails 122 "out of range" "a pid" footprint 99999999999999999999
fails 122 "translate takes" "no address" translate $$
fails 122 "not a number" "an address" translate $$ xyz
fails 122 "ends before it begins" "a range" translate $$ 0x2000-0x1000
fails 122 "ends beyond 2^64" "a range" translate $$ 0xfffffffffffff000+8K
fails 122 "no byte at all" "a range" translate $$ 0x1000+0
fails 122 "too large" "a range" translate $$ 0-0xffffffffffffffff
fails 122 "no such source" "source" list --source tea
fails 122 "too short" "interval" watch $$ --interval 1us
fails 122 "has no unit" "interval" watch $$ --interval 5
fails 122 "the byte: '256' is out of range" "poke" poke $$ 0x1000 256
fails 122 "poke takes" "poke" poke 0x1000 1
fails 122 "whose child" "reparent" reparent $$
fails 122 "--physical" "poke" poke --physical x 1
attempt "${proc[@]}"
check "no subcommand: 122" has_status 122
attempt "${proc[@]}" translate --help
check "--help: 0" has_status 0
finish
