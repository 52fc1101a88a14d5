#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `matrix modules` where nothing can be loaded, or nothing is: what is said, and what helps. What it
# does where modules can be loaded is tested in the lab.
# Usage: modules.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
modules=("$matrix" modules)
fails() { # STATUS COMPLAINT NAME ARGUMENT...
    local wanted=$1 complaint=$2 name=$3 outcome=0
    shift 3
    attempt timeout 60 "${modules[@]}" "$@"
    { has_status "$wanted" && complains "$complaint"; } || outcome=1
    result "$outcome" "$name: $complaint"
}

attempt "${modules[@]}" status --json
check "status: 0 on any kernel" has_status 0
check "it has every module" json "[m['name'] for m in result['modules']] == ['helloworld', 'lkm1', 'lkm2',
'lkm3', 'lkm4', 'hello_procfs', 'get_pgfaults', 'matrix_lens']"
check "it names the kernel" json "result['kernel'] == '$(uname -r)' and result['version'] == 1"
attempt "${modules[@]}" status lkm2 matrix-lens
check "status of some" prints "lkm2"
check "'-' is '_' in names" prints "matrix_lens"
check "and not of others" bash -c '! grep -q lkm3 "$1"' - "$scratch/out"

if [ ! -e /proc/modules ]; then
    fails 125 "has no modules" "load" load
    fails 125 "remedy: use it in the lab" "load" load lkm1
    fails 125 "has no modules" "unload" unload
    attempt "${modules[@]}" load --json
    check "load --json: JSON all the same" json "result['modules'] == []"
    attempt "${modules[@]}" status
    check "status says it, too" prints "which has no modules"
else
    fails 125 "is not loaded" "unload" unload lkm1
fi

fails 122 "Matrix has no module ext4" "another's module" load ext4
fails 122 "Matrix has no module ../../etc" "a path" load ../../etc
fails 122 "without a module before it" "a parameter alone" load pid=1
fails 122 "with spaces or quotes" "a parameter" load lkm2 "pid=1 address=2"
fails 122 "takes no parameters" "unload" unload lkm2 pid=1
fails 122 "no such command" "unknown" nonsense
attempt "${modules[@]}"
check "no subcommand: 122" has_status 122
attempt "${modules[@]}" load --help
check "--help: 0" has_status 0
finish
