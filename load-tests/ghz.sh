#!/bin/sh
# Runs ghz against a Footpath server: every request carries 10 events with ids of their own, and every answer has to
# say stored 10, duplicates 0, refused none. Anything else fails the run.
#   FOOTPATH_KEY=fp_... [TARGET=127.0.0.1:7400] [TOTAL=2000] [CONCURRENCY=8] [RATE=80] load-tests/ghz.sh
#   load-tests/ghz.sh --serve     starts a server of its own on PORT and an empty folder
# BIN names the folder with the binaries; without, they are built in release mode.
set -eu

cd "$(dirname "$0")/.."
PORT=${PORT:-7430}
TARGET=${TARGET:-127.0.0.1:7400}
TOTAL=${TOTAL:-2000}
CONCURRENCY=${CONCURRENCY:-8}
RATE=${RATE:-80} # ghz logs no more than 100 answers a second, and each one is checked
EVENTS=10

ghz=$(command -v ghz || true)
if [ -z "$ghz" ]; then
    ghz=$PWD/.tools/ghz
    if [ ! -x "$ghz" ]; then
        command -v go >/dev/null || { echo "ghz.sh needs ghz, or go to install it (Debian package golang-go)" >&2; exit 1; }
        echo "installing ghz into .tools" >&2
        GOBIN=$PWD/.tools go install github.com/bojand/ghz/cmd/ghz@latest
    fi
fi

work=$(mktemp -d)
server=
stop() {
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

if [ -z "${BIN:-}" ]; then
    cargo build --quiet --release -p footpath-load
    [ "${1:-}" != --serve ] || cargo build --quiet --release --bin footpath
    BIN=${CARGO_TARGET_DIR:-target}/release
fi

if [ "${1:-}" = --serve ]; then
    TARGET=127.0.0.1:$PORT
    "$BIN/footpath" serve --data "$work/data" --listen "$TARGET" \
        --admin-listen "127.0.0.1:$((PORT + 1))" >"$work/serve.out" 2>"$work/serve.err" &
    server=$!
    tries=0
    until grep -q '^open: ' "$work/serve.out"; do
        tries=$((tries + 1))
        [ "$tries" -le 200 ] && kill -0 "$server" 2>/dev/null || { cat "$work/serve.err" >&2; exit 1; }
        sleep 0.1
    done
    FOOTPATH_KEY=$(sed -n 's/^project key: //p' "$work/serve.out")
fi

# ghz fills the template in for every request, each {{newUUID}} anew.
{
    printf '{"batch_id":"{{newUUID}}","events":['
    index=0
    for name in product_viewed page_viewed checkout_started payment_succeeded cart_item_added \
        search_performed product_viewed page_viewed filter_applied app_opened; do
        [ "$index" -eq 0 ] || printf ','
        printf '{"id":"{{newUUID}}","name":"%s","anonymous_id":"ghz-{{.RequestNumber}}",' "$name"
        printf '"properties":{"path":{"string_value":"/item/{{.RequestNumber}}"},"quantity":{"int_value":"%s"}}}' "$index"
        index=$((index + 1))
    done
    printf ']}'
} >"$work/data.json"
printf '{"authorization":"Bearer %s"}' "${FOOTPATH_KEY:-none}" >"$work/metadata.json"

# ghz's own parser does not know `optional` in proto3, so it gets the compiled descriptors.
"$BIN/footpath-load" --descriptors "$work/api.bin"

# With --debug ghz logs every answer, which is what is checked.
timeout "${LIMIT:-300}" "$ghz" --insecure --protoset "$work/api.bin" \
    --call footpath.v1.IngestService.Ingest --data-file "$work/data.json" --metadata-file "$work/metadata.json" \
    --total "$TOTAL" --concurrency "$CONCURRENCY" --connections "$CONCURRENCY" --rps "$RATE" \
    --debug "$work/debug.log" --format summary "$TARGET" | tee "$work/summary.txt"

# The answers only, as text: a field that is 0 is not printed, and the spaces between fields come and go on purpose.
grep '"message":"Received response"' "$work/debug.log" >"$work/calls" || true
sed 's/.*"response":"//' "$work/calls" >"$work/answers"
good=$(grep -E "[ \"]stored:$EVENTS[ \"]" "$work/answers" | grep -Evc '[ "](duplicates|refused|assigned_ids):' || true)
ids() { grep -Eo '[ "]events:<id:\\"[0-9a-f-]+' "$work/calls" | grep -Eo '[0-9a-f-]{36}'; }
sent=$(ids | wc -l)
unique=$(ids | sort -u | wc -l)
echo "$good of $TOTAL answers say stored $EVENTS, duplicates 0, refused 0; $unique of $sent ids are unique"
if [ "$good" -ne "$TOTAL" ] || [ "$unique" -ne "$((TOTAL * EVENTS))" ] || [ "$sent" -ne "$unique" ]; then
    echo "FAILED: one answer that is not so:" >&2
    grep -Ev "[ \"]stored:$EVENTS[ \"]" "$work/answers" | head -n 1 >&2 || true
    grep -E '[ "](duplicates|refused|assigned_ids):' "$work/answers" | head -n 1 >&2 || true
    exit 1
fi
