#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `matrix ksm experiment` on the real KSM, with plain processes for VMs: exact numbers, and knobs that
# are put back after success, a wrong number, a failure, SIGINT, and a kill that nothing can catch.
# Usage: ksm_experiment.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
knobs=/sys/kernel/mm/ksm
mergeable=$build/examples/mergeable
out=$scratch/results

# Bad files and arguments need neither KSM nor root.
fails() { # STATUS COMPLAINT NAME ARGUMENT...
    local wanted=$1 complaint=$2 name=$3 outcome=0
    shift 3
    attempt timeout 60 "$matrix" ksm experiment --quiet "$@"
    { has_status "$wanted" && complains "$complaint"; } || outcome=1
    result "$outcome" "$name: $complaint"
}
printf 'steps:\n  - mark: a\n' >"$scratch/good.yaml"
printf 'steps:\n  - stop: neo\n' >"$scratch/bad.yaml"
attempt "$matrix" ksm experiment --check "$scratch/good.yaml"
check "--check: a good file" prints "1 step, no fault found"
fails 122 "step 1: stop: no VM called neo" "--check" --check "$scratch/bad.yaml"
fails 122 "name a FILE" "no file"
fails 122 "No such file" "a file that is not there" "$scratch/none.yaml"
fails 122 "name the --out directory" "--report" --report "$scratch"
mkdir "$scratch/full" && touch "$scratch/full/a"
attempt "$matrix" ksm experiment --help
check "--help" has_status 0

if [ ! -w $knobs/run ]; then
    skip "experiments" "needs root, and a kernel with KSM"
    finish
    exit 0
fi
if command -v setpriv >/dev/null && [ "$(id -u)" -eq 0 ]; then
    chmod 755 "$scratch"
    cp "$build/matrix-ksm" "$scratch/matrix-ksm"
    attempt setpriv --bounding-set=-all --inh-caps=-all --clear-groups --regid 65534 --reuid 65534 \
        "$scratch/matrix-ksm" experiment --out "$scratch/no" "$scratch/good.yaml"
    check "without root: 125" has_status 125
    check "and what helps: root, or --lab" complains "or with --lab"
fi
fails 122 "not an empty directory" "--out" --out "$scratch/full" "$scratch/good.yaml"

# The experiments take the lock themselves; another run of these tests, or a person's experiment,
# may have it, and changes knobs while it has. So each attempt looks at them with the lock held.
values() {
    for name in run pages_to_scan sleep_millisecs max_page_sharing use_zero_pages advisor_mode smart_scan; do
        [ ! -e $knobs/$name ] || echo "$name $(cat $knobs/$name)"
    done
}
lock=/run/lock/matrix-ksm
before=$(flock "$lock" bash -c "$(declare -f values); knobs=$knobs; values")
settled() { [ "$(flock "$lock" bash -c "$(declare -f values); knobs=$knobs; values")" = "$before" ]; }

# Begins an experiment in the background when the lock is free: ARGUMENT...
begin() {
    rm -rf "$out"
    until
        "$matrix" ksm experiment --out "$out" "$@" >"$scratch/later.out" 2>"$scratch/later.err" </dev/null &
        pid=$!
        # It has them when it records.
        until [ -e "$out/recording.sqlite" ] || ! kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
        ! grep -qE 'has them|holds /run' "$scratch/later.err"
    do wait "$pid" || true; rm -rf "$out"; sleep 1; done
}
end() {
    status=0
    wait "$pid" || status=$?
    cp "$scratch/later.out" "$scratch/out"
    cp "$scratch/later.err" "$scratch/err"
}
says() { # waits until it has said something
    for _ in $(seq 1200); do
        grep -qF -e "$1" "$scratch/later.err" && return 0
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}
write() { # STEPS
    cat >"$scratch/file.yaml" <<YAML
name: "<script>alert('1')</script>"
knobs: {run: 1, pages_to_scan: 4321, sleep_millisecs: 7, smart_scan: 0}
record: {interval: 100ms, curve: vms}
steps:
$1
YAML
}
two="  - start: {name: one, command: [$mergeable, '8', '2']}
  - wait: {says: ready, name: one}
  - start: {name: two, command: [$mergeable, '8', '2']}
  - wait: {says: ready, name: two}"

