#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Images that cannot be run: each is refused with status 121 and a message that names the file and
# what is wrong with it. The loader's every check is for tests/unit/test_image.c.
# Usage: run_images.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm

good=$build/guest/hello.elf
bad=$scratch/bad.elf

# bytes OFFSET HEX...: the good image with these bytes at that offset.
bytes() {
    local offset=$1
    shift
    cp "$good" "$bad"
    chmod +w "$bad"
    printf '%b' "$(printf '\\x%s' "$@")" | dd of="$bad" bs=1 seek="$offset" conv=notrunc status=none
}

without=(env) # what runs matrix
refused() { # NAME COMPLAINT [IMAGE]
    local image=${3-$bad} outcome=0
    attempt timeout 60 "${without[@]}" "$matrix" run "$image"
    { has_status 121 && complains "$image" && complains "$2"; } || outcome=1
    result "$outcome" "$1: $2"
}

# --- files that are none -------------------------------------------------------------------------
refused "missing" "No such file or directory" "$scratch/missing.elf"
refused "a directory" "not a regular file" "$scratch"
mkfifo "$scratch/fifo"
refused "a FIFO that nobody writes to" "not a regular file" "$scratch/fifo"
refused "a device" "not a regular file" /dev/zero
: >"$bad"
refused "empty" "the file is empty"
echo '#!/bin/sh' >"$bad"
refused "a script" "not an ELF file (offset 0)"
bytes 0 7f
chmod 0 "$bad"
if [ "$(id -u)" -eq 0 ]; then # who may read everything, unless these capabilities are gone
    without=(setpriv --bounding-set=-dac_override,-dac_read_search)
fi
refused "no permission" "Permission denied"
without=(env)
chmod 600 "$bad"

# --- cut off ---------------------------------------------------------------------------------------
# Within the file header, within each program header, at the start and end of what they refer to.
headers=$(od -An -tu2 -j 56 -N 2 "$good" | tr -d ' ')
ends=""
end=0 # of the last byte that any segment needs
while read -r offset length; do
    ends+=" $((offset + 1)) $((offset + length - 1))"
    end=$((offset + length > end ? offset + length : end))
done < <(readelf -lW "$good" | awk '$1 == "LOAD" { print $2, $5 }')
for length in 1 3 4 15 16 17 24 40 63; do
    head -c "$length" "$good" >"$bad"
    if [ "$length" -lt 4 ]; then
        refused "cut off at byte $length" "not an ELF file"
    else
        refused "cut off at byte $length" "the file is truncated"
    fi
done
for ((header = 0; header < headers; header++)); do
    for length in $((64 + header * 56)) $((64 + header * 56 + 55)); do
        head -c "$length" "$good" >"$bad"
        refused "cut off at byte $length" "truncated"
    done
done
for length in $ends; do
    [ "$length" -lt 64 ] && continue # within the headers, which the first segment has, too
    head -c "$length" "$good" >"$bad"
    refused "cut off at byte $length" "truncated"
done
# What is behind the last segment is for people: it runs without.
head -c "$end" "$good" >"$bad"
attempt "$matrix" run "$bad"
check "cut off behind the last segment: it runs" has_status 0

# --- of another kind ----------------------------------------------------------------------------
bytes 4 01
refused "32-bit" "32-bit ELF file (e_ident[EI_CLASS] is 1)"
bytes 5 02
refused "big-endian" "e_ident[EI_DATA] is 2"
bytes 18 b7 00
refused "for another machine" "e_machine is 183"
bytes 16 03 00
refused "position-independent" "e_type is 3"
refused "a program of the host's" "not a static executable" /bin/true
bytes 56 00 00
refused "no program headers" "e_phnum is 0"
bytes 32 ff ff ff ff ff ff ff ff
refused "program headers at the end of the numbers" "program header"
bytes 24 00 00 00 00 00 00 00 00
refused "entry at 0" "e_entry"

# --- segments -------------------------------------------------------------------------------------
# The two LOAD headers that are changed: the first, and the one behind it.
first=$(readelf -lW "$good" | awk '/^  [A-Z]/ && $1 != "Type" { if ($1 == "LOAD") { print n; exit } n++ }')
at() { echo $((64 + (first + $1) * 56 + $2)); } # HEADER FIELD
address=$(od -An -tx8 -j "$(at 0 16)" -N 8 "$good" | tr -d ' ')
little=()
for ((i = 14; i >= 0; i -= 2)); do little+=("${address:i:2}"); done
bytes "$(at 1 16)" "${little[@]}"
refused "segments overlap" "segments overlap: 0x"
bytes "$(at 0 16)" 00 f0 ff ff ff ff ff ff
refused "a segment that wraps" "segment"
bytes "$(at 0 40)" ff ff ff ff ff ff ff ff
refused "a segment of all addresses" "segment 0: p_vaddr"
bytes "$(at 0 16)" 00 00 00 00 00 00 00 00
refused "a segment at 0" "outside 0x10000"
bytes "$(at 0 16)" 00 00 00 00 00 80 ff ff
refused "a segment in the monitor's half" "outside 0x10000"
bytes "$(at 0 40)" 01 00 00 40 00 00 00 00
refused "a huge segment" "p_memsz 0x40000001 is huge"
bytes "$(at 0 4)" 07 00 00 00
refused "writable and executable" "writable and executable at once (p_flags is 0x7)"
bytes "$(at 0 8)" ff ff ff ff ff ff ff 7f
refused "content that is not in the file" "the file is truncated"
cc -x c -O1 -static -nostdlib -ffreestanding -fno-stack-protector -no-pie -Wl,--build-id=none \
    -o "$bad" - <<'C' 2>/dev/null
char room[64 << 20];
void _start(void) { __asm__ volatile("outb %%al, $0x4d" : : "a"(1), "D"(0)); }
C
refused "larger than the guest's memory" "outside RAM"
attempt "$matrix" run --memory 80M "$bad"
check "larger than that memory, with more memory: it runs" has_status 0
finish
