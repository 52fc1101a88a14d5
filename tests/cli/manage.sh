#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A running cloud is managed: guests start in order, start again, stop with others, and by command start,
# stop, pause and change, and come; it is stopped and killed itself. Usage: manage.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm

. "$(dirname "$0")/background.sh"

# By manage_cores.sh: all guests of files live on the second core. What happens there between two letters that were
# written together is some milliseconds; a second where the emulated processor stands still just then.
paused_at_most=0 floors_refused="a 60 % + tenant 50 % = 110 %"
if [ "${second_core-}" ]; then
    cloud_options=(--cores 2 --core any) paused_at_most=1000000000
    floors_refused="core 1, which tenant is pinned to, has no room for its floor: 60 % + 50 % = 110 %"
    cloud_file() { sed -E '/group:/! s/\{name: ([a-z]+),/{name: \1, pin: 1,/'; }
fi

reported() { cp "$saved" "$scratch/out" && json "$1"; }
period() { # CHANGE EXPRESSION of the period and its guests by name
    reported "(lambda period, guest: $2)(*[(p, {g['name']: g for g in p['guests']})
        for p in result['periods'] if p['change'] == '$1'][0])"
}

# --- what the file says ----------------------------------------------------------------------------

cloud_begins 'guests:
  - {name: last, image: hello, after: [first, second]}
  - {name: second, image: spin, after: [first], stop-with: [first]}
  - {name: first, image: neo, args: [--units, "1500"]}
'
cloud_ends
check "guests start after others, whatever the order of the file" has_status 0
check "one stops with another, which has ended: and the cloud is over" \
    reported '[g["state"] for g in result["guests"]] == ["exited", "stopped", "exited"]'

cloud_begins 'keep: yes
guests:
  - {name: crash, image: faulty, args: ["null"], restart: on-failure, backoff: 50ms}
  - {name: clean, image: hello, restart: on-failure}
  - {name: once, image: faulty, args: ["null"]}
'
check "a guest that faults starts again" becomes crash 'result["restarts"] >= 2'
check "... with pauses between" becomes crash 'result["life"] == "backoff"'
check "one that ends well does not" is_now clean 'result["life"] == "ended" and not result["restarts"]'
check "nor does one whose policy it is not" is_now once 'result["life"] == "ended"'
manage stop crash
check "one that backs off can be stopped" has_status 0
check "... and stays so" is_now crash 'result["life"] == "stopped"'
check "with keep the cloud goes on when all have ended" kill -0 "$pid"
cloud_ends TERM
check "SIGTERM ends it, and the report is written" has_status 143
check "... which counts the restarts" reported 'result["guests"][0]["restarts"] >= 2'

# --- commands ---------------------------------------------------------------------------------------

cloud_begins 'groups:
  - {name: tenant, weight: 100}
guests:
  - {name: a, image: spin, weight: 100}
  - {name: b, image: spin, weight: 100, group: tenant}
' --keep
manage pause a
check "pause: a guest runs no more" has_status 0
check "... is paused" prints "paused"
[ -z "${second_core-}" ] || sleep 4 # half of which it would have had
manage pause a
check "twice is refused" has_status 125
check "... with its state" complains "the guest is paused"
manage resume --json a
check "resume: it runs again" json 'result["guests"][0]["life"] == "running"'

manage set a weight=300 ceiling=80%
check "set: a contract changes" has_status 0
check "... as the table says" prints "80 %"
sleep 12
manage set a weight=100 ceiling=none
check "... and back" has_status 0
manage set a floor=60%
manage set --group tenant floor=50%
check "floors that do not fit are refused" has_status 125
check "... with the sum" complains "$floors_refused"
manage set a floor=none
manage set a weigth=3
check "set: a word that is none is refused" has_status 122
manage set a weight=0
check "... and a value that is none" complains "weight=0"
# No program sends these; whoever talks to the socket may.
requests=('{"command": "set", "guest": "a", "pin": -2}')
for number in -70 -1 -9223372036854775808; do
    for member in weight floor_ppm ceiling_ppm latency_ns; do
        requests+=('{"command": "set", "guest": "a", "'"$member"'": '"$number}"
            '{"command": "set", "group": "tenant", "'"$member"'": '"$number}"
            '{"command": "add", "guest": "negative", "image": "hello", "'"$member"'": '"$number}")
    done
done
asks "${requests[@]}"
check "set and add: numbers that are out of bounds are refused" \
    json 'len(result) == 37 and all(r.get("error", {}).get("code") == "bad_request" for r in result)'
check "... by name" json '"floor_ppm" in result[4]["error"]["message"]'
asks '{"command": "guest", "guest": "a"}' '{"command": "guest", "guest": "negative"}'
check "... and nothing has changed" json 'result[0]["weight"] == 100 and result[1]["error"]["code"] == "no_such_guest"'
manage set --group tenant weight=300
check "set: a group's contract changes" has_status 0
check "... as the table says" prints "300"
sleep 12

