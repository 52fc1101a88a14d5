#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts the tests of a run, one for each line of TAP: `N passed, N failed, N skipped`.

Arguments: meson's testlog.junit.xml of the run, and more of them. Prints what failed, and the
counts as the last line. Exits with 1 if anything failed, or if nothing ran at all.
"""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree


BAD = ("FAIL", "ERROR", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS")


def program_results(path):
    """What meson's other log, beside the XML, says of each program as a whole: one that crashed or
    hung may have ended with a line that says ok, and the XML knows no more than such lines."""
    log = path.with_name(path.name.replace(".junit.xml", ".json"))
    if log == path or not log.exists():
        return {}
    tests = (json.loads(line) for line in log.read_text(errors="replace").splitlines())
    return {test["name"].split(" / ")[-1]: test["result"] for test in tests}


def parse(path):
    """The root of the XML. meson copies what programs print into it as it is, control characters
    too, which XML does not allow."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return xml.etree.ElementTree.fromstring(
        re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)
    )


def count(path):
    """The names of those that passed, failed and were skipped, as three lists."""
    passed, failed, skipped = [], [], []
    results = program_results(path)
    unexplained = {program for program, result in results.items() if result in BAD}
    for suite in parse(path).iter("testsuite"):
        for case in suite.iter("testcase"):
            # A program with lines is a suite "matrix.matrix:unit / NAME"; one without them is a
            # case of that name in the suite "matrix".
            has_lines = "." in suite.get("name")
            program = (suite if has_lines else case).get("name").split(" / ")[-1]
            name = f"{program}: {case.get('name')}" if has_lines else program
            if case.find("failure") is not None or case.find("error") is not None:
                failed.append(name)
                unexplained.discard(program)
            elif case.find("skipped") is not None:
                skipped.append(name)
            elif name not in unexplained:
                passed.append(name)
    failed += [f"{program}: {results[program]}" for program in sorted(unexplained)]
    return passed, failed, skipped


def main(arguments):
    totals = [[], [], []]
    for argument in arguments:
        for total, names in zip(totals, count(pathlib.Path(argument))):
            total += names
    passed, failed, skipped = totals
    for title, names in ("FAILED", failed), ("skipped", skipped):
        for name in names:
            print(f"{title}  {name}")
    print(f"{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
