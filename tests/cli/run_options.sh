#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The options of `matrix run`: what they do, and what is said when they make no sense.
# Usage: run_options.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm

# --- bad usage --------------------------------------------------------------------------------
refuses 122 "memory" "memory of nothing" --memory 0 hello
refuses 122 "2 MiB is the least" "memory of 1M" --memory 1M hello
refuses 122 "too small" "memory of 4097 bytes" --memory 4097 hello
refuses 122 "not whole pages" "memory of 2M and a byte" --memory 2097153 hello
refuses 122 "more than this host has" "memory of 100T" --memory 100T hello
refuses 122 "--memory: '99999999999999999999'" "memory past 64 bits" \
    --memory 99999999999999999999 hello
refuses 122 "--memory: '-1'" "memory below zero" --memory -1 hello
refuses 122 "--memory: '1X'" "memory in unknown units" --memory 1X hello
refuses 122 "--memory: ''" "memory of no size" --memory "" hello
refuses 122 "stack" "stack of nothing" --stack 0 hello
refuses 122 "a stack of 1 bytes" "stack of a byte" --stack 1 hello
refuses 122 "a stack of" "stack larger than memory" --stack 1T hello
refuses 122 "a stack of 18446744073709551615" "stack that wraps" --stack 18446744073709551615 hello
refuses 122 "--stack: 'big'" "stack of words" --stack big hello
refuses 122 "--timeout: '5' is not a duration" "time without unit" --timeout 5 hello
refuses 122 "--timeout" "no time at all" --timeout 0s hello
refuses 122 "--timeout: 'soon'" "time of words" --timeout soon hello
refuses 122 "too short" "slice of 1us" --slice 1us hello
refuses 122 "slice" "slice of nothing" --slice 0s hello
refuses 122 "out of range: from 1 to 16" "no vCPUs" --vcpus-max 0 hello
refuses 122 "out of range: from 1 to 16" "too many vCPUs" --vcpus-max 17 hello
refuses 122 "--cpu: '-1'" "CPU below zero" --cpu -1 hello
refuses 122 "--translate: 'main'" "address of words" --translate main hello
refuses 122 "write NAME=VALUE" "variable without value" --env PATH hello
refuses 122 "unrecognized option '--nonsense'" "unknown option" --nonsense hello
refuses 122 "requires an argument" "option without value" --memory
refuses 122 "name a guest" "no guest"
refuses 122 "name a guest" "no guest behind options" --memory 4M
printf -v long '%1100000s' x
refuses 122 "arguments and environment" "arguments that do not fit" hello "${long:0:120000}" \
    "${long:0:120000}" "${long:0:120000}" "${long:0:120000}" "${long:0:120000}" \
    "${long:0:120000}" "${long:0:120000}" "${long:0:120000}" "${long:0:120000}"
refuses 123 "/nowhere/kvm: No such file" "no device" --kvm /nowhere/kvm hello
refuses 123 "/dev/null is not KVM" "another device" --kvm /dev/null hello

# --- what options do ----------------------------------------------------------------------------
attempt "$matrix" run --memory 64M hello one "two three"
check "--memory: the guest has it" prints "with 65536 KiB of memory"
check "arguments arrive" prints "argument 2: two three"
attempt "$matrix" run hello --memory --nonsense
check "what follows the guest is the guest's" prints "argument 2: --nonsense"
attempt "$matrix" run --name trinity hello
check "--name: the guest has it" prints "Hello from trinity"
attempt "$matrix" run "$build/guest/hello.elf"
check "a path, and the name from it" prints "Hello from hello,"
for option in --mergeable --huge-pages --lock --prefault --small-pages --hide-host-addresses \
    "--vcpus-max=2" "--stack=64K" "--cpu=0" "--slice=100us" "--env=A=B"; do
    attempt "$matrix" run "$option" talk
    check "talk passes with $option" has_status 0
done
attempt "$matrix" run --vcpus-max 2 vcpus 3
check "--vcpus-max: a third does not start" prints "vCPU 2 did not start"
attempt "$matrix" run --statistics primes
check "--statistics: CPU time and exits" complains "exits: io 2"

# --- addresses -----------------------------------------------------------------------------------
main=$(nm "$build/guest/hello.elf" | sed -n 's/^\([0-9a-f]*\) T main$/0x\1/p')
attempt "$matrix" run --translate "$main" --translate 0 --translate 0xffff800000000000 \
    --translate 0x800000000000 hello
check "--translate: code" grep -qE "^gva 0x[0-9a-f]+ -> gpa .* 4 KiB  r-x  main\+0" "$scratch/err"
check "--translate: not mapped" complains "gva 0 is not mapped"
check "--translate: the monitor's half" grep -qE "^gva 0xffff8.* ---" "$scratch/err"
check "--translate: KVM and the walk agree" \
    bash -c '! grep -q DISAGREES "$1"' - "$scratch/err"

# --- JSON ----------------------------------------------------------------------------------------
attempt "$matrix" run --json --translate "$main" --translate 0 status 7
check "--json: valid" json 'result["version"] == 1'
check "--json: what became of it" \
    json 'result["name"] == "status" and result["state"] == "exited" and result["exit_status"] == 7'
check "--json: the status is the guest's too" has_status 7
check "--json: times" json '0 < result["cpu_ns"] and 0 < result["wall_ns"]'
check "--json: exits" json 'result["exits_total"] == sum(result["exits"].values()) >= 1'
check "--json: exits by kind" json \
    'set(result["exits"]) == {"io", "interrupted", "fault", "mmio", "shutdown", "other"}'
check "--json: no fault" json 'result["fault"] is None'
check "--json: translations" json 'len(result["translations"]) == 2'
attempt "$matrix" run --json --memory 4M hello
check "--json: the guest's output is on standard error" complains "Hello from hello"
check "--json: memory" json 'result["memory_bytes"] == 4 << 20'
attempt "$matrix" run --json faulty null
check "--json: a fault" json 'result["fault"]["vector"] == 14 and result["exit_status"] == 120'
attempt "$matrix" run --json --timeout 100ms spin
check "--json: a time limit" json 'result["state"] == "stopped" and result["exit_status"] == 124'
attempt "$matrix" run --json neo --units 100
check "--json: work" json 'result["work"] == 100'
finish
