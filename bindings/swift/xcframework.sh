#!/bin/sh
# Makes FootpathFFI.xcframework for iPhones, the simulator and Macs, on a Mac with Xcode and Rust. Not run by the project's own
# tests, which have no Mac.
#
#   bindings/swift/xcframework.sh
#
# Needs: rustup target add aarch64-apple-ios aarch64-apple-ios-sim aarch64-apple-darwin
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
target=${CARGO_TARGET_DIR:-target}

# The system's SQLite, and no gRPC: the SDK carries the batches by URLSession.
for triple in aarch64-apple-ios aarch64-apple-ios-sim aarch64-apple-darwin; do
    IPHONEOS_DEPLOYMENT_TARGET=16.0 MACOSX_DEPLOYMENT_TARGET=13.0 cargo build --release --locked \
        -p footpath-bindings --no-default-features --target "$triple"
done
cargo build --release --locked -p footpath-bindgen
FOOTPATH_LIB=$target/aarch64-apple-ios/release/libfootpath.a FOOTPATH_BINDGEN=$target/release/footpath-bindgen \
    "$here/build.sh" generate
rm -rf "$here/FootpathFFI.xcframework"
set --
for triple in aarch64-apple-ios aarch64-apple-ios-sim aarch64-apple-darwin; do
    set -- "$@" -library "$target/$triple/release/libfootpath.a" -headers "$here/Sources/footpathFFI/include"
done
xcodebuild -create-xcframework "$@" -output "$here/FootpathFFI.xcframework"
