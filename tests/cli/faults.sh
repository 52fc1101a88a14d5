#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The reports of all faults that guest/faulty.c can make, as text and as JSON; that each report is
# right is for tests/kvm/test_faults.c. Usage: faults.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm

attempt "$matrix" run faulty
check "faulty lists its faults" has_status 0
faults=$(awk '{ print $1 }' "$scratch/out")

# On some KVMs string output is hypercalls, and no fault; spin is none anywhere.
for fault in $faults; do
    case $fault in spin | port-string) continue ;; esac
    attempt timeout 20 "$matrix" run faulty "$fault"
    check "$fault: status 120" has_status 120
    check "$fault: the report names the guest" complains "faulty"
    check "$fault: the report has a stack trace to main" complains "main"
    case $fault in
    stack) callers="fault_stack" ;; # all that there is room for
    *) callers="first second third" ;;
    esac
    for caller in $callers; do
        check "$fault: called by $caller" complains "$caller"
    done
    cp "$scratch/err" "$scratch/text"
    attempt timeout 20 "$matrix" run --json faulty "$fault"
    check "$fault: as JSON" json 'result["fault"]["guest"] == "faulty"'
    check "$fault: the same reason in both" grep -qF -e \
        "$(python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["fault"]["reason"])' "$scratch/out")" "$scratch/text"
done
finish
