#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`matrix top` on a terminal of its own, before a cloud that is made up (board_server.py): what it shows, what keys
do, and that the terminal is given back however it ends. With guests that run: top_real.py.
usage: top.py BUILD-DIRECTORY"""
import atexit
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from screen import Screen, check, finish

here = os.path.dirname(os.path.abspath(__file__))
matrix = os.path.abspath(sys.argv[1]) + "/matrix"
scratch = tempfile.mkdtemp(prefix="matrix-test-")
runtime = scratch + "/runtime"
os.mkdir(runtime, 0o700)
os.environ.update(MATRIX_RUNTIME_DIR=runtime, LC_ALL="C.UTF-8")
os.environ.pop("NO_COLOR", None)
os.environ.pop("COLUMNS", None)
servers = []


def end_servers():
    for server in servers:
        server.kill()
        server.wait()
        if os.path.exists(f"{runtime}/{server.pid}.sock"):
            os.unlink(f"{runtime}/{server.pid}.sock")
    servers.clear()


def clean():
    end_servers()
    shutil.rmtree(scratch, ignore_errors=True)


atexit.register(clean)


def serve(kind):
    server = subprocess.Popen([sys.executable, here + "/board_server.py", runtime, kind],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    servers.append(server)
    server.stdout.readline()
    return server.pid


def run(*arguments, **environment):
    return subprocess.run([matrix, "top", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, env={**os.environ, **environment})


def fails(name, status, complaint, *arguments):
    result = run(*arguments)
    check(f"{name}: {complaint}", result.returncode == status and complaint in result.stderr and not result.stdout,
          result)


def asked(pid):
    with open(f"{runtime}/{pid}.asked") as lines:
        return [{key: value for key, value in json.loads(line).items() if key != "version"} for line in lines]


def was_asked(pid, request):
    for _ in range(600):
        if request in asked(pid):
            return True
        time.sleep(0.1)
    return False


# --- without a terminal --------------------------------------------------------------------------
fails("nobody", 125, "nobody runs guests here")
fails("a pid that runs none", 122, "process 1 runs no guests", "1")
fails("an interval too short", 122, "use 100ms or more", "--interval", "1ms")
fails("a column that is none", 122, "there is no such column", "--sort", "wight")
pid = serve("live")
fails("no terminal", 122, "use --once or --json")


def comes_to_say(pattern, *arguments):
    """What top says, once it is that: the board's figures may change while they are read."""
    for _ in range(10):
        told = run(*arguments)
        if re.search(pattern, told.stdout, re.M):
            break
    return told


result = comes_to_say(r"^   neo .* 70\.0%  80\.0% (.*\n)* morpheus .* 30\.0%  20\.0% ", "--once", "-i", "500ms")
check("once: 0", result.returncode == 0, result)
check("... the cores", re.search(rf"^ +3 +{pid} +3 +\d+\.\d% █+ +1.0% ", result.stdout, re.M), result.stdout)
check("... a group and its guests", re.search(r"^ zion +2 guests +100 +- +- .*\n   neo +running +70 .*\n   mouse +sleeping +1 ",
                                              result.stdout, re.M), result.stdout)
check("... what was due and given, and the bar shows what is more",
      re.search(r"^   neo .* 70\.0%  80\.0% █{8}▓▓·· ", result.stdout, re.M), result.stdout)
check("... or owed", re.search(r"^ morpheus .* 30\.0%  20\.0% ██░░·{8} ", result.stdout, re.M), result.stdout)
check("... delays", "median 45 us, 99 % within 1.50 ms, worst 3.0 s" in result.stdout, result.stdout)
check("... memory", "Memory: guests 48 MiB, resident" in result.stdout, result.stdout)
check("... no colours, and no line is wider than 80",
      "\x1b" not in result.stdout and max(map(len, result.stdout.splitlines())) <= 80, result.stdout)
