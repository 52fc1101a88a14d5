#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The merge map by the kernel module, which is loaded: the same test as without it.
#   merge_map.sh BUILD_DIRECTORY ...
set -euo pipefail
exec "$(dirname -- "$(readlink -f -- "$0")")/../ksm/map.py" "$1"
