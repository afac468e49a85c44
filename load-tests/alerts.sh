#!/bin/sh
# What alert rules cost with the numbers that they judge, and what a scrape of /series costs.
#   load-tests/alerts.sh
# A server gets one event of each series a minute: for MINUTES (3) whole minutes without a rule, then as many with RULES (100) anomaly
# rules by the minute of VALUES (100) values each, then SCRAPES (20) of their metrics. The difference of the medians of the server's processor
# time is what evaluation costs: every number counted, read, judged, recorded and folded. About 2 * MINUTES + 2 minutes.
# Also SERVER_CPU, LOAD_CPU, PORT, PROJECT, BIN, SKIP_BUILD.
set -eu
FACTS="$0 $*"
. "$(dirname "$0")/lib.sh"

MINUTES=${MINUTES:-3}
RULES=${RULES:-100}
VALUES=${VALUES:-100}
SCRAPES=${SCRAPES:-20}

[ -n "${SKIP_BUILD:-}" ] || cargo build --release --bin footpath
need taskset util-linux
need curl curl
facts

awk -v rules="$RULES" -v values="$VALUES" -v metrics="$work/metrics.toml" -v alerts="$work/rules.toml" -v events="$work/events.ndjson" 'BEGIN {
    for (r = 0; r < rules; r++) {
        printf "[[metric]]\nid = \"m%d\"\nevents = { events = [\"e\"], aggregate = \"count\", where = [{ property = \"part\", operator = \"equals\", values = [\"p%d\"] }] }\n", r, r > metrics
        printf "[[alert_rule]]\nid = \"r%d\"\nmetric = \"m%d\"\ntop = %d\nbreakdown = { property = \"value\" }\nanomaly = {}\n", r, r, values > alerts
        for (v = 0; v < values; v++)
            printf "{\"name\": \"e\", \"userId\": \"u%d\", \"properties\": {\"part\": \"p%d\", \"value\": \"v%d\"}}\n", v, r, v > events
    }
}'

start_footpath "$work/data" --series "$PROJECT"
stop # The folder of a stopped server gives tokens away.
FOOTPATH_TOKEN=$("$BIN/footpath" token --role admin --data "$work/data")
FOOTPATH_KEY=$key FOOTPATH_URL=$URL
export FOOTPATH_TOKEN FOOTPATH_KEY FOOTPATH_URL
start_footpath "$work/data" --series "$PROJECT"

# Processor time of the server so far, in ms.
spent() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) * 1000 / hz }' "/proc/$server/stat"; }

# Processor time of MINUTES whole minutes, each from its 20th second, appended to NAME.ms. What was done before the first of them is not in it.
minutes() { # name
    minute=0
    while [ "$minute" -le "$MINUTES" ]; do
        sleep "$(awk -v now="$(date +%s.%N)" 'BEGIN { print 60 - (now - 20) % 60 }')"
        now=$(spent)
        if [ "$minute" -gt 0 ]; then
            awk -v a="$before" -v b="$now" 'BEGIN { print b - a }' | tee -a "$work/$1.ms" | sed "s/^/$1, minute $minute: /; s/\$/ ms/"
        fi
        before=$now
        taskset -c "$LOAD_CPU" "$BIN/footpath" send "$work/events.ndjson" >"$work/send.out" 2>&1 || fail "$(cat "$work/send.out")"
        minute=$((minute + 1))
    done
}

apply() { "$BIN/footpath" apply -f "$1" --project "$PROJECT" >"$work/apply.out" 2>&1 || fail "$(cat "$work/apply.out")"; }

apply "$work/metrics.toml"
minutes without
apply "$work/rules.toml"
minutes with

before=$(spent)
scrape=0
while [ "$scrape" -lt "$SCRAPES" ]; do
    curl -sf -w '%{time_total}\n' -o "$work/series.prom" "http://$ADMIN/series" >>"$work/scrapes" || fail "a scrape failed"
    scrape=$((scrape + 1))
done
scraped=$(awk -v a="$before" -v b="$(spent)" -v n="$SCRAPES" 'BEGIN { print (b - a) / n }')

series=$((RULES * VALUES))
awk -v without="$(median "$work/without.ms")" -v with="$(median "$work/with.ms")" -v n="$series" 'BEGIN {
    printf "%d series a minute: %.0f ms of the processor, %.2f %% of a core (medians: %.0f ms a minute with rules, %.0f without)\n",
        n, with - without, (with - without) / 600, with, without
}'
echo "a scrape of $RULES metrics: $scraped ms of the processor, median $(median "$work/scrapes") s ($(grep -vc '^#' "$work/series.prom") samples)"