# --- success: 8 MiB are equal, 2048 pages, and no other page is ----------------------------------
write "$two
  - wait: {flat: 2s, slope: 0, scans: 5, ceiling: 10min}
  - run: {command: [sh, -c, 'until [ -e $scratch/go ]; do sleep 0.1; done']}
  - expect: {what: merging_pages, of: one, exactly: 2048}
  - expect: {what: merged_pages, of: two, exactly: 2048}
  - expect: {what: shared_pages, of: one, with: two, exactly: 2048}
  - expect: {what: frames, exactly: 2048}
  - expect: {what: mappings, exactly: 4096}
  - tell: {name: two, text: write 48}
  - wait: {says: wrote 48, name: two}
  - expect: {what: shared_pages, of: two, with: one, exactly: 2000}
  - run: {command: [sh, -c, echo worked]}
  - set: {pages_to_scan: 1234}
  - stop: one"
begin "$scratch/file.yaml"
says "step 5"
check "meanwhile the knobs are those of the file" [ "$(cat $knobs/pages_to_scan)" = 4321 ]
# Who else wants them is told whose they are.
attempt "$matrix" ksm experiment --out "$scratch/second" "$scratch/good.yaml"
check "a second experiment: 125" has_status 125
check "and is told who has the knobs" complains "process $pid (matrix-ksm) has them"
check "and leaves nothing behind" [ ! -e "$scratch/second" ]
touch "$scratch/go"
end
check "known pages give known numbers" has_status 0
check "all six numbers are right" [ "$(grep -c '^right: ' "$scratch/out")" -eq 6 ]
check "the knobs are as before" settled
check "no VM is left" bash -c "! pgrep -f '^$mergeable'"
check "the workload's output is kept" grep -q worked "$out/run.log"
cp "$out/results.json" "$scratch/out"
check "results: all steps" json "result['steps_done'] == result['steps'] == 17 and result['knobs_restored']"
check "results: a phase, merged and flat" json \
    "result['phases'][0]['pages_after'] == 4096 and result['phases'][0]['to_flat_ns'] > 0"
check "results: the map has both" json \
    "[vm['shared_pages'] for vm in result['map']['vms']] == [2000, 2000] and result['map']['shared_pages'][0][1] == 2000"
check "results: knobs before and during" json \
    "result['knobs']['during']['pages_to_scan'] == '4321' and result['knobs']['before'] == result['knobs']['after']"
attempt "$matrix" ksm export "$out/recording.sqlite"
check "the recording opens" has_status 0
check "the report has no script of anybody's" bash -c "! grep -qi '<script' '$out/report.html'"
check "but its name, escaped" grep -qF "&lt;script&gt;" "$out/report.html"
check "and every part" bash -c "for part in merged expected time map done host knobs file; do
    grep -q \"<h2>.*\$part\" '$out/report.html' || exit 1; done"
rm "$out/report.html"
attempt "$matrix" ksm experiment --report "$out"
check "--report writes it anew" [ -s "$out/report.html" ]
for broken in '[]' '{"version": 2}' '{"version": 1, "phases": 7, "map": [], "events": {"a": 1}}' \
    '{"version": 1, "phases": [1, {"label": 3}], "checks": [null], "map": {"vms": [1], "shared_pages": 3}}' '{'; do
    echo "$broken" >"$out/results.json"
    attempt "$matrix" ksm experiment --report "$out"
    check "results that make no sense ($broken): no crash" [ "$status" -lt 128 ]
done

# --- a number that is wrong ---------------------------------------------------------------------
write "$two
  - expect: {what: merging_pages, of: one, exactly: 4000000}
  - expect: {what: merging_pages, of: one, at_least: 0}"
begin --json --quiet "$scratch/file.yaml"
end
check "a wrong number: 1" has_status 1
check "all numbers are looked at" json "[check['passed'] for check in result['checks']] == [False, True]"
check "and each names its step, counted as messages do" \
    json "[check['step'] for check in result['checks']] == [result['steps'] - 1, result['steps']]"
check "the knobs are as before" settled

# --- a VM of which KSM may merge nothing is in no map: it has no pages there -----------------------
write "  - start: {name: one, command: [$mergeable, '1', '0']}
  - wait: {says: ready, name: one}
  - start: {name: two, command: [sleep, '100']}
  - expect: {what: merged_pages, of: two, exactly: 0}
  - expect: {what: shared_pages, of: one, with: two, exactly: 0}
  - expect: {what: shared_pages, of: two, with: one, exactly: 0}"
