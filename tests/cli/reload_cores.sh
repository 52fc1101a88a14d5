#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A running cloud of two cores reads its file again: guests of the second leave by letter, floors are free when they
# have, and pins change. Usage: reload_cores.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm

yaml=$scratch/cloud.yaml
saved=$scratch/report.json
trap 'kill "${pid-}" 2>/dev/null || true; rm -rf "$scratch"' EXIT

# Ceilings leave most of the processor to this script, where it is emulated.
cat >"$yaml" <<'END'
cores: 2
groups:
  - {name: tenant, pin: 1, floor: 60%, ceiling: 61%}
guests:
  - {name: member, image: spin, group: tenant, floor: 60%, ceiling: 60%}
  - {name: goes, image: spin, pin: 1, floor: 3%, ceiling: 4%}
  - {name: moves, image: spin, pin: 1, ceiling: 3%}
  - {name: stays, image: spin, pin: 1, ceiling: 3%}
END
cp "$yaml" "$scratch/first.yaml"
cat >"$scratch/second.yaml" <<'END'
cores: 2
groups:
  - {name: other, pin: 1, floor: 70%, ceiling: 71%}
guests:
  - {name: member, image: spin, group: other, floor: 65%, ceiling: 66%}
  - {name: moves, image: spin, pin: 0, ceiling: 3%}
  - {name: comes, image: spin, pin: 1, floor: 25%, ceiling: 26%}
  - {name: stays, image: spin, pin: 1, ceiling: 3%}
END

# All in one process: Python takes its time to start where the processor is emulated.
python3 - "$matrix" "$scratch" <<'END' >"$scratch/out" 2>"$scratch/err" || true
import atexit, json, os, shutil, signal, socket, subprocess, sys, time
matrix, scratch = sys.argv[1:]
result = {}
cloud = subprocess.Popen(
    [matrix, "cloud", "--plain", "--quiet", "--keep", "--control", scratch + "/control", "--duration", "10min",
     "--report", scratch + "/report.json", scratch + "/cloud.yaml"],
    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(scratch + "/cloud.err", "w"))

@atexit.register
def clean_up():
    """Also what was reached, for the checks."""
    print(json.dumps(result))
    if cloud.poll() is None:
        cloud.kill()

end = time.monotonic() + 60
while True:
    try:
        s = socket.socket(socket.AF_UNIX)
        s.connect(scratch + "/control")
        break
    except OSError:
        if time.monotonic() > end:
            raise
        time.sleep(0.1)
s.settimeout(60)
answers = s.makefile()

def ask(command, **members):
    s.sendall((json.dumps(dict(members, version=1, command=command)) + "\n").encode())
    return json.loads(answers.readline())

def wait_for(condition, what):
    end = time.monotonic() + 100
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.1)

def guests():
    return {g["name"]: ask("guest", guest=g["name"]) for g in ask("list")["guests"]}

def all_run(*names):
    def do():
        now = guests()
        return sorted(now) == sorted(names) and all(g["life"] == "running" for g in now.values())
    wait_for(do, "all run")

def reload(name):
    shutil.copy(scratch + "/" + name, scratch + "/cloud.yaml")
    number = ask("reload")["reload"]
    wait_for(lambda: ask("reloaded")["state"] in ("done", "refused"), "the reload's end")
    answer = ask("reloaded")
    assert answer["reload"] == number, answer
    return answer

all_run("member", "goes", "moves", "stays")
result["before"] = guests()
result["there"] = reload("second.yaml")
all_run("member", "moves", "comes", "stays")
result["between"] = guests()
result["back"] = reload("first.yaml")
all_run("member", "goes", "moves", "stays")
result["after"] = guests()
open(scratch + "/third.yaml", "w").write(
    open(scratch + "/first.yaml").read().replace("cores: 2", "cores: 1").replace("pin: 1", "pin: 0"))
result["later"] = reload("third.yaml")
result["wrong"] = None
open(scratch + "/wrong.yaml", "w").write(open(scratch + "/first.yaml").read().replace("pin: 1", "pin: 2"))
result["wrong"] = reload("wrong.yaml")
cloud.send_signal(signal.SIGTERM)
result["end"] = cloud.wait(60)
result["report"] = json.load(open(scratch + "/report.json"))
END

names=() expressions=()
expect() { names+=("$1") expressions+=("$2"); }
expect "the guests are on the second core" 'all(g["core"] == 1 for g in result["before"].values())'
expect "floors that others had there are taken" \
    'result["there"]["state"] == "done" and not [c for c in result["there"]["changes"] if "error" in c]'
expect "... by those who come" 'result["between"]["comes"]["core"] == 1 and result["between"]["comes"]["floor_ppm"] == 250000'
expect "a guest is made anew in another group" 'result["between"]["member"]["floor_ppm"] == 650000'
expect "a pin that changes moves the guest" \
    'result["between"]["moves"]["core"] == 0 and result["between"]["stays"]["core"] == 1'
expect "... and it goes on" \
    '[c["change"] for c in result["there"]["changes"] if c.get("guest") in ("moves", "stays")] == ["changed", "kept"]'
expect "and back" 'not [c for c in result["back"]["changes"] if "error" in c] and all(g["core"] == 1 for g in result["after"].values())'
expect "other cores are for later" '"cores" in result["later"]["later"]'
expect "a core that is not there is refused" 'result["wrong"]["state"] == "refused" and "core 2" in result["wrong"]["error"]'
expect "the report has each guest once, with its time" \
    'sorted(g["name"] for g in result["report"]["guests"]) == ["comes", "goes", "member", "moves", "stays"] and all(g["cpu_ns"] > 0 for g in result["report"]["guests"])'
expect "the cloud ends as ever" 'result["end"] == 143'
python3 - "$scratch/out" "${expressions[@]}" <<'END' >"$scratch/checked" 2>>"$scratch/err" || true
import json, sys
result = json.load(open(sys.argv[1]))
for expression in sys.argv[2:]:
    try:
        print(0 if eval(expression) else 1, flush=True)
    except (KeyError, IndexError, TypeError):
        print(1, flush=True) # it was not reached
END
mapfile -t outcomes <"$scratch/checked"
cat "$scratch/cloud.err" >>"$scratch/err"
for i in "${!names[@]}"; do
    result "${outcomes[i]:-1}" "${names[i]}"
done
finish
