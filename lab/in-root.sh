#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs a command in a root directory (root.sh) that sees, beside its own files, some directories
# of the host in their places. Called by tools/modules.sh as:
#   in-root.sh ROOT DIRECTORY... -- COMMAND [ARGUMENT...]
# The mounts are those of a namespace, so they end with the command, however it ends.
set -euo pipefail
if [[ -z ${IN_ROOT_NAMESPACE:-} ]]; then
    export IN_ROOT_NAMESPACE=yes
    as_root=()
    [[ $(id -u) == 0 ]] || as_root=(--user --map-root-user)
    exec unshare "${as_root[@]}" --mount -- "$0" "$@"
fi
unset IN_ROOT_NAMESPACE

root=$1
shift
mount --rbind "$root" "$root" # so that what is mounted in it is private, too
mkdir -p "$root/proc" "$root/dev" "$root/tmp"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
while [[ $1 != -- ]]; do
    mkdir -p "$root$1"
    mount --rbind "$1" "$root$1"
    shift
done
shift
export PATH=/usr/bin:/usr/sbin
exec chroot "$root" "$@"
