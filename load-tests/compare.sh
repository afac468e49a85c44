#!/bin/sh
# Saturates the no-op server and `footpath serve` in turn (A B A B), each on one core, with the same batches, and prints
# the median events/s of each and their ratio. Loopback only.
#   ROUNDS=2 SECONDS_EACH=10 WARMUP=2 SERVER_CPU=0 LOAD_CPU=1 PORT=7420 load-tests/compare.sh [--noop-only] [generator options]
# FOOTPATH_KEY gives the project key; without it, the key that the server prints on its first start is used.
set -eu

cd "$(dirname "$0")/.."
ROUNDS=${ROUNDS:-2}
SECONDS_EACH=${SECONDS_EACH:-10}
WARMUP=${WARMUP:-2}
SERVER_CPU=${SERVER_CPU:-0}
LOAD_CPU=${LOAD_CPU:-1}
PORT=${PORT:-7420}
PROJECT=${PROJECT:-default}
BIN=${CARGO_TARGET_DIR:-target}/release
noop_only=
if [ "${1:-}" = --noop-only ]; then noop_only=1; shift; fi

command -v taskset >/dev/null || { echo "compare.sh needs taskset (Debian package util-linux)" >&2; exit 1; }
[ -n "${SKIP_BUILD:-}" ] || cargo build --release -p footpath-load
[ -n "$noop_only${SKIP_BUILD:-}" ] || cargo build --release --bin footpath

work=$(mktemp -d)
server=
stop() {
    [ -n "$server" ] || return 0
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# Waits for a line in a server's output, at most 20 s.
await() { # file pattern
    tries=0
    until grep -q "$2" "$1" 2>/dev/null; do
        tries=$((tries + 1))
        if [ "$tries" -gt 200 ] || ! kill -0 "$server" 2>/dev/null; then
            echo "the server did not print '$2'; it said:" >&2
            cat "$1" >&2
            return 1
        fi
        sleep 0.1
    done
}

# The generator connects once and gives up, so the start is retried by it: at most 20 s.
load() { # key name round
    tries=0
    limit=$((SECONDS_EACH + WARMUP + 45))
    shift_args="$1"; name=$2; round=$3; shift 3
    while :; do
        if FOOTPATH_KEY="$shift_args" timeout "$limit" taskset -c "$LOAD_CPU" "$BIN/footpath-load" --saturate \
            --target "http://127.0.0.1:$PORT" --project "$PROJECT" --seconds "$SECONDS_EACH" --warmup "$WARMUP" \
            --server-pid "$server" --json "$@" >"$work/report.json" 2>"$work/load.err"; then
            break
        fi
        tries=$((tries + 1))
        if [ "$tries" -gt 40 ] || ! grep -q "nothing answers" "$work/load.err"; then
            cat "$work/load.err" >&2
            return 1
        fi
        sleep 0.5
    done
    rate=$(field events_per_s)
    echo "$rate" >>"$work/$name.rates"
    printf '%-9s round %s: %9.0f events/s   server %3.0f %% of a core, generator %3.0f %%\n' \
        "$name" "$round" "$rate" "$(field server_cpu_percent)" "$(field generator_cpu_percent)"
}

field() { sed -n "s/^ *\"$1\": \([0-9.]*\).*/\1/p" "$work/report.json" | head -n 1; }

median() {
    sort -n "$1" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

round=1
while [ "$round" -le "$ROUNDS" ]; do
    taskset -c "$SERVER_CPU" "$BIN/footpath-noop" --listen "127.0.0.1:$PORT" >"$work/noop.out" 2>&1 &
    server=$!
    load unused noop "$round" "$@"
    stop
    if [ -z "$noop_only" ]; then
        # A folder of its own for every round: each starts empty.
        data="$work/data-$round"
        taskset -c "$SERVER_CPU" "$BIN/footpath" serve --data "$data" --listen "127.0.0.1:$PORT" \
            --admin-listen "127.0.0.1:$((PORT + 1))" >"$work/serve.out" 2>&1 &
        server=$!
        key=${FOOTPATH_KEY:-}
        if [ -z "$key" ]; then
            await "$work/serve.out" 'project key: fp_'
            key=$(sed -n 's/.*project key: \(fp_[A-Za-z0-9_-]*\).*/\1/p' "$work/serve.out" | head -n 1)
        fi
        load "$key" footpath "$round" "$@"
        stop
        rm -rf "$data"
    fi
    round=$((round + 1))
done

a=$(median "$work/noop.rates")
printf 'median no-op    %9.0f events/s\n' "$a"
[ -z "$noop_only" ] || exit 0
b=$(median "$work/footpath.rates")
printf 'median footpath %9.0f events/s\n' "$b"
awk -v a="$a" -v b="$b" 'BEGIN { printf "ratio           %9.2f\n", b / a }'
