#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `matrix cloud --check`: what a file's contracts come to, and which are refused. No KVM is needed.
# Usage: cloud_check.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"

yaml=$scratch/f.yaml
source_root=$(readlink -f "$(dirname "$0")/../..")

# Checks a file with this content.
check_file() {
    printf '%b' "$1" >"$yaml"
    attempt timeout 60 "$matrix" cloud --check "$yaml"
}

# The last run was refused with 122, the file's name and these words, and printed nothing.
refused() {
    local word
    for word in "$yaml" "$@"; do complains "$word" || return 1; done
    has_status 122 && [ ! -s "$scratch/out" ]
}

# NAME CONTENT WORD...
refuses() {
    check_file "$2"
    check "$1: the message has ${*:3}" refused "${@:3}"
}

# One guest with these keys: NAME KEYS WORD...
refuses_guest() { refuses "$1" "guests:\n  - {name: a, image: spin, $2}\n" "${@:3}"; }

check_file 'guests:\n  - {name: a, image: spin}\n  - {name: b, image: nothing.elf}\n'
check "an image that is not there: 121" has_status 121
check "... and whose it is" complains "guest b"
check "... but the contract is printed" prints "50 %"
check_file 'policy: round-robin\nguests:\n  - {name: a, image: spin}\n'
check "a policy that keeps no contract: it is said" complains "round-robin keeps ceilings, and no weight"
check_file 'policy: contract\nguests:\n  - {name: a, image: spin}\n'
check "... and not of the one that does" is_silent

attempt "$matrix" cloud --check "$source_root/examples/tenants.yaml"
check "the example: 0" has_status 0
# What stands in the manual is what is printed.
python3 - "$scratch/out" "$source_root/docs/cloud.md" <<'END'
import sys
printed, manual = (open(path, encoding="utf-8").read() for path in sys.argv[1:])
sys.exit(0 if printed.strip() in manual else 1)
END
check "the example: as in docs/cloud.md" [ $? = 0 ]
attempt "$matrix" cloud --check --json "$source_root/examples/tenants.yaml"
check "the example as JSON: guests and groups" \
    json '[g["name"] for g in result["groups"]] == ["blue", "red"] and len(result["guests"]) == 5'
check "the example as JSON: shares add up" \
    json 'abs(sum(g["if_all_run"] for g in result["guests"]) - 1) < 1e-6'
check "the example as JSON: what is promised" json \
    'result["guests"][0]["floor"] == 0.25 and result["guests"][0]["latency_promised_ns"] <= 8000000'
attempt "$matrix" cloud --check "$source_root/examples/matrix.yaml"
check "neo and morpheus: 0" has_status 0
check "neo and morpheus: 70 and 30" grep -q "^neo .* 70 .* 70 %" "$scratch/out"

pair='guests:\n  - {name: a, image: spin, floor: 60%}\n  - {name: b, image: spin, floor: '
refuses "floors beyond the core" "${pair}50%}\n" "60 % + b 50 % = 110 %" "100 % of the core"
check_file "${pair}40%}\n"
check "floors that are all of the core: 0" has_status 0
refuses_guest "a floor above the ceiling" "floor: 30%, ceiling: 20%" "guest a" "above its ceiling"
refuses_guest "a latency target that cannot be kept" "floor: 5%, latency: 1ms" "cannot be kept"
refuses_guest "a floor without %" "floor: 30" "floor" "like 20%"
refuses_guest "no floor" "floor: 0%" "floor" "like 20%"
refuses_guest "more than a core" "ceiling: 101%" "ceiling" "like 20%"
refuses_guest "a floor without digits" "floor: .5%" "floor" "like 20%"
refuses_guest "a floor without end" "floor: 99999999999999999999%" "floor" "like 20%"
check_file "guests: [{name: a, image: spin, floor: 12.5 %, ceiling: 33.3333%}]\n"
check "parts of a percent" grep -q "12.5 % .* 33.33 %" "$scratch/out"
refuses_guest "a word" "ceiling: much" "ceiling" "like 20%"
refuses_guest "latency 0" "latency: 0ms" "latency" "it is 0"
refuses_guest "a group that is not there" "group: b" 'there is no "b"'
one='guests: [{name: a, image: spin, group: g, floor: 10%}]\n'
refuses "a floor in a group without" "groups: [{name: g}]\n$one" "in group g pass its own of 0 %"
refuses "two groups of a name" "groups: [{name: g}, {name: g}]\n$one" "is another's already"
refuses "a group in itself" "groups: [{name: g, group: g}]\n$one" "groups[0]" 'there is no "g"'
refuses_guest "a restart policy that is none" "restart: always" "restart" "never or on-failure"
refuses_guest "a backoff without restart" "backoff: 1s" "backoff" "it never restarts"
refuses_guest "no backoff" "restart: on-failure, backoff: 0s" "backoff: 0s"
refuses_guest "a backoff of an hour" "restart: on-failure, backoff: 1h" "backoff: 1h"
refuses_guest "after itself" "after: [a]" "after" "it is a itself"
refuses_guest "after nobody" "after: [b]" "after" 'there is no guest "b"'
refuses_guest "stops with nobody" "stop-with: [b]" "stop-with" 'there is no guest "b"'
refuses "a circle" 'guests:
  - {name: a, image: spin, after: [b]}
  - {name: b, image: spin, after: [d, c]}
  - {name: c, image: spin, after: [b]}
  - {name: d, image: spin}
