#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The modules as a user meets them: insmod, rmmod, dmesg, modinfo and files in /proc; unloaded
# while they are in use. In the lab, with the driver loaded (tests/lab/modules.sh).
#   modules.sh BUILD_DIRECTORY KERNEL
. "$(dirname "$0")/../cli/tap.sh"
modules=$build/modules/$2

if [ "${MATRIX_LAB:-}" != 1 ]; then
    echo "1..0 # SKIP kernel modules are loaded in the lab only"
    exit 0
fi

# Lines that the kernel writes from here on.
marks=0
mark() {
    marks=$((marks + 1))
    echo "modules.sh: mark $marks" >/dev/kmsg
}
logged() { dmesg --notime | sed "1,/^modules.sh: mark $marks\$/d"; }
is_loaded() { [ -d "/sys/module/$1" ]; }

# --- modinfo --------------------------------------------------------------------------------------
all=(helloworld hello_procfs get_pgfaults lkm1 lkm2 lkm3 lkm4 matrix_lens)
field_is() { [ "$(modinfo -F "$2" "$modules/$1.ko")" = "$3" ]; }
has_fields() {
    field_is "$1" license GPL && field_is "$1" name "$1" && field_is "$1" depends "" &&
        field_is "$1" author "The Matrix authors" &&
        [ -n "$(modinfo -F description "$modules/$1.ko")" ] &&
        [[ $(modinfo -F vermagic "$modules/$1.ko") == "$(uname -r) "* ]]
}
for module in "${all[@]}"; do
    check "$module: modinfo tells licence, author, description, and this kernel" has_fields "$module"
done
check "lkm2: modinfo tells its parameter" field_is lkm2 parm "pid:whose children (int)"
check "lkm3: modinfo tells its parameters" field_is lkm3 parm "pid:whose address (int)
address:a virtual address of that process (ulong)"
check "lkm4: modinfo tells its parameter" field_is lkm4 parm "pid:whose memory (int)"

# --- helloworld -----------------------------------------------------------------------------------
mark
attempt insmod "$modules/helloworld.ko"
check "helloworld: loads" has_status 0
attempt rmmod helloworld
check "helloworld: unloads" has_status 0
says_two_lines() {
    [ "$(logged | grep '^helloworld: ')" = "helloworld: Hello World
helloworld: Module Unloaded" ]
}
check "helloworld: two lines, in order" says_two_lines

# --- lkm3 by hand, as the manual shows it -----------------------------------------------------------
attempt insmod "$modules/lkm3.ko"
check "lkm3: without parameters insmod fails" complains "Invalid parameters"
check "lkm3: and is not loaded" eval '! is_loaded lkm3'
mark
attempt insmod "$modules/lkm3.ko" pid=$$ address=0
attempt insmod "$modules/lkm3.ko" pid=$$ address=0
check "lkm3: is not loaded twice" complains "File exists"
says_not_mapped() { [ "$(logged | grep '^lkm3: ')" = "lkm3: pid $$, virtual address 0x0: not mapped" ]; }
check "lkm3: one line of one load" says_not_mapped
check "lkm3: its parameters are in /sys" eval '[ "$(cat /sys/module/lkm3/parameters/pid)" = $$ ]'
attempt rmmod lkm3
check "lkm3: unloads" has_status 0

# --- hello_procfs and get_pgfaults --------------------------------------------------------------------
insmod "$modules/hello_procfs.ko"
attempt cat /proc/hello_procfs
check "hello_procfs: the file says hello" eval '[ "$(cat "$scratch/out")" = "Hello World!" ]'
check "hello_procfs: and a newline" eval '[ "$(wc -c <"$scratch/out")" = 13 ]'
check "hello_procfs: everybody reads, nobody writes" \
    eval '[ "$(stat -c %A /proc/hello_procfs)" = -r--r--r-- ]'
check "hello_procfs: bit by bit" eval '[ "$(dd if=/proc/hello_procfs bs=1 2>/dev/null)" = "Hello World!" ]'
check "hello_procfs: from the middle" \
    eval '[ "$(dd if=/proc/hello_procfs bs=1 skip=6 2>/dev/null)" = "World!" ]'

insmod "$modules/get_pgfaults.ko"
vmstat_faults() { sed -n 's/^pgfault //p' /proc/vmstat; }
is_between() {
    local before after now
    before=$(vmstat_faults) && now=$(cat /proc/get_pgfaults) && after=$(vmstat_faults)
    [[ $now =~ ^[0-9]+$ ]] && [ "$before" -le "$now" ] && [ "$now" -le "$after" ]
}
check "get_pgfaults: between two readings of vmstat" is_between
grows_by() {
    local before
    before=$(cat /proc/get_pgfaults)
    dd if=/dev/zero of=/dev/null bs=16M count=1 2>/dev/null # a buffer of 4096 pages
    [ $(($(cat /proc/get_pgfaults) - before)) -ge 4096 ]
}
# A buffer that may be of large pages has fewer faults.
echo never >/sys/kernel/mm/transparent_hugepage/enabled
check "get_pgfaults: grows by what a program touches" grows_by
echo madvise >/sys/kernel/mm/transparent_hugepage/enabled

# --- unloading what is in use -------------------------------------------------------------------------
exec {held}</proc/hello_procfs
attempt timeout 60 rmmod hello_procfs
check "hello_procfs: unloads though its file is open" has_status 0
attempt bash -c "dd bs=1 count=1 <&$held"
check "hello_procfs: which then gives an error" complains "Input/output error"
exec {held}<&-
check "hello_procfs: and is gone" eval '! [ -e /proc/hello_procfs ]'
rmmod get_pgfaults

exec {held}</dev/matrix
attempt rmmod matrix_lens
check "matrix_lens: does not unload while it is open" complains "in use"
check "matrix_lens: and stays" is_loaded matrix_lens
exec {held}<&-
attempt rmmod matrix_lens
check "matrix_lens: unloads once it is closed" has_status 0
check "matrix_lens: and its device goes" eval '! [ -e /dev/matrix ]'
insmod "$modules/matrix_lens.ko"

finish
