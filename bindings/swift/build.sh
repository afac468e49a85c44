#!/bin/sh
# Generates what UniFFI generates, builds the Swift SDK and runs its tests against the real server.
#
#   bindings/swift/build.sh            generate, build, test
#   bindings/swift/build.sh latency    the same without the tests, then the latency benchmark
#   bindings/swift/build.sh sample URL KEY
#   bindings/swift/build.sh generate   only what UniFFI generates
#
# FOOTPATH_LIB      the library; by default libfootpath.so of ${CARGO_TARGET_DIR:-target}/release or debug
# FOOTPATH_META     the same library with its symbol table, where FOOTPATH_LIB was stripped: UniFFI reads it
# FOOTPATH_BINDGEN  footpath-bindgen, FOOTPATH_BIN  the server; by default both as the library, release or debug
#
# Where `swift` is on the path it is used; else the one of toolchain.sh, which needs root.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$repo/target}

# found NAME: a file of the Rust build.
found() {
    for profile in release debug; do
        [ ! -f "$target/$profile/$1" ] || { echo "$target/$profile/$1"; return; }
    done
    echo "build.sh: no $1 in $target/release or debug; build it, or name it (see the top of this file)" >&2
    exit 1
}

lib=${FOOTPATH_LIB:-$(found libfootpath.so)}
meta=${FOOTPATH_META:-$lib}
bindgen=${FOOTPATH_BINDGEN:-$(found footpath-bindgen)}

generate() {
    out=$(mktemp -d)
    "$bindgen" generate --library "$meta" --language swift --out-dir "$out" --no-format
    # Only what has changed, so that nothing else is built again.
    put() { cmp -s "$1" "$2" || cp "$1" "$2"; }
    mkdir -p "$here/Sources/FootpathCore" "$here/Sources/footpathFFI/include"
    put "$out/footpath.swift" "$here/Sources/FootpathCore/footpath.swift"
    put "$out/footpathFFI.h" "$here/Sources/footpathFFI/include/footpathFFI.h"
    rm -r "$out"
}

# The library under the name that the linker looks for, alone in a folder; the server beside it.
stage() {
    mkdir -p "$here/.build/native"
    put "$lib" "$here/.build/native/libfootpath.so"
    if [ -n "${1:-}" ]; then put "$1" "$here/.build/native/footpath"; fi
}

# A certificate that is its own authority, beside the server, as the operator's guide makes it.
certify() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
        -addext basicConstraints=critical,CA:FALSE -keyout "$here/.build/native/tls.key" -out "$here/.build/native/tls.pem" 2>/dev/null
}

# swift ARGUMENTS..., in this folder.
swift_here() {
    if command -v swift >/dev/null; then
        (cd "$here" && FOOTPATH_BIN="$here/.build/native/footpath" "$@")
    else
        "$here/toolchain.sh" run "$here=/src" "$repo/mobile/ios=/sample" -- env HOME=/root FOOTPATH_BIN=/src/.build/native/footpath \
            sh -c 'cd /src && exec "$@"' sh "$@"
    fi
}

root=/src
sample=/sample
if command -v swift >/dev/null; then
    root=$here
    sample=$repo/mobile/ios
fi
links="-Xlinker -L$root/.build/native -Xlinker -rpath=$root/.build/native"

generate
# shellcheck disable=SC2086
case ${1:-test} in
    test)
        server=${FOOTPATH_BIN:-$(found footpath)}
        stage "$server"
        certify
        # Compiled with the sample, so that what the tool writes for Swift is Swift.
        "$server" typed-events "$repo/client-sdk/examples/typed_events/plan.toml" --language swift \
            --output "$here/Sources/FootpathSample/ShopEvents.swift"
        swift_here swift build --build-tests $links
        [ "$(uname)" != Linux ] || swift_here Tests/AppleStandIns/check-apple.sh "$sample"
        swift_here swift test --skip-build $links
        ;;
    latency)
        stage
        swift_here swift build -c release --product FootpathLatency $links
        swift_here .build/release/FootpathLatency
        ;;
    sample)
        stage
        swift_here swift build --product FootpathSample $links
        shift
        swift_here .build/debug/FootpathSample "$@"
        ;;
    generate) ;;
    *)
        echo "build.sh: test, latency, sample or generate" >&2
        exit 2
        ;;
esac