begin --quiet --no-report "$scratch/file.yaml"
end
check "who has nothing to merge has no pages in the map, and shares none" has_status 0

# --- who says a lot, and has ended before all of it was looked through ----------------------------
write "  - start: {name: one, command: [sh, -c, 'seq 1000000; echo so it is done']}
  - wait: {says: so it is done, name: one}"
begin --quiet --no-report "$scratch/file.yaml"
end
check "what is said at last is found behind any amount of output" has_status 0
write "  - start: {name: one, command: [seq, '1000000']}
  - wait: {says: so it is done, name: one}"
begin --quiet --no-report "$scratch/file.yaml"
end
check "and what is not said at all: 125" has_status 125
check "and who has not" complains "one has ended, and has not said: so it is done"

# --- when VMs are first seen: in the first sample after they have memory to merge -----------------
write "  - start: {name: late, command: [sh, -c, 'sleep 0.3; exec $mergeable 1 0']}
  - wait: {says: ready, name: late}
  - mark: it is there
  - wait: {for: 2s}"
begin "$scratch/file.yaml"
end
attempt "$matrix" ksm export --json "$out/recording.sqlite"
check "a VM is in the first sample after it has said that it is ready" python3 -c 'import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
ready = [line["time_s"] for line in lines if line["type"] == "mark" and line["text"] == "it is there"]
after = [line for line in lines if line["type"] == "sample" and line["time_s"] > ready[0]]
assert "late" in [process["name"] for process in after[0]["processes"]], after[0]' "$scratch/out"

# --- when one ends: the look at the beginning of a phase is none of the recording's ---------------
write "  - start: {name: one, command: [$mergeable, '1', '0']}
  - wait: {says: ready, name: one}
  - wait: {for: 3s}
  - stop: one
  - set: {pages_to_scan: 1234}
  - wait: {for: 3s}"
sed -i 's/interval: 100ms/interval: 2s/' "$scratch/file.yaml"
begin "$scratch/file.yaml"
end
check "a VM's end is in the recording, and no value of it behind that" python3 -c 'import sqlite3, sys
rows = list(sqlite3.connect(sys.argv[1]).execute(
    "SELECT ended_ns, max(time_ns), sum(value IS NULL) > 0 FROM subject, sample, change, series "
    "WHERE subject.name = '"'one'"' AND series.subject = subject.id AND change.series = series.id "
    "AND change.sample = sample.id"))
assert rows[0][0] is not None and rows[0][0] == rows[0][1] and rows[0][2], rows' "$out/recording.sqlite"

# --- a VM whose children come and go while the map is taken ----------------------------------------
if grep -q ksm_merge_any /proc/self/ksm_stat 2>/dev/null; then
    map="  - expect: {what: mappings, at_least: 0}"
    write "  - start: {name: busy, merge: all, command: [sh, -c, 'while :; do /bin/true; done']}
  - wait: {for: 300ms}
$(for _ in {1..40}; do echo "$map"; done)"
    begin --quiet "$scratch/file.yaml"
    end
    check "children that end while the merge map is taken are left out" has_status 0
else
    skip "children that end while the merge map is taken" "this kernel does not say who has asked for \`merge: all\`"
fi

# --- phases --------------------------------------------------------------------------------------
write "  - wait: {for: 400ms}
  - wait: {for: 300ms}"
begin --json --quiet "$scratch/file.yaml"
end
check "the first phase begins with the steps, the next where it ends; both have names" json \
    "[(phase['label'], phase['duration_ns'] >= least) for phase, least in zip(result['phases'], (400e6, 300e6))] == [('knobs are set', True), ('wait for 300.00 ms', True)]"

# --- processes that a VM leaves behind: its group is stopped, and not its own process alone --------
marker=1000.$$
left_behind="  - start: {name: one, command: [sh, -c, \"sh -c 'trap \\\"\\\" TERM; echo ready; exec sleep $marker' & wait\"]}
  - wait: {says: ready, name: one}"
is_gone() { ! pgrep -xf "sleep $marker" >/dev/null; }
write "$left_behind
  - stop: one
  - run: {command: [sh, -c, '! pgrep -xf \"sleep $marker\"']}"
