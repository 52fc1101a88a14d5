# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Clouds that run to their end, with difficult readers where a test wants them, and their reports. Sourced after tap.sh.
here=$(cd "$(dirname "$0")" && pwd)
source_root=$here/../..
yaml=$scratch/cloud.yaml
saved=$scratch/report.json

# A file with these guests, each given as the inside of a YAML mapping.
guests() {
    echo "guests:"
    printf '  - {%s}\n' "$@"
} # >"$yaml"

# Runs the file for so long: DURATION OPTION... What is to end by itself has 10min, and is killed before.
cloud() {
    rm -f "$saved"
    attempt timeout 120 "$matrix" cloud --report "$saved" --duration "$1" "${@:2}" "$yaml"
}

# The same, with a reader of reader.py: READER DURATION OPTION...
cloud_for() {
    rm -f "$saved"
    attempt timeout 120 python3 "$here/reader.py" "$1" \
        "$matrix" cloud --report "$saved" --duration "$2" "${@:3}" "$yaml"
}

# The same in the background, as $pid, for signals; what it prints can be waited for.
cloud_begins() {
    rm -f "$saved"
    : >"$scratch/out"
    : >"$scratch/err"
    "$matrix" cloud --plain --report "$saved" --duration 10min "$yaml" \
        >"$scratch/out" 2>"$scratch/err" </dev/null &
    pid=$!
    status=0
}
wait_for_text() { # TEXT FILE
    for _ in {1..1200}; do
        grep -qF "$1" "$2" && return
        sleep 0.05
    done
}

# A Python expression of `result`, the report that was saved, and `guest`, its guests by name; or near(NAME, SHARE, BOUND):
# what it was given. Where the processor is emulated, who runs while the emulator stands still is charged with that; nobody
# can make up for it if it was at the end. So one late end of a slice, of a second at most, counts beyond the bound.
reported() {
    python3 - "$saved" "$1" <<'END' 2>>"$scratch/err"
import json, sys
result = json.load(open(sys.argv[1]))
guest = {each["name"]: each for each in result["guests"]}
def near(name, share, bound):
    late = min(result["scheduler"]["delay_worst_ns"], 1e9) / guest[name]["contended_total_ns"]
    return abs(guest[name]["given"] - share) < bound + late
sys.exit(0 if eval(sys.argv[2]) else 1)
END
}

lines() { grep -cE "$1" "$2" || true; }        # how many lines of a file match
all_lines() { ! grep -qvE "$1" "$2"; }         # every line of a file matches
same_text() { [ "$(cat "$1")" = "$2" ]; }
lacks() { ! grep -qF -e "$1" "$2"; }
