#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `matrix cloud` as a whole: the contract and its report, how a run can end, and where what guests
# print goes when its readers are slow, gone or dead. Usage: cloud.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm

here=$(cd "$(dirname "$0")" && pwd)
source_root=$here/../..
yaml=$scratch/cloud.yaml
saved=$scratch/report.json

# A file with these guests, each given as the inside of a YAML mapping.
guests() {
    echo "guests:"
    printf '  - {%s}\n' "$@"
} # >"$yaml"

# Runs the file for so long: DURATION OPTION...
cloud() {
    rm -f "$saved"
    attempt timeout 60 "$matrix" cloud --report "$saved" --duration "$1" "${@:2}" "$yaml"
}

# The same, with a reader of reader.py: READER DURATION OPTION...
cloud_for() {
    rm -f "$saved"
    attempt timeout 60 python3 "$here/reader.py" "$1" \
        "$matrix" cloud --report "$saved" --duration "$2" "${@:3}" "$yaml"
}

# The same in the background, as $pid, for signals; what it prints can be waited for.
cloud_begins() {
    rm -f "$saved"
    : >"$scratch/out"
    : >"$scratch/err"
    "$matrix" cloud --plain --report "$saved" --duration 60s "$yaml" \
        >"$scratch/out" 2>"$scratch/err" </dev/null &
    pid=$!
    status=0
}
wait_for_text() { # TEXT FILE
    for _ in {1..200}; do
        grep -qF "$1" "$2" && return
        sleep 0.05
    done
}

# A Python expression of `result`, the report that was saved, and `guest`, its guests by name.
reported() {
    python3 - "$saved" "$1" <<'END' 2>>"$scratch/err"
import json, sys
result = json.load(open(sys.argv[1]))
guest = {each["name"]: each for each in result["guests"]}
sys.exit(0 if eval(sys.argv[2]) else 1)
END
}

lines() { grep -cE "$1" "$2" || true; }        # how many lines of a file match
all_lines() { ! grep -qvE "$1" "$2"; }         # every line of a file matches
same_text() { [ "$(cat "$1")" = "$2" ]; }
lacks() { ! grep -qF -e "$1" "$2"; }

# mutter LINES: prints so many lines of 64 bytes, then computes for ever. Built as
# docs/write-a-guest.md tells it.
cat >"$scratch/mutter.c" <<'END'
#include <matrix/guest/sdk.h>
int main(int argc, char **argv, char **envp)
{
    uint64_t lines = 0;
    if (argc != 2 || !matrix_parse_u64(argv[1], &lines))
        return 2;
    for (uint64_t line = 1; line <= lines; line++)
        matrix_printf("%049lu said line %lu\n", line, line);
    for (;;)
        matrix_work_add(1);
}
END
attempt gcc -O2 -static -nostdlib -ffreestanding -fno-stack-protector -no-pie \
    -I"$source_root/include" -o "$scratch/mutter.elf" "$scratch/mutter.c" \
    "$source_root/guest/start.c" "$source_root/guest/library.c"
check "a guest of one's own is built as the manual says" has_status 0
mutter=$scratch/mutter.elf

# --- the example, and its report -------------------------------------------------------------------
cp "$source_root/examples/matrix.yaml" "$yaml"
cloud 2s
check "the example: status 0" has_status 0
check "the example: version 1" reported 'result["version"] == 1'
check "the example: its duration" reported '2e9 <= result["duration_ns"] < 60e9'
check "the example: its slice" reported 'result["slice_ns"] == 1000000'
check "the example: pinned to a core" reported 'isinstance(result["core"], int)'
check "the example: the guests in order, with their weights" reported \
    '[(g["name"], g["weight"]) for g in result["guests"]] == [("neo", 70), ("morpheus", 30)]'
check "the example: what was promised" reported \
    'abs(guest["neo"]["promised"] - 0.7) < 1e-6 and abs(guest["morpheus"]["promised"] - 0.3) < 1e-6'
check "the example: what was given" reported \
    'abs(guest["neo"]["given"] - 0.7) < 0.005 and abs(guest["morpheus"]["given"] - 0.3) < 0.005'
check "the example: given in all is 1" reported \
    'abs(sum(g["given"] for g in result["guests"]) - 1) < 1e-9'
check "the example: the error is the difference" reported \
    'all(abs(g["error_pp"] - 100 * (g["given"] - g["promised"])) < 1e-6 for g in result["guests"])'
