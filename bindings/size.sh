#!/usr/bin/env bash
# Size of the library for arm64, stripped and gzip -9: with the host's transport and SQLite, without SQLite, with gRPC and TLS.
# Needs the Rust target and a linker: rustup target add aarch64-unknown-linux-gnu; apt-get install gcc-aarch64-linux-gnu
#
# STD=own builds the standard library, too, for size and without the code that names the frames of a panic, which a stripped
# library has no names for. Cargo calls that unstable (-Z build-std); it needs: rustup component add rust-src
set -euo pipefail
cd "$(dirname "$0")/.."
target=aarch64-unknown-linux-gnu
built=${CARGO_TARGET_DIR:-target}/$target/phone
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
# What the queue does not use; and small code rather than fast code, as in Rust.
export CFLAGS_aarch64_unknown_linux_gnu="-Os"
export LIBSQLITE3_FLAGS="-USQLITE_ENABLE_FTS3 -USQLITE_ENABLE_FTS3_PARENTHESIS -USQLITE_ENABLE_FTS5 -USQLITE_ENABLE_RTREE \
-USQLITE_ENABLE_STAT4 -USQLITE_ENABLE_DBSTAT_VTAB -USQLITE_ENABLE_COLUMN_METADATA -USQLITE_ENABLE_LOAD_EXTENSION \
-DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_DEPRECATED -DSQLITE_OMIT_PROGRESS_CALLBACK -DSQLITE_DQS=0"

own_std=()
if [ "${STD:-}" = own ]; then
    export RUSTC_BOOTSTRAP=1
    own_std=(-Zbuild-std=std,panic_unwind -Zbuild-std-features=panic-unwind)
fi

measure() {
    local what=$1
    shift
    cargo build --quiet "${own_std[@]}" --locked -p footpath-bindings --lib --profile phone --target $target --no-default-features "$@"
    local lib=$built/libfootpath.so
    printf '%-40s %8d bytes, %8d with gzip -9\n' "$what" "$(stat -c %s "$lib")" "$(gzip -9 -c "$lib" | wc -c)"
}

# The system's SQLite is there on the device only; here an empty library stands for it.
stub() {
    local folder=${CARGO_TARGET_DIR:-target}/sqlite-stub
    mkdir -p "$folder"
    aarch64-linux-gnu-gcc -shared -x c /dev/null -o "$folder/libsqlite3.so"
    export SQLITE3_LIB_DIR=$folder
}

for build in "${@:-host system grpc}"; do
    for one in $build; do
        case $one in
        host) measure "host's transport, SQLite inside" --features bundled-sqlite ;;
        system)
            stub
            measure "host's transport, the system's SQLite"
            ;;
        grpc) measure "gRPC and TLS, SQLite inside" --features grpc,bundled-sqlite ;;
        esac
    done
done
