#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A cloud of two cores: contracts hold on each, guests stay or are moved, and whoever looks sees both. Two threads
# on one host CPU will do: what is divided is CPU time. Usage: cloud_cores.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm

yaml=$scratch/cloud.yaml
saved=$scratch/report.json
trap 'kill "${pid-}" "${metrics-}" 2>/dev/null || true; rm -rf "$scratch"' EXIT

cat >"$yaml" <<'END'
cores: 2
core: any
groups:
  - {name: tenant, pin: 1, weight: 300}
guests:
  - {name: first, image: spin, weight: 70, pin: 0}
  - {name: second, image: spin, weight: 30, pin: 0}
  - {name: third, image: spin, weight: 100, pin: 1}
  - {name: inner, image: spin, group: tenant}
END
attempt timeout 120 "$matrix" cloud --plain --quiet --control none --duration 10s --json "$yaml"
check "two cores: 0" has_status 0
check "each guest was where it was pinned" \
    json '[g["core"] for g in result["guests"]] == [0, 0, 1, 1]'
check "... and nobody moved" json 'not any(g["moves"] for g in result["guests"])'
check "promised: the share of each on its core" json \
    'all(abs(g["promised"] - p) < 0.001 for g, p in zip(result["guests"], [0.7, 0.3, 0.25, 0.75]))'
# Who runs while the emulator stands still is charged with that: a late end of a slice, of a second at most.
check "given: what was promised, on both" json 'all(abs(g["error_pp"]) < 5 + 100 * late / g["contended_total_ns"]
    for late in [min(result["scheduler"]["delay_worst_ns"], 1e9)] for g in result["guests"])'
check "the report has both cores" json '[c["core"] for c in result["cores"]] == [0, 1]'
check "... with what was charged there" json \
    'all(c["guests_cpu_ns"] > 0 and abs(c["guests_cpu_ns"] - sum(g["cpu_ns"] for g in result["guests"]
        if g["core"] == c["core"])) < 1000 for c in result["cores"])'
check "... and the sum of both" json \
    'result["scheduler"]["guests_cpu_ns"] == sum(c["guests_cpu_ns"] for c in result["cores"])'

# --- moves, and looks at guests of another core ------------------------------------------------------

printf 'guests: [{name: a, image: spin, pin: 1}, {name: b, image: spin, pin: 1},
  {name: c, image: spin, pin: 1}, {name: d, image: spin, pin: 1}]\n' >"$yaml"
# Nice, so that who asks comes to run beside guests that spin, also where there is one CPU.
nice "$matrix" cloud --plain --quiet --control auto --cores 2 --core any --rebalance 200ms --moves 1 --report "$saved" \
    --duration 15min "$yaml" >"$scratch/cloud.out" 2>"$scratch/cloud.err" </dev/null &
pid=$!
socket=$MATRIX_RUNTIME_DIR/$pid.sock
for _ in {1..1200}; do
    [ -S "$socket" ] && break
    sleep 0.05
done

# One Python for all that is asked at the socket: it takes long to start in the lab.
status=0
python3 - "$socket" >"$scratch/out" 2>"$scratch/err" <<'END' || status=$?
import array, json, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])

def ask(command, **members):
    s.sendall((json.dumps({"version": 1, "command": command, **members}) + "\n").encode())
    line, fds = b"", []
    while not line.endswith(b"\n"):
        part, ancillary, _, _ = s.recvmsg(65536, socket.CMSG_SPACE(4))
        for _, _, data in ancillary:
            fds += array.array("i", data)
        if not part:
            sys.exit("hung up")
        line += part
    return dict(json.loads(line), fds=len(fds))

def cores():
    return [guest["core"] for guest in ask("list")["guests"]]

out = {"begin": cores()}
for core in 0, 1:
    out["board%d" % core] = ask("board", core=core)
out["no_board"] = ask("board", core=2)["error"]["message"]
out["memory"] = ask("memory", guest="c")["regions"]
out["translate"] = ask("translate", guest="c", addresses=["0x400000", "0x10"])["translations"]
out["no_vcpu"] = "error" in ask("translate", guest="c", vcpu=3, addresses=["0x400000"])
# Two at once, and one who leaves before the answer.
for _ in range(20):
    other = socket.socket(socket.AF_UNIX)
    other.connect(sys.argv[1])
    other.sendall(b'{"version":1,"command":"memory","guest":"d"}\n')
    other.close()
s.sendall(b'{"version":1,"command":"memory","guest":"d"}\n{"version":1,"command":"help"}\n')
answers = s.makefile()
out["in_order"] = ["regions" in json.loads(answers.readline()), "commands" in json.loads(answers.readline())]
# Restarted, paused and resumed on the second core.
ask("restart", guest="d")
end = time.monotonic() + 60
while ask("guest", guest="d")["life"] != "running" and time.monotonic() < end:
    time.sleep(0.02)
