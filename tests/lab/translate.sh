#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `matrix translate` with guests that run, in the lab: each stage is compared with who knows it
# without Matrix: the guest itself, /proc/PID/mem, pagemap, kpageflags, kpagecount.
#   translate.sh BUILD_DIRECTORY            on the host
#   translate.sh --inside BUILD_DIRECTORY
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "$0")")

if [ "$1" != --inside ]; then
    status=0
    "$1/matrix" lab run --timeout 40min -- "$here/translate.sh" --inside "$1" || status=$?
    [ "$status" = 0 ] || echo "Bail out! the lab ended with status $status"
    exit
fi
shift
. "$here/../cli/tap.sh"
tell=$build/tests/kvm/guests/tell.elf
ksm=/sys/kernel/mm/ksm
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$scratch"' EXIT

wait_for() { # PATTERN COUNT FILE
    local tries=0
    until [ "$(grep -c "$1" "$3")" -ge "$2" ]; do
        sleep 0.1
        [ $((tries += 1)) -lt 600 ] || { cat "$3"; echo "Bail out! no guest says $1 in $3"; exit 1; }
    done
}

cat >"$scratch/cloud.yaml" <<YAML
guests:
  - {name: neo, image: $tell, memory: 8M, mergeable: yes}
  - {name: morpheus, image: $tell, memory: 8M, mergeable: yes}
YAML
"$matrix" cloud --plain -q "$scratch/cloud.yaml" >"$scratch/cloud" 2>&1 &
cloud=$!
"$matrix" run --mergeable --memory 8M --name trinity "$tell" >"$scratch/run" 2>&1 &
run=$!
"$matrix" run --memory 8M --name alone "$tell" >"$scratch/alone" 2>&1 &
pids=("$cloud" "$run" $!)
wait_for ready 2 "$scratch/cloud"
wait_for ready 1 "$scratch/run"
wait_for ready 1 "$scratch/alone"

# "PLACE ADDRESS WORD" of a guest.
places() { sed -n "s/^$1: //p" "$scratch/cloud" | grep -v ready; }
kernel() { python3 "$here/translate_check.py" "$@" >>"$scratch/out" 2>"$scratch/err"; }

# All places of a guest, by its own word and the kernel's: NAME PID FILE
follow() {
    local addresses
    mapfile -t addresses < <(awk '{ print "0x" $2 }' "$3")
    attempt "$matrix" translate --json "$1" "${addresses[@]}"
    check "$1: followed to the end" has_status 0
    check "$1: what the guest wrote is at host virtual, and host physical is where pagemap says" \
        kernel stages "$scratch/out" "$2" "$3"
}
for guest in neo morpheus; do
    places $guest >"$scratch/$guest.places"
    follow $guest "$cloud" "$scratch/$guest.places"
done
grep -v ready "$scratch/run" >"$scratch/trinity.places"
follow trinity "$run" "$scratch/trinity.places"
follow "$cloud:neo" "$cloud" "$scratch/neo.places"
follow "$run" "$run" "$scratch/trinity.places"
grep -v ready "$scratch/alone" >"$scratch/alone.places"
follow alone "${pids[2]}" "$scratch/alone.places"

# --- stages that begin, or end, elsewhere ----------------------------------------------------
heap=0x$(awk '$1 == "heap" { print $2 }' "$scratch/neo.places")
attempt "$matrix" translate --json neo "$heap"
gpa=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["addresses"][0]["guest_physical_address"])' "$scratch/out")
hva=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["addresses"][0]["host_virtual_address"])' "$scratch/out")
attempt "$matrix" translate --json --physical neo "$gpa"
check "--physical begins at guest physical, and comes to the same" json \
    "[(a['guest_virtual_address'], a['host_virtual_address']) for a in result['addresses']] == [(None, '$hva')]"
attempt "$matrix" translate --json --host neo "$hva"
check "--host begins at host virtual" json \
    "[(a['guest_physical_address'], a['host_virtual_address']) for a in result['addresses']] == [(None, '$hva')] and result['kind'] == 'process'"
