#!/usr/bin/env bash
# Tests the page: its modules in node, then the whole of it in Chromium against the real binary.
#   FOOTPATH_BIN=...  a binary that is built already (else cargo builds one)
#   CHROMIUM=...      a browser other than the system's
#   PAGE_FROM=folder  the page as it lies here, not the one in the binary
set -euo pipefail
cd "$(dirname "$0")"

# Debian packages are installed where that may be done; else the line that does it is named.
need() {
  local what="$1"
  shift
  if [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  else
    echo "the page's tests need $what: sudo apt-get install $*" >&2
    exit 1
  fi
}
node_is_new_enough() {
  command -v node >/dev/null && node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 18 ? 1 : 0)'
}
node_is_new_enough || need "node 18 or newer" nodejs
command -v npm >/dev/null || need npm npm
if [[ -z "${CHROMIUM:-}" ]]; then
  command -v chromium chromium-browser google-chrome >/dev/null || need Chromium chromium
  CHROMIUM="$(command -v chromium || command -v chromium-browser || command -v google-chrome)"
fi
export CHROMIUM

npm ci --no-audit --no-fund --loglevel=error

if [[ -z "${FOOTPATH_BIN:-}" ]]; then
  cargo build --locked -p footpath-server
  FOOTPATH_BIN="$(cargo metadata --format-version 1 --no-deps --locked | node -p 'JSON.parse(require("fs").readFileSync(0)).target_directory')/debug/footpath"
else
  cargo build --quiet --locked --workspace --bins # The descriptors lie in the build folder.
fi
export FOOTPATH_BIN

# One after another: each browser test waits for things to happen, and two at a time would make each other late.
node --test --test-concurrency=1 --test-reporter=spec test/*.test.mjs
