#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Hands the installed sources of the kernel modules to DKMS, which builds them for the running
# kernel, and again for each that is installed later. Meson calls it at the end of `make install`.
# Everything else of Matrix works without, so what is missing here is said and is no failure.
#   tools/install-modules.sh SOURCE_DIRECTORY VERSION
set -euo pipefail
source=$1 version=$2
release=$(uname -r)

later() {
    echo "The kernel modules are not built: $1."
    echo "  To have them: $2"
    exit 0
}

[ -z "${DESTDIR:-}" ] || exit 0 # a package is being made; its own scripts do this where it is installed
add="dkms add $source && dkms install matrix/$version"
[ -e /proc/modules ] || later "this kernel has no modules" "use them in the lab: matrix lab shell"
command -v dkms >/dev/null || later "dkms is not here" "apt-get install dkms linux-headers-amd64, then $add"
[ "$(id -u)" = 0 ] || later "that needs root" "as root: $add"
[ -e "/lib/modules/$release/build" ] ||
    later "the headers of Linux $release are missing" "apt-get install linux-headers-$release, then $add"

# An installation of the same version may be older than these sources.
dkms remove "matrix/$version" --all >/dev/null 2>&1 || true
dkms add "$source"
dkms install "matrix/$version" ||
    later "dkms failed, see above" "mend that, then: dkms install matrix/$version"
