#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `matrix proc` and `matrix modules` with the modules: what both sources tell is the same, and what only
# the module can do. In the lab, with the driver loaded (tests/lab/modules.sh), which it is at the
# end, too.
#   commands.sh BUILD_DIRECTORY KERNEL
. "$(dirname "$0")/../cli/tap.sh"
here=$(dirname "$(readlink -f "$0")")
proc=("$matrix" proc) modules=("$matrix" modules)

if [ "${MATRIX_LAB:-}" != 1 ]; then
    echo "1..0 # SKIP kernel modules are loaded in the lab only"
    exit 0
fi
targets=()
trap 'kill -9 "${targets[@]}" 2>/dev/null || true; rm -rf "$scratch"' EXIT

target() { # ARGUMENT...: starts it; its pid is in $pid, what it says in $scratch/says
    : >"$scratch/says"
    python3 "$here/../cli/proc_target.py" "$@" >"$scratch/says" 2>&1 &
    pid=$!
    disown
    targets+=("$pid")
    until grep -q ready "$scratch/says"; do sleep 0.1; done
}
place() { awk -v name="$1" '$1 == name { print $2 }' "$scratch/says"; }
fails() { # COMPLAINT NAME COMMAND...
    local complaint=$1 name=$2 outcome=0
    shift 2
    attempt timeout 60 "$@"
    { has_status 125 && complains "$complaint"; } || outcome=1
    result "$outcome" "$name: $complaint"
}

# --- both sources ------------------------------------------------------------------------------
attempt "${modules[@]}" load
check "load: it is loaded already, which is a success" prints "matrix_lens: is loaded already"
target hold
for name in written untouched read closed shared hole; do
    pages=$(awk -v name=$name '$1 == name { print $3 }' "$scratch/says")
    attempt "${proc[@]}" translate --source module --json "$pid" "$(place $name)+$((pages * 4))K"
    checked=$(python3 "$here/../cli/proc_target.py" check "$scratch/out" "$pid" 2>"$scratch/err" || true)
    check "translate: $name memory is where pagemap says" [ "$checked" = "$pages" ]
done
attempt "${proc[@]}" translate --source module "$pid" "$(place written)+256K"
check "its source is told" prints "source: module"
check "and what /proc does not tell" prints "writable dirty anonymous"
attempt "${proc[@]}" footprint --source proc --json "$pid"
cp "$scratch/out" "$scratch/proc"
attempt "${proc[@]}" footprint --source module --json "$pid"
same() { # FIELD: of both sources
    json "result['$1'] == json.load(open('$scratch/proc'))['$1']"
}
for field in mappings virtual_bytes resident_bytes resident_2m_bytes anonymous_bytes no_access_bytes \
    swapped_bytes hugetlb_2m_bytes; do
    check "footprint: $field is the same by both" same $field
done
# The interpreter has read some of its own.
check "zero pages are counted" json "result['zero_bytes'] >= 4 * 4096"
target children
attempt "${proc[@]}" children --source proc --json "$pid"
python3 -c 'import json, sys; print(sorted((c["pid"], c["state"], c["name"]) for c in json.load(sys.stdin)["children"]))' \
    <"$scratch/out" >"$scratch/proc"
attempt "${proc[@]}" children --source module --json "$pid"
python3 -c 'import json, sys; print(sorted((c["pid"], c["state"], c["name"]) for c in json.load(sys.stdin)["children"]))' \
    <"$scratch/out" >"$scratch/module"
check "children: the same by both" cmp -s "$scratch/proc" "$scratch/module"
check "all four" json "result['total'] == 4"
attempt "${proc[@]}" list --json
check "list: who asks is on a CPU" json "[t['on_cpu'] for t in result['tasks'] if t['name'] == 'matrix-proc'] == [True]"
attempt "${proc[@]}" watch --interval 50ms --duration 100ms --json "$pid"
check "watch: by the module" grep -q '"source":"module"' "$scratch/out"

