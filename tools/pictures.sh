#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes the pictures of the manual from real runs, in a terminal of 120 columns (needs tmux).
#   tools/pictures.sh BUILD_DIRECTORY [PICTURE...]    cloud, memsteps; all without a name
# memsteps is of the lab, and needs its modules: BUILD_DIRECTORY/modules/6.1 (make modules).
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "$1")
shift
export LC_ALL=C.UTF-8
socket=matrix-pictures-$$
scratch=$(mktemp -d)
trap 'tmux -L "$socket" kill-server 2>/dev/null || true; rm -rf "$scratch"' EXIT

# Starts COMMAND... in a terminal of so many rows: ROWS COMMAND...
terminal() {
    local rows=$1
    shift
    tmux -L "$socket" -f /dev/null new-session -d -x 120 -y "$rows" "$@"
}

# What the terminal shows, as the picture docs/pictures/NAME.svg: NAME TITLE [OPTION...]
capture() {
    local name=$1 title=$2
    shift 2
    tmux -L "$socket" capture-pane -e -p |
        tools/terminal-svg.py "$@" --title "$title" >"docs/pictures/$name.svg"
    tmux -L "$socket" kill-server
}

# Waits until the terminal shows the text: TEXT SECONDS
await() {
    for _ in $(seq $(($2 * 10))); do
        tmux -L "$socket" capture-pane -p | grep -qF -e "$1" && return
        sleep 0.1
    done
    echo "tools/pictures.sh: the terminal does not show \"$1\" within $2 s" >&2
    return 1
}

draw_cloud() {
    terminal 24 "$build/matrix" cloud examples/matrix.yaml
    sleep 8
    capture cloud "matrix cloud examples/matrix.yaml" --last 15
}

# memsteps, watched by the module in the lab: all of its life in a file, which is then drawn; and live
# on the lab's terminal, shortly before the end.
steps="memsteps --steps 4 --step 64M --pause 1s"

draw_memsteps() {
    local type begin="insmod $build/modules/6.1/matrix_lens.ko; PATH=$build:$build/examples:\$PATH"
    "$build/matrix" lab run --share "$scratch" -- bash -c "$begin; $steps &
        exec matrix proc watch --interval 20ms --csv $scratch/memsteps.csv \$!" >/dev/null
    for type in svg png; do
        "$build/matrix" proc plot "$scratch/memsteps.csv" --out "docs/pictures/memsteps.$type"
    done

    terminal 25 "$build/matrix" lab shell
    await "throwaway machine" 60
    tmux -L "$socket" send-keys "$begin; LANG=C.UTF-8; $steps >/dev/null & sleep 1; clear
"
    tmux -L "$socket" send-keys "matrix proc watch --interval 120ms \$!; clear
"
    await "memsteps), 12.5 s" 120
    capture watch "matrix proc watch --interval 120ms \$!" --chart --last 23
}

for picture in "${@:-}"; do
    case $picture in
    cloud | memsteps) "draw_$picture" ;;
    "") draw_cloud && draw_memsteps ;;
    *) echo "tools/pictures.sh: no such picture: $picture" >&2 && exit 122 ;;
    esac
done
