#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `matrix cloud` as a whole: the contract and its report, and how a run can end. Usage: cloud.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm
. "$(dirname "$0")/cloud_runs.sh"

# --- the example, and its report -------------------------------------------------------------------
cp "$source_root/examples/matrix.yaml" "$yaml"
cloud 5s
check "the example: status 0" has_status 0
check "the example: version 1" reported 'result["version"] == 1'
check "the example: its duration" reported '5e9 <= result["duration_ns"] < 120e9'
check "the example: its slice" reported 'result["slice_ns"] == 1000000'
check "the example: pinned to a core" reported 'isinstance(result["core"], int)'
check "the example: the guests in order, with their weights" reported \
    '[(g["name"], g["weight"]) for g in result["guests"]] == [("neo", 70), ("morpheus", 30)]'
check "the example: what was promised" reported \
    'abs(guest["neo"]["promised"] - 0.7) < 1e-6 and abs(guest["morpheus"]["promised"] - 0.3) < 1e-6'
check "the example: what was given" reported \
    'near("neo", 0.7, 0.005) and near("morpheus", 0.3, 0.005)'
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
has_row() { # NAME PROMISED: with what the other report says was given
    local given
    given=$(python3 -c 'import json, sys
print("%.3f" % next(100 * g["given"] for g in json.load(open(sys.argv[1]))["guests"] if g["name"] == sys.argv[2]))' "$saved" "$1")
    grep -qE "^$1 +$2 +$2\.000 % +${given/./\\.} %" "$scratch/out"
}
check "for people: a row for neo" has_row neo 70
check "for people: a row for morpheus" has_row morpheus 30
check "for people: the loop's own part" prints "charged to nobody"
check "for people: the delay of a switch" prints "From a slice's end"
cloud_begins
wait_for_text neo: "$scratch/out"
wait_for_text "morpheus " "$scratch/err"
kill "$pid"
wait "$pid" || status=$?
check "what guests print is tagged" grep -qE '^neo: [0-9]+ units, digest [0-9a-f]{16}$' "$scratch/out"
check "how it goes is said meanwhile" grep -qE 's +neo .*morpheus ' "$scratch/err"
check "and without control characters" lacks $'\033' "$scratch/err"

# --- options ---------------------------------------------------------------------------------------
guests 'name: neo, image: neo, args: [--every, "500", --units, "1500"]' 'name: spin, image: spin, stop-with: [neo]' >"$yaml"
cloud 10min --json
check "--json: standard output is JSON, and nothing else" json 'result["version"] == 1'
check "--json: what guests print is on standard error" \
    grep -qE '^neo: [0-9]+ units, digest' "$scratch/err"
check "--json: the same as --report" cmp -s "$scratch/out" "$saved"
cloud 10min --quiet
check "--quiet: nothing on standard error" is_silent
check "--quiet: only what guests print" all_lines '^neo: (done: )?[0-9]+ units, digest' "$scratch/out"
check "--quiet: that is there" grep -q '^neo: ' "$scratch/out"
check "--quiet: and the report for machines" reported '"spin" in guest'
cloud 10min --json --quiet
check "--json --quiet: JSON" json 'len(result["guests"]) == 2'
check "--json --quiet: no report for people" lacks promised "$scratch/err"
cloud 200ms --core any
check "--core any: no core" reported 'result["core"] is None'
cloud 200ms --core 0 --slice 250us
check "--core 0" reported 'result["core"] == 0'
check "--slice" reported 'result["slice_ns"] == 250000'
{ echo "core: any"; echo "slice: 2ms"; guests 'name: a, image: neo, args: [--units, "100"]'; } >"$yaml"
cloud 10min
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
cloud 3s
for pair in a:0.5 b:0.3 c:0.2; do
    check "three guests: ${pair%:*} has ${pair#*:}" reported \
        "near('${pair%:*}', ${pair#*:}, 0.01) and abs(guest['${pair%:*}']['promised'] - ${pair#*:}) < 1e-6"
done

guests 'name: neo, image: neo, args: [--units, "20000"]' 'name: late, image: neo, args: [--units, "30000"]' >"$yaml"
cloud 10min
check "one ends early: status 0" has_status 0
check "one ends early: it exited with 0" reported \
    'guest["neo"]["state"] == "exited" and guest["neo"]["exit_status"] == 0'
check "one ends early: the other has the core" reported 'guest["late"]["alone_cpu_ns"] > 0'
check "one ends early: shares are of the time before" reported \
    'near("late", 0.5, 0.02) and abs(guest["late"]["promised"] - 0.5) < 1e-6'
check "one ends early: it is said" prints "late had the core to itself"
check "one ends early: exited, status 0" prints "exited, status 0"

guests 'name: three, image: status, args: ["3"]' 'name: fine, image: hello' >"$yaml"
cloud 10min
check "a guest's status 3: 1 in all" has_status 1
check "a guest's status 3: reported" reported \
    'guest["three"]["exit_status"] == 3 and guest["fine"]["exit_status"] == 0'
check "a guest's status 3: for people" prints "exited, status 3"
check "all have ended: so has the run" reported 'result["duration_ns"] < 600e9'

guests 'name: bad, image: faulty, args: [divide]' 'name: three, image: status, args: ["3"]' \
    'name: good, image: neo, args: [--units, "20000"]' >"$yaml"
cloud 10min
check "a fault: 120" has_status 120
check "a fault: its report" complains "guest bad, vCPU 0: divide error"
check "a fault: its state" reported 'guest["bad"]["state"] == "faulted" and guest["bad"]["exit_status"] is None'
check "a fault: the other went on" reported 'guest["good"]["state"] == "exited" and guest["good"]["work"] == 20000'
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

# --- many -----------------------------------------------------------------------------------------------------------
{
    echo "guests:"
    for i in {1..299}; do echo "  - {name: g$i, image: status, args: ['0'], memory: 2M}"; done
    echo "  - {name: late, image: neo, args: [--units, '20000'], memory: 2M}"
} >"$yaml"
attempt bash -c 'ulimit -n 1024; exec timeout 300 "$@"' - \
    "$matrix" cloud --plain --report "$saved" --duration 10min "$yaml"
check "300 guests with 1024 files: status 0" has_status 0
check "300 guests with 1024 files: all ran" reported \
    'len(guest) == 300 and all(g["exit_status"] == 0 for g in guest.values())'
check "300 guests with 1024 files: the last had the rest" reported 'guest["late"]["alone_cpu_ns"] > 0'
for files in 99 100 101; do # so that it comes to an end at the image, the VM, the vCPU
    attempt bash -c 'ulimit -n "$1"; exec timeout 120 "${@:2}"' - "$files" \
        "$matrix" cloud --plain --duration 1s "$yaml"
    check "300 guests with $files files: 125" has_status 125
    check "300 guests with $files files: says why" complains "Too many open files"
done
finish
