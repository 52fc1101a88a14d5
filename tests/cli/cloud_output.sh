#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Where what guests of `matrix cloud` print goes, also when its readers are slow, gone or dead, and the live table.
# Usage: cloud_output.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm
. "$(dirname "$0")/cloud_runs.sh"

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

# --- output ---------------------------------------------------------------------------------------------
guests 'name: a, image: chatter, args: ["5000"]' 'name: b, image: chatter, args: ["5000"]' >"$yaml"
cloud 10min --quiet
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
cloud 10min --plain
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
(cd / && timeout 60 "$matrix" cloud --quiet "$scratch/beside/cloud.yaml" >"$scratch/out" 2>"$scratch/err")
check "output: beside the file, without tags, nothing old" \
    same_text "$scratch/beside/a.log" "$(seq 100 | sed 's/^/line /')"
check "output: only the other's on standard output" all_lines '^b: ' "$scratch/out"
for second in both.log ./both.log; do
    guests 'name: a, image: chatter, args: ["4000"], output: both.log' \
        "name: b, image: chatter, args: ['4000'], output: $second" >"$yaml"
    cloud 10min --quiet
    check "two into one file (the second: $second): status 0" has_status 0
    check "two into one file (the second: $second): no line is lost or mixed" \
        same_text <(grep -oE 'line [0-9]+$' "$scratch/both.log" | sort -V) \
        "$(printf 'line %d\n' {1..4000} {1..4000} | sort -V)"
done
guests 'name: trinity, image: chatter, args: ["20000"], output: /dev/full' 'name: b, image: spin, stop-with: [trinity]' >"$yaml"
cloud 10min
check "output: a full disk: 125" has_status 125
check "output: a full disk: names guest and path" eval 'complains trinity && complains /dev/full'
check "output: a full disk: says why" complains "No space left"

# --- standard output ------------------------------------------------------------------------------------------
guests 'name: a, image: chatter' 'name: b, image: spin' >"$yaml"
rm -f "$saved"
status=0
timeout 60 "$matrix" cloud --duration 500ms --report "$saved" "$yaml" >&- 2>"$scratch/err" || status=$?
check "closed standard output: the report is a report" reported '"a" in guest'
check "closed standard output: it ends by itself" [ "$status" -ne 124 ]
rm -f "$saved"
timeout 60 "$matrix" cloud --duration 500ms --report "$saved" "$yaml" >/dev/null 2>&- || true
check "closed standard error: the report is a report" reported '"a" in guest'
rm -f "$saved"
timeout 60 "$matrix" cloud --duration 500ms --report "$saved" "$yaml" <&- >&- 2>&- || true
check "all closed: the report is a report" reported '"a" in guest'
set +e
timeout 60 "$matrix" cloud --plain --duration 10min "$yaml" 2>"$scratch/err" | head -n 1 >"$scratch/out"
status=${PIPESTATUS[0]}
set -e
check "the reader is gone: 141" has_status 141
check "the reader is gone: it has had its line" same_text "$scratch/out" "a: line 1"
status=0
timeout 60 "$matrix" cloud --plain --duration 1s "$yaml" >/dev/full 2>"$scratch/err" || status=$?
check "standard output on a full disk: 125" has_status 125
check "standard output on a full disk: it is said" complains "No space left"
status=0
guests 'name: b, image: spin' >"$yaml"
timeout 60 "$matrix" cloud --plain --duration 200ms "$yaml" >/dev/full 2>"$scratch/err" || status=$?
check "the report on a full disk: 125" has_status 125

# --- readers that stand still ---------------------------------------------------------------------------------
guests 'name: a, image: chatter' 'name: b, image: spin' >"$yaml"
cloud_for stalled 2s
check "a stalled terminal: the run ends by itself" has_status 0
check "a stalled terminal: with its report" reported 'guest["b"]["work"] > 0'
check "a stalled terminal: after its duration" reported '2e9 <= result["duration_ns"] < 60e9'
cloud_for stalled-term 10min
check "a stalled terminal: SIGTERM ends it" has_status 143
check "a stalled terminal: SIGTERM, with the report" reported 'guest["b"]["state"] == "stopped"'
# Lines that wait are looked after every 2 ms; no end of a slice may be lost in between.
guests "name: m, image: $mutter, args: ['1100']" 'name: b, image: spin' >"$yaml"
for round in 1 2 3; do
    cloud_for stalled 3s --plain
    check "a stalled terminal, round $round: the run ends by itself" has_status 0
    check "a stalled terminal, round $round: the shares hold" reported \
        'near("b", 0.5, 0.02)'
