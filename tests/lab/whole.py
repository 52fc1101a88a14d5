#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""That each test which a host without KVM skips is run in the lab as well, by what Meson knows.

usage: whole.py BUILD-DIRECTORY"""
import json
import os
import re
import subprocess
import sys

NEEDS_KVM = re.compile(r"^need_kvm$|SKIP[ ]no usable KVM", re.MULTILINE)  # not this line itself


def files(test, build):
    """What a test runs, without the build directory, which most are given."""
    return {os.path.realpath(os.path.join(build, word)) for word in test["cmd"]
            if os.path.isfile(os.path.join(build, word))}


def needs_kvm(path):
    with open(path, "rb") as file:
        return NEEDS_KVM.search(file.read().decode("latin-1"))


def main():
    build = sys.argv[1]
    tests = json.loads(subprocess.check_output(["meson", "introspect", "--tests", build]))
    in_lab = set()
    for test in tests:
        if "matrix:lab" in test["suite"]:
            in_lab |= files(test, build)
    count = 0
    for test in tests:
        if "matrix:lab" in test["suite"]:
            continue
        needed = [path for path in files(test, build) if path.endswith((".sh", ".py")) and needs_kvm(path)]
        if "matrix:kvm" in test["suite"]:
            needed += [path for path in files(test, build) if path.startswith(os.path.realpath(build))]
        if needed:
            count += 1
            print("ok" if set(needed) <= in_lab else "not ok", count, "-", test["name"])
    print(f"1..{count}")


main()
