#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `matrix translate` without a guest of Matrix: processes, a QEMU, what sits at control sockets and
# answers wrongly, bad arguments. With guests: tests/lab/translate.sh. Usage: translate.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
here=$(cd "$(dirname "$0")" && pwd)
translate=("$matrix" translate)
started=()
trap 'kill -9 "${started[@]}" 2>/dev/null || true; rm -rf "$scratch"' EXIT
mkdir -m 700 "$MATRIX_RUNTIME_DIR"

fails() { # STATUS COMPLAINT NAME ARGUMENT...
    local wanted=$1 complaint=$2 name=$3 outcome=0
    shift 3
    attempt timeout 60 "${translate[@]}" "$@"
    { has_status "$wanted" && complains "$complaint" && [ ! -s "$scratch/out" ]; } || outcome=1
    result "$outcome" "$name: $complaint"
}

# --- a process ---------------------------------------------------------------------------------
python3 "$here/proc_target.py" hold >"$scratch/says" &
pid=$!
started+=("$pid")
disown
until grep -q ready "$scratch/says"; do sleep 0.05; done
place() { awk -v name="$1" '$1 == name { print $2 }' "$scratch/says"; }
attempt "${translate[@]}" --source proc --json "$pid" "$(place written)"
check "a process begins at host virtual" json \
    "[(a['guest_virtual_address'], a['guest_physical_address'], a['host_virtual_address']) for a in result['addresses']] == [(None, None, hex($(place written)))]"
