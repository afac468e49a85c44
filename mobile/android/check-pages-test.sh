#!/usr/bin/env bash
# Shows that check-pages.sh takes what is linked for pages of 16 KiB, and nothing else.
set -euo pipefail
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

link() { echo 'int one(void) { return 1; }' | cc -shared -fPIC -x c - -o "$folder/$1.so" "-Wl,-z,max-page-size=$2"; }

refused() {
    ! ./check-pages.sh "$@" 2>/dev/null || { echo "check-pages.sh took: $*" >&2; exit 1; }
}

link small 4096
link large 16384
link larger 65536
echo "no library" >"$folder/text.so"
./check-pages.sh "$folder/large.so" "$folder/larger.so"
refused "$folder/small.so"
refused "$folder/large.so" "$folder/small.so"
refused "$folder/text.so"
refused "$folder/none.so"
