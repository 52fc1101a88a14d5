#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`matrix top` before a cloud that runs: keys pause a guest, change weights and stop one, as `matrix status` confirms.
Needs KVM; `lab_top` runs it in the lab.
usage: top_real.py BUILD-DIRECTORY"""
import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import screen as terminal
from screen import Screen, check, finish

terminal.PATIENCE = 120
matrix = os.path.abspath(sys.argv[1]) + "/matrix"
scratch = tempfile.mkdtemp(prefix="matrix-test-")
os.environ.update(MATRIX_RUNTIME_DIR=scratch + "/runtime", LC_ALL="C.UTF-8")
if subprocess.run([matrix, "run", "hello"], capture_output=True).returncode == 123:
    print("1..0 # SKIP no usable KVM")
    sys.exit(0)
with open(scratch + "/cloud.yaml", "w") as file:
    file.write("""
groups:
  - {name: city, weight: 100, ceiling: 80%}
  - {name: zion, weight: 100, group: city}
guests:
  - {name: neo, image: neo, weight: 70, group: zion, ceiling: 90%}
  - {name: trinity, image: spin, weight: 30, group: zion}
  - {name: morpheus, image: morpheus, weight: 40, floor: 10%}
  - {name: smith, image: spin, weight: 60}
""")
cloud = subprocess.Popen([matrix, "cloud", "--plain", "--quiet", "--keep", "--control", "auto", scratch + "/cloud.yaml"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def clean():
    cloud.kill()
    cloud.wait()
    shutil.rmtree(scratch, ignore_errors=True)


atexit.register(clean)
while not os.path.exists(f"{scratch}/runtime/{cloud.pid}.sock"):
    time.sleep(0.1)


def guest(name):
    status = json.loads(subprocess.run([matrix, "status", "--json"], capture_output=True).stdout)
    return next(g for g in status["cores"][0]["guests"] if g["name"] == name)


def comes_to_be(name, condition):
    end = time.monotonic() + terminal.PATIENCE
    while time.monotonic() < end:
        if condition(guest(name)):
            return True
        time.sleep(0.2)
    return False


screen = Screen([matrix, "top", "--sort", "name"], columns=100, rows=30)
check("groups and guests of a cloud that runs", screen.shows(
    r"^.city +2 guests +100 +- +80% .*\n.  zion +2 guests +100 +- +- .*\n.    neo +\S+ +70 +- +90% .*\n.    trinity .*\n"
    r".morpheus +\S+ +40 +10% .*\n.smith "), screen.text())
check("shares are those of the contract, more or less", screen.shows(
    lambda text: (found := re.search(r"zion +2 guests +100 +- +- +([\d.]+)% +([\d.]+)%", text)) and
    40 < float(found[1]) < 60 and 30 < float(found[2]) < 70), screen.text())
if len(sys.argv) > 2:  # a picture for the manual
    time.sleep(5)
    screen.shows("matrix top")
    print("#PAGE\n" + re.sub("^", "#|", screen.text(), flags=re.M), flush=True)
screen.press("\x1b[F")
check("the last is selected", screen.shows("^>smith"), screen.text())
screen.press("kkk")
check("and the third above", screen.shows("^>    neo"), screen.text())
screen.press("p")
check("p: paused", screen.shows(r"^>    neo +paused") and screen.shows("neo is paused"), screen.text())
check("... really", guest("neo")["state"] == "paused", guest("neo"))
before = guest("neo")["cpu_ns"]
check("... the other has its group's share", screen.shows(r"^     neo .* 0\.0% |^>    neo .* 0\.0% "), screen.text())
check("... and it has had nothing", guest("neo")["cpu_ns"] == before)
screen.press("p")
check("p: and goes on", screen.shows("neo runs again"), screen.text())
check("... really", comes_to_be("neo", lambda g: g["state"] in ("running", "ready", "at ceiling") and g["cpu_ns"] > before))
screen.press("+")
check("+: its weight is 77", screen.shows(r"^>    neo .* 77 ") and comes_to_be("neo", lambda g: g["weight"] == 77), screen.text())
screen.press("w10\r")
check("w: its weight is 10", screen.shows(r"^>    neo .* 10 ") and comes_to_be("neo", lambda g: g["weight"] == 10), screen.text())
check("... and what is due follows: a quarter of the half", screen.shows(
    lambda text: (found := re.search(r"^>    neo +\S+ +10 +- +90% +([\d.]+)%", text, re.M)) and
    10 < float(found[1]) < 15), screen.text())
screen.press("\x1b[A-")
check("-: its group's weight is 90", screen.shows("zion has weight 90 now") and screen.shows(r"^>  zion +2 guests +90 "), screen.text())
screen.press("\x1b[F")
check("smith is selected", screen.shows("^>smith"), screen.text())
screen.press("sy")
check("s, y: stopped", screen.shows(r"^>smith +stopped") and guest("smith")["state"] == "stopped", screen.text())
cloud.terminate()
cloud.wait()
check("the cloud ends, and the screen goes on", screen.shows("Nobody runs guests here now"), screen.text())
screen.press("q")
check("q: 0", screen.ends() == 0 and screen.is_as_before(), screen.status)
screen.close()
finish()
