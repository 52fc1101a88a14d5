#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Prints the directory that has prometheus and promtool: where they are installed, else BUILD/prometheus, into
# which Debian's package is unpacked. To install it would start a server, and bring a dozen packages for its pages.
# Status 77: it cannot be had here, and standard error says why.
#   tools/prometheus.sh BUILD
set -euo pipefail
build=$(cd "$1" && pwd)
root=$(cd "$(dirname "$0")/.." && pwd)

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
    dirname "$(command -v prometheus)"
    exit 0
fi
state=$build/prometheus source=$root/lab suite=
# shellcheck source=lab/packages.sh
. "$root/lab/packages.sh"
say() { echo "prometheus.sh: $*" >&2; }

begin_work prometheus
if [ ! -x "$state/usr/bin/promtool" ]; then
    open_archive
    download prometheus || { use_private_lists && download prometheus; } || unavailable_archive prometheus
    mkdir "$work/root"
    unpack "$work/root"
    mkdir -p "$state/usr/bin"
    mv "$work/root/usr/bin/prometheus" "$work/root/usr/bin/promtool" "$state/usr/bin/"
fi
echo "$state/usr/bin"