attempt "$matrix" translate neo 0x1000
check "not mapped in the guest: status 1" has_status 1
check "and it is said" prints "the guest's page tables map nothing there"
attempt "$matrix" translate neo 0x800000000000
check "no address at all: status 1" has_status 1
attempt "$matrix" translate --physical neo 0x10000000
check "no memory there: said" prints "the guest has no memory there"
attempt "$matrix" translate "$cloud" 0x400000
check "a pid with two guests: 122, and their names" has_status 122
check "and their names" complains "neo, morpheus"
attempt "$matrix" translate --vcpu 3 neo 0x400000
check "a virtual CPU that is not there" complains "--vcpu 3: guest neo has"

# --- without rights ---------------------------------------------------------------------------
drop=(setpriv --bounding-set=-all --inh-caps=-all --clear-groups --regid 65534 --reuid 65534)
chmod 755 "$scratch"
mkdir -m 700 "$scratch/nobody"
chown 65534:65534 "$scratch/nobody"
cp "$build/matrix-translate" "$build/matrix" "$scratch/"
attempt "${drop[@]}" "$scratch/matrix-translate" neo 0x400000
check "another user's guest is none" has_status 122
check "and what helps" complains "for root"
chmod 666 /dev/kvm
MATRIX_RUNTIME_DIR=$scratch/nobody "${drop[@]}" "$scratch/matrix" run --name own "$tell" >"$scratch/own" 2>&1 &
pids+=($!)
wait_for ready 1 "$scratch/own"
heap=0x$(awk '$1 == "heap" { print $2 }' "$scratch/own")
attempt env MATRIX_RUNTIME_DIR="$scratch/nobody" "${drop[@]}" "$scratch/matrix-translate" own "$heap"
check "one's own guest without root: status 1" has_status 1
check "the earlier stages are shown" prints "host virtual"
check "with what is known of the page" prints "present"
check "and what is missing is said" prints "run it as root"
attempt env MATRIX_RUNTIME_DIR="$scratch/nobody" "$scratch/matrix-translate" own "$heap"
check "root sees everybody's" has_status 0

# --- merged pages ------------------------------------------------------------------------------
mkdir -p /run/lock
exec 9>/run/lock/matrix-ksm
flock 9
trap 'echo 0 >$ksm/run; kill "${pids[@]}" 2>/dev/null || true; rm -rf "$scratch"' EXIT
echo 10000 >$ksm/pages_to_scan
echo 10 >$ksm/sleep_millisecs
[ ! -e $ksm/smart_scan ] || echo 0 >$ksm/smart_scan # or equal pages may never be compared
echo 1 >$ksm/run
# The image's first page has the same content in each of them, and nobody writes there.
merged() {
    "$matrix" translate --json neo 0x400000 >"$scratch/out" 2>"$scratch/err" &&
        json "len(result['addresses'][0]['merged_with']) == 2"
}
for ((i = 0; i < 600; i++)); do merged && break; sleep 0.1; done
status=0
check "a page that is merged names both others" json \
    "sorted((s['name'], s['pid']) for s in result['addresses'][0]['merged_with']) == [('morpheus', $cloud), ('trinity', $run)]"
check "in words" bash -c '"$1" translate neo 0x400000 | grep -q "morpheus (process $2), guest physical 0x0"' - "$matrix" "$cloud"
check "all are at that frame, and the kernel counts no other" kernel merged "$scratch/out" "$cloud"
"$matrix" translate --json --alone neo 0x400000 >"$scratch/out"
check "--alone looks for nobody" json "result['addresses'][0]['merged_with'] is None and result['addresses'][0]['frame_mappings'] == 3"
"$matrix" translate --json neo "0x$(awk '$1 == "odd" { print $2 }' "$scratch/neo.places")" >"$scratch/out"
check "a page with a word of its own is merged with nobody" json "result['addresses'][0]['merged_with'] == []"
attempt "$matrix" ksm map --json neo morpheus trinity
check "matrix ksm map takes guests by name" has_status 0
check "and has each of them" json "all(name in json.dumps(result) for name in ('neo', 'morpheus', 'trinity'))"
attempt "$matrix" ksm record --interval 100ms --duration 3s --out "$scratch/trinity.sqlite" --vm trinity
check "matrix ksm record --vm takes a guest by name" has_status 0
"$matrix" ksm export "$scratch/trinity.sqlite" >"$scratch/csv"
check "and records what of it is merged" python3 -c "
import csv, sys
rows = [row for row in csv.DictReader(open(sys.argv[1])) if row['subject'] == 'trinity']
sys.exit(not (len(rows) > 3 and all(row['pid'] == sys.argv[2] and int(row['ksm_merging_pages']) > 0 for row in rows)))
" "$scratch/csv" "$run"

