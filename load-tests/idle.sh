#!/bin/sh
# From the start on an empty folder to the first ack, ROUNDS times (5), and the memory of a server that was left alone
# for IDLE seconds (10) after its start.
#   load-tests/idle.sh
# The first ack is that of one event on a connection of its own; connecting is tried every few ms until it works.
# Also SERVER_CPU, LOAD_CPU, PORT, PROJECT, BIN, SKIP_BUILD.
set -eu
FACTS="$0 $*"
. "$(dirname "$0")/lib.sh"

ROUNDS=${ROUNDS:-5}
IDLE=${IDLE:-10}

build server
facts

# The last round stays idle as well.
round=1
while [ "$round" -le "$ROUNDS" ]; do
    idle=0
    [ "$round" -lt "$ROUNDS" ] || idle=$IDLE
    taskset -c "$LOAD_CPU" "$BIN/footpath-first" --target "$URL" --idle "$idle" -- \
        taskset -c "$SERVER_CPU" "$BIN/footpath" serve --data "$work/data-$round" --listen "127.0.0.1:$PORT" \
        --admin-listen "$ADMIN" >"$work/first" 2>"$work/serve.err" || { cat "$work/serve.err" >&2; fail "no first ack"; }
    sed -n 's/^first_ack_ms //p' "$work/first" >>"$work/acks"
    echo "round $round: key printed after $(sed -n 's/^key_ms //p' "$work/first") ms," \
        "first ack after $(sed -n 's/^first_ack_ms //p' "$work/first") ms"
    round=$((round + 1))
done
echo "start to first ack: median $(median "$work/acks") ms, largest $(sort -n "$work/acks" | tail -n 1) ms"
echo "resident after $IDLE s idle: $(sed -n 's/^resident_mb //p' "$work/first") MB"
