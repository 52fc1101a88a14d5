#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What guests of a running cloud printed, shown and followed, and their consoles: by the programs, on a terminal,
# and by bare requests, good and hostile. Usage: console.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm
. "$(dirname "$0")/background.sh"

# What follows in the background, as $follower, into $scratch/followed(.err).
follow() {
    timeout 120 "$matrix" logs -f "$@" >"$scratch/followed" 2>"$scratch/followed.err" </dev/null &
    follower=$!
}
follow_ends() {
    status=0
    wait "$follower" || status=$?
    cp "$scratch/followed" "$scratch/out"
    cp "$scratch/followed.err" "$scratch/err"
}
follows() { # TEXT: it comes, within a minute
    for _ in {1..600}; do
        ! grep -qF -e "$1" "$scratch/followed" "$scratch/followed.err" || return 0
        sleep 0.1
    done
    return 1
}

cloud_begins "keep: yes
guests:
  - {name: hello, image: hello, args: [one, two, three]}
  - {name: filed, image: hello, args: [four], output: filed.log}
  - {name: flood, image: chatter, args: [\"20000\"]}
  - {name: crash, image: faulty, args: [\"null\"], restart: on-failure, backoff: 1s}
  - {name: spin, image: spin}
  - {name: echo, image: talk, args: [--read], console: yes}
  - {name: deaf, image: spin, console: yes}
"

# --- logs -------------------------------------------------------------------------------------------

for guest in hello filed flood; do
    check "$guest prints, and ends" becomes "$guest" 'result["life"] == "ended"'
done
manage logs hello
check "logs: what a guest printed" prints "argument 3: three"
check "... from its first line, without its name in front" \
    test "$(head -n 1 "$scratch/out")" = "Hello from hello, with 16384 KiB of memory."
check "... and nothing else is said" is_silent
manage logs --lines 2 hello
check "logs: the last lines only" test "$(cat "$scratch/out")" = "argument 2: two
argument 3: three"
manage logs --lines 0 hello
check "... or none" test ! -s "$scratch/out"
manage logs filed
check "logs: of a guest with a file of its own" cmp -s "$scratch/out" "$scratch/filed.log"
manage logs spin
check "logs: of one that printed nothing" test ! -s "$scratch/out"

manage logs flood
check "logs: of one that printed much, the last" test "$(tail -n 1 "$scratch/out")" = "line 20000"
check "... as many bytes as are remembered" test "$(wc -c <"$scratch/out")" = 65536
check "... and it says how many are not" complains "flood printed 143,358 bytes"
manage logs --lines 3 flood
check "... but not if they were not asked for" is_silent
manage logs --json flood
check "logs --json: pieces that follow each other" python3 - "$scratch/out" <<'PYTHON'
import base64, json, sys
pieces = [json.loads(line) for line in open(sys.argv[1])]
text = b"".join(base64.b64decode(p["data"]) for p in pieces)
assert len(pieces) >= 8 and len(text) == 65536 and text.endswith(b"line 20000\n")
assert pieces[0]["from"] == pieces[0]["lost_bytes"] == 143358
assert all(p["next"] == q["from"] and q["lost_bytes"] == 0 for p, q in zip(pieces, pieces[1:]))
assert "".join(p["text"] for p in pieces).encode() == text
assert all((p["version"], p["guest"], p["start"], p["state"]) == (1, "flood", 1, "exited") for p in pieces)
PYTHON
follow flood
follow_ends
check "logs -f: of one that is gone it ends" has_status 0
check "... and says so" complains "flood has ended: exited"

follow crash
check "logs -f: it goes on when the guest starts again" follows "crash started again"
manage stop crash
follow_ends
check "... until it is stopped" complains "crash has ended"

manage logs nobody
check "logs: no such guest" has_status 122
check "... and which there are" complains "there are: hello, filed, flood"
manage logs
check "logs: no guest" has_status 122
manage logs --lines x hello
check "logs: a number that is none" has_status 122
manage logs --raw "$socket"
check "logs: which of several" complains "7 guests"

# --- attach -----------------------------------------------------------------------------------------

attach() { # INPUT OPTION...
    printf %b "$1" >"$scratch/in"
    status=0
    timeout 60 "$matrix" attach "${@:2}" <"$scratch/in" >"$scratch/out" 2>"$scratch/err" || status=$?
}

attach 'wake up, Neo\nbytes: \xff\x80\x00\x1b\n' --eof echo
check "attach: input goes to the guest, and what it prints comes back, byte for byte" \
    cmp -s "$scratch/out" "$scratch/in"
check "... until its end, which it finds" complains "echo has ended: exited"
check "... with status 0" has_status 0
manage logs --json echo
check "logs --json: what is no UTF-8 is exact in data" json \
    '__import__("base64").b64decode(result["data"]).endswith(b"\xff\x80\x00\x1b\n") and "?" in result["text"]'
manage start echo
check "it starts again, with another input" has_status 0
attach 'again\n' echo
check "attach: at the end of standard input it leaves" has_status 0
check "... and the guest goes on" is_now echo 'result["life"] == "running"'
follow --lines 1 echo
check "... which reads what came" follows "again"
manage restart echo
check "... and is followed over a restart by command" follows "echo started again"
kill -TERM "$follower"
follow_ends

attach '' spin
check "attach: a guest without a console is refused" has_status 122
check "... with what would help" complains "console: yes"
attach '' hello
check "... also if it has ended" has_status 122
attach '' --detach-key xx echo
check "attach: a key that is none" has_status 122

# On a terminal, and bare requests.
python3 "$(dirname "$0")/console_client.py" "$matrix" "$socket" >"$scratch/verdicts" 2>"$scratch/err" || true
while read -r verdict name; do
    check "$name" test "$verdict" = pass
done <"$scratch/verdicts"
check "all of that was tried" grep -q "the end of the list" "$scratch/verdicts"

# --- the end ----------------------------------------------------------------------------------------

follow --lines 100 echo
check "who listens when the cloud ends" follows "knock"
cloud_ends TERM
cp "$scratch/cloud.err" "$scratch/err"
check "SIGTERM ends the cloud, whoever listens" has_status 143
follow_ends
check "... has status 0" has_status 0
check "... and is told" complains "echo has ended: stopped"

cloud_begins 'guests: [{name: late, image: hello, args: [last words]}, {name: first, image: neo, args: [--units, "60000"]}]
'
follow first
cloud_ends
follow_ends
check "who follows has all that was printed before the cloud was over" prints "done: 60000 units"

cloud_begins 'keep: yes
guests: [{name: a, image: neo, args: [--every, "500"]}, {name: busy, image: chatter, output: /dev/null}]
'
manage logs --lines 2 busy
check "logs --lines: not more of one that goes on printing" test "$(grep -c '^line ' "$scratch/out")" -le 2
manage stop busy
manage add --console --name more talk --read
attach 'added\n' --eof more
check "add --console: a guest with an input" prints "added"
follow a
follows " units"
{ kill -KILL "$pid"; wait "$pid"; } 2>/dev/null || true
follow_ends
check "logs -f: when the cloud is killed it ends, and says so" complains "is gone"

# --- one guest --------------------------------------------------------------------------------------

mkfifo "$scratch/input"
"$matrix" run --control auto --name single talk --read <"$scratch/input" >/dev/null 2>&1 &
pid=$!
exec 9>"$scratch/input"
echo "a word" >&9
for _ in {1..1200}; do
    [ ! -S "$MATRIX_RUNTIME_DIR/$pid.sock" ] || break
    sleep 0.05
done
follow single 9>&-
check "logs: of a guest of matrix run" follows "a word"
attach '' single
check "... whose input is the caller's own" complains "has no console"
exec 9>&-
follow_ends
check "... until it has ended" complains "single has ended: exited"
wait "$pid"
pid=
finish
