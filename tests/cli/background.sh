# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# A cloud in the background, for tests that manage it and listen to it. Sourced after tap.sh.
yaml=$scratch/cloud.yaml
saved=$scratch/report.json
trap 'kill "${pid-}" 2>/dev/null || true; rm -rf "$scratch"' EXIT

# For whoever has options for every cloud, and changes to every file.
cloud_options=()
cloud_file() { cat; }

# Starts a cloud of this file in the background, as $pid. Nice, so that who asks comes to run beside guests that spin,
# also where there is one CPU.
cloud_begins() { # FILE-CONTENT OPTION...
    printf '%b' "$1" | cloud_file >"$yaml"
    rm -f "$saved"
    nice "$matrix" cloud --plain --quiet --control auto --report "$saved" --duration 15min "${cloud_options[@]}" \
        "${@:2}" "$yaml" >"$scratch/cloud.out" 2>"$scratch/cloud.err" </dev/null &
    pid=$!
    socket=$MATRIX_RUNTIME_DIR/$pid.sock
    for _ in {1..1200}; do
        [ -S "$socket" ] && return
        sleep 0.05
    done
}

cloud_ends() { # [SIGNAL]
    [ $# -eq 0 ] || kill "-$1" "$pid"
    status=0
    wait "$pid" || status=$?
    cp "$scratch/cloud.out" "$scratch/out"
    cp "$scratch/cloud.err" "$scratch/err"
    pid=
}

# A guest comes to be so, in so many seconds: SECONDS GUEST EXPRESSION-OF-result.
comes_to_be() {
    python3 - "$socket" "$@" <<'END' >"$scratch/out" 2>"$scratch/err"
import json, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
answers = s.makefile()
end = time.monotonic() + float(sys.argv[2])
while True:
    s.sendall((json.dumps({"version": 1, "command": "guest", "guest": sys.argv[3]}) + "\n").encode())
    result = json.loads(answers.readline())
    if eval(sys.argv[4]):
        break
    if time.monotonic() > end:
        sys.exit(result)
    time.sleep(0.02)
END
}
becomes() { comes_to_be 60 "$@"; }
is_now() { comes_to_be 0 "$@"; }

# What the cloud answers to these requests, one after the other, for json: REQUEST..., without the version.
asks() {
    python3 - "$socket" "$@" <<'END' >"$scratch/out" 2>"$scratch/err"
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
answers = s.makefile()
result = []
for request in sys.argv[2:]:
    s.sendall((json.dumps(json.loads(request) | {"version": 1}) + "\n").encode())
    result.append(json.loads(answers.readline()))
json.dump(result, sys.stdout)
END
}

# `matrix start` and the like, which find the cloud by themselves.
manage() { attempt timeout 60 "$matrix" "$@"; }
