#!/bin/sh
# The Footpath client beside glean: caller latency, survival, bytes, memory. Prints one table.
# ROUNDS (3) is how often latency is measured, in turn; TMPDIR is where the queues lie. SKIP_BUILD=1 builds nothing.
set -eu

FACTS="$0 $*"
cd "$(dirname "$0")"
bin=${CARGO_TARGET_DIR:-target}/release/beside-glean
[ -n "${SKIP_BUILD:-}" ] || cargo build --release --locked
ulimit -c 0 # Processes abort on purpose, and a core dump would be work for the disk.

echo "command   $FACTS"
echo "date      $(date -u +%Y-%m-%dT%H:%MZ)"
echo "commit    $(git describe --always --dirty 2>/dev/null || echo unknown)"
echo "machine   $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) CPUs, Linux $(uname -r)"
echo "glean     $(sed -n '/^name = "glean"$/{n;s/version = "\(.*\)"/\1/p;}' Cargo.lock)"
echo "data on   $(df -T "${TMPDIR:-/tmp}" | awk 'NR == 2 { print $2 }'); load average before: $(cut -d' ' -f1 /proc/loadavg)"
echo
"$bin" table --rounds "${ROUNDS:-3}"
echo
echo "load average after: $(cut -d' ' -f1 /proc/loadavg)"