check "the example: CPU time adds up" reported \
    'sum(g["cpu_ns"] for g in result["guests"]) == result["scheduler"]["guests_cpu_ns"]'
check "the example: time with company and alone is all the time" reported \
    'all(abs(g["contended_cpu_ns"] + g["alone_cpu_ns"] - g["cpu_ns"]) < 1000 for g in result["guests"])'
check "the example: they worked" reported 'all(g["work"] > 0 for g in result["guests"])'
check "the example: they were stopped, and have no status" reported \
    'all(g["state"] == "stopped" and g["exit_status"] is None for g in result["guests"])'
check "the example: both were preempted" reported \
    'all(0 < g["preemptions"] and 0 < g["slices"] for g in result["guests"])'
for field in version duration_ns core slice_ns scheduler guests; do
    check "the report has $field" reported "'$field' in result"
done
for field in overhead_ns guests_cpu_ns idle_ns switches decisions timer_signals stale_signals \
    delay_median_ns delay_p99_ns delay_worst_ns; do
    check "the report has scheduler.$field" reported "type(result['scheduler']['$field']) is int"
done
for field in name weight promised given error_pp cpu_ns contended_cpu_ns contended_total_ns \
    entitled_ns alone_cpu_ns work slices preemptions io_switches exits dropped_lines dropped_bytes \
    state exit_status; do
    check "each guest has $field" reported "all('$field' in g for g in result['guests'])"
done
for kind in io interrupted fault mmio shutdown other; do
    check "each guest has exits.$kind" reported "all(type(g['exits']['$kind']) is int for g in result['guests'])"
done
documented() {
    python3 - "$saved" "$source_root/docs/cloud.md" <<'END'
import json, sys
result, manual = json.load(open(sys.argv[1])), open(sys.argv[2]).read()
names = set(result) - {"scheduler"} | set(result["scheduler"]) | set(result["guests"][0]) | set(result["guests"][0]["exits"])
missing = [name for name in names if f"`{name}`" not in manual and f"`scheduler.{name}`" not in manual]
print("# not in docs/cloud.md:", *missing) if missing else None
sys.exit(bool(missing))
END
}
check "every field is in the manual" documented
check "for people: the table's head" \
    grep -qE '^guest +weight +promised +given +error +CPU time +work +slices' "$scratch/out"
check "for people: a row for neo" grep -qE '^neo +70 +70\.000 % +(69|70)\.' "$scratch/out"
check "for people: a row for morpheus" grep -qE '^morpheus +30 +30\.000 % +(29|30)\.' "$scratch/out"
check "for people: the loop's own part" prints "charged to nobody"
check "for people: the delay of a switch" prints "From a slice's end"
check "what guests print is tagged" grep -qE '^neo: [0-9]+ units, digest [0-9a-f]{16}$' "$scratch/out"
check "how it goes is said meanwhile" grep -qE 's +neo .*morpheus ' "$scratch/err"
check "and without control characters" lacks $'\033' "$scratch/err"

# --- options ---------------------------------------------------------------------------------------
guests 'name: neo, image: neo, args: [--every, "500"]' 'name: spin, image: spin' >"$yaml"
cloud 500ms --json
check "--json: standard output is JSON, and nothing else" json 'result["version"] == 1'
check "--json: what guests print is on standard error" \
    grep -qE '^neo: [0-9]+ units, digest' "$scratch/err"
check "--json: the same as --report" cmp -s "$scratch/out" "$saved"
cloud 500ms --quiet
check "--quiet: nothing on standard error" is_silent
check "--quiet: only what guests print" all_lines '^neo: [0-9]+ units, digest' "$scratch/out"
check "--quiet: that is there" grep -q '^neo: ' "$scratch/out"
check "--quiet: and the report for machines" reported '"spin" in guest'
cloud 500ms --json --quiet
check "--json --quiet: JSON" json 'len(result["guests"]) == 2'
check "--json --quiet: no report for people" lacks promised "$scratch/err"
cloud 200ms --core any
check "--core any: no core" reported 'result["core"] is None'
cloud 200ms --core 0 --slice 250us
check "--core 0" reported 'result["core"] == 0'
check "--slice" reported 'result["slice_ns"] == 250000'
{ echo "core: any"; echo "slice: 2ms"; guests 'name: a, image: spin'; } >"$yaml"
cloud 200ms
check "core: any, in the file" reported 'result["core"] is None'
check "slice: 2ms, in the file" reported 'result["slice_ns"] == 2000000'
check "a guest alone: no share" reported 'guest["a"]["promised"] is guest["a"]["given"] is None'
check "a guest alone: all its time" reported 'guest["a"]["alone_cpu_ns"] == guest["a"]["cpu_ns"] > 0'
echo "a longer report than the next $(seq 20000)" >"$scratch/long.json"
attempt "$matrix" cloud --plain --duration 100ms --report "$scratch/long.json" "$yaml"
cp "$scratch/long.json" "$saved"
check "--report: nothing is left of what the file had" reported 'result["version"] == 1'