' "would ever start" "c after b after c"
check_file 'keep: yes
guests:
  - {name: a, image: spin, after: [b], stop-with: [b]}
  - {name: b, image: spin, stop-with: [a], restart: on-failure, backoff: 1m}
'
check "guests that stop with each other: 0" has_status 0
refuses "a policy that is not there" "policy: tarot\nguests: [{name: a, image: spin}]\n" "tarot"
# --- several cores ------------------------------------------------------------------------------------

attempt "$matrix" cloud --check --json --cores 2 "$source_root/examples/tenants.yaml"
check "two cores: groups and guests are spread" json \
    '{g["name"]: g["core"] for g in result["groups"] + result["guests"]} == {
        "blue": 0, "red": 1, "blue-web": 0, "blue-batch": 0, "red-one": 1, "red-two": 1, "guard": 1}'
check "... with loads, floors and the bound" json \
    '[(c["core"], round(c["load"], 3), round(c["floors"], 3)) for c in result["cores"]] == [
        (0, 1, 0.5), (1, 0.65, 0.05)] and result["shortfall"] == 0'
attempt "$matrix" cloud --check "$source_root/examples/cores.yaml"
check "the example of two cores: as in docs/cloud.md" python3 -c 'import sys
printed, manual = (open(path, encoding="utf-8").read() for path in sys.argv[1:])
sys.exit(printed.strip() not in manual)' "$scratch/out" "$source_root/docs/cloud.md"
cores='cores: 2\nrebalance: 1s\n'
three='guests:\n  - {name: a, image: spin, floor: 40%}\n  - {name: b, image: spin, floor: 40%}\n  - {name: c, image: spin, floor: 70%'
check_file "${cores}$three}\n"
check "with rebalance others make room for a floor" has_status 0
refuses "without, no core has it" "cores: 2\n$three}\n" "no core has room" "core 0: 40 %, core 1: 40 %"
refuses "a pin beyond the last core" "${cores}$three, pin: 2}\n" "core 2 of 2" "counted from 0"
refuses "a pinned floor without room" "${cores}$three, pin: 0}\n  - {name: d, image: spin, floor: 50%, pin: 0}\n" "core 0, which d"
refuses "a member of a group that is pinned" \
    'cores: 2\ngroups: [{name: g}]\nguests: [{name: a, image: spin, group: g, pin: 1}]\n' "guests[0]: pin" "pin the group"
one='guests: [{name: a, image: spin}]\n'
refuses "no cores" "cores: 0\n$one" "cores:" "from 1 to 1024"
refuses "core and cores" "core: 3\ncores: 2\n$one" "list host CPUs under cpus"
refuses "cpus and another number of cores" "cpus: [0, 1]\ncores: 3\n$one" "cores: 3, and 2 under cpus"
refuses "a host CPU twice" "cpus: [0, 0]\n$one" "cpus: 0 is there twice"
refuses "a host CPU that is no number" "cpus: [a]\n$one" "cpus:" "a"
refuses "rebalance too often" "${cores/1s/1ms}$one" "rebalance: 1ms" "100ms or more"
refuses "moves without rebalance" "cores: 2\nmoves: 2\n$one" "moves: nobody is moved"
attempt "$matrix" cloud --check --json --core any --cpus 3,5 "$source_root/examples/matrix.yaml"
check "--cpus in place of the file's" json '[c["cpu"] for c in result["cores"]] == [3, 5]'
attempt "$matrix" cloud --check --cores 0 "$source_root/examples/matrix.yaml"
check "--cores 0 is refused" has_status 122
finish
