#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `matrix ksm record, mark, export, top, plot`: real processes on the host's KSM, marks while it runs,
# ends of every kind, pictures, bad arguments.
# Usage: ksm_record.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
ksm=("$matrix" ksm)
knobs=/sys/kernel/mm/ksm
started=()
changed=()
build=$(cd "$build" && pwd)
matrix=$build/matrix
ksm=("$matrix" ksm)

put_back() {
    local change
    for change in "${changed[@]}"; do
        echo "${change#*=}" >"$knobs/${change%%=*}" || true
    done
    changed=()
}
trap 'kill -9 "${started[@]}" 2>/dev/null || true; put_back; rm -rf "$scratch"' EXIT
knob() { # NAME VALUE: put back at the end
    changed=("$1=$(cat "$knobs/$1")" "${changed[@]}")
    echo "$2" >"$knobs/$1"
}
fails() { # STATUS COMPLAINT NAME ARGUMENT...
    local wanted=$1 complaint=$2 name=$3 outcome=0
    shift 3
    attempt timeout 60 "${ksm[@]}" "$@"
    { has_status "$wanted" && complains "$complaint" && [ ! -s "$scratch/out" ]; } || outcome=1
    result "$outcome" "$name: $complaint"
}
# What the rows of an exported recording say: a Python expression of `rows`, `heads` and `number`.
csv() {
    python3 -c 'import csv, sys
rows = list(csv.DictReader(open(sys.argv[1])))
heads = list(rows[0])
host = [row for row in rows if row["subject"] == "host"]
def of(pid): return [row for row in rows if row["pid"] == str(pid)]
sys.exit(0 if eval(sys.argv[2]) else 1)' "$scratch/out" "$1"
}
if [ ! -r "$knobs/run" ]; then
    fails 125 "look at KSM" "a kernel without KSM" record --duration 1s --out "$scratch/x.sqlite"
    skip "everything else" "this kernel has no $knobs"
    finish
    exit
fi

# --- the host ----------------------------------------------------------------------------------
cd "$scratch"
attempt "${ksm[@]}" record --host-only --interval 20ms --duration 2s --out host.sqlite
check "record ends when its time is over" has_status 0
check "and says how many samples there are" complains "samples in host.sqlite"
check "and at its start where to, and how it ends" complains "recording to host.sqlite every 20.00 ms; Ctrl-C ends it"
check "the recording is one file" [ "$(echo host.sqlite*)" = host.sqlite ]
attempt "${ksm[@]}" export host.sqlite
for file in "$knobs"/*; do
    csv "'${file##*/}' in heads" || { echo "# no column ${file##*/}"; touch missing; }
done
check "there is a column for every file of the kernel's" [ ! -e missing ]
check "a setting is what the file says" csv "host[0]['max_page_sharing'] == '$(cat $knobs/max_page_sharing)'"
if [ -e $knobs/advisor_mode ]; then
    check "a text is what the file says" csv "host[0]['advisor_mode'] == '$(cat $knobs/advisor_mode)'"
fi
if [ -e $knobs/general_profit ]; then
    check "general_profit is the kernel's" csv "'general_profit_computed' not in heads"
else
    check "general_profit is computed, and says so" csv "'general_profit_computed' in heads"
fi
check "free memory is there" csv "all(int(row['memory_available_bytes']) > 0 for row in host)"
check "more than one sample" csv "len(host) > 2"
check "time goes forward" csv "sorted(float(r['time_s']) for r in host) == [float(r['time_s']) for r in host]"
# As many as have passed when it was taken; what comes between that and its time makes some of them late.
check "taken and missed: every interval is one or the other" csv \
    "(lambda late: min(late) > -1 and sorted(late)[len(late) // 2] < 2)([
        float(row['time_s']) / 0.02 - i - sum(int(r['missed']) for r in host[:i + 1]) for i, row in enumerate(host)])"
fails 122 "is there already" "no recording is written over" record --duration 50ms --out host.sqlite
mkdir folder
fails 122 "folder is a directory" "a directory is no file" record --duration 50ms --out folder
check "and what helps there" complains "name a file in it"
attempt "${ksm[@]}" record --host-only --interval 20ms --duration 100ms --out host.sqlite --append --title again
check "--append adds to it" has_status 0
attempt "${ksm[@]}" export --json host.sqlite
check "two sessions, the second with its title" python3 -c 'import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
sessions = [line for line in lines if line["type"] == "session"]
assert [session["title"] for session in sessions] == ["", "again"]
assert all(session["ended_ns"] for session in sessions)
assert {line["session"] for line in lines if line["type"] == "sample"} == {1, 2}' out

