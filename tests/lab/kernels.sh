#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The lab's kernels by name, as TAP.  kernels.sh BUILD_DIRECTORY
set -uo pipefail
here=$(dirname -- "$(readlink -f -- "$0")")
prepare=$here/../../lab/prepare.sh
state=${MATRIX_LAB_DIR:-$1/lab}

echo 1..2
# shellcheck disable=SC1091
if [ "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" != bookworm ]; then
    echo "ok 1 - 6.1 is the default kernel's twin # SKIP not on Debian 12"
elif default=$("$prepare" "$state" linux-image-amd64) && [ "$("$prepare" "$state" 6.1)" = "$default" ]; then
    echo "ok 1 - 6.1 is the default kernel's twin"
else
    echo "not ok 1 - 6.1 is the default kernel's twin"
fi

status=0
said=$("$1/matrix" lab run --kernel ../5.10 -- true 2>&1) || status=$?
if [ "$status" = 125 ] && grep -q 'one of: 6.1 5.10' <<<"$said"; then
    echo "ok 2 - what is no name is refused, with those that are"
else
    echo "not ok 2 - what is no name is refused, with those that are"
    sed "s/^/# status $status: /" <<<"$said"
fi