result = run("--once", "-i", "200ms", COLUMNS="140", LC_ALL="C")
check("wider, and in ASCII", result.stdout.isascii() and re.search(r"ERROR .* IO/S TIMER/S  CPU TIME +MEMORY$",
                                                                   result.stdout, re.M), result.stdout)
result = run("--json", "-i", "500ms", str(pid))
core = json.loads(result.stdout)["cores"][0]
neo = core["guests"][0]
check("JSON: names as in matrix status, and those of top alone",
      neo["name"] == "neo" and abs(neo["due"] - 0.7) < 0.05 and abs(neo["share"] - 0.8) < 0.05 and
      neo["exits_of_kind_per_s"]["io"] > 10000 and neo["exits_of_kind_per_s"]["mmio"] == 0 and
      [d["count"] for d in core["delays"]] == [90, 9, 1] and core["delays"][0]["up_to_ns"] >= 45000, result.stdout)
process = json.loads(result.stdout)["processes"][0]
check("... and memory", process["pid"] == pid and process["guests_memory_bytes"] == 48 << 20 and
      process["resident_bytes"] > 1 << 20, process)

# --- a screen, and keys ----------------------------------------------------------------------------
screen = Screen([matrix, "top", "-i", "200ms"])
check("it is shown again and again", screen.shows(r"neo .* 70\.0%  80\.0% "), screen.text())
frames = screen.frames
check("... with colours", screen.shows(lambda text: screen.frames > frames + 2) and screen.colours > 0)
check("on another page, and without a cursor", screen.modes == {"?1049"}, screen.modes)
check("the first row is selected", screen.shows(r"^> ?zion "), screen.text())
screen.press("j")
check("j: the next one is", screen.shows(r"^>  neo "), screen.text())
check("... with its exits by kind", screen.shows(r"exits/s: io [\d,]+, interrupted 0, fault 0"), screen.text())
screen.press("p")
check("p: neo is paused", screen.shows(r"^>  neo +paused .*(.*\n)*.*neo is paused"), screen.text())
check("... as the cloud was asked", was_asked(pid, {"command": "pause", "guest": "neo"}))
check("... and morpheus has it all", screen.shows(r"^ morpheus .* 100\.0% 100\.0%"), screen.text())
screen.press("p")
check("p again: it goes on", screen.shows("neo runs again"), screen.text())
screen.press("+")
check("+: a tenth more", screen.shows(r"^>  neo +r\S+ +77 ") and was_asked(
    pid, {"command": "set", "weight": 77, "guest": "neo"}), screen.text())
screen.press("w150\r")
check("w: a weight is typed", screen.shows(r"^>  neo +r\S+ +150 ") and was_asked(
    pid, {"command": "set", "weight": 150, "guest": "neo"}), screen.text())
check("... and shares follow", screen.shows(r"^>  neo .* 83\.3% "), screen.text())
screen.press("w666\r")
check("what is refused is said, escaped", screen.shows(r"refused: set: the floors \\x1b\[31m pass 100 %"), screen.text())
screen.press("\x1b[A")
check("up: the group", screen.shows(r"^> ?zion "), screen.text())
screen.press("-")
check("-: its weight", screen.shows("zion has weight 90 now") and screen.shows(r"^> ?zion +2 guests +90 ") and was_asked(
    pid, {"command": "set", "weight": 90, "group": "zion"}), screen.text())
screen.press("++")
check("+ twice at once: from the last weight on", screen.shows("zion has weight 108 now") and was_asked(
    pid, {"command": "set", "weight": 99, "group": "zion"}), screen.text())
os.kill(pid, signal.SIGSTOP)
begun = time.monotonic()
screen.press("-")
check("a cloud that is stopped does not hold it up for long", screen.shows("set: ask at the control socket") and
      time.monotonic() - begun < 25, screen.text())
