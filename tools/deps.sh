#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs what is missing of the Debian packages that the named groups need; instant when nothing
# is. Why each is needed stands in docs/dependencies.md.
#   tools/deps.sh GROUP...
set -euo pipefail

declare -A groups=(
    [build]="gcc libc6-dev make pkg-config meson ninja-build libcyaml-dev libyaml-dev libjansson-dev libzydis-dev libkmod-dev libmicrohttpd-dev libcairo2-dev libxxhash-dev fonts-dejavu-core libsqlite3-dev libcmocka-dev scdoc python3"
    [plot]="gnuplot-nox"
    [lab]="qemu-system-x86 xz-utils kmod"
    [modules]="gcc-12 make libelf1"
    [debug]="bc bison flex libelf-dev libssl-dev patch"
    [lint]="clang clang-format clang-tidy cppcheck sparse"
    [fuzz]="clang libclang-rt-14-dev"
    [check]="valgrind systemd python3-prometheus-client"
)

wanted=()
for group in "$@"; do
    read -ra packages <<<"${groups[$group]:?no such group: $group}"
    wanted+=("${packages[@]}")
done

# dpkg-query knows what is installed without any list of what could be.
missing=$(comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) \
    <(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null | sed -n 's/^ii *//p' | sort -u))
[ -z "$missing" ] && exit 0
read -ra missing <<<"$(tr '\n' ' ' <<<"$missing")"

install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}")
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "These packages are missing; as root, run:" >&2
        echo "  apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "Installing: ${missing[*]}" >&2
"${as_root[@]}" apt-get update >&2
"${as_root[@]}" "${install[@]}" >&2
