# Shared by the measuring scripts: where things are, starting and stopping servers, reading reports. Loopback only.
# SKIP_BUILD=1 builds nothing; BIN names the folder with the binaries, which are then not built either.

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
[ -z "${BIN:-}" ] || SKIP_BUILD=1
BIN=${BIN:-${CARGO_TARGET_DIR:-target}/release}
WARMUP=${WARMUP:-2}
SERVER_CPU=${SERVER_CPU:-0}
LOAD_CPU=${LOAD_CPU:-1}
PORT=${PORT:-7420}
PROJECT=${PROJECT:-default}
URL=http://127.0.0.1:$PORT
ADMIN=127.0.0.1:$((PORT + 1))

fail() { echo "FAILED: $*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || fail "$(basename "$0") needs $1 (Debian package $2)"; }

# Builds the generator and its like, and with "server" footpath too.
build() {
    need taskset util-linux
    [ -n "${SKIP_BUILD:-}" ] && return
    cargo build --release -p footpath-load
    [ "${1:-}" != server ] || cargo build --release --bin footpath
}

work=$(mktemp -d)
server=
others=
stop() {
    [ -n "$server" ] || return 0
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}
cleanup() {
    for pid in $others; do kill "$pid" 2>/dev/null || true; done
    stop
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# What a figure is worth nothing without. The call is printed as it was made: FACTS="$0 $*" before options are shifted.
facts() {
    echo "command   ${FACTS:-$0}"
    echo "date      $(date -u +%Y-%m-%dT%H:%MZ)"
    echo "commit    $(git describe --always --dirty 2>/dev/null || echo unknown)${SKIP_BUILD:+ (binaries as found in BIN, not built now)}"
    echo "machine   $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) CPUs," \
        "$(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo), Linux $(uname -r)"
    echo "data on   $(df -T "$work" | awk 'NR == 2 { print $2 ", " int($5 / 1048576) " GiB free" }')"
    echo "pinned    server to CPU $SERVER_CPU, generator to CPU $LOAD_CPU; load average before: $(cut -d' ' -f1 /proc/loadavg)"
}

# Functions share the scripts' variables (plain sh has no others), so names are not reused between the two files.
# Waits for a line in a server's output, at most 20 s.
await() { # file pattern
    waited=0
    until grep -q "$2" "$1" 2>/dev/null; do
        waited=$((waited + 1))
        if [ "$waited" -gt 200 ] || ! kill -0 "$server" 2>/dev/null; then
            echo "the server did not print '$2'; it said:" >&2
            cat "$1" >&2
            return 1
        fi
        sleep 0.1
    done
}

# The output file is emptied here: the server opens it a moment later, and the last one's lines must not be taken for its.
start_noop() {
    : >"$work/noop.out"
    taskset -c "$SERVER_CPU" "$BIN/footpath-noop" --listen "127.0.0.1:$PORT" >"$work/noop.out" 2>&1 &
    server=$!
    await "$work/noop.out" 'no-op server on'
}

# Starts `footpath serve` on a folder and waits until it listens; sets key on the folder's first start.
start_footpath() { # data [options]
    data=$1; shift
    : >"$work/serve.out"
    taskset -c "$SERVER_CPU" "$BIN/footpath" serve --data "$data" --listen "127.0.0.1:$PORT" \
        --admin-listen "$ADMIN" --project "$PROJECT" "$@" >"$work/serve.out" 2>&1 &
    server=$!
    await "$work/serve.out" '^open: '
    first=$(sed -n 's/^project key: //p' "$work/serve.out")
    key=${first:-${key:-}}
}

# A server on a new folder with the load's funnel on it, and a token for it in $token.
start_with_funnel() { # data [options]
    start_footpath "$@"
    stop # The folder of a stopped server gives tokens away.
    token=$("$BIN/footpath" token --role analyst --data "$1")
    start_footpath "$@"
    FOOTPATH_TOKEN=$token "$BIN/footpath" apply -f load-tests/funnel.toml --url "$URL" --project "$PROJECT" >"$work/apply.out" ||
        fail "the funnel cannot be defined: $(cat "$work/apply.out")"
}

# Runs the generator; its report goes to $work/report.json. Measures SECONDS_EACH seconds.
load() { # key [options]
    load_key=$1; shift
    FOOTPATH_KEY=$load_key timeout "$((SECONDS_EACH + WARMUP + 60))" taskset -c "$LOAD_CPU" "$BIN/footpath-load" \
        --target "$URL" --project "$PROJECT" --seconds "$SECONDS_EACH" --warmup "$WARMUP" \
        --server-pid "$server" --json "$@" >"$work/report.json" 2>"$work/load.err" && return
    cat "$work/load.err" >&2
    return 1
}

field() { sed -n "s/^ *\"$1\": \([0-9.]*\).*/\1/p" "$work/report.json" | head -n 1; }

# A line about the last load, and its rate appended to NAME.rates.
note() { # name what
    field events_per_s >>"$work/$1.rates"
    printf '%-9s %-8s %9.0f events/s   server %3.0f %% of a core, generator %3.0f %%\n' \
        "$1" "$2" "$(field events_per_s)" "$(field server_cpu_percent)" "$(field generator_cpu_percent)"
    grep -q '"mode": "saturate"' "$work/report.json" || return 0
    [ "$(field server_cpu_percent | cut -d. -f1)" -ge 90 ] ||
        echo "WARNING: the server's core was not busy, so this is not its limit: is something else running?"
}

median() {
    sort -n "$1" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b / a }'; }
