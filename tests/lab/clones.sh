#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The experiment whose right answer is known beforehand, in the lab: ten guests on KVM and KSM of Linux 6.1.
# Its results come out, and the report is made here.
# Usage: clones.sh BUILD-DIRECTORY
. "$(dirname "$0")/../cli/tap.sh"
source=$(cd "$(dirname "$0")/../.." && pwd)
if ! command -v qemu-system-x86_64 >/dev/null; then
    echo "1..0 # SKIP the lab needs qemu-system-x86_64"
    exit 0
fi
out=$scratch/results
attempt "$matrix" ksm experiment --lab --quiet --out "$out" "$source/examples/ksm/clones.yaml"
check "all numbers are as expected" has_status 0
check "each of them was checked" [ "$(grep -c '^right: ' "$scratch/out")" -eq "$(grep -c 'expect:' "$source/examples/ksm/clones.yaml")" ]
check "the report is here" [ -s "$out/report.html" ]
cp "$out/results.json" "$scratch/out" || true
check "it was in the lab, and all steps are done" json \
    "result['host']['lab'] and result['steps_done'] == result['steps'] and result['knobs_restored']"
check "the unique one shares nothing but what is Matrix's own" json \
    "all(pages <= 16 for pages in result['map']['shared_pages'][8])"
attempt "$matrix" ksm export "$out/recording.sqlite"
check "the recording opens" has_status 0
finish