# --- shares and ends --------------------------------------------------------------------------------
guests 'name: a, image: spin, weight: 50' 'name: b, image: spin, weight: 30' \
    'name: c, image: spin, weight: 20' >"$yaml"
cloud 1s
for pair in a:0.5 b:0.3 c:0.2; do
    check "three guests: ${pair%:*} has ${pair#*:}" reported \
        "abs(guest['${pair%:*}']['given'] - ${pair#*:}) < 0.01 and abs(guest['${pair%:*}']['promised'] - ${pair#*:}) < 1e-6"
done

guests 'name: neo, image: neo, args: [--units, "20000"]' 'name: spin, image: spin' >"$yaml"
cloud 1500ms
check "one ends early: status 0" has_status 0
check "one ends early: it exited with 0" reported \
    'guest["neo"]["state"] == "exited" and guest["neo"]["exit_status"] == 0'
check "one ends early: the other has the core" reported 'guest["spin"]["alone_cpu_ns"] > 0'
check "one ends early: shares are of the time before" reported \
    'abs(guest["spin"]["given"] - 0.5) < 0.02 and abs(guest["spin"]["promised"] - 0.5) < 1e-6'
check "one ends early: it is said" prints "spin had the core to itself"
check "one ends early: exited, status 0" prints "exited, status 0"

guests 'name: three, image: status, args: ["3"]' 'name: fine, image: hello' >"$yaml"
cloud 20s
check "a guest's status 3: 1 in all" has_status 1
check "a guest's status 3: reported" reported \
    'guest["three"]["exit_status"] == 3 and guest["fine"]["exit_status"] == 0'
check "a guest's status 3: for people" prints "exited, status 3"
check "all have ended: so has the run" reported 'result["duration_ns"] < 15e9'

guests 'name: bad, image: faulty, args: [divide]' 'name: three, image: status, args: ["3"]' \
    'name: good, image: spin' >"$yaml"
cloud 300ms
check "a fault: 120" has_status 120
check "a fault: its report" complains "guest bad, vCPU 0: divide error"
check "a fault: its state" reported 'guest["bad"]["state"] == "faulted" and guest["bad"]["exit_status"] is None'
check "a fault: the other went on" reported 'guest["good"]["state"] == "stopped" and guest["good"]["work"] > 0'
guests 'name: good, image: spin' 'name: bad, image: faulty, args: [divide]' >"$yaml"
cloud_begins
wait_for_text "called from" "$scratch/err"
check "a fault: the report comes while the other goes on" \
    eval 'complains "divide error" && kill -0 "$pid"'
kill "$pid"
wait "$pid" || status=$?
check "a fault, then SIGTERM: 143" has_status 143
check "a fault, then SIGTERM: the contract's report" grep -qE '^bad .*faulted' "$scratch/out"
check "a fault is reported once" [ "$(lines 'divide error' "$scratch/err")" -eq 1 ]

guests 'name: neo, image: neo, args: [--every, "500"]' 'name: spin, image: spin' >"$yaml"
set -m # so that SIGINT is not ignored in background jobs
for pair in INT:130 TERM:143 HUP:129; do
    cloud_begins
    wait_for_text neo: "$scratch/out"
    kill "-${pair%:*}" "$pid"
    wait "$pid" || status=$?
    check "SIG${pair%:*}: ${pair#*:}" has_status "${pair#*:}"
    check "SIG${pair%:*}: the report for people" grep -qE '^neo .*stopped$' "$scratch/out"
    check "SIG${pair%:*}: the report for machines" reported 'guest["neo"]["state"] == "stopped"'
done
set +m

