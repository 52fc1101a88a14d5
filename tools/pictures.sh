#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes the pictures of the manual from real runs, in a terminal of 120 columns (needs tmux).
#   tools/pictures.sh BUILD_DIRECTORY
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "$1")
export LC_ALL=C.UTF-8
socket=matrix-pictures-$$
trap 'tmux -L "$socket" kill-server 2>/dev/null || true' EXIT

tmux -L "$socket" -f /dev/null new-session -d -x 120 -y 24 \
    "$build/matrix" cloud examples/matrix.yaml
sleep 8
tmux -L "$socket" capture-pane -e -p |
    tools/terminal-svg.py --last 15 --title "matrix cloud examples/matrix.yaml" >docs/pictures/cloud.svg
