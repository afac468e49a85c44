#!/usr/bin/env bash
# Tests the page's modules against the descriptors that cargo just built.
set -euo pipefail
cd "$(dirname "$0")"
if ! command -v node >/dev/null; then
  echo "the page's tests need node 20.19 or newer, which is not installed: apt-get install nodejs" >&2
  exit 1
fi
cargo build --quiet --locked -p footpath-proto
node --test --test-reporter=spec codec.test.mjs
