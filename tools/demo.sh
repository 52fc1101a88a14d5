#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The demonstration: Neo and Morpheus share one core, 70 to 30; then, where KSM can be used, what of
# their memory is the same, page by page. Where this host has no usable /dev/kvm, in the lab, which
# has one.
#   tools/demo.sh BUILD_DIRECTORY
#   tools/demo.sh --here BUILD_DIRECTORY
set -euo pipefail

if [ "$1" != --here ]; then
    "$1/matrix" doctor >/dev/null && exec "$0" --here "$1"
    echo "No usable /dev/kvm here (\`$1/matrix doctor\` says why): running in the lab, a QEMU machine" >&2
    echo "that emulates AMD-V. The first time its kernel is downloaded." >&2
    exec "$1/matrix" lab run -- "$0" --here "$1"
fi

matrix=$2/matrix
"$matrix" cloud examples/matrix.yaml

echo
if [ ! -w /sys/kernel/mm/ksm/run ]; then
    echo "KSM cannot be used here (no root, or a kernel without it): \`matrix ksm map\` is left out."
    exit
fi
echo "The same two once more, and KSM merges what is equal in their memory (some seconds)."
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
"$matrix" ksm experiment --quiet --no-report --out "$results/merged" examples/ksm/neo-and-morpheus.yaml >"$results/said" || {
    status=$?
    cat "$results/said" "$results"/merged/*.log >&2
    exit $status
}
cat "$results/merged/run.log"
