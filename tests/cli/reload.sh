#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A running cloud reads its file again: who did not change goes on, contracts change, guests are made anew, come
# and go. Usage: reload.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm

yaml=$scratch/cloud.yaml
saved=$scratch/report.json
trap 'kill "${pid-}" 2>/dev/null || true; rm -rf "$scratch"' EXIT

# One process asks what all checks need: Python takes its time to start where the processor is emulated.
# What guests are like, as `now` (by name), with what `was` when it was asked before.
look() { # WAIT-SECONDS EXPRESSION
    cp "$scratch/now" "$scratch/was" 2>/dev/null || echo '{}' >"$scratch/was"
    python3 - "$socket" "$scratch" "$@" <<'END' >"$scratch/out" 2>"$scratch/err"
import json, socket, sys, time
path, scratch, wait, expression = sys.argv[1:]
s = socket.socket(socket.AF_UNIX)
s.connect(path)
answers = s.makefile()
def ask(command, **members):
    s.sendall((json.dumps(dict(members, version=1, command=command)) + "\n").encode())
    return json.loads(answers.readline())
was = json.load(open(scratch + "/was"))
end = time.monotonic() + float(wait)
while True:
    names = [g["name"] for g in ask("list")["guests"]]
    now = {name: ask("guest", guest=name) for name in names}
    if eval(expression):
        break
    if time.monotonic() > end:
        sys.exit("%s\n%s" % (now, was))
    time.sleep(0.05)
json.dump(now, open(scratch + "/now", "w"))
END
}

# The same by the board: what each was charged, and the number that it has there.
seen() {
    "$matrix" status --json "$pid" >"$scratch/status.json" 2>"$scratch/err"
    python3 - "$scratch" "$1" <<'END'
import json, os, sys
now = json.load(open(sys.argv[1] + "/status.json"))
now = {g["name"]: g for core in now["cores"] for g in core["guests"]} if "cores" in now else {
    g["name"]: g for g in now["guests"]}
path = sys.argv[1] + "/seen"
was = json.load(open(path)) if os.path.exists(path) else {}
json.dump(now, open(path, "w"))
sys.exit(0 if eval(sys.argv[2]) else "%s\n%s" % (now, was))
END
}