begin --no-report "$scratch/file.yaml"
end
check "what ignores SIGTERM is gone after a stop, though the VM's own process ended at once" has_status 0
write "$left_behind"
begin --no-report "$scratch/file.yaml"
end
check "and after the end" is_gone

# --- failures -----------------------------------------------------------------------------------
write "  - start: {name: one, command: [/nowhere/at/all]}"
begin "$scratch/file.yaml"
end
check "a VM that does not start: 125" has_status 125
check "and why" complains "start /nowhere/at/all: No such file"
check "the knobs are as before" settled
write "  - start: {name: one, command: [sh, -c, exit 3]}
  - wait: {for: 1min}"
begin "$scratch/file.yaml"
end
check "a VM that fails: 125" has_status 125
check "and how" complains "VM one: it exited with status 3"
write "$two
  - run: {command: [\"false\"]}"
begin "$scratch/file.yaml"
end
check "a workload that fails: 125" has_status 125
check "the knobs are as before" settled
write "$two
  - set: {max_page_sharing: 2}
  - wait: {for: 100ms}"
begin "$scratch/file.yaml"
end
check "the knob that needs all unmerged is put back, too" settled

# --- signals ------------------------------------------------------------------------------------
write "$two
  - wait: {for: 10min}"
for signal in INT TERM; do
    begin "$scratch/file.yaml"
    says "step 5"
    kill -"$signal" "$pid"
    end
    check "SIG$signal: 128 + its number" has_status $((128 + $(kill -l $signal)))
    check "the knobs are as before" settled
    check "no VM is left" bash -c "! pgrep -f '^$mergeable'"
done
# One that comes when all steps are done, and a VM is asked to end that does not.
write "  - start: {name: one, command: [sh, -c, 'trap \"echo asked\" TERM; echo set; while :; do sleep 0.1; done']}
  - wait: {says: set, name: one}"
begin "$scratch/file.yaml"
for _ in $(seq 1200); do ! grep -qs asked "$out/one.log" || break; sleep 0.05; done
kill -INT "$pid"
end
check "SIGINT while the VMs are stopped: 130" has_status 130
check "the knobs are as before" settled
cp "$out/results.json" "$scratch/out" || true
check "and there are results of all steps" json "result['steps_done'] == result['steps'] == 2 and result['signal'] == 2"
attempt "$matrix" ksm experiment --report "$out"
check "from which --report makes the report" [ -s "$out/report.html" ]
write "$left_behind
  - wait: {for: 10min}"
begin "$scratch/file.yaml"
says "step 3"
for _ in $(seq 1200); do is_gone || break; sleep 0.05; done
kill -KILL "$pid"
end
for _ in $(seq 1200); do ! is_gone || break; sleep 0.05; done
check "SIGKILL: its VMs die with it, all of their processes" is_gone
check "the knobs are not put back: nobody could" [ "$(cat $knobs/pages_to_scan)" = 4321 ]
attempt "$matrix" ksm experiment --check "$scratch/good.yaml"
check "the next command of \`matrix ksm\` does, and says so" complains "the knobs of KSM are put back"
check "the knobs are as before" settled
attempt "$matrix" ksm experiment --check "$scratch/good.yaml"
check "once" is_silent
attempt "$matrix" ksm experiment --report "$out"
check "a report of what was killed: it did not get to its end" complains "was killed before its end"
check "and what there is of it" complains "matrix ksm plot $out/recording.sqlite"
attempt "$matrix" ksm export "$out/recording.sqlite"
check "which can be had" has_status 0
begin "$scratch/file.yaml"
says "step 3"
kill -KILL "$pid"
end
attempt "$matrix" doctor
check "so does \`matrix doctor\`" prints "the knobs are put back"
check "the knobs are as before" settled

# --- a kernel that takes `merge: all` back at exec, without a word: one that says it is that old --------
write "  - start: {name: one, command: [sleep, '100'], merge: all}"
printf '#!/bin/sh\nexec setarch --uname-2.6 "%s" "$@"\n' "$matrix" >"$scratch/old"
chmod +x "$scratch/old"
matrix=$scratch/old begin --quiet --no-report "$scratch/file.yaml"
end
check "\`merge: all\` before Linux 6.7: 125" has_status 125
check "and why" complains "which would merge nothing of it"
check "and what helps" complains "use Linux 6.7 or later"
finish
