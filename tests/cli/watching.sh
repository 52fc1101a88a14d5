#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `matrix status` and `matrix trace` with a board whose content is known, since it was made up
# (board_server.py, by the manual), and with boards that are none. No KVM is needed. With guests that
# run: tests/lab/watching.sh. Usage: watching.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
here=$(cd "$(dirname "$0")" && pwd)
servers=()
trap 'kill -9 "${servers[@]}" 2>/dev/null || true; rm -rf "$scratch"' EXIT
mkdir -m 700 "$MATRIX_RUNTIME_DIR"

serves() { # KIND [SECONDS]: its pid is in $server
    : >"$scratch/server"
    python3 "$here/board_server.py" "$MATRIX_RUNTIME_DIR" "$@" >"$scratch/server" 2>"$scratch/server_err" &
    servers+=($!)
    disown
    until [ -s "$scratch/server" ] || ! kill -0 $! 2>/dev/null; do sleep 0.05; done
    server=$!
}
ends() {
    kill -9 "$server" 2>/dev/null || true
    while kill -0 "$server" 2>/dev/null; do sleep 0.02; done
    rm -f "$MATRIX_RUNTIME_DIR/$server.sock"
}
fails() { # STATUS COMPLAINT NAME COMMAND...
    local wanted=$1 complaint=$2 name=$3 outcome=0
    shift 3
    attempt timeout 60 "$matrix" "$@"
    { has_status "$wanted" && complains "$complaint" && [ ! -s "$scratch/out" ]; } || outcome=1
    result "$outcome" "$name: $complaint"
}

# --- nobody there, bad usage ---------------------------------------------------------------------
fails 125 "nobody runs guests here" "status of nobody" status
fails 125 "nobody runs guests here" "trace of nobody" trace
fails 122 "process 1 runs no guests" "a pid that runs none" status 1
fails 122 "neo is neither a pid nor a path" "a name" status neo
fails 122 "no such kind of picture" "a picture of no kind" trace --picture x.gif
fails 122 "use 100ms or more" "an interval too short" status --watch --interval 1ms
fails 122 "--duration" "a duration of nothing" trace --duration 0s
fails 125 "$scratch/none.sock" "a socket that is not there" status "$scratch/none.sock"

# --- status --------------------------------------------------------------------------------------
serves good
pid=$server
attempt timeout 60 "$matrix" status
check "a table: 0" has_status 0
check "neo's line" grep -qE '^ +3  neo +tenant  running +70   20 %     50 % +70.00 %  69.00 % +-  +6.9 s +(4[0-9][0-9]|500)  16 MiB$' "$scratch/out"
check "morpheus's line" grep -qE '^ +3  morpheus +- +ready +30 +- +- +30.00 %  31.00 % ' "$scratch/out"
check "nobody who is gone" bash -c '! grep -q left "$1"' - "$scratch/out"
check "what loop and board took" prints "The loop took 0.99 % of the CPU time, the board 0.010 % of it"
serves good
kill -STOP "$server"
attempt timeout 60 "$matrix" status
check "one that is stopped among others: it is said" complains "1 of those who run guests do not answer"
check "... and the others are shown" prints "tenant"
fails 125 "process $server does not answer" "the one that is stopped" status "$server"
kill -CONT "$server"
ends
server=$pid
attempt timeout 60 "$matrix" status --json "$pid"
check "JSON of a pid: 0" has_status 0
check "as it was made up" json "(
    [(c['pid'], c['core'], c['ended'], c['slice_ns'], c['duration_ns']) for c in result['cores']] ==
        [($pid, 3, False, 1000000, 10**10)] and
    [(g['name'], g['group'], g['state'], g['weight'], g['floor'], g['ceiling'], g['promised'], g['given'],
      g['cpu_ns'], g['work'], g['memory_bytes'], g['exits']['io'], g['share'], g['preemptions'], g['io_switches'])
     for g in result['cores'][0]['guests']] ==
        [('neo', 'tenant', 'running', 70, 0.2, 0.5, 0.7, 0.69, 69 * 10**8, 7, 1 << 24, 5000, None, 2, 3),
         ('morpheus', None, 'ready', 30, None, None, 0.3, 0.31, 31 * 10**8, 0, 1 << 24, 0, None, 2, 3)])"
check "... and its group" json "result['cores'][0]['groups'] == [{'name': 'tenant', 'group': None, 'weight': 60,
    'floor': None, 'ceiling': 0.8, 'latency_ns': None}]"
check "exits per second, since the run began" json "abs(result['cores'][0]['guests'][0]['exits_per_s'] - 500) < 5"
attempt timeout 60 "$matrix" status --json "$MATRIX_RUNTIME_DIR/$pid.sock"
check "by the socket's path" json "result['cores'][0]['pid'] == $pid"
first=$server
serves good
attempt timeout 60 "$matrix" status --json
check "of two processes both" json "sorted(c['pid'] for c in result['cores']) == sorted([$first, $server])"
attempt timeout 60 "$matrix" status
check "and whose guest is whose" grep -qE "^ *$server +3  neo " "$scratch/out"
fails 122 "2 processes run guests" "a trace of two" trace
ends
serves slow
fails 125 "it has only just been started" "who starts slowly is waited for" reload --cloud "$MATRIX_RUNTIME_DIR/$server.sock"
ends
serves old
attempt timeout 60 "$matrix" status --json
check "one of an older version is left out" json "[c['pid'] for c in result['cores']] == [$first]"
ends
: >"$scratch/out"
begun=$(date +%s%N)
"$matrix" status --watch --json --interval 200ms >"$scratch/out" 2>"$scratch/err" </dev/null &
watcher=$!
servers+=("$watcher")
for _ in {1..1200}; do
    [ "$(wc -l <"$scratch/out")" -lt 16 ] || break
    sleep 0.05
