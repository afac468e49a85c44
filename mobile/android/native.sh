#!/usr/bin/env bash
# Builds libfootpath.so for phones, into jni/, where build.sh finds it.
#
# NOT RUN by the project's own tests, which have no NDK. Needs:
#   rustup target add aarch64-linux-android x86_64-linux-android
#   cargo install cargo-ndk
#   ANDROID_NDK_HOME, an NDK of r27 or later
#
# STD=own builds the standard library for size, too, as in bindings/size.sh.
#
# Only 64 bits: events are handed over with addresses and lengths of 64 bits.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD

# Phones with pages of 16 KiB load nothing else.
export RUSTFLAGS="${RUSTFLAGS:-} -C link-arg=-Wl,-z,max-page-size=16384"
# What the queue does not use of SQLite, as in bindings/size.sh.
export LIBSQLITE3_FLAGS="-USQLITE_ENABLE_FTS3 -USQLITE_ENABLE_FTS3_PARENTHESIS -USQLITE_ENABLE_FTS5 -USQLITE_ENABLE_RTREE \
-USQLITE_ENABLE_STAT4 -USQLITE_ENABLE_DBSTAT_VTAB -USQLITE_ENABLE_COLUMN_METADATA -USQLITE_ENABLE_LOAD_EXTENSION \
-DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_DEPRECATED -DSQLITE_OMIT_PROGRESS_CALLBACK -DSQLITE_DQS=0"

own_std=()
if [ "${STD:-}" = own ]; then
    export RUSTC_BOOTSTRAP=1
    own_std=(-Zbuild-std=std,panic_unwind -Zbuild-std-features=panic-unwind)
fi

rm -rf jni
# The app's own HTTP stack carries the batches, so neither gRPC nor TLS is in it.
(cd ../.. && cargo ndk --target arm64-v8a --target x86_64 --platform 26 --output-dir "$here/jni" \
    build "${own_std[@]}" --locked -p footpath-bindings --lib --profile phone --no-default-features --features bundled-sqlite)
find jni -name libfootpath.so -print0 | xargs -0 ./check-pages.sh
