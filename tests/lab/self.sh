#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `matrix lab test`, the lab's test of itself, as TAP.  self.sh BUILD_DIRECTORY
set -uo pipefail

"$1/matrix" lab test --json | python3 -c '
import json, sys
checks = json.load(sys.stdin)["checks"]
print("1..%d" % len(checks))
for number, check in enumerate(checks, 1):
    print("%s %d - %s" % ("ok" if check["passed"] else "not ok", number, check["name"]))
    if not check["passed"]:
        print("# " + check["why"])
'