done
kill "$watcher"
status=0
wait "$watcher" || status=$?
check "watched until it is ended" has_status 143
check "a line for each look, and no look too early" python3 -c '
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
most = 2 + int(sys.argv[2]) / 200e6
sys.exit(not (16 <= len(lines) <= most and lines[0]["cores"][0]["pid"] > 0))' "$scratch/out" $(($(date +%s%N) - begun))

# --- trace ---------------------------------------------------------------------------------------
# The made up board stands still when its process does not run. So a second in which it did not is tried again.
is_whole() { # nearly a second's stays
    python3 -c 'import json, sys
events = [e for e in json.load(open(sys.argv[1]))["traceEvents"] if e["ph"] == "X" and e["pid"] == 1]
sys.exit(not (len(events) >= 900 and 0 <= events[0]["ts"] < 30000 and events[-1]["ts"] > 900000))' "$scratch/t.json" 2>/dev/null
}
for _ in {1..10}; do
    attempt timeout 60 "$matrix" trace --duration 1s --out "$scratch/t.json" --picture "$scratch/t.svg"
    ! is_whole || break
done
check "a trace: 0" has_status 0
check "and how much it is" complains "stays of 2 guests in 1.0 s"
cp "$scratch/t.json" "$scratch/out"
check "valid JSON, with what each stay was" json "(lambda events:
    90 <= len(events) / 10 <= 101 and result['otherData']['lost'] == 0 and
    all(e['args']['cpu_ns'] == 999000 and e['args']['left'] == 'slice' and e['args']['ready'] == 2 and
        abs(e['dur'] - 1000) < 0.01 for e in events) and
    sum(e['name'] == 'neo' for e in events) / len(events) > 0.68 and
    sum(e['name'] == 'neo' for e in events) / len(events) < 0.72
    )([e for e in result['traceEvents'] if e['ph'] == 'X' and e['pid'] == 1])"
check "stays do not overlap" json "(lambda events:
    all(a['ts'] + a['dur'] <= b['ts'] + 0.001 for a, b in zip(events, events[1:])) and
    0 <= events[0]['ts'] < 30000 and 900000 < events[-1]['ts'] < 1000000
    )([e for e in result['traceEvents'] if e['ph'] == 'X' and e['pid'] == 1])"
check "a track for the core, and one for each guest with the same stays" json "(lambda names, events:
    names == {(1, 0): 'core 3', (2, 1): 'neo', (2, 2): 'morpheus'} and
    all(names[2, e['tid']] == e['name'] for e in events if e['pid'] == 2) and
    [(e['ts'], e['name']) for e in events if e['pid'] == 1] ==
        sorted((e['ts'], e['name']) for e in events if e['pid'] == 2)
    )({(e['pid'], e['tid']): e['args']['name'] for e in result['traceEvents'] if e['name'] == 'thread_name'},
      [e for e in result['traceEvents'] if e['ph'] == 'X'])"
check "a picture that is XML" python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$scratch/t.svg"
attempt timeout 60 "$matrix" trace --duration 200ms --picture "$scratch/t.png"
check "as a PNG" bash -c 'head -c 4 "$1" | grep -q PNG' - "$scratch/t.png"
attempt timeout 60 "$matrix" trace --duration 2s
check "to standard output" json "len(result['traceEvents']) > 20"
fails 122 "write the trace to /proc/none/t.json" "where nothing can be written" trace --out /proc/none/t.json
fails 125 "/proc/none/t.svg" "nor drawn" trace --duration 100ms --picture /proc/none/t.svg
timeout -s INT 5 "$matrix" trace --duration 60s >"$scratch/out" 2>"$scratch/err" || true
check "Ctrl-C ends it, and what was seen is written" json "len(result['traceEvents']) > 20"
attempt timeout 60 "$matrix" trace --duration 200ms /dev/null
check "no socket" has_status 125

kill -9 "$first"
while kill -0 "$first" 2>/dev/null; do sleep 0.02; done
rm "$MATRIX_RUNTIME_DIR/$first.sock"
serves good 1
attempt timeout 60 "$matrix" trace --duration 60s
check "it ends with the run" has_status 0
attempt timeout 60 "$matrix" status --watch --interval 100ms
check "and so does status --watch" has_status 0
check "which says so" prints "has ended its run"
ends
serves odd_name
attempt timeout 60 "$matrix" status
check "names are escaped" prints 'n\x1b[31m\xff'
attempt timeout 60 "$matrix" trace --duration 2s --picture "$scratch/t.svg" --out "$scratch/t.json"
cp "$scratch/t.json" "$scratch/out"
check "in JSON, too" json "any(e['name'].startswith('n\\\\x1b') for e in result['traceEvents'])"
ends
serves many_descriptors
attempt timeout 60 "$matrix" status --json "$server"
check "of too many descriptors the first" has_status 0
ends

# --- boards that are none ------------------------------------------------------------------------
bad() { # KIND COMPLAINT
    serves "$1"
    fails 125 "$2" "$1" status "$server"
    ends
}
bad old "does not know this command"
bad no_descriptor "an answer without a board"
bad wrong_descriptor "no memory of a fixed size"
bad unsealed "no memory of a fixed size"
bad other_version "not the version that is known here"
bad many_slots "entries that are not in it"
bad long_name "a name without end"
bad endless_entry "an entry is being written all the time"
serves bad_stays
fails 125 "a stay that is none" "bad stays" trace "$server"
ends
finish
