#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Has the kernel's own checkpatch.pl --strict look at the modules and their interface. It comes with
# the sources that the lab's debug kernel is made from, so `make test-debug` calls this; another
# checkpatch.pl can be named by CHECKPATCH. Ends with 77 where there is none.
#   tools/checkpatch.sh BUILD_DIRECTORY
set -euo pipefail
cd "$(dirname "$0")/.."
checkpatch=${CHECKPATCH:-${MATRIX_LAB_DIR:-$1/lab}/headers/debug/scripts/checkpatch.pl}
[ -r "$checkpatch" ] || { echo "checkpatch.pl is not here: $checkpatch" >&2 && exit 77; }

check() { perl "$checkpatch" --no-tree --no-summary --quiet --strict --terse -f "$@"; }

failed=0
# That it asks which kernel it is built for is what compat.h is for.
check --ignore LINUX_VERSION_CODE,CONSTANT_COMPARISON,PREFER_KMAP_LOCAL_PAGE,DEPRECATED_API kernel/compat.h || failed=1
# BIT() is the kernel's own, and this header is for programs as well.
check --ignore BIT_MACRO include/matrix/uapi/matrix_lens.h || failed=1
mapfile -t sources < <(git ls-files 'kernel/*/*.c' 'kernel/*/*.h')
check "${sources[@]}" || failed=1
exit "$failed"
