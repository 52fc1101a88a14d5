#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Where `matrix ksm map` believes a QEMU guest's memory to be, against QEMU's own gpa2hva.

qemu.py BUILD_DIRECTORY     as root; the guests are never started
"""
import json
import os
import re
import shutil
import subprocess
import sys

MATRIX = os.path.join(os.path.abspath(sys.argv[1]), "matrix")
QEMU = "qemu-system-x86_64"
MIB = 1 << 20
LAST = 4096
# Machine, -m, and what lies where; 2816 and 3584 MiB are where RAM begins to be split.
CASES = [
    (["-machine", "pc"], "96", [(0, 96)]),
    (["-M", "q35"], "size=96M,slots=2,maxmem=1G", [(0, 96)]),
    (["-machine", "q35"], "2815", [(0, 2815)]),
    (["-machine", "q35,mem-merge=on"], "2816M", [(0, 2048), (4096, 768)]),
    (["-machine", "type=pc"], "3583", [(0, 3583)]),
    ([], "3.5G", [(0, 3072), (4096, 512)]),
    (["-machine", "pc-q35-7.2"], "4G", [(0, 2048), (4096, 2048)]),
]


class Machine:
    def __init__(self, arguments):
        self.process = subprocess.Popen(
            [QEMU, "-S", "-accel", "tcg", "-display", "none", "-nodefaults", "-monitor", "stdio",
             *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.answer()

    def answer(self):
        text = b""
        while not text.endswith(b"(qemu) "):
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                raise OSError(text.decode(errors="replace"))
            text += more
        return text.decode(errors="replace")

    def hva(self, gpa):
        self.process.stdin.write(f"gpa2hva {gpa:#x}\n".encode())
        self.process.stdin.flush()
        return int(re.search(r"is (0x[0-9a-f]+)", self.answer()).group(1), 16)

    def end(self):
        self.process.kill()
        self.process.wait()


def told(what):
    done = subprocess.run([MATRIX, "ksm", "map", "--json", "--no-content", str(what)],
                          stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)["subjects"][0]


def check(machine_arguments, size, wanted):
    machine = Machine(["-name", "guest=a,,b,debug-threads=off", "-m", size, *machine_arguments])
    try:
        subject = told(machine.process.pid)
        regions = [(int(r["gpa"], 16), int(r["hva"], 16), r["memory_bytes"])
                   for r in subject["regions"]]
        good = [(g // MIB, b // MIB) for g, _, b in regions] == wanted and all(
            machine.hva(gpa + at) == hva + at for gpa, hva, size in regions
            for at in (0, 0x100000, size // 2 & -LAST, size - LAST))
        good = good and subject["kind"] == "qemu" and subject["name"] == "a,b"
    finally:
        machine.end()
    return good, regions


def main():
    if os.getuid() or not shutil.which(QEMU):
        print(f"1..0 # SKIP needs root and {QEMU}")
        return
    for number, (arguments, size, wanted) in enumerate(CASES, 1):
        good, regions = check(arguments, size, wanted)
        print(f"{'ok' if good else 'not ok'} {number} - {' '.join(['-m', size, *arguments])}: "
              f"RAM is where gpa2hva says")
        if not good:
            print(f"# {[tuple(map(hex, r)) for r in regions]}")
    # What is not understood is a process like any other.
    machine = Machine(["-m", "96", "-machine", "pc,max-ram-below-4g=64M"])
    kind = told(machine.process.pid)["kind"]
    machine.end()
    print(f"{'ok' if kind == 'process' else 'not ok'} {len(CASES) + 1} - "
          "max-ram-below-4g: nothing is inferred")
    print(f"1..{len(CASES) + 1}")


main()
