#!/bin/sh
# The burst: saturates the no-op server and `footpath serve --ingest-only` in turn (A B A B), each on one core, with the
# same batches, and prints the median events/s of each and their ratio. --ingest-only leaves live numbers and chunks
# out; whatever the answer depends on is on: validation, card scan, duplicates, records, log, sync.
#   ROUNDS=2 SECONDS_EACH=10 load-tests/compare.sh [--noop-only | --everything] [generator options]
# --everything leaves --ingest-only out: live numbers and chunks run beside. FOOTPATH_KEY gives the project key; without
# it, the key that the server prints on its first start is used. Also WARMUP, SERVER_CPU, LOAD_CPU, PORT, PROJECT, BIN,
# SKIP_BUILD.
set -eu
FACTS="$0 $*"
. "$(dirname "$0")/lib.sh"

ROUNDS=${ROUNDS:-2}
SECONDS_EACH=${SECONDS_EACH:-10}
noop_only=
serve_options=--ingest-only
case ${1:-} in
    --noop-only) noop_only=1; shift ;;
    --everything) serve_options=; shift ;;
esac

build "${noop_only:-server}"
facts
[ -n "$noop_only" ] || echo "server    footpath serve $serve_options"

round=1
while [ "$round" -le "$ROUNDS" ]; do
    start_noop
    load unused --saturate "$@"
    note noop "round $round"
    stop
    if [ -z "$noop_only" ]; then
        # A folder of its own for every round: each starts empty. Without quotes: no option is none, not an empty one.
        start_footpath "$work/data" $serve_options
        load "${FOOTPATH_KEY:-$key}" --saturate "$@"
        note footpath "round $round"
        stop
        rm -rf "$work/data"
    fi
    round=$((round + 1))
done

a=$(median "$work/noop.rates")
printf 'median no-op    %9.0f events/s\n' "$a"
[ -z "$noop_only" ] || exit 0
b=$(median "$work/footpath.rates")
printf 'median footpath %9.0f events/s\n' "$b"
printf 'ratio           %9s\n' "$(ratio "$a" "$b")"