attempt "$matrix" ksm record --interval 100ms --duration 1s --out "$scratch/cloud.sqlite" --vm morpheus --vm neo
check "of a cloud all guests are recorded together, which is said" \
    complains "--vm morpheus: process $cloud runs neo and morpheus: KSM counts by process"
check "for each that was named" complains "--vm neo: process $cloud runs neo and morpheus"
"$matrix" ksm export "$scratch/cloud.sqlite" >"$scratch/csv"
check "under the names of all" python3 -c "
import csv, sys
names = [row['subject'] for row in csv.DictReader(open(sys.argv[1])) if row['pid']]
sys.exit(not names or set(names) != {'neo and morpheus'})" "$scratch/csv"

# By guest, in the metrics: as the map has it while nothing is merged.
echo 0 >$ksm/run
"$matrix" metrics --ksm --listen 127.0.0.1:0 >"$scratch/url" 2>"$scratch/err" </dev/null &
metrics=$!
for ((i = 0; i < 600; i++)); do [ -s "$scratch/url" ] && break; sleep 0.1; done
python3 -c 'import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=60).read().decode())' "$(cat "$scratch/url")" >"$scratch/metrics"
kill "$metrics"
attempt "$matrix" ksm map --json neo morpheus trinity alone
check "matrix metrics --ksm says of each guest what the map does" python3 -c "
import json, re, sys
vms = {vm['name']: vm for vm in json.load(open(sys.argv[1]))['subjects']}
text = open(sys.argv[2]).read()
def metric(name):
    found = re.findall(r'^matrix_guest_ksm_' + name + r'_bytes{guest=\"(\w+)\".*} (\d+)$', text, re.M)
    return {guest: int(value) for guest, value in found}
merged = {name: (vm['shared_pages'] + vm['within_pages']) * 4096 for name, vm in vms.items()}
print('#', merged, metric('merged'), metric('saved'))
sys.exit(not (len(merged) == 4 and metric('merged') == merged and merged['neo'] > 0 and merged['alone'] == 0 and
              all(abs(metric('saved')[name] - vms[name]['saved_bytes']) <= 1 for name in vms)))
" "$scratch/out" "$scratch/metrics"
echo 1 >$ksm/run

echo 2 >$ksm/run
"$matrix" translate --json neo 0x400000 >"$scratch/out"
check "unmerged: with nobody any more" json "result['addresses'][0]['merged_with'] == []"
echo 0 >$ksm/run

# --- ends ----------------------------------------------------------------------------------------
kill -9 "$run"
wait "$run" 2>/dev/null || true
check "a killed one leaves its socket behind" [ -S "$MATRIX_RUNTIME_DIR/$run.sock" ]
attempt "$matrix" translate trinity 0x400000
check "at which nobody is" complains "no guest that runs is called trinity"
attempt "$matrix" run hello
check "the next one removes it" [ ! -e "$MATRIX_RUNTIME_DIR/$run.sock" ]
kill "$cloud"
wait "$cloud" || true
check "one that ends removes its own" [ ! -e "$MATRIX_RUNTIME_DIR/$cloud.sock" ]
attempt env MATRIX_RUNTIME_DIR=/proc/none "$matrix" run hello
check "no runtime directory: it runs all the same" has_status 0
check "and without a word" is_silent
attempt env MATRIX_RUNTIME_DIR=/proc/none "$matrix" run --control auto hello
check "unless it was asked for: 125" has_status 125
check "and why" complains "make the runtime directory"
"$matrix" run --control "$scratch/here" --name there "$tell" >"$scratch/there" 2>&1 &
pids+=($!)
wait_for ready 1 "$scratch/there"
attempt "$matrix" translate "$scratch/here" 0x400000
check "--control PATH: found by the path" prints "there (process"
check "mode 0600" [ "$(stat -c %a "$scratch/here")" = 600 ]
attempt "$matrix" translate there 0x400000
check "and not by name" has_status 122
finish