# --- output ---------------------------------------------------------------------------------------------
guests 'name: a, image: chatter, args: ["5000"]' 'name: b, image: chatter, args: ["5000"]' >"$yaml"
cloud 60s --quiet
check "two that chatter, into a file: no line is mixed" all_lines '^(a|b): line [0-9]+$' "$scratch/out"
check "two that chatter, into a file: all lines, in order" eval \
    'diff <(grep ^a: "$scratch/out") <(seq 5000 | sed "s/^/a: line /") >/dev/null &&
     diff <(grep ^b: "$scratch/out") <(seq 5000 | sed "s/^/b: line /") >/dev/null'
guests 'name: a, image: chatter, args: ["20000"]' 'name: b, image: chatter, args: ["20000"]' >"$yaml"
"$matrix" cloud --quiet --report "$saved" "$yaml" 2>"$scratch/err" | { sleep 0.3; cat; } >"$scratch/out"
check "two that chatter, into a slow pipe: no line is mixed" \
    all_lines '^(a|b): line [0-9]+$' "$scratch/out"
for name in a b; do
    check "two that chatter, into a slow pipe: $name's lines and dropped ones are all" reported \
        "$(lines "^$name: " "$scratch/out") + guest['$name']['dropped_lines'] == 20000"
done

guests 'name: a, image: chatter, args: ["60000"]' >"$yaml"
cloud 60s --plain
count=$(lines '^a: line [0-9]+$' "$scratch/out")
dropped=$((60000 - count))
check "the rate limit: what is not printed is counted" \
    reported "guest['a']['dropped_lines'] == $dropped"
# A slow machine may not reach the limit: then there is nothing to say, and nothing is said.
said=$(grep -cE '^a .*dropped' "$scratch/out" || true)
check "the rate limit: it is said when it was reached" test "$said" -eq "$((dropped > 0))"
check "the rate limit: bytes, too" reported "guest['a']['dropped_bytes'] >= 10 * $dropped"

# --- files of their own -----------------------------------------------------------------------------------
mkdir "$scratch/beside"
guests "name: a, image: chatter, args: ['100'], output: a.log" 'name: b, image: chatter, args: ["5"]' \
    >"$scratch/beside/cloud.yaml"
echo old >"$scratch/beside/a.log"
(cd / && timeout 20 "$matrix" cloud --quiet "$scratch/beside/cloud.yaml" >"$scratch/out" 2>"$scratch/err")
check "output: beside the file, without tags, nothing old" \
    same_text "$scratch/beside/a.log" "$(seq 100 | sed 's/^/line /')"
check "output: only the other's on standard output" all_lines '^b: ' "$scratch/out"
for second in both.log ./both.log; do
    guests 'name: a, image: chatter, args: ["4000"], output: both.log' \
        "name: b, image: chatter, args: ['4000'], output: $second" >"$yaml"
    cloud 60s --quiet
    check "two into one file (the second: $second): status 0" has_status 0
    check "two into one file (the second: $second): no line is lost or mixed" \
        same_text <(grep -oE 'line [0-9]+$' "$scratch/both.log" | sort -V) \
        "$(printf 'line %d\n' {1..4000} {1..4000} | sort -V)"
done
guests 'name: trinity, image: chatter, args: ["20000"], output: /dev/full' 'name: b, image: spin' >"$yaml"
cloud 1s
check "output: a full disk: 125" has_status 125
check "output: a full disk: names guest and path" eval 'complains trinity && complains /dev/full'
check "output: a full disk: says why" complains "No space left"

