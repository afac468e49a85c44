#!/bin/sh
set -eu
SKIP_BUILD=1
. "$(dirname "$0")/lib.sh"
SECONDS_EACH=${SECONDS_EACH:-14}
start_with_funnel "$work/data"
(sleep ${DELAY:-1}; exec perf record -F 1999 -g -o /tmp/prof.data -p $server -- sleep 12 >/dev/null 2>&1) &
p=$!
load "$key" --saturate || true
wait $p || true
field events_per_s
kill -9 $server; server=