out["restarted"] = ask("guest", guest="d")
out["paused"] = ask("pause", guest="d")["life"]
out["resumed"] = ask("resume", guest="d")["life"]
# Three are not pinned any more: two of them move, and the fourth stays.
for name in "b", "c", "d":
    out["set"] = ask("set", guest=name, pin=-1)
end = time.monotonic() + 60
while sorted(cores()) != [0, 0, 1, 1] and time.monotonic() < end:
    time.sleep(0.05)
out["end"] = cores()
out["bad_pin"] = ask("set", guest="a", pin=2)["error"]["message"]
print(json.dumps(out))
END
check "the socket answers for both cores" has_status 0
check "guests begin where they are pinned" json 'result["begin"] == [1, 1, 1, 1]'
check "each core has a board" json \
    'all(result["board%d" % k]["core"] == k and result["board%d" % k]["cores"] == 2 and
         result["board%d" % k]["fds"] == 1 for k in (0, 1))'
check "... and no third has" json '"0 to 1" in result["no_board"]'
check "memory of a guest of the second core" json 'result["memory"] and result["memory"][0]["bytes"] > 0'
check "translations there" json \
    '[t["mapped"] for t in result["translate"]] == [True, False] and result["translate"][0]["kvm_agrees"]'
check "... what is refused is told" json 'result["no_vcpu"]'
check "answers come in order" json 'result["in_order"] == [True, True]'
check "restart: on the second core, too" json 'result["restarted"]["life"] == "running" and result["restarted"]["core"] == 1'
check "pause and resume as well" json '[result["paused"], result["resumed"]] == ["paused", "running"]'
check "who is not pinned is moved" json 'sorted(result["end"]) == [0, 0, 1, 1] and result["set"]["pin"] is None'
check "who is pinned stays" json 'result["end"][0] == 1'
check "there is no third core to be pinned to" json '"core 2 of 2" in result["bad_pin"]'

# --- those who read boards -------------------------------------------------------------------------

attempt timeout 60 "$matrix" status --json
check "status: both cores of the process" json \
    '[(c["number"], c["cores"], c["pid"]) for c in result["cores"]] == [(0, 2, '"$pid"'), (1, 2, '"$pid"')]'
check "... each guest once, with all that it was given" json \
    'sorted(g["name"] for c in result["cores"] for g in c["guests"]) == ["a", "b", "c", "d"]'
attempt timeout 60 "$matrix" status
check "... and as a table" prints "1 (CPU any)"
attempt timeout 60 "$matrix" trace --duration 3s "$pid"
check "trace: a track for each core" json \
    '{(e["pid"], e["tid"]) for e in result["traceEvents"] if e["ph"] == "X" and e["pid"] == 1} == {(1, 0), (1, 1)}'
check "... and one for each guest" json \
    '["a", "b", "c", "d"] == sorted(
        e["args"]["name"] for e in result["traceEvents"] if e["name"] == "thread_name" and e["pid"] == 2)'
attempt timeout 60 "$matrix" trace --duration 3s --picture "$scratch/trace.svg" "$pid"
check "... and a picture" test -s "$scratch/trace.svg"

"$matrix" metrics --listen 127.0.0.1:0 >"$scratch/url" 2>"$scratch/err" &
metrics=$!
attempt timeout 60 python3 -c 'import sys, time, urllib.request
for _ in range(500):
    url = open(sys.argv[1]).read().strip()
    if url:
        break
    time.sleep(0.05)
print(urllib.request.urlopen(url).read().decode())' "$scratch/url"
kill "$metrics"
check "metrics: of both cores" [ "$(grep -c '^matrix_core_run_seconds_total{.*core_number="[01]"}' "$scratch/out")" = 2 ]
check "... no sample twice" [ -z "$(grep -v '^#' "$scratch/out" | sed 's/ [^ ]*$//' | grep . | sort | uniq -d)" ]
check "... of the process once" [ "$(grep -c '^matrix_processes 1$' "$scratch/out")" = 1 ]

kill -TERM "$pid"
status=0
wait "$pid" || status=$?
check "SIGTERM ends all cores" has_status 143
cp "$saved" "$scratch/out"
check "the report counts moves" json \
    '(lambda m: m["a"] == 0 and sum(m.values()) >= 2)({g["name"]: g["moves"] for g in result["guests"]})'
check "guests keep what they were given elsewhere" json \
    'abs(sum(g["cpu_ns"] for g in result["guests"]) - result["scheduler"]["guests_cpu_ns"]) < 10000'
finish
