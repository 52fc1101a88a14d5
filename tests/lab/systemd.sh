#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The units as `make install` installs them, under a systemd that is process 1 of a PID namespace in the lab: started,
# watched, reloaded, killed, stopped, and started by their socket, with all that they may not do.
#   systemd.sh BUILD_DIRECTORY            on the host
#   systemd.sh --inside BUILD_DIRECTORY
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "$0")")

if [ ! -x /lib/systemd/systemd ]; then
    echo "1..0 # SKIP /lib/systemd/systemd is missing: install the package systemd"
    exit
fi
if [ "$1" != --inside ]; then
    status=0
    "$1/matrix" lab run --timeout 40min -- "$here/systemd.sh" --inside "$1" || status=$?
    [ "$status" = 0 ] || echo "Bail out! the lab ended with status $status"
    exit
fi
shift
. "$here/../cli/tap.sh"
unset MATRIX_RUNTIME_DIR
meson install -C "$build" --no-rebuild --quiet >/dev/null
matrix=/usr/local/bin/matrix
service=matrix-cloud@two.service

# Of the units of the machine systemd sees none; these are what every unit hangs on.
units=$scratch/units
mkdir -p "$units/$service.d" /etc/matrix
for name in basic lab multi-user shutdown sockets sysinit; do
    printf '[Unit]\nDefaultDependencies=no\n' >"$units/$name.target"
done
printf '[Service]\nWatchdogSec=15s\n' >"$units/$service.d/watchdog.conf" # 30 s is long
guests() { # WEIGHT-OF-NEO
    printf 'guests:\n  - {name: neo, image: spin, memory: 2M, weight: %d}\n' "$1"
    printf '  - {name: morpheus, image: spin, memory: 2M, weight: 30}\n'
}
guests 70 >/etc/matrix/two.yaml

cat >"$scratch/begin" <<'SCRIPT'
mount -t proc none /proc
exec env container=lab SYSTEMD_UNIT_PATH="$1:/usr/local/lib/systemd/system" \
    /lib/systemd/systemd --system --unit=lab.target --log-target=kmsg --show-status=0
SCRIPT
unshare --fork --pid --mount --kill-child bash "$scratch/begin" "$units" </dev/null >"$scratch/systemd" 2>&1 &
namespace=$!
trap 'kill -KILL "$namespace" 2>/dev/null || true; rm -rf "$scratch"' EXIT

inside() { nsenter --target "$manager" --pid --mount "$@"; }
control() { attempt inside timeout 60 systemctl --no-pager "$@"; }
property() { inside systemctl show -P "$1" "${2-$service}"; }
becomes() { # PROPERTY VALUE [UNIT], within a minute
    for _ in {1..200}; do
        [ "$(property "$1" "${3-$service}")" != "$2" ] || return 0
        sleep 0.3
    done
    return 1
}
nothing_is_left() { [ -z "$(ls -A /run/matrix)" ] && ! pgrep -x 'matrix-.*' >/dev/null; }
weight_is() { # WEIGHT
    attempt inside "$matrix" status --json
    json "[g['weight'] for c in result['cores'] for g in c['guests'] if g['name'] == 'neo'] == [$1]"
}

for _ in {1..200}; do
    manager=$(pgrep -P "$namespace" || true)
    [ -z "$manager" ] || ! inside systemctl list-units >/dev/null 2>&1 || break
    sleep 0.3
done

control start "$service"
check "a cloud starts" has_status 0
check "... and says how many guests run" becomes StatusText "2 of 2 guests run"
check "... which are to be seen" weight_is 70
pid=$(property MainPID)

guests 60 >/etc/matrix/two.yaml
control reload "$service"
check "its file is read again" has_status 0
check "... and what has changed, changes" weight_is 60
echo "nonsense: 1" >>/etc/matrix/two.yaml
control reload "$service"
check "a wrong file is none" has_status 1
check "... and the cloud goes on" [ "$(property ActiveState)" = active ]
check "... the same, all the time" [ "$(property MainPID)" = "$pid" ]
guests 70 >/etc/matrix/two.yaml

inside kill -KILL "$pid"
check "a cloud that was killed comes back" becomes NRestarts 1
check "... with its guests" becomes StatusText "2 of 2 guests run"
inside kill -STOP "$(property MainPID)"
check "a cloud that stands still is seen by the watchdog, and comes back" becomes NRestarts 2
check "... with its guests" becomes StatusText "2 of 2 guests run"
inside kill -HUP "$(property MainPID)"
check "a cloud that SIGHUP ended comes back" becomes NRestarts 3
check "... with its guests" becomes StatusText "2 of 2 guests run"
control stop "$service"
check "a cloud stops" [ "$(property ActiveState)" = inactive ]
check "... which is success" [ "$(property Result)" = success ]
check "... and nothing is left" nothing_is_left

printf 'guests: [{name: neo, image: nobody}]\n' >/etc/matrix/two.yaml
control start "$service"
check "a cloud that cannot start fails" has_status 1
check "... and is not tried again" becomes ActiveState failed
check "... not once" [ "$(property NRestarts)" = 0 ]
control reset-failed "$service"
guests 70 >/etc/matrix/two.yaml

control start matrix-cloud@two.socket matrix-metrics.service
check "socket and metrics start" has_status 0
check "... and no cloud yet" [ "$(property ActiveState)" = inactive ]
attempt inside timeout 60 "$matrix" reload --cloud /run/matrix/cloud-two.sock
check "who connects to the socket starts the cloud, and is answered" has_status 0
check "... which serves there" prints "neo       kept"
check "the cloud has taken it over" becomes ActiveState active
attempt inside timeout 60 python3 -c 'import urllib.request as r
print(r.urlopen("http://127.0.0.1:9464/metrics", timeout=60).read().decode())'
check "its guests are in the metrics" prints 'matrix_guest_given_ratio{guest="neo"'
control stop "$service" matrix-cloud@two.socket matrix-metrics.service
check "all stop" has_status 0
check "... which is success for the metrics, too" [ "$(property Result matrix-metrics.service)" = success ]
check "... and nothing is left" nothing_is_left
finish
