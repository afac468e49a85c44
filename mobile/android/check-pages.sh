#!/usr/bin/env bash
# Checks that libraries can be loaded on phones with pages of 16 KiB: every loadable segment is aligned to that or more.
#
#   check-pages.sh FILE...
set -euo pipefail
[ $# -gt 0 ] || { sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 2; }
bad=0
for file in "$@"; do
    alignments=$(LC_ALL=C readelf --program-headers --wide "$file" | awk '$1 == "LOAD" { print $NF }')
    [ -n "$alignments" ] || { echo "$file: nothing loadable in it" >&2; bad=1; continue; }
    for alignment in $alignments; do
        if [ $((alignment)) -lt $((16 * 1024)) ]; then
            echo "$file: a segment is aligned to $((alignment)) bytes; link with -Wl,-z,max-page-size=16384" >&2
            bad=1
            break
        fi
    done
done
exit $bad
