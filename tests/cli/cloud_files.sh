#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Files and options that `matrix cloud` must refuse: with which status, and what is said. Nothing is
# to run, and nothing of the user's to be lost. Usage: cloud_files.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm

yaml=$scratch/f.yaml
one='guests: [{name: a, image: spin}]'

# Runs the file as it is. A mistake that is not noticed must not keep the test waiting.
cloud() { attempt timeout 60 "$matrix" cloud --plain "$@"; }

says_all() {
    local word
    for word in "$@"; do complains "$word" || return 1; done
}

# The last run was refused with this status, before anything was printed: STATUS WORD...
refused() {
    has_status "$1" && says_all "${@:2}" && [ ! -s "$scratch/out" ]
}

# A file with this content is refused: NAME CONTENT WORD... that the message has, beside the file.
refuses_file() {
    printf '%b' "$2" >"$yaml"
    cloud "$yaml"
    check "$1: 122, the message has ${*:3}" refused 122 "$yaml" "${@:3}"
}

# A guest with these keys is refused: NAME KEYS WORD...
refuses_guest() { refuses_file "$1" "guests:\n  - {$2}\n" "${@:3}"; }

# A file with this line above its guest is refused: NAME LINE WORD...
refuses_line() { refuses_file "$1" "$2\n$one\n" "${@:3}"; }

# --- what is no such file --------------------------------------------------------------------
cloud "$scratch/none.yaml"
check "a missing file" refused 122 "$scratch/none.yaml" "No such file or directory"
cloud "$scratch"
check "a directory" refused 122 "$scratch" "Is a directory"
cloud /dev/zero
check "a file without end" refused 122 "/dev/zero" "larger than"
cloud ""
check "a file without a name" refused 122 "No such file or directory"
refuses_file "an empty file" "" "no guests"
refuses_file "only comments" "# nothing\n# here\n" "no guests"
refuses_file "only a space" " \n" "no guests"
refuses_file "not YAML" 'guests: [{name: "a\n' "line"
refuses_file "a list, where keys are needed" "- a\n- b\n" "MAPPING"
refuses_file "a word" "guests\n" "MAPPING"
refuses_file "a tab for indentation" "guests:\n\t- name: a\n" "line"
refuses_file "no end of a list" "guests: [\n" "line"
refuses_file "control characters" 'guests: [{name: "\033[31m\a", image: spin}]\n'
check "control characters: none of them comes out" \
    bash -c '! grep -qP "[\x00-\x08\x0b-\x1f\x7f]" "$1"' - "$scratch/err"
head -c 3000 "$matrix" >"$yaml"
cloud "$yaml"
check "a program" refused 122 "$yaml"
RANDOM=7
for _ in {1..2000}; do printf '%b' "\\x$(printf %02x $((RANDOM % 256)))"; done >"$yaml"
cloud "$yaml"
check "random bytes" refused 122 "$yaml"
{ echo "$one"; yes '# filler' | head -c $((1100 << 10)); } >"$yaml" 2>/dev/null || true
cloud "$yaml"
check "a file of 1.1 MiB" refused 122 "$yaml" "larger than"

# --- keys --------------------------------------------------------------------------------------
refuses_line "an unknown key" "slize: 1ms" "slize" "line: 1"
refuses_file "an unknown key of a guest" \
    "guests:\n  - name: a\n    image: spin\n    wight: 3\n" "wight" "line: 3" "guests"
refuses_guest "a guest without a name" "image: spin" "name" "guests" "line"
refuses_guest "a guest without an image" "name: a" "image" "guests" "line"
refuses_file "no guests" "slice: 1ms\n" "guests"
refuses_file "guests of nothing" "guests:\n" "guests"
refuses_file "guests: []" "guests: []\n" "guests"
refuses_file "guests: 5" "guests: 5\n" "guests" "line: 1"
refuses_file "guests: a mapping" "guests: {name: a, image: spin}\n" "guests" "line: 1"
refuses_file "a guest that is a word" "guests: [spin]\n" "guests" "line: 1"
refuses_guest "args: a string" "name: a, image: spin, args: one" "args" "line: 2"
refuses_guest "args: a list in a list" "name: a, image: spin, args: [[one]]" "args" "line: 2"
refuses_guest "weight: a mapping" "name: a, image: spin, weight: {a: 1}" "weight" "line: 2"
refuses_guest "name: a list" "name: [a], image: spin" "name" "line: 2"
refuses_line "slice: a list" "slice: [1ms]" "slice" "line: 1"
refuses_line "a key twice" "slice: 1ms\nslice: 2ms" "slice"
refuses_file "a second document" "$one\n---\n$one\n" "another document" "line: 2"
refuses_file "a second document that cannot be read" "$one\n---\n]\n" "another document"
printf -v many '%s,' {1..257}
refuses_guest "257 arguments" "name: a, image: spin, args: [$many]" "args"
{ echo "guests:"; for i in {1..1025}; do echo "  - {name: g$i, image: spin, memory: 2M}"; done; } >"$yaml"
cloud "$yaml"
check "1025 guests" refused 122 "$yaml" "guests"

# --- what makes a short file long -----------------------------------------------------------------
refuses_file "an alias" "guests:\n  - &a {name: a, image: spin}\n  - *a\n" "line"
bomb='a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n'
for i in {1..9}; do
    printf -v nine "*a$((i - 1)),%.0s" {1..10}
    bomb+="a$i: &a$i [$nine]\n"
done
refuses_file "aliases of aliases of aliases" "guests: [{name: a, image: spin, args: [x]}]\n$bomb" "line"
refuses_file "a recursive alias" "guests: &a [*a]\n" "line"
printf -v deep '[%.0s' {1..100000}
refuses_file "100,000 lists in each other" "guests: $deep"
printf -v deep '{a: %.0s' {1..100000}
refuses_file "100,000 mappings in each other" "$deep"

