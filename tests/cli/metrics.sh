#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `matrix metrics` with boards whose content is known, since they were made up (board_server.py): what a
# parser that is not ours reads, against what stands on the board. No KVM is needed.
# Usage: metrics.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
here=$(cd "$(dirname "$0")" && pwd)
processes=()
trap 'kill -9 "${processes[@]}" 2>/dev/null || true; rm -rf "$scratch"' EXIT
mkdir -m 700 "$MATRIX_RUNTIME_DIR"

if ! /usr/bin/python3 -c 'import prometheus_client.openmetrics.parser' 2>/dev/null; then
    echo "1..0 # SKIP python3-prometheus-client is not installed: tools/deps.sh check"
    exit 0
fi

runs() { # KIND [SECONDS]: a process that shows a board; its pid is in $server
    : >"$scratch/server"
    /usr/bin/python3 "$here/board_server.py" "$MATRIX_RUNTIME_DIR" "$@" >"$scratch/server" 2>"$scratch/server_err" &
    server=$!
    processes+=("$server")
    disown
    until [ -s "$scratch/server" ] || ! kill -0 "$server" 2>/dev/null; do sleep 0.05; done
}
dies() { # PID
    kill -9 "$1" 2>/dev/null || true
    while kill -0 "$1" 2>/dev/null; do sleep 0.02; done
}
serves() { # [ARGUMENT...]: `matrix metrics`; its pid is in $metrics, its address in $url
    : >"$scratch/url"
    "$matrix" metrics --listen 127.0.0.1:0 "$@" >"$scratch/url" 2>"$scratch/err" </dev/null &
    metrics=$!
    processes+=("$metrics")
    until [ -s "$scratch/url" ] || ! kill -0 "$metrics" 2>/dev/null; do sleep 0.05; done
    url=$(cat "$scratch/url")
}
# Ends it, with its status for a check.
stops() { # SIGNAL
    status=0
    kill -s "$1" "$metrics"
    wait "$metrics" || status=$?
}
# One request: METHOD PATH [HEADER...]; the body is in out, the lines above it in headers, which start with
# the status. By Python: curl is not on every machine.
asks() {
    sleep 0.15 # what is younger than 100 ms would be told again
    /usr/bin/python3 - "$url" "$scratch" "$@" <<'END'
import http.client, sys, urllib.parse
url, scratch, method, path, *headers = sys.argv[1:]
connection = http.client.HTTPConnection(urllib.parse.urlparse(url).netloc, timeout=60)
connection.request(method, path, headers=dict(header.split(": ", 1) for header in headers))
response = connection.getresponse()
open(scratch + "/out", "wb").write(response.read())
with open(scratch + "/headers", "w") as file:
    print(response.status, *(f"{name}: {value}" for name, value in response.getheaders()), sep="\n", file=file)
END
}
scrapes() { asks GET /metrics "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5"; }
has_header() { grep -qFx -e "$1" "$scratch/headers"; }
holds() { "$here/metrics_reader.py" "$scratch/out" "${form:-openmetrics}" "$1" 2>>"$scratch/err"; }
fails() { # STATUS COMPLAINT NAME ARGUMENT...
    local wanted=$1 complaint=$2 name=$3 outcome=0
    shift 3
    attempt timeout 60 "$matrix" metrics "$@"
    { has_status "$wanted" && complains "$complaint" && [ ! -s "$scratch/out" ]; } || outcome=1
    result "$outcome" "$name: $complaint"
}

# --- bad usage -----------------------------------------------------------------------------------
fails 122 "is no ADDRESS:PORT" "no port" --listen 127.0.0.1
fails 122 "is no ADDRESS:PORT" "no address" --listen :9464
fails 122 "is no ADDRESS:PORT" "a name" --listen localhost:9464
fails 122 "is no ADDRESS:PORT" "a bracket too few" --listen "[::1:9464"
fails 122 "--listen: the port" "a port that is none" --listen 127.0.0.1:65536
fails 122 "--listen: the port" "an empty port" --listen 127.0.0.1:
fails 125 "has no such address" "somebody else's address" --listen 192.0.2.1:0
fails 122 "--listen: the port" "a port alone that is none" --listen 65536
fails 122 "process 1 runs no guests" "a pid that runs none" --listen 127.0.0.1:0 1
fails 125 "$scratch/none.sock" "a socket that is not there" --listen 127.0.0.1:0 "$scratch/none.sock"

