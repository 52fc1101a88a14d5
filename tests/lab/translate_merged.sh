#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `matrix translate` by /proc on Linux 6.12, whose kpageflags says of every anonymous page that KSM has merged it: what is
# merged, and what is not, and who shares it.
#   translate_merged.sh BUILD_DIRECTORY [KERNEL]            on the host; default: 6.12
#   translate_merged.sh --inside BUILD_DIRECTORY
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "$0")")

if [ "$1" != --inside ]; then
    status=0
    "$1/matrix" lab run --kernel "${2:-6.12}" --timeout 40min -- "$here/translate_merged.sh" --inside "$1" || status=$?
    if [ "$status" = 125 ]; then
        echo "1..0 # SKIP the lab cannot have this kernel here"
    elif [ "$status" != 0 ]; then
        echo "Bail out! the lab ended with status $status"
    fi
    exit
fi
shift
. "$here/../cli/tap.sh"
ksm=/sys/kernel/mm/ksm
pids=()
trap 'echo 0 >$ksm/run; kill "${pids[@]}" 2>/dev/null || true; rm -rf "$scratch"' EXIT

wait_for() { # PATTERN COUNT FILE
    for ((i = 0; i < 600; i++)); do
        [ "$(grep -c "$1" "$3")" -lt "$2" ] || return 0
        sleep 0.1
    done
    cat "$3"
    echo "Bail out! nobody says $1 in $3"
    exit 1
}
look() { "$matrix" translate --source proc --json "$@" >"$scratch/out" 2>"$scratch/err"; }
is_private() { json "all(not 'ksm' in a['flags'] and a['frame_mappings'] is None and a['merged_with'] == [] and
    'anonymous' in a['flags'] for a in result['addresses'])"; }

cat >"$scratch/cloud.yaml" <<YAML
guests:
  - {name: neo, image: $build/tests/kvm/guests/tell.elf, memory: 8M, mergeable: yes}
  - {name: morpheus, image: $build/tests/kvm/guests/tell.elf, memory: 8M, mergeable: yes}
YAML
"$matrix" cloud --plain -q "$scratch/cloud.yaml" >"$scratch/cloud" 2>&1 &
cloud=$!
# A parent and its child, with a page in common that no one has merged.
python3 -c '
import ctypes, mmap, os, signal
page = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
page[:] = b"matrix" * 682 + b"page"
where = ctypes.addressof(ctypes.c_char.from_buffer(page))
if os.fork():
    print("ready", hex(where), flush=True)
signal.pause()' >"$scratch/parent" 2>&1 &
pids=("$cloud" $!)
wait_for ready 2 "$scratch/cloud"
wait_for ready 1 "$scratch/parent"
forked=$(sed -n 's/^ready //p' "$scratch/parent")
child=$(cat "/proc/${pids[1]}/task/${pids[1]}/children")
pids+=("${child% }")
sed -n 's/^neo: //p' "$scratch/cloud" | grep -v ready >"$scratch/places"
mapfile -t places < <(awk '{ print "0x" $2 }' "$scratch/places")
private() { look neo "${places[@]}" && is_private; }
shared_by_fork() { look "${pids[1]}" "$forked" && is_private; }

echo "# $(uname -r)"
check "what nobody has merged is not, and how often it is mapped is null" private
check "nor what a parent shares with its child" shared_by_fork
echo 10000 >$ksm/pages_to_scan
echo 10 >$ksm/sleep_millisecs
[ ! -e $ksm/smart_scan ] || echo 0 >$ksm/smart_scan # or equal pages may never be compared
echo 1 >$ksm/run
# The image's first page has the same content in both, and nobody writes there.
is_merged() { look neo 0x400000 && json "'ksm' in result['addresses'][0]['flags'] and result['addresses'][0]['merged_with']"; }
for ((i = 0; i < 600; i++)); do is_merged && break; sleep 0.1; done
check "what KSM merged is, with whom it did" json \
    "[(s['name'], s['pid']) for s in result['addresses'][0]['merged_with']] == [('morpheus', $cloud)]"
check "both are at that frame, and the kernel counts no other" python3 "$here/translate_check.py" merged "$scratch/out" "$cloud"
odd=0x$(awk '$1 == "odd" { print $2 }' "$scratch/places")
is_alone() { look neo "$odd" && is_private; }
check "a page of the same guest with a word of its own is not" is_alone
check "and a parent and its child have merged nothing still" shared_by_fork
look --alone neo 0x400000
check "--alone counts mappings as well" json "result['addresses'][0]['frame_mappings'] == 2"
kill "$cloud"
wait "$cloud" || true
finish
