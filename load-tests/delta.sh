#!/bin/sh
# From a batch's ack to the first Watch delta that has it, under load: an open loop at RATE events/s (give half of the
# sustained rate), a funnel watched at an interval of INTERVAL ms, marked batches beside the load.
#   RATE=75000 SECONDS_EACH=60 load-tests/delta.sh [generator options]
# PERSONS is large, so that the funnel moves all the time and deltas are due at every interval. Also INTERVAL (20), MARKS
# (a second, 40), SETTLE (seconds of load before the first mark), SERVER_CPU, LOAD_CPU, PORT, PROJECT, BIN, SKIP_BUILD.
set -eu
FACTS="RATE=${RATE:-} $0 $*"
. "$(dirname "$0")/lib.sh"

RATE=${RATE:?give RATE in events/s: half of what sustained.sh found}
SECONDS_EACH=${SECONDS_EACH:-60}
INTERVAL=${INTERVAL:-20}
MARKS=${MARKS:-40}
PERSONS=${PERSONS:-1000000}
SETTLE=${SETTLE:-5}

build server
facts
start_with_funnel "$work/data"
WARMUP=$SETTLE
load "$key" --rate "$RATE" --persons "$PERSONS" "$@" &
loading=$!
others=$loading
sleep "$SETTLE"
FOOTPATH_KEY=$key FOOTPATH_TOKEN=$token taskset -c "$LOAD_CPU" "$BIN/footpath-delta" --target "$URL" --project "$PROJECT" \
    --interval "$INTERVAL" --rate "$MARKS" --seconds "$((SECONDS_EACH - 2))" >"$work/delta" || fail "no delta was measured"
wait "$loading" || fail "the generator's run proves nothing"
others=
note footpath load
cat "$work/delta"