check "and is one" json "result['kind'] == 'process' and result['pid'] == $pid"
if [ "$(id -u)" -eq 0 ]; then
    physical=$(python3 -c 'import sys
with open(f"/proc/{sys.argv[1]}/pagemap", "rb") as f:
    f.seek(int(sys.argv[2], 16) // 4096 * 8)
    print(hex((int.from_bytes(f.read(8), "little") & (1 << 55) - 1) * 4096))' "$pid" "$(place written)")
    check "host physical is where pagemap says" json "result['addresses'][0]['physical_address'] == '$physical'"
else
    skip "host physical" "needs root"
fi
attempt "${translate[@]}" --source proc "$pid" "$(place untouched)"
check "untouched memory: status 1" has_status 1
check "and why" prints "nobody has touched it"
attempt "${translate[@]}" --source proc "$pid" 0x1000
check "a hole: said" prints "the process maps nothing there"
attempt "${translate[@]}" --source proc "$pid" 0xffffffffffffffff
check "the last address there is: said" prints "the process maps nothing there"
fails 122 "no guest whose memory is known" "--physical of a process" --physical "$pid" 0x1000
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
    chmod 755 "$scratch"
    cp "$build/matrix-translate" "$scratch/"
    attempt setpriv --bounding-set=-all --inh-caps=-all --clear-groups --regid 65534 --reuid 65534 \
        "$scratch/matrix-translate" "$pid" "$(place written)"
    check "another's process: 125" has_status 125
    check "and what helps" complains "remedy: run it as root"
    unprivileged=(setpriv --bounding-set=-all --inh-caps=-all --clear-groups --regid 65534 --reuid 65534)
    "${unprivileged[@]}" sleep 600 &
    own=$!
    started+=("$own")
    disown
    until [ "$(tr -d '\0' <"/proc/$own/cmdline")" = sleep600 ]; do sleep 0.05; done
    stack=$(awk '/\[stack\]/ { split($1, ends, "-"); print "0x" ends[2] }' "/proc/$own/maps")
    attempt "${unprivileged[@]}" "$scratch/matrix-translate" --source proc "$own" "$(printf '%#x' $((stack - 4096)))"
    check "one's own process without root: a whole sentence" grep -qE 'ends here: .*run it as root$' "$scratch/out"
    if [ -e /proc/kpageflags ]; then
        cp "$build/matrix-ksm" "$scratch/"
        attempt "${unprivileged[@]}" "$scratch/matrix-ksm" map --source proc "$own"
        check "matrix ksm map: what it could not open, and what helps" eval \
            'has_status 125 && complains "open /proc/kpageflags" && complains "run it as root" && ! complains "translate 0x"'
    fi
else
    skip "without rights" "needs root and setpriv"
fi

# --- a QEMU --------------------------------------------------------------------------------------
if command -v qemu-system-x86_64 >/dev/null && [ "$(id -u)" -eq 0 ]; then
    # Stopped from the start, with a word of ours at a guest-physical address.
    qemu-system-x86_64 -S -display none -nodefaults -accel tcg -m 64M -machine pc -name chain \
        -device loader,addr=0x1234560,data=0x4d61747269784d61,data-len=8,data-be=off 2>"$scratch/qemu" &
    qemu=$!
    started+=("$qemu")
    disown
    for ((i = 0; i < 600; i++)); do
        attempt "${translate[@]}" --json --physical "$qemu" 0x1234560
        has_status 0 && break
        sleep 0.1
    done
    check "QEMU: guest physical to the end" has_status 0
    check "QEMU: the word is there" python3 -c 'import json, sys
said = json.load(open(sys.argv[1]))["addresses"][0]
with open(f"/proc/{sys.argv[2]}/mem", "rb", buffering=0) as f:
    f.seek(int(said["host_virtual_address"], 16))
    assert f.read(8) == (0x4d61747269784d61).to_bytes(8, "little")' "$scratch/out" "$qemu"
    attempt "${translate[@]}" --physical "$qemu" 0x4000000
    check "QEMU: beyond its memory" prints "the guest has no memory there"
    attempt "${translate[@]}" "$qemu" 0x1000
    check "QEMU without --physical: host virtual" prints "host virtual"
else
    skip "a QEMU guest" "needs qemu-system-x86_64, and root"
fi

# --- who sits at a control socket ---------------------------------------------------------------
serve() { # KIND [NAME]
    : >"$scratch/server"
    python3 "$here/translate_server.py" "$MATRIX_RUNTIME_DIR" "$@" >"$scratch/server" &
    server=$!
    started+=("$server")
    disown
    until [ -s "$scratch/server" ]; do sleep 0.05; done
}
leave() {
    kill -9 "$server"
    while kill -0 "$server" 2>/dev/null; do sleep 0.02; done
}
serve good
attempt "${translate[@]}" fake 0x400000
check "a server that answers well is believed as far as it goes" prints "KVM_TRANSLATE and the page tables agree"
fails 122 "--vcpu 1: guest fake has 1 virtual CPU" "a virtual CPU too many" --vcpu 1 fake 0x400000
fails 122 "for guest-virtual addresses" "vcpu with --physical" --vcpu 0 --physical fake 0x1000
leave
attempt "${translate[@]}" fake 0x400000
check "its socket, left behind, is nobody" complains "no guest that runs is called fake"
for kind in garbage endless other_version array endless_list back_list; do
    serve $kind
    fails 122 "some who run guests do not answer" "$kind" fake 0x400000
    leave
done
for kind in no_regions odd_region wrapping_region negative_region other_address no_translation odd_translation huge_page; do
    serve $kind
    fails 125 "read the answer of the control socket" "$kind" fake 0x400000
    leave
done
for kind in nowhere half_there; do
    serve $kind
    fails 125 "tells of memory at 0x" "$kind" fake 0x400000
    leave
done
serve much
fails 125 "more than 4 times the memory of this host" "much" fake 0x400000
leave
# Who was not named is not worth a word, and keeps nobody from a map of all.
if [ "$(id -u)" -eq 0 ] && [ -e /proc/kpageflags ]; then
    python3 -c 'import mmap, time
memory = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_MERGEABLE)
print("ready", flush=True)
time.sleep(600)' >"$scratch/mergeable" &
    mergeable=$!
    started+=("$mergeable")
    disown
    until [ -s "$scratch/mergeable" ]; do sleep 0.05; done
    for kind in nowhere half_there much; do
        serve $kind
        attempt timeout 120 "$matrix" ksm map --json --top 0
        check "$kind: matrix ksm map has all others" json \
            "$mergeable in [s['pid'] for s in result['subjects']] and $server not in [s['pid'] for s in result['subjects']]"
        attempt timeout 60 "$matrix" ksm map fake
        check "$kind: by its name it is an error" eval 'has_status 125 && complains "believe process $server about guest fake"'
        leave
    done
else
    skip "matrix ksm map beside those who lie" "needs root, and a kernel with /proc/kpageflags"
fi
serve contradiction
attempt "${translate[@]}" fake 0x400000
check "page and slot contradict each other: said" prints "contradicts itself"
leave
serve error
attempt "${translate[@]}" fake 0x400000
check "an error with control characters: 125" has_status 125
check "comes out escaped" complains '\x1b[31mred'
leave
serve silent
fails 122 "some who run guests do not answer" "silent" fake 0x400000
fails 125 "Connection timed out" "silent" "$MATRIX_RUNTIME_DIR/$server.sock" 0x400000
leave
serve good 1
fails 122 "some who run guests do not answer" "a socket with another's pid" fake 0x400000
leave
rm -f "$MATRIX_RUNTIME_DIR"/*.sock
ln -s /dev/null "$MATRIX_RUNTIME_DIR/5.sock"
echo >"$MATRIX_RUNTIME_DIR/6.sock"
fails 122 "no guest that runs is called fake" "what is no socket" fake 0x400000
fails 125 "Socket operation on non-socket" "a path of no socket" "$MATRIX_RUNTIME_DIR/6.sock" 0x400000
serve good
kill -STOP "$server"
fails 122 "are they stopped" "a stopped one" fake 0x400000
leave

# --- bad arguments ---------------------------------------------------------------------------
fails 122 "no guest that runs is called nobody" "a name" nobody 0x1000
fails 125 "no such process" "a pid" 2147483647 0x1000
fails 122 "an address: 'xyz' is not a number" "an address" $$ xyz
fails 122 "name a process or a guest" "none" $$
fails 122 "name a process or a guest" "none"
fails 122 "no such source" "source" --source tea $$ 0x1000
fails 122 "for guest-virtual addresses of a guest of Matrix only" "vcpu of a process" --vcpu 0 $$ 0x1000
fails 122 "out of range" "vcpu" --vcpu 16 $$ 0x1000
fails 122 "exclude each other" "both" --physical --host $$ 0x1000
fails 125 "No such file" "a path" /nowhere/x.sock 0x1000
attempt "${translate[@]}" --help
check "--help: 0" has_status 0
finish