# --- standard output ------------------------------------------------------------------------------------------
guests 'name: a, image: chatter' 'name: b, image: spin' >"$yaml"
rm -f "$saved"
status=0
timeout 20 "$matrix" cloud --duration 500ms --report "$saved" "$yaml" >&- 2>"$scratch/err" || status=$?
check "closed standard output: the report is a report" reported '"a" in guest'
check "closed standard output: it ends by itself" [ "$status" -ne 124 ]
rm -f "$saved"
timeout 20 "$matrix" cloud --duration 500ms --report "$saved" "$yaml" >/dev/null 2>&- || true
check "closed standard error: the report is a report" reported '"a" in guest'
rm -f "$saved"
timeout 20 "$matrix" cloud --duration 500ms --report "$saved" "$yaml" <&- >&- 2>&- || true
check "all closed: the report is a report" reported '"a" in guest'
set +e
timeout 20 "$matrix" cloud --plain --duration 1s "$yaml" 2>"$scratch/err" | head -n 1 >"$scratch/out"
status=${PIPESTATUS[0]}
set -e
check "the reader is gone: 141" has_status 141
check "the reader is gone: it has had its line" same_text "$scratch/out" "a: line 1"
status=0
timeout 20 "$matrix" cloud --plain --duration 1s "$yaml" >/dev/full 2>"$scratch/err" || status=$?
check "standard output on a full disk: 125" has_status 125
check "standard output on a full disk: it is said" complains "No space left"
status=0
guests 'name: b, image: spin' >"$yaml"
timeout 20 "$matrix" cloud --plain --duration 200ms "$yaml" >/dev/full 2>"$scratch/err" || status=$?
check "the report on a full disk: 125" has_status 125

# --- readers that stand still ---------------------------------------------------------------------------------
guests 'name: a, image: chatter' 'name: b, image: spin' >"$yaml"
cloud_for stalled 2s
check "a stalled terminal: the run ends by itself" has_status 0
check "a stalled terminal: with its report" reported 'guest["b"]["work"] > 0'
check "a stalled terminal: after its duration" reported 'result["duration_ns"] < 10e9'
cloud_for stalled-term 60s
check "a stalled terminal: SIGTERM ends it" has_status 143
check "a stalled terminal: SIGTERM, with the report" reported 'guest["b"]["state"] == "stopped"'
# Lines that wait are looked after every 2 ms; no end of a slice may be lost in between.
guests "name: m, image: $mutter, args: ['1100']" 'name: b, image: spin' >"$yaml"
for round in 1 2 3; do
    cloud_for stalled 500ms --plain
    check "a stalled terminal, round $round: the run ends by itself" has_status 0
    check "a stalled terminal, round $round: the shares hold" reported \
        'abs(guest["b"]["given"] - 0.5) < 0.02'
done
guests 'name: a, image: chatter' 'name: b, image: spin' >"$yaml"
attempt timeout 60 python3 "$here/reader.py" stalled "$matrix" run --timeout 2s chatter
check "a stalled terminal, matrix run: the time limit" has_status 124
attempt timeout 60 python3 "$here/reader.py" stalled-term "$matrix" run chatter
check "a stalled terminal, matrix run: SIGTERM ends it" has_status 143
cloud_for stderr 2s --plain
check "a stalled standard error: the run ends by itself" has_status 0
check "a stalled standard error: after its duration" reported 'result["duration_ns"] < 10e9'
check "a stalled standard error: guests print on" prints "a: line 1000"
cloud_for stderr-term 60s --plain
check "a stalled standard error: SIGTERM ends it" has_status 143
cloud_for stderr 1s --json
check "a stalled standard error, --json: the run ends by itself" has_status 0
check "a stalled standard error, --json: with its report" json 'result["version"] == 1'
guests 'name: bad, image: faulty, args: [divide]' 'name: a, image: chatter' >"$yaml"
cloud_for stderr 1500ms --plain
check "a stalled standard error, and a fault: the run ends by itself" has_status 120
check "a stalled standard error, and a fault: with its report" reported \
    'guest["bad"]["state"] == "faulted" and result["duration_ns"] < 10e9'

# --- readers that are slow ------------------------------------------------------------------------------------
slow_run() { # LINES: the lines that arrived, and the status, in a file
    set +e
    timeout 60 "$matrix" run chatter "$1" | { sleep 2; wc -l; } >"$scratch/count$1"
    echo "${PIPESTATUS[0]}" >>"$scratch/count$1"
}
for count in 3000 11000 20000; do slow_run "$count" & done
wait
for count in 3000 11000 20000; do
    check "matrix run, a reader 2 s late: all $count lines, status 0" \
        same_text "$scratch/count$count" "$count"$'\n'0
done
attempt timeout 60 python3 "$here/reader.py" late="said line 1500" "$matrix" run "$mutter" 1500
check "matrix run, a reader 0.3 s late: has the last line before a long computation" has_status 143
guests "name: m, image: $mutter, args: ['1100']" 'name: b, image: spin' >"$yaml"
cloud_for late="said line 1100" 60s --plain
check "a reader 0.3 s late: has the last line before a long computation" has_status 143
guests "name: m, image: $mutter, args: ['1100']" >"$yaml"
cloud_for late="said line 1100" 60s --plain
check "a reader 0.3 s late: has the line of a guest that is alone" has_status 143
guests 'name: flood, image: chatter' 'name: neo, image: neo, args: [--every, "2000"]' >"$yaml"
cloud_for trickle 2s --plain
check "a flood and a slow reader: what is dropped is the flood's" reported \
    'guest["flood"]["dropped_lines"] > 0'
