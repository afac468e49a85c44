#!/bin/sh
# Questions over stored events: Footpath over gRPC against ClickHouse and DuckDB in a Python process, on the same events, with
# all processors each, in turn, warm. A funnel of four steps within a day; distinct persons by day; events by hour. All answers have
# to be equal, and the goals met.
#   ROUNDS=9 load-tests/query-bench.sh [EVENTS [PERSONS [DAYS]]]
# QUERY_BENCH_DIR (.tools/query-bench) keeps the events, the peers' tables and Footpath's data between runs: 5 GB for 20 million
# events. Python packages go to .tools/venv. Also PORT, BIN, SKIP_BUILD.
set -eu
FACTS="$0 $*"
SERVER_CPU=${SERVER_CPU:-0-$(($(nproc) - 1))}
LOAD_CPU=${LOAD_CPU:-$SERVER_CPU}
. "$(dirname "$0")/lib.sh"

ROUNDS=${ROUNDS:-9}
folder=${QUERY_BENCH_DIR:-$root/.tools/query-bench}
venv=$root/.tools/venv
mkdir -p "$folder"

python_tools() {
    [ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check \
        duckdb==2.0.1 chdb==4.4.0 chdb-core==26.9.0 numpy==2.4.6 pyarrow==26.0.1
}

# Sends the set to a new data folder and waits until all of it is in chunks.
load_footpath() {
    rm -rf "$folder/footpath"
    start_footpath "$folder/footpath" --chunk-age 1s
    "$BIN/footpath-query" --target "$URL" load --key "$key" --admin "$ADMIN" "$folder"
    stop
    touch "$folder/loaded"
}

build server
facts
python_tools
[ -e "$folder/words.json" ] || "$venv/bin/python" load-tests/query/model.py "$folder" "$@"
[ -e "$folder/loaded" ] || load_footpath
token=$("$BIN/footpath" token --role analyst --data "$folder/footpath")
start_footpath "$folder/footpath"
FOOTPATH_TOKEN=$token "$venv/bin/python" load-tests/query/bench.py "$folder" "$ROUNDS" \
    "$BIN/footpath-query" --target "$URL" ask --project "$PROJECT"