fails 122 "--ksm" "an interval that is none" --ksm=often
fails 122 "use 1s or more" "maps all the time" --ksm=10ms
attempt timeout 60 setpriv --bounding-set -all --inh-caps -all "$matrix" metrics --listen 127.0.0.1:0 --ksm
check "maps that the kernel does not allow: 125" has_status 125
check "... and what helps" complains "run it as root"

# --- nobody --------------------------------------------------------------------------------------
serves
check "it says where it is" grep -qE '^http://127.0.0.1:[0-9]+/metrics$' "$scratch/url"
port=${url##*:} port=${port%%/*}
fails 125 "is a \`matrix metrics\` running already?" "the port is in use" --listen "127.0.0.1:$port"
check "on loopback alone" python3 -c '
import socket, sys
with socket.socket(socket.AF_INET) as other: # all of 127/8 is loopback, but only one address was asked for
    other.settimeout(5)
    sys.exit(other.connect_ex(("127.0.0.2", int(sys.argv[1]))) == 0)' "$port"
scrapes
check "nobody runs guests: 200" has_header 200
check "OpenMetrics by its name" has_header "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8"
check "which is valid, without guests" holds "value('matrix_processes') == 0 and not samples('matrix_guest_weight')"

# --- one cloud, which came later -----------------------------------------------------------------
runs good
first=$server
scrapes
check "a cloud that has come is there at the next scrape" holds "value('matrix_processes') == 1"
neo="guest='neo', group='tenant', pid='$first', core='3', id='1'"
check "promised, given, error" holds "
    near(value('matrix_guest_promised_ratio', $neo), 0.7) and near(value('matrix_guest_given_ratio', $neo), 0.69) and
    near(value('matrix_guest_error_ratio', $neo), -0.01) and
    near(value('matrix_guest_error_ratio', guest='morpheus', group=''), 0.01)"
check "times in seconds" holds "
    value('matrix_guest_cpu_seconds_total', $neo) == value('matrix_guest_contended_cpu_seconds_total', $neo) == 6.9 and
    value('matrix_guest_entitled_seconds_total', $neo) == 7 and value('matrix_guest_contended_seconds_total', $neo) == 10 and
    value('matrix_guest_alone_cpu_seconds_total', $neo) == 0"
check "exits by kind" holds "
    value('matrix_guest_exits_total', kind='io', $neo) == 5000 and
    sum(s.value for s in samples('matrix_guest_exits_total', $neo)) == 5000 and
    len(samples('matrix_guest_exits_total', $neo)) > 3"
check "what the guest did" holds "
    [value(f'matrix_guest_{name}_total', $neo) for name in ('slices', 'preemptions', 'io_switches', 'work', 'dropped_lines', 'dropped_bytes')]
        == [1, 2, 3, 7, 0, 0]"
check "its contract and its size" holds "
    [value(f'matrix_guest_{name}', $neo) for name in ('weight', 'floor_ratio', 'ceiling_ratio', 'memory_bytes', 'vcpus')]
        == [70, 0.2, 0.5, 1 << 24, 1]"
check "a limit that is not set is no sample" holds "not samples('matrix_guest_floor_ratio', guest='morpheus')"
check "its state" holds "
    {s.labels['matrix_guest_state'] for s in samples('matrix_guest_state', $neo) if s.value} == {'running'} and
    len(samples('matrix_guest_state', $neo)) == 9"
check "nobody who is gone" holds "{s.labels['guest'] for s in samples('matrix_guest_weight')} == {'neo', 'morpheus'}"
check "the core" holds "(lambda core: [value(f'matrix_core_{name}', **core) for name in (
    'run_seconds_total', 'guests_cpu_seconds_total', 'overhead_seconds_total', 'board_cpu_seconds_total',
    'idle_seconds_total', 'slice_seconds', 'guests')] == [10, 10, 0.1, 0.001, 0, 0.001, 2] and
    0 <= value('matrix_core_age_seconds', **core) < 60)({'pid': '$first', 'core': '3'})"
check "delays, in buckets" holds "(lambda buckets:
    buckets[-1] == (float('inf'), 100) and 15 < len(buckets) < 25 and buckets[0][0] < 2e-6 and
    all(count == sum(n for ns, n in ((45e-6, 90), (1.5e-3, 9), (3, 1)) if ns <= end) for end, count in buckets)
    )([(float(s.labels['le']), s.value) for s in samples('matrix_core_delay_seconds_bucket', pid='$first')])"
