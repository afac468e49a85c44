#!/usr/bin/env bash
# Generates the Android side of the bindings, builds the AAR, runs every test, shrinks the sample and runs that.
#
#   build.sh            all of it; the AAR goes into the local Maven repository
#   build.sh generate   only generate
#
# FOOTPATH_LIB      the built libfootpath.so of this machine (not stripped); by default the release or debug one of this workspace
# FOOTPATH_BINDGEN  the footpath-bindgen program; by default beside the library
# FOOTPATH_BIN      the server's program, for the tests; by default beside the library
#
# The AAR holds libfootpath.so for phones only if native.sh has built it before. Everything comes by Maven: no Gradle, no
# Android SDK.
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

generate() {
    rm -rf target/generated-sources/uniffi target/host
    mkdir -p target/generated-sources/uniffi target/host
    "$FOOTPATH_BINDGEN" generate --library "$FOOTPATH_LIB" --language kotlin --no-format \
        --config uniffi-android.toml --out-dir target/generated-sources/uniffi ||
        { echo "if it finds no metadata: $FOOTPATH_LIB was stripped, build it anew" >&2; exit 1; }
    # What the tests load in place of a phone's library.
    strip -o target/host/libfootpath.so "$FOOTPATH_LIB"
}

# What is left of a class that is gone would be checked and packed.
fresh() { rm -rf target/classes target/test-classes target/aar target/*.aar sample/target/classes; }

phone_libraries() { find jni -name '*.so' 2>/dev/null || true; }

maven() { mvn --batch-mode --no-transfer-progress "$@"; }

case ${1:-all} in
    generate) generate ;;
    all)
        [ -x "$FOOTPATH_BIN" ] || { echo "no server: run 'cargo build --release', or set FOOTPATH_BIN" >&2; exit 1; }
        ./check-pages-test.sh
        phone_libraries | xargs --no-run-if-empty ./check-pages.sh
        fresh
        generate
        maven install
        maven -f sample/pom.xml verify
        [ -n "$(phone_libraries)" ] || echo "The AAR has no libfootpath.so for phones: native.sh was not run."
        ;;
    *) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