# --- processes, merged by the kernel -----------------------------------------------------------
cat >twins.py <<'PY'
# Two processes with the same 200 pages, no two of a process equal; prints their pids.
import mmap, os, sys, time
for twin in range(2):
    if os.fork() == 0:
        memory = mmap.mmap(-1, 200 * 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_MERGEABLE)
        for page in range(200):
            memory[page * 4096:(page + 1) * 4096] = (b"twin%d-%d" % (os.getppid(), page)).ljust(4096, b".")
        print(os.getpid(), flush=True)
        time.sleep(600)
        os._exit(0)
time.sleep(600)
PY
if [ -w $knobs/run ] && [ -e /proc/self/ksm_merging_pages ]; then
    exec 9>/run/lock/matrix-ksm
    flock 9
    python3 twins.py >pids 9>&- &
    started+=($!)
    disown
    until [ "$(wc -l <pids)" -eq 2 ]; do sleep 0.05; done
    mapfile -t pids <pids
    started+=("${pids[@]}")
    knob pages_to_scan 5000
    knob sleep_millisecs 10
    [ ! -e $knobs/smart_scan ] || knob smart_scan 0 # or equal pages may never be compared
    knob run 1
    "${ksm[@]}" record --interval 100ms --out twins.sqlite --pid "${pids[0]}" --pid "${pids[1]}" 2>ends 9>&- &
    recorder=$!
    merged() { [ "$(cat "/proc/${pids[0]}/ksm_merging_pages")" -eq 200 ] && [ "$(cat "/proc/${pids[1]}/ksm_merging_pages")" -eq 200 ]; }
    for _ in $(seq 1200); do merged && break; sleep 0.1; done
    recorded() { attempt "${ksm[@]}" export twins.sqlite && csv "$1"; }
    for _ in $(seq 300); do recorded "all(of(pid)[-1]['ksm_merging_pages'] == '200' for pid in (${pids[0]}, ${pids[1]}))" && break; sleep 0.1; done
    attempt "${ksm[@]}" mark --file twins.sqlite "merged"
    check "a mark while it records" has_status 0
    kill -9 "${pids[0]}"
    for _ in $(seq 300); do recorded "len(of(${pids[0]})) < len(of(${pids[1]}))" && break; sleep 0.1; done
    kill -9 "${pids[1]}"
    ended=0
    wait "$recorder" || ended=$?
    check "when the last of the named processes has ended, so does the recorder" [ "$ended" -eq 0 ]
    check "and says who" grep -q "process ${pids[0]} (python3) has ended" ends
    put_back
    flock -u 9
    attempt "${ksm[@]}" export twins.sqlite
    check "what the kernel has merged was recorded" csv \
        "all(of(pid)[-1]['ksm_merging_pages'] == '200' for pid in (${pids[0]}, ${pids[1]}))"
    check "from nothing on" csv "of(${pids[0]})[0]['ksm_merging_pages'] != '200' or len(host) > 3"
    check "resident memory, too" csv "int(of(${pids[0]})[0]['resident_bytes']) > 200 * 4096"
    check "the first to end is in fewer samples" csv "len(of(${pids[0]})) < len(of(${pids[1]}))"
    check "the mark stands between samples" csv "[row['mark'] for row in rows if row['subject'] == 'mark'] == ['merged']"
    check "ksmd has cost something" csv "int(host[-1]['ksmd_cpu_ns']) > int(host[0]['ksmd_cpu_ns'])"
    for kind in svg png; do
        attempt "${ksm[@]}" plot twins.sqlite host.sqlite --out twins.$kind
        check "plot: $kind" has_status 0
        check "a picture, not empty, nothing said" eval 'is_silent && [ "$(wc -c <twins.$kind)" -gt 4000 ]'
    done
    check "its axes have units" grep -qE 'pages shared \((KiB|MiB|GiB)\)' twins.svg
    check "the mark has its label" grep -q '>merged<' twins.svg
    attempt "${ksm[@]}" plot twins.sqlite --what ksm_merging_pages --out each.svg
    check "a curve for each process" grep -q "python3 (${pids[1]})" each.svg
    attempt "${ksm[@]}" plot twins.sqlite --terminal
    check "plot in the terminal" prints "general profit"
    check "its marks are listed" prints "merged"
else
    skip "processes that are merged" "needs root, to have the kernel merge"
fi

