#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The reports of all faults that guest/faulty.c can make, as text and as JSON; that each report is
# right is for tests/kvm/test_faults.c. Usage: faults.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm

attempt "$matrix" run faulty
check "faulty lists its faults" has_status 0
faults=$(awk '{ print $1 }' "$scratch/out")

# On some KVMs string output is hypercalls, and no fault; spin is none anywhere. QEMU's emulator of a processor does not
# know two of them: the guest goes on, and says so.
is_emulated() { grep -q '^model name.*QEMU TCG' /proc/cpuinfo; }
for fault in $faults; do
    case $fault in
    spin | port-string) continue ;;
    alignment | simd)
        if is_emulated; then
            attempt timeout 60 "$matrix" run faulty "$fault"
            check "$fault: none on this processor" eval 'has_status 1 && prints "nothing happened"'
            continue
        fi
        ;;
    esac
    attempt timeout 60 "$matrix" run faulty "$fault"
    check "$fault: status 120" has_status 120
    check "$fault: the report names the guest" complains "faulty"
    case $fault in
    stack) callers="fault_stack" ;; # as many of it as a report has room for
    *) callers="first second third main" ;;
    esac
    for caller in $callers; do
        check "$fault: called by $caller" complains "$caller"
    done
    cp "$scratch/err" "$scratch/$fault.text"
    attempt timeout 60 "$matrix" run --json faulty "$fault"
    cp "$scratch/out" "$scratch/$fault.json"
done

# All in one run: python takes longer to start than a guest.
while read -r outcome name; do
    result "$outcome" "$name"
done < <(python3 - "$scratch"/*.json <<'PYTHON'
import json, pathlib, sys
for path in map(pathlib.Path, sys.argv[1:]):
    try:
        result = json.loads(path.read_text())
        fault, text = result["fault"], path.with_suffix(".text").read_text()
        same = fault["reason"] in text and fault["explanation"] in text
        whole = fault["guest"] == "faulty" and len(fault["registers"]) >= 20
        print(int(result["exit_status"] != 120 or not whole), path.stem + ": as JSON")
        print(int(not same), path.stem + ": the same in text and JSON")
    except (ValueError, KeyError, TypeError) as error:
        print(1, path.stem, "as JSON:", error)
PYTHON
)
finish
