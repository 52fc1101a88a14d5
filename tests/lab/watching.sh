#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `matrix status` and `matrix trace` while guests run, in the lab: against the report of the run, and
# against each other.
#   watching.sh BUILD_DIRECTORY            on the host
#   watching.sh --inside BUILD_DIRECTORY
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "$0")")

if [ "$1" != --inside ]; then
    status=0
    "$1/matrix" lab run --timeout 40min -- "$here/watching.sh" --inside "$1" || status=$?
    [ "$status" = 0 ] || echo "Bail out! the lab ended with status $status"
    exit
fi
shift
. "$here/../cli/tap.sh"
cloud=
trap 'kill $cloud 2>/dev/null || true; rm -rf "$scratch"' EXIT

cat >"$scratch/cloud.yaml" <<YAML
groups:
  - {name: zion, weight: 100, ceiling: 90%}
guests:
  - {name: neo, image: neo, weight: 70, group: zion}
  - {name: morpheus, image: morpheus, weight: 30, group: zion}
YAML
"$matrix" cloud --plain -q --report "$scratch/report.json" "$scratch/cloud.yaml" >"$scratch/cloud" 2>&1 &
cloud=$!
until [ -S "$MATRIX_RUNTIME_DIR/$cloud.sock" ]; do sleep 0.1; done
# From here to the end of the run, and the run ends first.
"$matrix" trace --duration 10min --out "$scratch/t.json" "$cloud" 2>"$scratch/said" &
tracer=$!
for _ in {1..600}; do # until it has the board
    ! grep -q matrix-board "/proc/$tracer/maps" || break
    sleep 0.1
done
sleep 2
# Python takes its time here: what is to be checked is gathered first.
attempt "$matrix" status --json
check "status while they run: 0" has_status 0
cp "$scratch/out" "$scratch/status.json"
: >"$scratch/out"
"$matrix" status --watch --interval 200ms "$cloud" >"$scratch/out" 2>"$scratch/err" </dev/null &
watcher=$!
tables() { grep -c '^ *[0-9]* *neo' "$scratch/out" || true; }
for _ in {1..600}; do
    [ "$(tables)" -lt 3 ] || break
    sleep 0.1
done
kill "$watcher"
wait "$watcher" || true
check "a table again and again" [ "$(tables)" -ge 3 ]
kill "$cloud"
wait "$cloud" || true
attempt wait "$tracer"
check "the trace ends with the run" has_status 0

cp "$scratch/status.json" "$scratch/out"
check "both, by contract" json "(
    [(g['name'], g['group'], g['weight'], g['memory_bytes']) for g in result['cores'][0]['guests']] ==
        [('neo', 'zion', 70, 1 << 24), ('morpheus', 'zion', 30, 1 << 24)] and
    result['cores'][0]['pid'] == $cloud and not result['cores'][0]['ended'])"
# Who runs while the emulator stands still is charged with that: a late end of a slice, of a second at most.
check "what was promised so far, and what was given" json "(lambda late:
    all(abs(g['promised'] - p) < 0.001 and abs(g['given'] - p) < 0.1 + late / g['contended_total_ns']
        for g, p in zip(result['cores'][0]['guests'], (0.7, 0.3))))(min(result['cores'][0]['scheduler']['delay_worst_ns'], 1e9))"
cat >"$scratch/check.py" <<'END'
import json, sys
trace, report, status = (json.load(open(path)) for path in sys.argv[2:5])
events = [e for e in trace["traceEvents"] if e["ph"] == "X" and e["pid"] == 1]
cpu, charged = {}, {g["name"]: g["cpu_ns"] for g in report["guests"]}
for event in events:
    cpu[event["name"]] = cpu.get(event["name"], 0) + event["args"]["cpu_ns"]
all_ns = sum(cpu.values())
late_ns = min(report["scheduler"]["delay_worst_ns"], 1e9)
print(len(events), cpu, charged)
ok = {
    "whole": lambda: trace["otherData"]["lost"] == 0 and len(events) > 100,
    "order": lambda: all(a["ts"] + a["dur"] <= b["ts"] + 0.0011 for a, b in zip(events, events[1:])),
    # What was before the tracer came is missing; tests/kvm/test_trace.c has the whole.
    "sums": lambda: all(0 < cpu[name] <= charged[name] for name in charged),
    "shares": lambda: all(abs(cpu[g["name"]] / all_ns - g["cpu_ns"] / sum(charged.values())) < 0.02 + late_ns / all_ns
                          for g in report["guests"]),
    "later": lambda: all(s["cpu_ns"] <= charged[s["name"]] for s in status["cores"][0]["guests"]),
    "ends": lambda: events[-1]["args"]["left"] in ("event", "slice", "io"),
}[sys.argv[1]]()
sys.exit(not ok)
END
traced() { python3 "$scratch/check.py" "$1" "$scratch/t.json" "$scratch/report.json" "$scratch/status.json" >"$scratch/out"; }
check "nothing is lost" traced whole
check "stays do not overlap" traced order
check "what they were charged is no more than the report says" traced sums
check "shares by the trace are shares by the report" traced shares
check "status is not ahead of the report" traced later
check "the last one was interrupted by the signal" traced ends
finish
