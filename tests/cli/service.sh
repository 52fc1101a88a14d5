#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A cloud as a service: what it tells its manager, and the socket that it is handed.
# Usage: service.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
need_kvm

python3 - "$matrix" "$scratch" <<'END' >"$scratch/out" 2>"$scratch/err" || true
import atexit, json, os, signal, socket, sys, time
matrix, scratch = sys.argv[1:]
result = {}
running = set()

def manager(address):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(address)
    return s

def hear(s, *wanted, wait=60):
    """All that is said until each of that is said. Signs of life never cease: the time is that of all together."""
    heard, end = [], time.monotonic() + wait
    while not all(any(line.startswith(w) for line in heard) for w in wanted):
        s.settimeout(max(0.01, end - time.monotonic()))
        heard += s.recv(4096).decode().split("\n")
        if time.monotonic() > end:
            raise TimeoutError("heard %s, but not %s" % (sorted(set(heard)), wanted))
    return heard

def end_of(pid, wait=60):
    """How it ended; in time."""
    end = time.monotonic() + wait
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            running.discard(pid)
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            raise TimeoutError("process %d has not ended" % pid)
        time.sleep(0.05)

def ask(path, request, wait=60):
    end = time.monotonic() + wait
    while True:
        try:
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(max(0.01, end - time.monotonic()))
            s.connect(path)
            break
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
    s.sendall((json.dumps(dict(request, version=1)) + "\n").encode())
    return json.loads(s.makefile().readline())

yaml = scratch + "/cloud.yaml"
open(yaml, "w").write("guests: [{name: a, image: spin, ceiling: 5%}, {name: b, image: spin, ceiling: 5%}]\n")
command = [matrix, "cloud", "--keep", "--duration", "10min", "--plain", "--quiet", "--control", "auto", yaml]

# What systemd hands over: descriptor 3, and whose it is.
listener = socket.socket(socket.AF_UNIX)
stable = scratch + "/stable.sock"
listener.bind(stable)
os.chmod(stable, 0o600)
listener.listen(16)
os.set_inheritable(listener.fileno(), True)

def hand_over():
    os.dup2(listener.fileno(), 3)
    os.set_inheritable(3, True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")

def start(address, **more):
    environment = dict(os.environ, NOTIFY_SOCKET=address, WATCHDOG_USEC="400000", **more)
    # As systemd does: the program is the process whose number it was told.
    pid = os.fork()
    if pid == 0:
        atexit.unregister(clean_up)
        os.environ.update(environment)
        hand_over()
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.dup2(os.open(scratch + "/cloud.err", os.O_WRONLY | os.O_CREAT, 0o600), 2)
        os.execv(matrix, command)
    running.add(pid)
    return pid

@atexit.register
def clean_up():
    """Also what was reached, for the checks."""
    print(json.dumps(result))
    for pid in running:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

s = manager(scratch + "/notify")
# Somebody has connected before it is there, as with a service that is started by that.
early = socket.socket(socket.AF_UNIX)
early.connect(stable)
early.sendall(b'{"version":1,"command":"list"}\n')
pid = start(scratch + "/notify")
result["ready"] = hear(s, "READY=1")
early.settimeout(60)
result["early"] = json.loads(early.makefile().readline())
result["status"] = hear(s, "STATUS=2")
hear(s, "WATCHDOG=1")
result["watchdog"] = hear(s, "WATCHDOG=1")
own = os.environ["MATRIX_RUNTIME_DIR"] + "/%d.sock" % pid
result["own"] = ask(own, {"command": "list"})
open(yaml, "w").write("guests: [{name: a, image: spin, weight: 7, ceiling: 5%}]\n")
result["begun"] = ask(stable, {"command": "reload"})
result["reloading"] = hear(s, "RELOADING=1", "MONOTONIC_USEC=")
result["reloaded"] = hear(s, "READY=1")
result["now"] = ask(stable, {"command": "guest", "guest": "a"})
open(yaml, "w").write("guests: nobody\n")
ask(stable, {"command": "reload"})
result["wrong"] = hear(s, "RELOADING=1") + hear(s, "READY=1")
os.kill(pid, signal.SIGTERM)
result["stopping"] = hear(s, "STOPPING=1")
result["end"] = end_of(pid)
result["stays"] = os.path.exists(stable)
result["own_goes"] = not os.path.exists(own)

# Once more, by an abstract address, at the same socket.
open(yaml, "w").write("guests: [{name: a, image: hello}]\n")
s = manager("\0matrix-test-%d" % os.getpid())
pid = start("@matrix-test-%d" % os.getpid())
result["abstract"] = hear(s, "READY=1")
result["again"] = ask(stable, {"command": "list"})
os.kill(pid, signal.SIGTERM)
end_of(pid)

# What is no socket that listens.
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
pid = start("nonsense")
result["nonsense"] = end_of(pid)
pid = start(scratch + "/nobody")
result["no_listener"] = end_of(pid)
result["complaint"] = open(scratch + "/cloud.err").read()
END

# One after the other, by one process: NAME EXPRESSION ...
names=() expressions=()
expect() { names+=("$1") expressions+=("$2"); }
expect "READY=1 comes when guests run" '"READY=1" in result["ready"]'
expect "who had connected before is answered" '[g["name"] for g in result["early"]["guests"]] == ["a", "b"]'
expect "the status is told" '"STATUS=2 of 2 guests run" in result["status"]'
expect "signs of life come" '"WATCHDOG=1" in result["watchdog"]'
expect "its own socket is there as well" 'result["own"]["pid"] > 0'
expect "RELOADING=1 comes with the time" \
    'any(line.split("=")[0] == "MONOTONIC_USEC" and line.split("=")[1].isdigit() for line in result["reloading"])'
expect "... and READY=1 when it is done" '"READY=1" in result["reloaded"] and result["now"]["weight"] == 7'
expect "... and when the file was wrong" '"READY=1" in result["wrong"]'
expect "STOPPING=1 comes at the end" '"STOPPING=1" in result["stopping"] and result["end"] == 143'
expect "the socket that was handed over stays" 'result["stays"] and result["own_goes"]'
expect "an abstract address will do" '"READY=1" in result["abstract"]'
expect "the next one serves at the same socket" 'result["again"]["guests"][0]["name"] == "a"'
expect "an address that is none is refused" 'result["nonsense"] == 122'
expect "a descriptor that is no such socket is refused" \
    'result["no_listener"] == 122 and "LISTEN_FDS" in result["complaint"]'
python3 - "$scratch/out" "${expressions[@]}" <<'END' >"$scratch/checked" 2>>"$scratch/err" || true
import json, sys
result = json.load(open(sys.argv[1]))
for expression in sys.argv[2:]:
    try:
        print(0 if eval(expression) else 1, flush=True)
    except (KeyError, IndexError, TypeError):
        print(1, flush=True) # it was not reached
END
mapfile -t outcomes <"$scratch/checked"
for i in "${!names[@]}"; do
    result "${outcomes[i]:-1}" "${names[i]}"
done
finish