# --- a command ---------------------------------------------------------------------------------
attempt "${ksm[@]}" record --interval 20ms --out command.sqlite -- sh -c 'sleep 2; exit 7'
check "the status of a command is kept" has_status 7
attempt "${ksm[@]}" export command.sqlite
check "what it starts is recorded with it" csv "len({row['pid'] for row in rows if row['pid']}) == 2"
attempt "${ksm[@]}" record --interval 20ms --out killed.sqlite sh -c 'kill -KILL $$'
check "as a shell tells it: 128 and the signal" has_status 137
fails 125 "start /nonexistent: No such file" "a command that is none" record --out none.sqlite /nonexistent
check "nothing is left of what did not begin" [ ! -e none.sqlite ]
attempt "${ksm[@]}" record --interval 20ms --duration 200ms --out time.sqlite -- sleep 600
check "--duration ends a command by SIGTERM, and its status is kept" has_status 143
# A command that ends some time after the signal, and marks when it has come.
cat >slow.sh <<SH
trap '"$matrix" ksm mark --file "\$2" signal; sleep 2; exit 9' \$1
for _ in {1..1200}; do sleep 0.05; : >begun; done
SH
after() { csv "[r['subject'] for r in rows[[r['mark'] for r in rows].index('signal'):]].count('host') > 2"; }
attempt timeout --preserve-status --signal INT 3 "${ksm[@]}" record --interval 20ms --out slow.sqlite -- bash slow.sh INT slow.sqlite
check "Ctrl-C is the command's, and its status is kept" has_status 9
attempt "${ksm[@]}" export slow.sqlite
check "until it has ended it is recorded" after
for signal in TERM HUP; do
    rm -f begun
    "${ksm[@]}" record --interval 20ms --out slow$signal.sqlite -- bash slow.sh $signal slow$signal.sqlite 2>/dev/null &
    recorder=$!
    started+=("$recorder")
    until [ -e begun ] || ! kill -0 "$recorder"; do sleep 0.05; done
    kill -"$signal" "$recorder"
    status=0
    wait "$recorder" || status=$?
    check "SIG$signal is handed on to the command, whose status is kept" has_status 9
    attempt "${ksm[@]}" export slow$signal.sqlite
    check "until it has ended it is recorded" after
done
attempt timeout --signal INT 3 "${ksm[@]}" record --interval 20ms --out int.sqlite -- sleep 600
attempt "${ksm[@]}" export int.sqlite
check "Ctrl-C ends command and recording, which can be read" csv "len(host) > 1"
check "and is one file" [ "$(echo int.sqlite*)" = int.sqlite ]
check "the command is gone" bash -c '! pgrep -f -x "sleep 600" -P 1 >/dev/null'

# --- names -----------------------------------------------------------------------------------------
mkdir names
cd names
for _ in 1 2 3 4; do
    "${ksm[@]}" record --host-only --duration 50ms 2>/dev/null &
    names+=($!)
done
status=0
for name in "${names[@]}"; do wait "$name" || status=$?; done
check "recordings that begin together have names of their own" has_status 0
check "each its own" [ "$(printf '%s\n' ksm-*.sqlite | wc -l)" -eq 4 ]
fails 125 "start /etc/passwd: Permission denied" "a command that is none" record -- /etc/passwd
check "and its recording is not the newest: there is none" [ "$(printf '%s\n' ksm-* | wc -l)" -eq 4 ]
rm ksm-*
"${ksm[@]}" record --host-only --interval 50ms --out night.sqlite 2>/dev/null &
recorder=$!
started+=("$recorder")
until "${ksm[@]}" mark --file night.sqlite begun 2>/dev/null; do sleep 0.05; done
fails 122 "there is no ksm-*.sqlite" "a mark without a name" mark "VM 1 started"
check "what is recorded there is named" complains "name it: --file night.sqlite"
# Two of one second, as record names them: the second is the newest.
cp night.sqlite ksm-20260101-000000.sqlite
cp night.sqlite ksm-20260101-000000-2.sqlite
cp night.sqlite ksm-20260101-000000-10.sqlite
fails 122 "nobody is recording ksm-20260101-000000-10.sqlite" "the newest of a second" mark x
kill "$recorder"
wait "$recorder" || true
cd ..

# --- marks ---------------------------------------------------------------------------------------
"${ksm[@]}" record --host-only --interval 50ms 2>/dev/null &
recorder=$!
started+=("$recorder")
until ls ksm-*.sqlite >/dev/null 2>&1 && "${ksm[@]}" mark "one" 2>/dev/null; do sleep 0.05; done
attempt "${ksm[@]}" mark $'two \x1b[2J "quoted", <b>'
check "the newest recording in the directory is meant" has_status 0
kill -9 "$recorder"
wait "$recorder" 2>/dev/null || true
fails 122 "nobody is recording" "a mark after the recorder was killed" mark "late"
name=$(echo ksm-*.sqlite)
attempt "${ksm[@]}" export "$name"
check "who was killed has recorded till then" csv "len(host) >= 1 and [r['mark'] for r in rows if r['mark']][0] == 'one'"
check "marks are escaped where they are printed" bash -c '! LC_ALL=C grep -q "[^[:print:][:space:]]" "$1"' - out
attempt "${ksm[@]}" plot "$name" --what memory_available_bytes --out marks.svg
check "and in pictures" python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' marks.svg
fails 122 "the text is missing" "mark" mark
cd /
fails 122 "there is no ksm-*.sqlite" "mark where nothing is" mark x
cd "$scratch"