check "units and types" holds "
    families['matrix_guest_cpu_seconds'].unit == 'seconds' and families['matrix_guest_memory_bytes'].unit == 'bytes' and
    families['matrix_guest_given_ratio'].unit == 'ratio' and families['matrix_guest_cpu_seconds'].type == 'counter' and
    families['matrix_guest_state'].type == 'stateset' and families['matrix_core_delay_seconds'].type == 'histogram' and
    all(f.documentation.endswith('.') for f in families.values())"
if grep -q ksm_merging_pages "/proc/$first/ksm_stat" 2>/dev/null; then
    check "KSM, by process" holds "value('matrix_process_ksm_merged_bytes', pid='$first') == 0"
else
    skip "KSM, by process" "this kernel does not count it"
fi
manual="set(__import__('re').findall(r'^\| \`(matrix_\w+)\`', open('$here/../../docs/metrics.md').read(), __import__('re').M))"
check "each metric is in the manual, and none else but those of --ksm" holds "
    $manual - {name + ('_total' if f.type == 'counter' else '') for name, f in families.items()} ==
    {'matrix_guest_ksm_merged_bytes', 'matrix_guest_ksm_saved_bytes', 'matrix_ksm_map_age_seconds', 'matrix_ksm_map_duration_seconds'}"
for _ in 1 2 3; do scrapes; done
check "it was asked once" [ "$(wc -l <"$MATRIX_RUNTIME_DIR/$first.asked")" -eq 1 ]

# --- HTTP ----------------------------------------------------------------------------------------
asks GET /metrics
check "who does not ask for OpenMetrics gets the older format" has_header "Content-Type: text/plain; version=0.0.4; charset=utf-8"
form=plain check "which is valid, too" holds "value('matrix_guest_cpu_seconds_total', $neo) == 6.9 and families['matrix_guest_state'].type == 'gauge'"
asks GET "/metrics?collect[]=all"
check "a query is let be" has_header 200
asks HEAD /metrics
check "HEAD" has_header 200
check "has no body" [ ! -s "$scratch/out" ]
asks GET /
check "another path: 404" has_header 404
check "and where they are" prints "/metrics"
asks GET /metrics/
check "nearly the path: 404" has_header 404
asks POST /metrics
check "another method: 405" has_header 405
check "and which it may be" has_header "Allow: GET, HEAD"
asks DELETE /other
check "of any path" has_header 405
/usr/bin/python3 - "$port" "$scratch" <<'END'
# Clients that say nothing, or that do not read: all connections that there may be but one; and much too much.
import socket, sys, time
address = ("127.0.0.1", int(sys.argv[1]))
idle = [socket.create_connection(address) for _ in range(7)]
for client in idle[:3]:
    client.sendall(b"GET /metrics HTTP/1.1\r\n")
deaf = [socket.create_connection(address) for _ in range(7)]
for client in deaf:
    client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
flood = socket.create_connection(address)
try:
    flood.sendall(b"GET /metrics HTTP/1.1\r\n" + b"X: " + b"x" * 1000000)
    answer = flood.recv(100)
except OSError:
    answer = b""
open(sys.argv[2] + "/flood", "wb").write(answer)
started = time.monotonic()
with socket.create_connection(address) as good:
    good.settimeout(60)
    good.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert good.recv(15) == b"HTTP/1.1 200 OK"
open(sys.argv[2] + "/quick", "w").write(str(time.monotonic() - started))
END
# Until they are given up after 10 s, that would be.
check "slow clients keep nobody waiting" python3 -c 'import sys; sys.exit(float(open(sys.argv[1]).read()) > 8)' "$scratch/quick"
check "one that sends too much is turned away" bash -c '! grep -q " 200 " "$1"' - "$scratch/flood"

# --- several, and their end ----------------------------------------------------------------------
runs hostile
second=$server
scrapes
check "two clouds" holds "{s.labels['pid'] for s in samples('matrix_guest_weight')} == {'$first', '$second'} and value('matrix_processes') == 2"
check "hostile names are escaped, and no more than names" holds '
    {(s.labels["guest"], s.labels["group"]) for s in samples("matrix_guest_weight")} ==
    {("neo", "tenant"), ("morpheus", ""), ("a\"b\\c\\x0ad\\xff", "\\\"\\x0a# EOF\\x0a"), ("é\"} 1 # {x=\"\u202e", "")}'
