#!/usr/bin/env bash
# Generates the Kotlin side of the bindings, builds the jar, runs every test.
#
#   build.sh            generate, build, test, install into the local Maven repository, build the sample
#   build.sh generate   only generate
#   build.sh bench      generate, build, then measure what `track` costs
#
# FOOTPATH_LIB      the built libfootpath.so (not stripped); by default the release or debug one of this workspace
# FOOTPATH_BINDGEN  the footpath-bindgen program; by default beside the library, else built
# FOOTPATH_BIN      the server's program, for the tests; by default beside the library
set -euo pipefail
cd "$(dirname "$0")"
workspace=$(cd ../.. && pwd)
target=${CARGO_TARGET_DIR:-$workspace/target}

if [ -z "${FOOTPATH_LIB:-}" ]; then
    for kind in release debug; do
        [ -f "$target/$kind/libfootpath.so" ] && FOOTPATH_LIB=$target/$kind/libfootpath.so && break
    done
fi
[ -f "${FOOTPATH_LIB:-}" ] || { echo "no library: run 'cargo build --release -p footpath-bindings', or set FOOTPATH_LIB" >&2; exit 1; }
FOOTPATH_LIB=$(realpath "$FOOTPATH_LIB")
beside=$(dirname "$FOOTPATH_LIB")
FOOTPATH_BINDGEN=${FOOTPATH_BINDGEN:-$beside/footpath-bindgen}
[ -x "$FOOTPATH_BINDGEN" ] || { echo "no generator: run 'cargo build -p footpath-bindgen', or set FOOTPATH_BINDGEN" >&2; exit 1; }
export FOOTPATH_BIN=${FOOTPATH_BIN:-$beside/footpath}

case $(uname -m) in
    x86_64) platform=linux-x86-64 ;;
    aarch64) platform=linux-aarch64 ;;
    *) echo "no JNA folder is known for $(uname -m)" >&2; exit 1 ;;
esac

generate() {
    rm -rf target/generated-sources/uniffi target/natives
    mkdir -p target/generated-sources/uniffi "target/natives/$platform"
    # The generator reads the library's symbol table; only the copy in the jar is stripped.
    "$FOOTPATH_BINDGEN" generate --library "$FOOTPATH_LIB" --language kotlin --no-format \
        --config uniffi.toml --out-dir target/generated-sources/uniffi ||
        { echo "if it finds no metadata: $FOOTPATH_LIB was stripped, build it anew" >&2; exit 1; }
    strip -o "target/natives/$platform/libfootpath.so" "$FOOTPATH_LIB"
}

maven() { mvn --batch-mode --no-transfer-progress "$@"; }

# need_server: the tests are not to be skipped for want of a server.
need_server() {
    [ -x "$FOOTPATH_BIN" ] || { echo "no server: run 'cargo build --release', or set FOOTPATH_BIN" >&2; exit 1; }
}

case ${1:-all} in
    generate) generate ;;
    all)
        need_server
        generate
        maven install
        # Compiled with the sample, so that what the tool writes for Kotlin is Kotlin.
        mkdir -p samples/target/typed-events
        "$FOOTPATH_BIN" typed-events "$workspace/client-sdk/examples/typed_events/plan.toml" --language kotlin \
            --output samples/target/typed-events/ShopEvents.kt
        maven -f samples/pom.xml package
        ;;
    bench)
        generate
        maven -q test-compile
        maven -q dependency:build-classpath -DincludeScope=test -Dmdep.outputFile=target/classpath
        shift
        # Memory that was never touched costs a page fault each 4 KiB; an app that has run for a while has touched its heap.
        java -Xms256m -Xmx256m -XX:+AlwaysPreTouch -cp "target/classes:target/test-classes:$(cat target/classpath)" io.footpath.LatencyBenchKt "$@"
        ;;
    *) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
