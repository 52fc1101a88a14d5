#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's Prometheus scrapes `matrix metrics`, and answers queries by it. The boards are made up
# (board_server.py); no KVM is needed. Usage: metrics_scrape.sh BUILD-DIRECTORY
. "$(dirname "$0")/tap.sh"
here=$(cd "$(dirname "$0")" && pwd)
processes=()
trap 'kill -9 "${processes[@]}" 2>/dev/null || true; rm -rf "$scratch"' EXIT
mkdir -m 700 "$MATRIX_RUNTIME_DIR"

if ! programs=$("$here/../../tools/prometheus.sh" "$build" 2>"$scratch/err"); then
    echo "1..0 # SKIP Prometheus cannot be had: $(head -n 1 "$scratch/err")"
    exit 0
fi

for kind in good hostile; do
    python3 "$here/board_server.py" "$MATRIX_RUNTIME_DIR" "$kind" >"$scratch/$kind" 2>"$scratch/err" &
    processes+=($!)
    disown
    until [ -s "$scratch/$kind" ]; do sleep 0.05; done
done
"$matrix" metrics --listen 127.0.0.1:0 >"$scratch/url" 2>"$scratch/err" </dev/null &
processes+=($!)
disown
until [ -s "$scratch/url" ]; do sleep 0.05; done
url=$(cat "$scratch/url")
target=${url#http://} target=${target%/metrics}

python3 -c 'import sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1]).read())' \
    "$url" >"$scratch/text"
status=0
"$programs/promtool" check metrics <"$scratch/text" >"$scratch/out" 2>"$scratch/err" || status=$?
check "promtool finds nothing wrong with the older format" has_status 0

cat >"$scratch/prometheus.yml" <<END
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs: [{job_name: matrix, static_configs: [{targets: ["$target"]}]}]
END
attempt "$programs/promtool" check config "$scratch/prometheus.yml"
check "promtool knows the configuration" has_status 0
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$programs/prometheus" --config.file "$scratch/prometheus.yml" --storage.tsdb.path "$scratch/data" \
    --web.listen-address "127.0.0.1:$port" --log.level warn >"$scratch/log" 2>&1 </dev/null &
processes+=($!)
disown

# Asks Prometheus until the expression holds of `result`, a list of (labels, value), or for a minute.
answers() { # QUERY EXPRESSION
    python3 - "$port" "$@" >"$scratch/out" 2>"$scratch/err" <<'END'
import json, sys, time, urllib.parse, urllib.request
port, query, expression = sys.argv[1:]
end = time.monotonic() + 60
result = None
while time.monotonic() < end:
    try:
        url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
        answer = json.load(urllib.request.urlopen(url, timeout=10))
        result = [(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]
        if eval(expression):
            sys.exit(0)
    except OSError as error: # it still starts
        result = error
    time.sleep(0.2)
print(result)
sys.exit(1)
END
}
check "it has scraped" answers 'up{job="matrix"}' '[v for _, v in result] == [1]'
check "what was given" answers 'matrix_guest_given_ratio{guest="neo"}' '[(m["group"], v) for m, v in result] == [("tenant", 0.69)]'
check "hostile names, as they were sent" answers 'matrix_guest_weight' \
    '{m["guest"] for m, _ in result} == {"neo", "morpheus", "a\"b\\c\\x0ad\\xff", "é\"} 1 # {x=\"\u202e"}'
check "states" answers 'matrix_guest_state{guest="neo"} == 1' '[m["matrix_guest_state"] for m, _ in result] == ["running"]'
check "half of the delays, from the histogram" answers \
    'histogram_quantile(0.5, sum by (le) (matrix_core_delay_seconds_bucket))' 'len(result) == 1 and 30e-6 < result[0][1] < 70e-6'
check "rates" answers 'rate(matrix_guest_exits_total{guest="neo",kind="io"}[1m])' '[v for _, v in result] == [0]'
check "types, units and help came along" python3 -c '
import json, sys, urllib.request
data = json.load(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/api/v1/targets/metadata", timeout=10))["data"]
facts = {one["metric"]: (one["type"], one["unit"]) for one in data}
sys.exit(facts["matrix_guest_given_ratio"] != ("gauge", "ratio") or facts["matrix_core_delay_seconds"] != ("histogram", "seconds"))' "$port"
finish