# Several checks of what was printed as JSON, by one process: NAME EXPRESSION ...
checks() {
    python3 - "$scratch/out" "$@" <<'END' >"$scratch/checked" 2>/dev/null || true
import json, sys
result = json.load(open(sys.argv[1]))
change = {c.get("guest", c.get("group")): c for c in result["changes"]} if "changes" in result else {}
for expression in sys.argv[3::2]:
    print(0 if eval(expression) else 1, flush=True)
END
    local outcomes=() i=0
    mapfile -t outcomes <"$scratch/checked"
    while [ $# -gt 0 ]; do
        result "${outcomes[i]:-1}" "$1"
        i=$((i + 1))
        shift 2
    done
}

reload() { attempt timeout 320 "$matrix" reload --cloud "$pid" "$@"; }

begin() { # OPTION...
    "$matrix" cloud --plain --quiet --control auto --report "$saved" --duration 15min "$@" "$yaml" \
        >"$scratch/cloud.out" 2>"$scratch/cloud.err" </dev/null &
    pid=$!
    socket=$MATRIX_RUNTIME_DIR/$pid.sock
    for _ in {1..1200}; do
        [ -S "$socket" ] && return
        sleep 0.05
    done
}

# Ceilings leave most of the processor to this script, where it is emulated.
cat >"$yaml" <<'END'
groups:
  - {name: tenant, weight: 100, floor: 3%}
  - {name: old, weight: 10}
guests:
  - {name: same, image: spin, floor: 1%, ceiling: 3%}
  - {name: contract, image: spin, weight: 100, ceiling: 3%}
  - {name: member, image: spin, group: tenant, floor: 3%, ceiling: 3%}
  - {name: image, image: spin, ceiling: 3%}
  - {name: goes, image: spin, group: old, ceiling: 3%}
END
begin --keep
look 60 'len(now) == 5 and all(g["life"] == "running" for g in now.values())'

reload
check "a file that has not changed changes nothing" has_status 0
check "... which is said" prints "kept"
seen True || true

# --- what is wrong changes nothing -------------------------------------------------------------------

cp "$yaml" "$scratch/good.yaml"
printf 'guests:\n  - {name: same, image: spin}\n  - {name: x, image: spin, wight: 3}\n' >"$yaml"
reload
check "a file with an unknown key is refused" has_status 122
check "... with the line" complains "line: 3"
check "... and says that nothing was changed" complains "nothing was changed"
printf 'guests:\n  - {name: same, image: spin, floor: 60%%}\n  - {name: x, image: spin, floor: 60%%}\n' >"$yaml"
reload --check
check "floors that do not fit are refused" has_status 122
check "... with the sum" complains "x 60 % = 120 %"
printf 'guests:\n  - {name: same, image: nothing-here}\n' >"$yaml"
reload
check "an image that is not there is refused" complains "nothing-here"
rm "$yaml"
reload
check "a file that is gone is refused" complains "cloud.yaml"
check "all go on, with their contracts" look 0 \
    'len(now) == 5 and all(g["life"] == "running" for g in now.values()) and now["same"]["floor_ppm"] == 10000'

# --- what changes ---------------------------------------------------------------------------------------

cat >"$yaml" <<'END'
slice: 2ms
groups:
  - {name: tenant, weight: 100, floor: 2%}
  - {name: new, weight: 10, floor: 50%}
guests:
  - {name: late, image: spin, after: [first], ceiling: 3%}
  - {name: same, image: spin, floor: 1%, ceiling: 3%}
  - {name: contract, image: spin, weight: 300, ceiling: 4%, restart: on-failure}
  - {name: member, image: spin, group: tenant, floor: 2%, ceiling: 3%}
  - {name: image, image: neo, args: [--units, "2000000000"], group: new, ceiling: 3%}
  - {name: first, image: spin, output: first.log, ceiling: 3%}
END
reload --check --json
checks "--check tells what would be done" 'change["contract"]["change"] == "changed" and result["check"]'
check "... and does not do it" look 0 'now["contract"]["weight"] == 100 and "first" not in now'
reload --json
check "reload: done" has_status 0
checks "a guest whose line did not change is kept" \
    'change["same"] == {"guest": "same", "change": "kept", "keys": []}' \
    "a contract is changed" 'change["contract"]["keys"] == ["weight", "ceiling", "restart"]' \
    "another image starts anew" 'change["image"]["change"] == "restarted"' \
    "new ones come" 'change["first"]["change"] == "added" and change["late"]["change"] == "added"' \
    "... others go" 'change["goes"]["change"] == "removed"' \
    "and groups" '[change[g]["change"] for g in ("tenant", "new", "old")] == ["changed", "added", "removed"]' \
    "nothing has failed" 'all("error" not in c for c in result["changes"])' \
    "what cannot change is told" 'result["later"] == ["slice"]'
check "all run, in the order of their dependencies" look 60 \
    'all(now[n]["life"] == "running" for n in ("late", "first", "same", "contract", "member", "image"))'
check "the one that went is not there, and contracts hold" look 0 \
    '"goes" not in now and now["contract"]["weight"] == 300 and now["contract"]["ceiling_ppm"] == 40000'
check "who was kept or has another contract was not restarted, and goes on counting" seen \
    'all(now[n]["id"] == was[n]["id"] and now[n]["cpu_ns"] > was[n]["cpu_ns"] for n in ("same", "contract", "member"))'
check "the new file for output is there" test -e "$scratch/first.log"

# --- what commands did ----------------------------------------------------------------------------------

"$matrix" set same weight=7 >"$scratch/out" 2>&1
"$matrix" add --cloud "$pid" --name extra --group new hello >"$scratch/out" 2>&1
"$matrix" stop first >"$scratch/out" 2>&1
sed -i '/name: first/d; s/, after: \[first\]//' "$yaml"
echo '  - {name: goes, image: spin, ceiling: 3%}' >>"$yaml"
reload --json
checks "what a command changed goes back to the file" 'change["same"]["keys"] == ["weight"]' \
    "what a command added stays" 'change["extra"]["change"] == "kept"' \
    "one that went comes again" 'change["goes"]["change"] == "added"'
check "... and runs" look 60 'now["goes"]["life"] == "running" and now["same"]["weight"] == 100'

for round in 1 2 3; do
    sed -i "s/args: [^]]*\]/args: [--units, \"200000000$round\"]/" "$yaml"
    reload --no-wait
done
check "reloads in a row" has_status 0
check "... end with the last" look 60 'now["image"]["life"] == "running"'

sed -i '/name: image/d' "$yaml"
reload --no-wait
attempt timeout 320 "$matrix" add --cloud "$pid" --name image --group new hello
check "a guest that went can be added by command" has_status 0
reload --json
checks "... and is in no file, but stays" 'change["image"]["change"] == "kept"'

kill -TERM "$pid"
status=0
wait "$pid" || status=$?
cp "$scratch/cloud.err" "$scratch/err"
cp "$saved" "$scratch/out"
check "the cloud ends as ever" has_status 143
checks "the report has who went, once" \
    'sorted(g["name"] for g in result["guests"]) == ["contract", "extra", "first", "goes", "image", "late", "member", "same"]' \
    "... with its time" 'all(g["cpu_ns"] > 0 for g in result["guests"] if g["name"] != "extra")' \
    "... and a period for each reload that changed something" \
    'sum(p["change"] == "reload" for p in result["periods"]) == 6' \
    "a guest that had gone is in no period until it came again" \
    '["goes" in [g["name"] for g in p["guests"]] for p in result["periods"] if p["change"] == "reload"][:2] == [False, True]'

# --- the end --------------------------------------------------------------------------------------------

echo 'guests: [{name: a, image: spin, ceiling: 3%}]' >"$yaml"
begin
python3 - "$socket" <<'END' >"$scratch/out" 2>"$scratch/err" || true
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b'{"version":1,"command":"reload"}\n' * 3)
answers = s.makefile()
print(json.dumps([json.loads(answers.readline()) for _ in range(3)]))
END
checks "of several at once each is begun, or told to wait" \
    'result[0]["reload"] == 1 and all("reload" in a or a["error"]["code"] == "busy" for a in result)'
echo 'guests: [{name: b, image: spin, ceiling: 3%}]' >"$yaml"
reload
check "all guests can be others, without keep as well" look 60 \
    '"a" not in now and "b" in now and now["b"]["life"] == "running"'
printf 'guests: [{name: a, image: hello}]\n' >"$yaml"
reload --no-wait
status=0
wait "$pid" || status=$?
check "without keep the cloud is over when the last has ended" has_status 0
reload
check "a cloud that is over reads nothing" has_status 125
finish