manage stop b
check "stop: a guest ends" prints "stopped"
manage start b
check "start: it runs again" has_status 0
check "... and that was waited for" prints "r"
check "... by the cloud's word" is_now b 'result["life"] == "running"'
manage restart a b
check "restart: several at once" has_status 0
manage stop nobody
check "a guest that is not there is named" complains "nobody"

manage add --name more --memory 4M --restart on-failure hello
check "add: a guest comes" has_status 0
check "... and runs to its end" becomes more 'result["life"] == "ended"'
manage add --name more hello
check "a name is given once" complains "there is a guest more"
manage add --name none "$scratch/none.elf"
check "an image that is not there is refused" has_status 121
echo garbage >"$scratch/bad.elf"
manage add --name bad "$scratch/bad.elf"
check "one that is none cannot be started" has_status 125
check "... which says why" complains "bad.elf"
check "... and the cloud knows" is_now bad '"bad.elf" in result["error"] and result["state"] == "stopped"'
manage stop bad
check "... but it is nobody" complains "bad"
printf 'guests:\n  - {name: greedy, image: spin, floor: 90%%, restart: on-failure%s}\n' \
    "${second_core:+, pin: 1}" >"$scratch/greedy.yaml"
manage set a floor=20%
manage add "$scratch/greedy.yaml"
check "one whose floor does not fit is refused" has_status 125
check "... with the sum" complains "110 %"
manage reload
check "... and is in nobody's way" has_status 0
manage add --name greedy --memory 4M hello
check "... not even its name" has_status 0
manage set a floor=none
printf 'guests:\n  - {name: x, image: spin, weight: 10}\n  - {name: y, image: spin}\n' >"$scratch/more.yaml"
manage add --json "$scratch/more.yaml"
check "add: the guests of a file" json '[g["guest"] for g in result["guests"]] == ["x", "y"]'

kill -STOP "$pid"
sleep 3
kill -CONT "$pid"
becomes a 'result["life"] == "running"'

cloud_ends HUP
check "SIGHUP ends it" has_status 129
check "the report has every guest" \
    reported '[g["name"] for g in result["guests"]] == ["a", "b", "more", "bad", "greedy", "x", "y"]'
check "... and splits at each change" \
    reported '[p["change"] for p in result["periods"]][:4] == ["start", "pause a", "resume a", "set a"]'
check "... without a gap" \
    reported 'all(p["end_ns"] == q["begin_ns"] for p, q in zip(result["periods"], result["periods"][1:]))'
# What a host that is busy with other things charges at once: two seconds of the period's time, else 5 points.
near='< max(5, 200e9 / sum(g["cpu_ns"] for g in guest.values()))'
check "weights 3 to 1 were kept in their time" \
    period "set a" 'abs(guest["a"]["promised"] - 0.75) < 0.001 and abs(guest["a"]["error_pp"]) '"$near"
check "a paused guest was promised nothing" period "pause a" 'guest["a"]["cpu_ns"] <= '"$paused_at_most"
check "a group's weight was kept in its time" \
    period "set group tenant" 'abs(guest["b"]["promised"] - 0.75) < 0.001 and abs(guest["b"]["error_pp"]) '"$near"
check "a request that was refused has no period" \
    reported 'sum(p["change"] == "set group tenant" for p in result["periods"]) == 1'

check "time in which the cloud was stopped is charged to nobody" reported \
    'sum(g["cpu_ns"] for g in result["guests"]) + result["scheduler"]["overhead_ns"] <= result["duration_ns"] - 2.9e9'

cloud_begins 'guests: [{name: a, image: spin}]'
old=$socket old_pid=$pid
{ kill -KILL "$pid"; wait "$pid"; } 2>/dev/null || true
check "a cloud that is killed leaves its socket" test -S "$old"
manage stop a
check "... at which nobody is found" has_status 122
cloud_begins 'guests: [{name: a, image: spin}]'
check "... and which the next one removes" test ! -e "$old"
check "... and of its process nothing is left" test ! -e "/proc/$old_pid"
manage add --name bad "$scratch/bad.elf"
asks '{"command": "logs"}' '{"command": "guest", "guest": "bad"}'
check "one that could not be added is none of several" json 'result[0]["guest"] == "a" and result[1]["error"]'
cloud_ends TERM

attempt "$matrix" stop
check "stop without a guest is refused" has_status 122
attempt "$matrix" stop a
check "without a cloud there is no guest" has_status 122
attempt "$matrix" add hello
check "... and nowhere to add one" complains "no cloud runs"
finish