runs twins
third=$server
runs long_name
broken=$server started=$SECONDS
scrapes
scrapes
patience=$((1 + (SECONDS - started) / 9)) # it is tried again after 10 s
check "who shows a board that is none is not asked at once again" [ "$(wc -l <"$MATRIX_RUNTIME_DIR/$broken.asked")" -le "$patience" ]
check "a board that is none is left out, and counted" holds "
    value('matrix_unreadable_processes') == 1 and value('matrix_processes') == 3 and not samples('matrix_guest_weight', pid='$broken')"
check "of two guests that say to be one there is one" holds "len(samples('matrix_guest_weight', pid='$third')) == 1"
dies "$second"
dies "$third"
dies "$broken"
scrapes
check "those that were killed are gone" holds "{s.labels['pid'] for s in samples('matrix_guest_weight')} == {'$first'} and value('matrix_processes') == 1"
rm "$MATRIX_RUNTIME_DIR/$second.sock" "$MATRIX_RUNTIME_DIR/$third.sock" "$MATRIX_RUNTIME_DIR/$broken.sock"
scrapes
check "and forgotten" holds "value('matrix_unreadable_processes') == 0"
runs good 0.5
is_over() {
    scrapes
    holds "value('matrix_processes') == 1"
}
for _ in {1..100}; do ! is_over || break; done
check "a run that is over is not shown, though its process is there" is_over
dies "$server"
stops TERM
check "SIGTERM: 143" has_status 143

# --- what KSM merged of each guest ---------------------------------------------------------------
# With memory that is merged: tests/lab/translate.sh.
if [ "$(id -u)" = 0 ]; then
    runs wild
    serves --ksm=1s
    scrapes
    check "memory that nobody has touched is not merged" holds "
        value('matrix_guest_ksm_merged_bytes', guest='neo', pid='$first') == value('matrix_guest_ksm_saved_bytes', guest='neo', pid='$first') == 0"
    check "of memory that cannot be nothing is said" holds "
        samples('matrix_guest_weight', pid='$server') and not samples('matrix_guest_ksm_merged_bytes', pid='$server')"
    check "the map's age and time" holds "0 <= value('matrix_ksm_map_age_seconds') < 60 and 0 < value('matrix_ksm_map_duration_seconds') < 60"
    check "with --ksm, too, each metric is in the manual" holds "
        $manual == {name + ('_total' if f.type == 'counter' else '') for name, f in families.items()}"
    form=plain
    asks GET /metrics
    check "in the older format, too" holds "value('matrix_guest_ksm_merged_bytes', guest='neo', pid='$first') == 0"
    form=
    dies "$server"
    rm "$MATRIX_RUNTIME_DIR/$server.sock"
    sleep 1
    scrapes
    check "somebody has ended: the others' maps go on" holds "samples('matrix_guest_ksm_merged_bytes', guest='neo', pid='$first')"
    stops TERM
else
    skip "maps" "not root"
fi

# --- one of several ------------------------------------------------------------------------------
runs good
serves "$first"
scrapes
check "of one pid" holds "{s.labels['pid'] for s in samples('matrix_guest_weight')} == {'$first'}"
stops INT
check "SIGINT: 130" has_status 130
serves "$MATRIX_RUNTIME_DIR/$server.sock"
scrapes
check "of one socket" holds "{s.labels['pid'] for s in samples('matrix_guest_weight')} == {'$server'}"
dies "$server"
scrapes
check "until its end" holds "value('matrix_processes') == 0"
stops HUP
check "SIGHUP: 129" has_status 129
serves --listen 0
check "a port alone: on loopback" grep -qE '^http://127.0.0.1:[0-9]+/metrics$' "$scratch/url"
stops TERM
serves --wait 1
scrapes
check "--wait: a process that runs no guests yet is none" holds "value('matrix_processes') == 0"
stops TERM
serves --listen 0.0.0.0:0
check "all addresses, if told so, with a word about it" complains "there is no password"
stops TERM
if [ -e /proc/sys/net/ipv6 ] && [ "$(cat /proc/sys/net/ipv6/conf/lo/disable_ipv6)" = 0 ]; then
    serves --listen "[::1]:0"
    check "IPv6" grep -qE '^http://\[::1\]:[0-9]+/metrics$' "$scratch/url"
    scrapes
    check "which answers" holds "value('matrix_processes') == 1"
    stops TERM
else
    skip "IPv6" "this host has none"
fi
finish