os.kill(pid, signal.SIGCONT)
screen.press("g")
check("g: without groups", screen.shows(lambda text: "2 guests" not in text), screen.text())
screen.press("g")
screen.shows("2 guests")
screen.press("\x1b[F")
screen.press("s")
check("s: asks first", screen.shows(r"Stop \w+\? It ends"), screen.text())
screen.press("n")
check("... n: nothing was done", screen.shows("q quit") and "stop" not in [r["command"] for r in asked(pid)])
screen.press("sy")
check("... y: it is stopped", screen.shows("is stopped") and "stop" in [r["command"] for r in asked(pid)])
screen.press("h")
check("h: help", screen.shows("less: the pale part is owed"), screen.text())
screen.press("x")
screen.press(" ")
check("space: frozen", screen.shows("FROZEN"), screen.text())
text = screen.text()
screen.shows("not to be seen", 1)
check("... nothing changes", screen.text() == text)
screen.press(" ")
check("... and goes on", screen.shows(lambda text: "FROZEN" not in text), screen.text())
screen.press(">")
check(">: by the next column", screen.shows("by error"), screen.text())
screen.press("r")
check("r: the other way round", screen.shows("by error reversed"), screen.text())

for columns, rows in ((120, 40), (60, 10), (200, 60), (80, 24)):
    screen.resize(columns, rows)
    check(f"resized to {columns}x{rows}", screen.shows("q quit") and screen.shows("morpheus"), screen.text())
screen.resize(50, 9)
check("too small", screen.shows("50x9 is too small"), screen.text())
screen.resize(80, 24)

second = serve("live")
check("a second cloud comes", screen.shows("2 processes") and screen.shows(rf" {second} "), screen.text())
third = serve("hostile")
check("names cannot command the terminal", screen.shows(r'a"b\\c\\x0ad'), screen.text())
fourth = serve("endless_entry")
check("a board that is none is said, and the others are shown",
      screen.shows(rf"process {fourth}: ") and screen.shows("morpheus"), screen.text())
check("a cloud is asked for its board once for each that comes", sum(r["command"] == "board" for r in asked(pid)) <= 10)
end_servers()
check("when the last has ended it waits for others", screen.shows("Nobody runs guests here now"), screen.text())
serve("live")
check("... which come", screen.shows("morpheus"), screen.text())
screen.press("q")
check("q: 0", screen.ends() == 0, screen.status)
check("... and the terminal is as before", screen.is_as_before(), screen.modes)
screen.close()

# --- ends --------------------------------------------------------------------------------------------
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
    screen = Screen([matrix, "top"])
    screen.shows("q quit")
    screen.signal(number)
    check(f"{number.name}: 128 + {number}, and the terminal is as before",
          screen.ends() == 128 + number and screen.is_as_before(), (screen.status, screen.modes))
    screen.close()
screen = Screen([matrix, "top"])
screen.shows("q quit")
screen.press("\x03")
check("Ctrl-C is SIGINT", screen.ends() == 130 and screen.is_as_before(), screen.status)
screen.close()
screen = Screen([matrix, "top"])
screen.shows("q quit")
screen.signal(signal.SIGSEGV)
check("even if it crashed", screen.ends() in (128 + signal.SIGSEGV, 1) and screen.is_as_before(),
      (screen.status, screen.modes))
screen.close()
screen = Screen([matrix, "top", "-i", "200ms"])
screen.shows("q quit")
screen.signal(signal.SIGTSTP)
_, status = os.waitpid(screen.pid, os.WUNTRACED)
for _ in range(20):
    screen.read(0.05)
check("Ctrl-Z: it stops, and the terminal is as before", os.WIFSTOPPED(status) and screen.is_as_before(), screen.modes)
screen.signal(signal.SIGCONT)
check("... and goes on", screen.shows(lambda text: screen.modes == {"?1049"} and "q quit" in text), screen.text())
screen.close()

screen = Screen([matrix, "top"], NO_COLOR="1")
screen.shows("q quit")
check("NO_COLOR: none", screen.colours == 0)
check("... and who is selected is seen all the same", screen.shows("^> ?zion"), screen.text())
screen.close()
finish()
