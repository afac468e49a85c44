#!/bin/sh
# The anomaly detector on the Numenta Anomaly Benchmark: the score over all files, and over each of two fixed halves of them.
#   load-tests/nab.sh DATA LABELS SCORER
# DATA holds <category>/<name>.csv, LABELS is combined_windows.json, SCORER a script that takes a folder of results and labels.
# The halves are those of `examples/nab.rs`: constants that were looked for on one are judged by the other.
set -eu
data=${1:?the folder with the categories}
labels=${2:?combined_windows.json}
scorer=${3:?the scorer}
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cargo build --release -p footpath-engine --example nab
nab=${CARGO_TARGET_DIR:-target}/release/examples/nab

"$nab" "$data" "$work/all"
echo "all files"
python3 "$scorer" "$work/all" "$labels"
for half in 0 1; do
    "$nab" "$data" "$work/$half" "$half"
    # The scorer counts every file it has labels for: it gets those of this half only.
    python3 - "$labels" "$work/$half" > "$work/labels-$half.json" <<'PYTHON'
import json, os, sys
labels = json.load(open(sys.argv[1]))
json.dump({k: v for k, v in labels.items() if os.path.exists(os.path.join(sys.argv[2], k))}, sys.stdout)
PYTHON
    echo "half $half"
    python3 "$scorer" "$work/$half" "$work/labels-$half.json"
done
