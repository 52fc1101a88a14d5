#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Checks formatting, and what clang-tidy and cppcheck find, over all C sources of user space; and
# builds the kernel modules with all warnings, and has sparse look at them.
#   tools/lint.sh BUILD_DIRECTORY
set -euo pipefail
build=$1
mapfile -t sources < <(git ls-files '*.c' | grep -v -e '^kernel/' -e '/uapi/')
mapfile -t headers < <(git ls-files '*.h' | grep -v -e '^kernel/' -e '/uapi/')
failed=0

echo "clang-format: ${#sources[@]} sources, ${#headers[@]} headers"
clang-format --dry-run -Werror "${sources[@]}" "${headers[@]}" || failed=1

echo "cppcheck"
cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --enable=warning,performance,portability \
    -U__clang_analyzer__ --suppressions-list=tools/cppcheck.suppressions -j2 -I. -Iinclude "${sources[@]}" || failed=1

echo "clang-tidy"
# Only what the build compiles has a known command line.
mapfile -t compiled < <(python3 - "$build/compile_commands.json" "${sources[@]}" <<'PY'
import json, os, sys
known = {os.path.relpath(os.path.join(e["directory"], e["file"]))
         for e in json.load(open(sys.argv[1]))}
print("\n".join(s for s in sys.argv[2:] if s in known))
PY
)
printf '%s\n' "${compiled[@]}" | xargs -P2 -n6 clang-tidy --quiet -p "$build" 2>/dev/null || failed=1

echo "the kernel modules: W=1, sparse"
WERROR=1 tools/modules.sh "$build" && tools/modules.sh --sparse "$build" || failed=1

[ "$failed" = 0 ] && echo "lint: clean"
exit "$failed"
