#!/bin/sh
# Makes FootpathFFI.xcframework for iPhones, the simulator and Macs, on a Mac with Xcode and Rust. Not run by the project's own
# tests, which have no Mac.
#
#   bindings/swift/xcframework.sh
#
# Needs: rustup target add aarch64-apple-ios aarch64-apple-ios-sim aarch64-apple-darwin
#
# STD=own builds the standard library for size, too, as in bindings/size.sh.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
target=${CARGO_TARGET_DIR:-target}

own_std=
if [ "${STD:-}" = own ]; then
    export RUSTC_BOOTSTRAP=1
    own_std="-Zbuild-std=std,panic_unwind -Zbuild-std-features=panic-unwind"
fi

# The system's SQLite, and no gRPC: the SDK carries the batches by URLSession.
for triple in aarch64-apple-ios aarch64-apple-ios-sim aarch64-apple-darwin; do
    IPHONEOS_DEPLOYMENT_TARGET=16.0 MACOSX_DEPLOYMENT_TARGET=13.0 cargo build $own_std --profile phone --locked \
        -p footpath-bindings --lib --no-default-features --target "$triple"
done
cargo build --release --locked -p footpath-bindgen
FOOTPATH_LIB=$target/aarch64-apple-ios/phone/libfootpath.a FOOTPATH_BINDGEN=$target/release/footpath-bindgen \
    "$here/build.sh" generate
rm -rf "$here/FootpathFFI.xcframework"
set --
for triple in aarch64-apple-ios aarch64-apple-ios-sim aarch64-apple-darwin; do
    set -- "$@" -library "$target/$triple/phone/libfootpath.a" -headers "$here/Sources/footpathFFI/include"
done
xcodebuild -create-xcframework "$@" -output "$here/FootpathFFI.xcframework"
