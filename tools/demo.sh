#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The demonstration: Neo and Morpheus share one core, 70 to 30. Where this host has no usable
# /dev/kvm, in the lab, which has one.
#   tools/demo.sh BUILD_DIRECTORY
set -euo pipefail
build=$1
file=examples/matrix.yaml

if "$build/matrix" doctor >/dev/null; then
    exec "$build/matrix" cloud "$file"
fi
echo "No usable /dev/kvm here (\`$build/matrix doctor\` says why): running in the lab, a QEMU machine" >&2
echo "that emulates AMD-V. The first time its kernel is downloaded." >&2
exec "$build/matrix" lab run -- "$build/matrix" cloud "$file"