done
guests 'name: a, image: chatter' 'name: b, image: spin' >"$yaml"
attempt timeout 120 python3 "$here/reader.py" stalled "$matrix" run --timeout 2s chatter
check "a stalled terminal, matrix run: the time limit" has_status 124
attempt timeout 120 python3 "$here/reader.py" stalled-term "$matrix" run chatter
check "a stalled terminal, matrix run: SIGTERM ends it" has_status 143
cloud_for stderr 2s --plain
check "a stalled standard error: the run ends by itself" has_status 0
check "a stalled standard error: after its duration" reported '2e9 <= result["duration_ns"] < 60e9'
cloud_for stderr-term 10min --plain
check "a stalled standard error: SIGTERM ends it" has_status 143
cloud_for stderr 1s --json
check "a stalled standard error, --json: the run ends by itself" has_status 0
check "a stalled standard error, --json: with its report" json 'result["version"] == 1'
guests 'name: bad, image: faulty, args: [divide]' 'name: a, image: chatter, args: ["1000"]' >"$yaml"
cloud_for stderr 10min --plain
check "a stalled standard error, and a fault: the run ends by itself" has_status 120
check "a stalled standard error, and a fault: with its report" reported \
    'guest["bad"]["state"] == "faulted" and guest["a"]["state"] == "exited"'
check "a stalled standard error, and a fault: the other guest prints on, to its last line" prints "a: line 1000"

# --- readers that are slow ------------------------------------------------------------------------------------
slow_run() { # LINES: the lines that arrived, and the status, in a file
    set +e
    timeout 120 "$matrix" run chatter "$1" | { sleep 2; wc -l; } >"$scratch/count$1"
    echo "${PIPESTATUS[0]}" >>"$scratch/count$1"
}
for count in 3000 11000 20000; do slow_run "$count" & done
wait
for count in 3000 11000 20000; do
    check "matrix run, a reader 2 s late: all $count lines, status 0" \
        same_text "$scratch/count$count" "$count"$'\n'0
done
attempt timeout 120 python3 "$here/reader.py" late="said line 1500" "$matrix" run "$mutter" 1500
check "matrix run, a reader 0.3 s late: has the last line before a long computation" has_status 143
guests "name: m, image: $mutter, args: ['1100']" 'name: b, image: spin' >"$yaml"
cloud_for late="said line 1100" 10min --plain
check "a reader 0.3 s late: has the last line before a long computation" has_status 143
guests "name: m, image: $mutter, args: ['1100']" >"$yaml"
cloud_for late="said line 1100" 10min --plain
check "a reader 0.3 s late: has the line of a guest that is alone" has_status 143
guests 'name: flood, image: chatter' 'name: neo, image: neo, args: [--every, "2000"]' >"$yaml"
cloud_for trickle 10s --plain
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
cloud_for terminal 5s
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
cloud_for terminal-term 10min
check "the live table: SIGTERM: 143" has_status 143
check "the live table: SIGTERM: the cursor is back" last_is 25 h
cloud_for terminal 500ms --plain
check "--plain: no control sequence, even on a terminal" lacks $'\033' "$scratch/out"
cloud_for terminal 500ms --quiet
check "--quiet: no control sequence, even on a terminal" lacks $'\033' "$scratch/out"
{ echo "guests:"; for i in {1..40}; do echo "  - {name: g$i, image: spin, memory: 2M}"; done; } >"$yaml"
cloud_for terminal 3s
check "the live table: 40 guests on 24 lines" grep -qaE '\.\.\. and [0-9]+ more' "$scratch/out"
guests 'name: bad, image: faulty, args: [divide]' 'name: good, image: neo, args: [--units, "20000"]' >"$yaml"
cloud_for terminal 10min
check "the live table: a fault's report" prints "divide error"
check "the live table: a fault: the cursor is back" last_is 25 h
finish
