#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `matrix cloud --metrics`: what is served, by whom, until when; and what is refused. Usage: cloud_metrics.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm

# --- what is refused, before any guest runs ------------------------------------------------------------
printf 'guests: [{name: a, image: hello}]\n' >"$scratch/hello.yaml"
refused() { # STATUS COMPLAINT NAME ARGUMENT...
    attempt timeout 60 "$matrix" cloud --plain "$scratch/hello.yaml" "${@:4}"
    check "$3: $1" has_status "$1"
    check "and why" complains "$2"
    check "and no guest has run" [ ! -s "$scratch/out" ]
}
refused 122 "is no ADDRESS:PORT" "a name" --metrics localhost:9464
check "the cloud says that it is for this" complains "matrix cloud: --metrics localhost:9464: they cannot be served"
refused 122 "by way of the control socket" "without a control socket" --metrics 0 --control none
refused 125 "has no such address" "somebody else's address" --metrics 192.0.2.1:0
printf 'guests: [{name: a, image: spin, ceiling: 5%%}, {name: b, image: spin, ceiling: 5%%}]\n' >"$scratch/spin.yaml"

python3 - "$matrix" "$scratch" <<'END' >"$scratch/said" 2>"$scratch/err" || true
import json, os, re, signal, socket, subprocess, sys, time, urllib.request
matrix, scratch = sys.argv[1:]
result, running = {}, []

def start(address, *more):
    """What it says goes to a file: a child that outlives it must not keep us waiting for a pipe's end."""
    name = f"{scratch}/cloud{len(running)}.err"
    with open(name, "wb") as errors:
        cloud = subprocess.Popen([matrix, "cloud", "--plain", "--quiet", "--keep", "--duration", "10min", scratch + "/spin.yaml",
                                  "--metrics", address, *more], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=errors, cwd=scratch)
    cloud.said = lambda: open(name).read()
    running.append(cloud)
    return cloud

def line(cloud, number):
    """What it says in that line, once it has."""
    end = time.monotonic() + 60
    while cloud.said().count("\n") <= number:
        if time.monotonic() > end or cloud.poll() is not None:
            raise TimeoutError(cloud.said())
        time.sleep(0.05)
    return cloud.said().splitlines()[number]

def url_of(cloud):
    return re.fullmatch(r"matrix cloud: metrics at (http://\S+/metrics)", line(cloud, 0))[1]

def pids(url, wanted=2):
    """Whose guests are shown, once there are so many."""
    end = time.monotonic() + 60
    while True:
        text = urllib.request.urlopen(url, timeout=60).read().decode()
        guests = re.findall(r'^matrix_guest_weight\{.*pid="(\d+)".*\} 100$', text, re.M)
        if len(guests) == wanted:
            return [int(pid) for pid in guests]
        if time.monotonic() > end:
            raise TimeoutError(text)
        time.sleep(0.2)

def child(cloud):
    """Its processes by the name of matrix-metrics."""
    numbers = []
    for task in os.listdir(f"/proc/{cloud.pid}/task"):
        numbers += open(f"/proc/{cloud.pid}/task/{task}/children").read().split()
    return [int(n) for n in numbers if open(f"/proc/{n}/comm").read().startswith("matrix-metrics")]

def answers(url):
    host, port = re.match(r"http://(.*):(\d+)/", url).groups()
    with socket.socket() as s:
        s.settimeout(60)
        return s.connect_ex((host, int(port))) == 0

def is_gone(pid):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try: # whoever reaps orphans may take his time
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.05)
    return False

try:
    first, second = start("0"), start("127.0.0.1:0", "--control", "here.sock")
    urls = [url_of(first), url_of(second)]
    result["loopback"] = urls[0].startswith("http://127.0.0.1:")
    result["own"] = [set(pids(url)) == {cloud.pid} for url, cloud in zip(urls, (first, second))]
    children = [child(first), child(second)]
    result["children"] = [len(c) for c in children]
    held = [os.readlink(f"/proc/{children[0][0]}/fd/{fd}") for fd in os.listdir(f"/proc/{children[0][0]}/fd")]
    result["kvm"] = [name for name in held if "kvm" in name]
    taken = start(urls[0][7:-8])
    result["taken"] = [taken.wait(60), taken.said()]

    first.send_signal(signal.SIGTERM)
    result["end"] = first.wait(60)
    result["silent"] = first.said()
    result["gone"] = not os.path.exists(f"/proc/{children[0][0]}") and not answers(urls[0])
    second.kill()
    second.wait()
    result["gone_with"] = is_gone(children[1][0])

    third = start("0")
    url = url_of(third)
    pids(url)
    number = child(third)[0]
    os.kill(number, signal.SIGKILL)
    result["told"] = line(third, 1)
    result["goes_on"] = third.poll() is None and not os.path.exists(f"/proc/{number}")
    third.send_signal(signal.SIGTERM)
    result["third"] = third.wait(60)

    # One that ends by itself; its child may be in the middle of an answer.
    fourth = start("0", "--duration", "5s") # long enough for a look at it
    url = url_of(fourth)
    number = child(fourth)
    result["fourth"] = fourth.wait(60)
    result["fourth_gone"] = not os.path.exists(f"/proc/{number[0]}") and not answers(url)
finally:
    print(json.dumps(result))
    for cloud in running:
        if cloud.poll() is None:
            cloud.kill()
END
cp "$scratch/said" "$scratch/out"
status=-
check "a port alone is one of loopback" json "result['loopback']"
check "of its guests, and of no other cloud's; by a control socket elsewhere as well" json "result['own'] == [True, True]"
check "served by a child of it" json "result['children'] == [1, 1]"
check "which has nothing of KVM" json "result['kvm'] == []"
check "a port that is taken: 125" json "result['taken'][0] == 125"
check "and why, and what helps" json "all(w in result['taken'][1] for w in ('listen at', 'Address already in use', 'Take another port'))"
check "SIGTERM: 143" json "result['end'] == 143"
check "without another word" json "result['silent'].count('\n') == 1"
check "the child has ended before, and nobody listens there" json "result['gone']"
check "killed, it takes the child along" json "result['gone_with']"
check "a child that is killed is told of" json "'has ended by signal 9; guests go on' in result['told']"
check "guests go on, and it leaves no zombie" json "result['goes_on'] and result['third'] == 143"
check "a cloud whose time is up" json "result['fourth'] == 0 and result['fourth_gone']"
finish
