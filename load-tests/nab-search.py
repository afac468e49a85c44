#!/usr/bin/env python3
"""The anomaly detector on the Numenta Anomaly Benchmark, held out: constants are looked for on one half of the files and scored on the other.

    load-tests/nab-search.py DATA LABELS SCORER

Arguments and halves are those of nab.sh. Each of CONSTANTS is halved and doubled, the detector built anew each time (in a worktree of its own, of the
last commit). Of each half, all changes that improve its standard score are made together, and what that scores on the other half is printed, with the
mean of both ways. The detector is built some 30 times: about ten minutes.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

# Where they are, below the engine's anomaly module: what news and what teaches depend on.
CONSTANTS = [
    ("records.rs", "MARGIN"), ("records.rs", "PER_WIDTH"), ("records.rs", "MOST_WIDTH"), ("records.rs", "OTHERS"),
    ("records.rs", "LEVEL"), ("records.rs", "DISTANCE"), ("told.rs", "DAYS"), ("told.rs", "MOST_BUCKETS"),
    ("channels/windows.rs", "SHORT"), ("channels/windows.rs", "LONG"), ("detector/episode.rs", "ODD"), ("noise.rs", "GAIN"),
]
SCORES = ("standard", "reward_low_FP_rate", "reward_low_FN_rate")


class Bench:
    """A checkout whose constants are changed, built and scored."""

    def __init__(self, data, labels, scorer, work):
        self.data, self.labels, self.scorer, self.work = data, labels, scorer, work
        self.tree = os.path.join(work, "tree")
        # Link-time optimisation changes no number, and takes most of a build's time.
        self.env = os.environ | {"CARGO_PROFILE_RELEASE_LTO": "off"}
        self.target = os.environ.get("CARGO_TARGET_DIR", os.path.join(self.tree, "target"))

    def run(self, *command):
        done = subprocess.run(command, cwd=self.tree, env=self.env, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)}: {done.stderr or done.stdout}")
        return done.stdout

    def build(self, changes):
        """Builds with (file, name, factor) changed, and nothing else."""
        self.run("git", "checkout", "-q", ".")
        for file, name, factor in changes:
            path = os.path.join(self.tree, "server/crates/engine/src/anomaly", file)
            with open(path) as source:
                text = source.read()
            pattern = rf"(?m)^(const {name}: f(?:32|64) = )([0-9._e-]+);"
            text, found = re.subn(pattern, lambda m: f"{m[1]}{float(m[2].replace('_', '')) * factor!r};", text)
            if found != 1:
                sys.exit(f"{file} has no constant {name}")
            with open(path, "w") as source:
                source.write(text)
        self.run("cargo", "build", "--release", "-p", "footpath-engine", "--example", "nab")

    def score(self, half):
        """The three scores over a half of the files."""
        results = tempfile.mkdtemp(dir=self.work)
        self.run(f"{self.target}/release/examples/nab", self.data, results, str(half))
        with open(self.labels) as file:
            labels = {k: v for k, v in json.load(file).items() if os.path.exists(os.path.join(results, k))}
        mine = os.path.join(results, "labels.json")
        with open(mine, "w") as file:
            json.dump(labels, file)
        lines = self.run("python3", self.scorer, results, mine).splitlines()
        found = dict(line.split()[:2] for line in lines if line.startswith(SCORES))
        return [float(found[name]) for name in SCORES]


def shown(scores):
    return " / ".join(f"{score:.1f}" for score in scores)


def search(bench):
    bench.build([])
    base = [bench.score(half) for half in (0, 1)]
    print(f"as it is: half 0 {shown(base[0])}, half 1 {shown(base[1])}", flush=True)
    better = [[], []]
    for file, name in CONSTANTS:
        gains = []
        for factor in (0.5, 2.0):
            bench.build([(file, name, factor)])
            gains.append([bench.score(half)[0] - base[half][0] for half in (0, 1)])
            print(f"{file} {name} x {factor}: {gains[-1][0]:+.1f}, {gains[-1][1]:+.1f}", flush=True)
        for half in (0, 1):
            best = max((0, 1), key=lambda i: gains[i][half])
            if gains[best][half] > 0:
                better[half].append((file, name, (0.5, 2.0)[best]))
    ways = []
    for half in (0, 1):
        bench.build(better[half])
        ways.append(bench.score(1 - half))
        names = ", ".join(f"{name} x {factor}" for _, name, factor in better[half]) or "nothing"
        print(f"looked for on half {half} ({shown(bench.score(half))} there): {names}; on the other: {shown(ways[-1])}")
    print(f"held out, mean of both ways: {shown([sum(pair) / 2 for pair in zip(*ways)])}")


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    paths = [os.path.abspath(path) for path in sys.argv[1:]]
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(*paths, work)
        subprocess.run(["git", "worktree", "add", "-q", "--detach", bench.tree], cwd=root, check=True)
        try:
            search(bench)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", bench.tree], cwd=root, check=True)


main()