check "a flood and a slow reader: a neighbour loses nothing" reported \
    'guest["neo"]["dropped_lines"] == 0'
check "a flood and a slow reader: the neighbour's lines come" grep -q '^neo: ' "$scratch/out"

# --- the live table ---------------------------------------------------------------------------------------------
last_is() { # of all control sequences that begin like this the last is: SEQUENCE ONE-OR-OTHER
    [ "$(grep -oaE $'\033\\[\\?'"$1[hl]" "$scratch/out" | tail -n 1)" = $'\033[?'"$1$2" ]
}
guests 'name: neo, image: neo, args: [--every, "2000"]' 'name: morpheus, image: morpheus' >"$yaml"
cloud_for terminal 1s
check "the live table: status 0" has_status 0
check "the live table: drawn" prints "share of the core"
check "the live table: neo's row" grep -qaE '^  neo +50\.00 %' "$scratch/out"
check "the live table: morpheus' row" grep -qaE '^  morpheus +50\.00 %' "$scratch/out"
check "the live table: drawn over" grep -qaE $'\033\\[[0-9]+A' "$scratch/out"
check "the live table: guests' lines above it" grep -qaE '^(.*\[J)?neo: [0-9]+ units' "$scratch/out"
check "the live table: the cursor is hidden" prints $'\033[?25l'
check "the live table: at the end the cursor is back" last_is 25 h
check "the live table: at the end lines wrap" last_is 7 h
check "the live table: the report comes last" eval \
    '[ "$(grep -naE "^neo +100 +50" "$scratch/out" | tail -n 1 | cut -d: -f1)" -gt "$(grep -na "share of the core" "$scratch/out" | tail -n 1 | cut -d: -f1)" ]'
cloud_for terminal-term 60s
check "the live table: SIGTERM: 143" has_status 143
check "the live table: SIGTERM: the cursor is back" last_is 25 h
cloud_for terminal 500ms --plain
check "--plain: no control sequence, even on a terminal" lacks $'\033' "$scratch/out"
cloud_for terminal 500ms --quiet
check "--quiet: no control sequence, even on a terminal" lacks $'\033' "$scratch/out"
{ echo "guests:"; for i in {1..40}; do echo "  - {name: g$i, image: spin, memory: 2M}"; done; } >"$yaml"
cloud_for terminal 700ms
check "the live table: 40 guests on 24 lines" grep -qaE '\.\.\. and [0-9]+ more' "$scratch/out"
guests 'name: bad, image: faulty, args: [divide]' 'name: good, image: spin' >"$yaml"
cloud_for terminal 600ms
check "the live table: a fault's report" prints "divide error"
check "the live table: a fault: the cursor is back" last_is 25 h

# --- many -----------------------------------------------------------------------------------------------------------
{
    echo "guests:"
    for i in {1..299}; do echo "  - {name: g$i, image: status, args: ['0'], memory: 2M}"; done
    echo "  - {name: spin, image: spin, memory: 2M}"
} >"$yaml"
attempt bash -c 'ulimit -n 1024; exec timeout 60 "$@"' - \
    "$matrix" cloud --plain --report "$saved" --duration 2s "$yaml"
check "300 guests with 1024 files: status 0" has_status 0
check "300 guests with 1024 files: all ran" reported \
    'len(guest) == 300 and all(g["exit_status"] == 0 for g in guest.values() if g["name"] != "spin")'
check "300 guests with 1024 files: the last had the rest" reported 'guest["spin"]["alone_cpu_ns"] > 0'
for files in 99 100 101; do # so that it comes to an end at the image, the VM, the vCPU
    attempt bash -c 'ulimit -n "$1"; exec timeout 60 "${@:2}"' - "$files" \
        "$matrix" cloud --plain --duration 1s "$yaml"
    check "300 guests with $files files: 125" has_status 125
    check "300 guests with $files files: says why" complains "Too many open files"
done
finish
