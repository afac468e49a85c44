#!/usr/bin/env bash
# Generates the stubs, builds the examples for Go, Java and Node, and runs each against the real server: a bad event among good
# ones, the same batch again, a batch that is too large, a watch, a server that is killed and comes back, TLS. A stand-in for a
# server that is busy shows the rest. Then it checks that the code in docs/backends-from-stubs.md is the code that ran.
#
#   test.sh [go] [java] [node]     only these languages
#
# FOOTPATH_BIN  the server; by default that of the build folder
# Needs go, a JDK with mvn, node with npm, buf, openssl and python3 in PATH.
set -euo pipefail
cd "$(dirname "$0")"
server=$(realpath "${FOOTPATH_BIN:-${CARGO_TARGET_DIR:-../../target}/debug/footpath}")
port=${PORT:-7450}
languages=${*:-go java node}
work=$(mktemp -d)
pids=()

finish() {
    [ "${#pids[@]}" -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# until_true WHAT COMMAND...: waits for it, 20 s at most.
until_true() {
    local what=$1 tries=0
    shift
    until "$@" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -le 200 ] || fail "$what: $(tail -n 5 "$work/out" "$work/err" "$work/serve.err" 2>&1)"
        sleep 0.1
    done
}

# ready ADMIN_PORT: whether the server says that it should be sent traffic. By bash alone: not everybody has curl.
ready() {
    local line
    exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
    printf 'GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
    read -r line <&3
    exec 3>&-
    [[ $line == *" 200 "* ]]
}

# serve DATA PORT OPTION...: starts a server, waits until it is ready, and leaves its id in $pid.
serve() {
    local data=$1 at=$2
    shift 2
    "$server" serve --data "$data" --listen "127.0.0.1:$at" --admin-listen "127.0.0.1:$((at + 1))" "$@" \
        >"$work/serve.out" 2>"$work/serve.err" &
    pid=$!
    pids+=("$pid")
    until_true "the server does not start" ready "$((at + 1))"
}

# A token is made beside the data of a stopped server.
prepare() {
    serve "$1" "$port"
    FOOTPATH_KEY=$(sed -n 's/^project key: //p' "$work/serve.out")
    kill "$pid" && wait "$pid" || fail "the server did not stop cleanly"
    FOOTPATH_TOKEN=$(env -u FOOTPATH_TOKEN "$server" token --data "$1" --role analyst)
    export FOOTPATH_KEY FOOTPATH_TOKEN
}

# Each has its time, so that none can hang the tests.
build_go() { (cd go && buf generate && go build -o target/ ./...); }
run_go() { timeout "${LIMIT:-120}" go/target/shop "$@"; }

build_java() { mvn --batch-mode --no-transfer-progress --quiet -f java/pom.xml package; }
run_java() { timeout "${LIMIT:-120}" java -cp "java/target/classes:java/target/lib/*" Shop "$@"; }

build_node() { (cd node && npm ci --no-audit --no-fund --loglevel=error >/dev/null && buf generate); }
run_node() { timeout "${LIMIT:-120}" node node/shop.js "$@"; }

# What every example has to print against the real server.
told() {
    cat <<'TOLD'
a bad event among good ones: stored 2, duplicates 0, refused 1 name_missing
the same again: stored 0, duplicates 2, refused 1 name_missing
too many for one batch: stored 10001, duplicates 0, refused 0
an order: stored 1, duplicates 0, refused 0
watched: order_paid
TOLD
}

# It is killed in the middle of sending, stays away for a second, and comes back on the same data.
real_server() {
    local language=$1 data=$work/$1 example
    prepare "$data"
    serve "$data" "$port"
    : >"$work/out" # What the example before this one said is not to be read as its words.
    FOOTPATH_URL=http://127.0.0.1:$port "run_$language" restart >"$work/out" 2>"$work/err" &
    example=$!
    pids+=("$example")
    until_true "$language does not get to the restart" grep -Eq '^restart|^FAILED' "$work/out"
    sleep 0.3
    kill -9 "$pid"
    wait "$pid" 2>/dev/null || true
    sleep 1
    serve "$data" "$port"
    wait "$example" || fail "$language: $(cat "$work/out" "$work/err")"
    cat "$work/out"
    told | cmp -s - <(head -n 5 "$work/out") || fail "$language does not say what it should"
    grep -A 2 '^after a restart: all of' "$work/out" | tail -n 2 | cmp -s - <(told | tail -n 2 | sed 's/^an /another /') ||
        fail "$language did not see the restart, or its watch did not go on"
    grep -Eiq '^try again: (unavailable|aborted|canceled)' "$work/err" || fail "$language did not try again: $(cat "$work/err")"
    kill "$pid"
    wait "$pid" || fail "the server did not stop cleanly"
}

with_tls() {
    local language=$1 data=$work/$1
    serve "$data" "$port" --tls-cert "$work/tls.pem" --tls-key "$work/tls.key"
    FOOTPATH_URL=https://localhost:$port FOOTPATH_CA=$work/tls.pem "run_$language" >"$work/out" 2>"$work/err" ||
        fail "$language, TLS: $(cat "$work/out" "$work/err")"
    told | cmp -s - <(head -n 5 "$work/out") || fail "$language does not say over TLS what it should"
    # Whoever does not trust the certificate must not get through.
    if LIMIT=5 FOOTPATH_URL=https://localhost:$port "run_$language" once >"$work/out" 2>&1; then
        fail "$language trusts a certificate that nobody signed"
    fi
    kill "$pid"
    wait "$pid" || fail "the server did not stop cleanly"
    echo "the same over TLS"
}

# It waits as long as it is asked to and sends only what is missing; it does not go on with a wrong key.
busy_server() {
    local language=$1 data=$work/$1
    go/target/busy "127.0.0.1:$port" >"$work/serve.out" 2>"$work/serve.err" &
    pid=$!
    pids+=("$pid")
    until_true "the stand-in does not start" grep -q listening "$work/serve.out"
    FOOTPATH_URL=http://127.0.0.1:$port "run_$language" once >"$work/out" 2>"$work/err" ||
        fail "$language, busy: $(cat "$work/out" "$work/err")"
    grep -Eiq '^try again: resource_?exhausted busy' "$work/err" || fail "$language did not read why: $(cat "$work/err")"
    kill "$pid"
    wait "$pid" || true
    echo "waited for a busy server"

    serve "$data" "$port"
    if FOOTPATH_KEY=fp_dev_wrong LIMIT=20 FOOTPATH_URL=http://127.0.0.1:$port "run_$language" once >"$work/out" 2>"$work/err"; then
        fail "$language got in with a wrong key"
    fi
    grep -Eiq '^FAILED: .*unauthenticated' "$work/out" || fail "$language, wrong key: $(cat "$work/out" "$work/err")"
    kill "$pid"
    wait "$pid" || fail "the server did not stop cleanly"
    echo "stopped at a wrong key"
}

openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout "$work/tls.key" -out "$work/tls.pem" -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE 2>/dev/null
build_go # The stand-in is in Go.
for language in $languages; do
    printf -- '-- %s: building (%ds)\n' "$language" "$SECONDS"
    "build_$language"
    printf -- '-- %s: running (%ds)\n' "$language" "$SECONDS"
    real_server "$language"
    with_tls "$language"
    busy_server "$language"
done
python3 guide.py
printf -- '-- %s: passed (%ds)\n' "$languages" "$SECONDS"