# --- names ----------------------------------------------------------------------------------------
refuses_file "two guests of one name" \
    "guests:\n  - {name: neo, image: spin}\n  - {name: b, image: spin}\n  - {name: neo, image: spin}\n" \
    "name" "neo" "guests[2]"
for name in "a b" a/b a:b ä 'a,b' '..\\n' '%s'; do
    refuses_guest "the name $name" "name: \"$name\", image: spin" "name" "guests[0]"
done
refuses_guest "an empty name" "name: '', image: spin" "name" "guests[0]"
printf -v long '%033d' 0
refuses_guest "a name of 33 characters" "name: $long, image: spin" "name" "33" "guests[0]"

# --- numbers, sizes and times -----------------------------------------------------------------------
for weight in 0 10001 -1 abc 1.5 99999999999999999999 "''"; do
    refuses_guest "weight: $weight" "name: a, image: spin, weight: $weight" "weight" "guests[0]"
done
for memory in 0 1M 4097 2097153 100T abc -1 99999999999999999999 "''"; do
    refuses_guest "memory: $memory" "name: a, image: spin, memory: $memory" "memory"
    check "memory: $memory: the guest is named" \
        grep -qE "guests\[0\]|guest a\b" "$scratch/err"
done
for slice in 1us 0s 5124095h 99999999999999999999s 11s 1 abc -1ms "''"; do
    refuses_line "slice: $slice" "slice: $slice" "slice"
done
for duration in 0s abc 5 -1s 99999999999999999999s "''"; do
    refuses_line "duration: $duration" "duration: $duration" "duration"
done
for core in abc 5000 -1 1.5 "''"; do
    refuses_line "core: $core" "core: $core" "core"
done
printf '%s\n' "core: 1023" "$one" >"$yaml"
cloud "$yaml"
check "a core that this host does not have: 125" refused 125 "CPU 1023"

# --- images and outputs -------------------------------------------------------------------------------
image() { # NAME IMAGE WORD...
    printf 'guests:\n  - {name: fine, image: spin}\n  - {name: trinity, image: %s}\n' "$2" >"$yaml"
    cloud "$yaml"
    check "$1: 121, names the guest" refused 121 "trinity" "${@:3}"
}
refuses_guest "image: ''" "name: a, image: ''" "image"
image "an image that is not there" ./nowhere.elf "nowhere.elf" "No such file"
image "an unknown guest" oracle "oracle"
image "an image that is no program" f.yaml "f.yaml"
image "an image that is a directory" . "trinity"
output() { # PATH
    printf 'duration: 1s\nguests:\n  - {name: trinity, image: hello, output: %s}\n' "$1" >"$yaml"
    cloud "$yaml"
}
refuses_guest "output: ''" "name: a, image: spin, output: ''" "output"
output no-directory/file
check "an output in no directory: 125, names guest and path" \
    refused 125 "trinity" "no-directory/file" "No such file"
output "$scratch"
check "an output that is a directory: 125" refused 125 "trinity" "$scratch" "Is a directory"

# --- reports ------------------------------------------------------------------------------------------
echo "$one" >"$yaml"
cloud --report "$scratch/none/report.json" "$yaml"
check "a report in no directory: 122" refused 122 "$scratch/none/report.json" "No such file"
cloud --report "$scratch" "$yaml"
check "a report that is a directory: 122" refused 122 "$scratch" "Is a directory"
cloud --report "" "$yaml"
check "a report without a name: 122" refused 122 "report"
cloud --duration 100ms --report /dev/full "$yaml"
check "a report on a full disk: 125" has_status 125
check "a report on a full disk: it is said" says_all "/dev/full" "No space left"

# A start that fails leaves the last run's report alone: NAME STATUS OPTION...
keeps_report() {
    echo "last night's" >"$scratch/report.json"
    cloud --report "$scratch/report.json" "${@:3}"
    check "$1: status $2" has_status "$2"
    check "$1: the old report is kept" [ "$(cat "$scratch/report.json")" = "last night's" ]
}
keeps_report "no KVM" 123 --kvm /dev/null "$yaml"
keeps_report "no such core" 125 --core 1023 "$yaml"
printf 'guests: [{name: a, image: ./nowhere.elf}]\n' >"$yaml"
keeps_report "a bad image" 121 "$yaml"
printf 'guests: [{name: a, image: hello, output: no/where}]\n' >"$yaml"
keeps_report "a bad output" 125 "$yaml"
printf 'guests: [{name: a, image: hello, memory: 100T}]\n' >"$yaml"
keeps_report "bad memory" 122 "$yaml"
printf 'guests: [{name: a}]\n' >"$yaml"
keeps_report "a bad file" 122 "$yaml"
rm "$scratch/report.json"
cloud --report "$scratch/report.json" "$yaml"
check "a bad file: no report is made" [ ! -s "$scratch/report.json" ]

# --- options --------------------------------------------------------------------------------------------
echo "$one" >"$yaml"
option() { # WORD OPTION...
    cloud "${@:2}" "$yaml"
    check "${*:2}: 122" refused 122 "$1"
}
for slice in 0s 1us 1h 11s 1 abc; do option slice --slice "$slice"; done
for duration in 0s 5 abc -1s; do option duration --duration "$duration"; done
for core in abc -1 5000; do option core --core "$core"; done
option "unrecognized option '--nonsense'" --nonsense
option "file" "$yaml"
cloud
check "no file: 122" refused 122 "examples/matrix.yaml"
cloud --kvm /nowhere/kvm "$yaml"
check "no KVM device: 123" refused 123 "/nowhere/kvm"
finish