# --- top -----------------------------------------------------------------------------------------
attempt "${ksm[@]}" top --interval 50ms --duration 150ms
check "top: lines where there is no terminal" prints "pages shared"
attempt "${ksm[@]}" top --json --interval 50ms --duration 2s
check "top --json: an object a line" python3 -c 'import json, sys
looks = [json.loads(line) for line in open(sys.argv[1])]
assert len(looks) >= 2 and all(look["pages_shared"] >= 0 for look in looks)
assert looks[0]["merges_per_s"] is None and looks[-1]["merges_per_s"] is not None' out
attempt env LC_ALL=C.UTF-8 TERM=xterm script -qec "stty cols 80 rows 24; $matrix ksm top -i 50ms -d 150ms" /dev/null
check "top on a terminal: a table" prints "PAGES MERGED"
check "the cursor is shown again" prints $'\033[?25h'
attempt env LC_ALL=C TERM=xterm script -qec "stty cols 30 rows 5; $matrix ksm top -i 50ms -d 150ms" /dev/null
check "also on a tiny one" has_status 0
attempt env LC_ALL=C TERM=xterm script -qec "stty cols 0 rows 0; $matrix ksm top -i 50ms -d 150ms" /dev/null
check "on one of size 0 there are processes, too" eval '! prints "pages shared" || grep -A 3 "PAGES MERGED" out | grep -qE "^ +[0-9]+ " || grep -q "^0 processes" out'
attempt timeout 60 bash -c "{ while sleep 0.5 && printf q; do :; done; } | env TERM=xterm script -qec '$matrix ksm top -i 10s' /dev/null"
check "q ends it" has_status 0

# --- bad files and arguments -----------------------------------------------------------------------
fails 122 "nor any SQLite file" "export" export /etc/passwd
fails 125 "No such file" "export" export none-such.sqlite
: >empty.sqlite
fails 122 "is empty" "export" export empty.sqlite
head -c 5000 host.sqlite >cut.sqlite
fails 122 "damaged" "export" export cut.sqlite
mkdir beside
cp host.sqlite beside/ended.sqlite
head -c 5000 int.sqlite >beside/cut.sqlite
fails 122 "nobody is recording beside/ended.sqlite" "a mark on what has ended" mark --file beside/ended.sqlite late
check "and it is what it was" cmp host.sqlite beside/ended.sqlite
# One that was copied while it was written says so for ever.
python3 -c 'import sqlite3, sys
for name in sys.argv[1:]:
    with open(name, "r+b") as file:
        file.seek(18)
        file.write(bytes([2, 2]))' beside/*.sqlite
attempt "${ksm[@]}" export beside/ended.sqlite
check "a copy of one that was being written is read" has_status 0
fails 122 "damaged" "a damaged copy" export beside/cut.sqlite
check "who reads leaves nothing beside a recording" [ "$(echo beside/*)" = "beside/cut.sqlite beside/ended.sqlite" ]
fails 122 "which recording" "export" export
fails 122 "exclude each other" "export --csv --json" export --csv --json host.sqlite
fails 122 "too short" "record" record --interval 1ms
fails 122 "has no unit" "record" record --interval 5
fails 122 "--duration: 0s is too short" "record" record --duration 0s
fails 122 "--duration: 0s is too short" "top" top --duration 0s
fails 122 "not a number" "record" record --pid self
fails 125 "No such process" "record" record --pid 2147483647 --out no.sqlite
fails 122 "make no sense" "record" record --host-only --pid 1 --out no.sqlite
check "nothing was made where nothing was recorded" [ ! -e no.sqlite ]
fails 122 "no such kind of picture" "plot" plot host.sqlite --out x.txt
fails 122 "is no name of a counter" "plot" plot host.sqlite --what 'x"; system("id"' --out x.svg
fails 122 "no such counter" "plot" plot host.sqlite --what no_such --out x.svg
fails 122 "is a text" "plot" plot host.sqlite --what run,advisor_mode --out x.svg
fails 125 "read the template" "plot" plot host.sqlite --template none.gnuplot --out x.svg
check "no picture of nothing" [ ! -e x.svg ]
cp "$build/share/ksm.gnuplot" mine.gnuplot
attempt "${ksm[@]}" plot host.sqlite --template mine.gnuplot --out mine.svg
check "plot by one's own template" [ -s mine.svg ]
attempt "${ksm[@]}" record --help
check "--help: 0" has_status 0
finish