# --- poke ---------------------------------------------------------------------------------------
target hold
address=$(place written)
attempt "${proc[@]}" poke --json "$pid" "$(printf '0x%x' $((address + 7)))" 0x5a
check "poke: written and verified" json "result['verified'] and result['old'] == 0 and result['new'] == 0x5a"
byte() { # ADDRESS VALUE: whether the process's own memory says so
    [ "$(dd if="/proc/$pid/mem" bs=1 skip=$(($1)) count=1 2>/dev/null | od -An -tu1 | tr -d ' ')" = "$2" ]
}
check "the process sees it" byte $((address + 7)) 90
attempt "${proc[@]}" poke "$pid" "$address" 0x7f
check "in words" prints "was 0x01, is 0x7f: verified"
fails "no page is there yet" "poke untouched memory" "${proc[@]}" poke "$pid" "$(place untouched)" 1
fails "zero page" "poke the zero page" "${proc[@]}" poke "$pid" "$(place read)" 1
fails "no mapping covers" "poke a hole" "${proc[@]}" poke "$pid" "$(printf '0x%x' $(($(place hole) + 4096)))" 1
text=$(awk '$2 ~ /x/ && $6 ~ /^\// { print "0x" substr($1, 1, index($1, "-") - 1); exit }' "/proc/$pid/maps")
fails "file on disk" "poke a program's text" "${proc[@]}" poke "$pid" "$text" 1
fails "not any more" "poke another page's address" "${proc[@]}" poke "$pid" "$address" 1 --physical 0x5000

# --- reparent -----------------------------------------------------------------------------------
sleep 600 &
child=$!
disown
targets+=("$child")
attempt "${proc[@]}" reparent --json "$child" --to "$pid"
check "reparent: the old parent is told" json "result['old_parent_pid'] == $$ and result['parent_pid'] == $pid"
check "/proc says so, too" [ "$(awk '{ print $4 }' "/proc/$child/stat")" = "$pid" ]
fails "descends from it" "a circle" "${proc[@]}" reparent "$pid" --to "$child"
fails "one process" "itself" "${proc[@]}" reparent "$pid" --to "$pid"
fails "kernel thread" "a kernel thread" "${proc[@]}" reparent 2 --to "$pid"

# --- modules ------------------------------------------------------------------------------------
attempt "${modules[@]}" load lkm2 pid=$$
check "load lkm2: its lines are shown" prints "lkm2: child pid $pid"
fails "takes parameters only then" "load it again with another" "${modules[@]}" load lkm2 pid=1
attempt "${modules[@]}" unload lkm2
check "unload" prints "lkm2: unloaded"
fails "is not loaded" "unload it again" "${modules[@]}" unload lkm2
fails "no such process" "load lkm4 for nobody" "${modules[@]}" load lkm4 pid=4194303
check "what it wrote is shown" prints "lkm4: parameter pid=4194303"
fails "refuses a parameter" "a parameter that is no number" "${modules[@]}" load lkm4 pid=abc
attempt "${modules[@]}" load get_pgfaults
attempt "${proc[@]}" pgfaults
check "pgfaults by its module" prints "source: module, /proc/get_pgfaults"
attempt "${modules[@]}" unload get_pgfaults
exec 9<>/dev/matrix
fails "($(cat /proc/$$/comm))" "unload the driver while it is open" "${modules[@]}" unload
exec 9>&-
attempt "${modules[@]}" unload
check "unload the driver" has_status 0
fails "not loaded" "poke without it" "${proc[@]}" poke "$pid" "$address" 1
attempt "${proc[@]}" footprint "$pid"
check "/proc takes its place" prints "source: /proc/$pid/smaps"
attempt "${modules[@]}" load
check "load the driver" prints "matrix_lens: loaded, from"
attempt "${modules[@]}" status --json matrix_lens
check "status: loaded, and it fits" json "result['modules'][0]['loaded'] and result['modules'][0]['fits']"
finish
