#!/usr/bin/env python3
"""Asks ClickHouse, DuckDB and Footpath the same questions about the set of model.py, turn by turn, and compares.

`bench.py FOLDER ROUNDS COMMAND...`: COMMAND is footpath-query's `ask`, which takes the name of a question a line. ClickHouse and
DuckDB run in this process, with as many threads as there are processors, from tables in every order that suits one of the
questions and from Parquet. All answers have to be equal. Times are medians of ROUNDS after two rounds that warm up; ms.
Exits with 1 if an answer differs or a goal is missed.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import chdb.session
import duckdb

STEPS = ["product_viewed", "add_to_cart", "checkout_started", "purchase"]
ONE_OF_STEPS = "event IN (" + ", ".join(f"'{step}'" for step in STEPS) + ")"
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
# At most this share of the best peer's time, and what is aimed at.
GOALS = {"funnel": (1 / 3, 1 / 6), "daily": (1 / 2, None), "hourly": (1 / 2, None)}
# Of 20 M events of 200 k persons; of other sets only the agreement is checked.
LEVELS = {20_000_000: [45173, 30016, 19605, 45495]}
COLUMNS = """user_id UInt64, user_key String, session_id UInt64, ts DateTime64(3, 'UTC'), event LowCardinality(String),
country LowCardinality(String), platform LowCardinality(String), price Nullable(Float64)"""


class ClickHouse:
    """By time as PostHog lays its events out, by person, and Parquet as it is."""

    ORDERS = {"by_time": "(toDate(ts), event, cityHash64(user_id), ts)", "by_person": "(user_id, ts)"}

    def __init__(self, folder):
        self.session = chdb.session.Session(str(folder / "clickhouse"))
        self.session.query(f"SET max_threads = {os.cpu_count()}")
        self.parquet = f"file('{folder}/parquet/*.parquet', 'Parquet')"
        self.session.query("CREATE DATABASE IF NOT EXISTS bench ENGINE = Atomic")
        for name, order in self.ORDERS.items():
            self.load(name, order)

    def load(self, name, order):
        if name in self.text("SHOW TABLES FROM bench").split():
            return
        self.session.query(f"CREATE TABLE bench.{name} ({COLUMNS}) ENGINE = MergeTree"
                           f" PARTITION BY toYYYYMM(ts) ORDER BY {order}")
        self.session.query(f"INSERT INTO bench.{name} SELECT * FROM {self.parquet}")
        self.session.query(f"OPTIMIZE TABLE bench.{name} FINAL")

    def text(self, query):
        return str(self.session.query(query, "TSV"))

    def pairs(self, query):
        return [[int(number) for number in line.split("\t")] for line in self.text(query).splitlines()]

    def ways(self, question):
        tables = {"parquet": self.parquet, **{name: f"bench.{name}" for name in self.ORDERS}}
        for name, table in tables.items():
            for way, query in getattr(self, question)(table).items():
                yield f"ClickHouse {name} {way}".strip(), lambda query=query: self.pairs(query)

    @staticmethod
    def funnel(table):
        steps = ", ".join(f"event = '{step}'" for step in STEPS)
        level = f"windowFunnel({DAY_MS})(toUInt64(toUnixTimestamp64Milli(ts)), {steps})"
        levels = (f"SELECT level, count() FROM (SELECT {level} AS level FROM {table} WHERE {ONE_OF_STEPS}"
                  " GROUP BY user_id) WHERE level > 0 GROUP BY level ORDER BY level")
        in_order = {"in order": levels + " SETTINGS optimize_aggregation_in_order = 1"}
        return {"": levels, **(in_order if "by_person" in table else {})}

    @staticmethod
    def daily(table):
        day = f"toUnixTimestamp(toStartOfDay(ts)) * 1000"
        in_order = f"SELECT {day} AS d, uniqExact(user_id) FROM {table} GROUP BY d ORDER BY d"
        return {"": in_order}

    @staticmethod
    def hourly(table):
        clock = "toUnixTimestamp(toStartOfHour(ts)) * 1000"
        plain = f"intDiv(toUnixTimestamp64Milli(ts), {HOUR_MS}) * {HOUR_MS}"
        query = "SELECT {} AS h, count() FROM {} GROUP BY h ORDER BY h"
        return {"": query.format(clock, table), "divided": query.format(plain, table)}


class DuckDB:
    """A table in the order of time, and Parquet as it is."""

    def __init__(self, folder):
        self.parquet = f"read_parquet('{folder}/parquet/*.parquet')"
        self.database = duckdb.connect(str(folder / "duck.db"))
        self.database.execute(f"SET threads = {os.cpu_count()}")
        self.database.execute("SET TimeZone = 'UTC'")
        self.database.execute(f"CREATE TABLE IF NOT EXISTS events AS SELECT * FROM {self.parquet}")

    def ways(self, question):
        for name, table in {"parquet": self.parquet, "table": "events"}.items():
            for way, query in getattr(self, question)(table).items():
                ask = lambda query=query: [list(row) for row in self.database.execute(query).fetchall()]
                yield f"DuckDB {name} {way}".strip(), ask

    @staticmethod
    def daily(table):
        day = f"epoch_ms(ts) // {DAY_MS} * {DAY_MS}"
        return {
            "": f"SELECT {day} d, count(DISTINCT user_id) FROM {table} GROUP BY d ORDER BY d",
            "distinct first": f"SELECT d, count(*) FROM (SELECT DISTINCT {day} d, user_id FROM {table})"
                              " GROUP BY d ORDER BY d",
        }

    @staticmethod
    def hourly(table):
        hour = f"epoch_ms(ts) // {HOUR_MS} * {HOUR_MS}"
        return {"": f"SELECT {hour} h, count(*) FROM {table} GROUP BY h ORDER BY h"}


class Footpath:
    """Over gRPC, by a client of its own that tells how long a call took."""

    def __init__(self, command):
        self.client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, question):
        self.client.stdin.write(question + "\n")
        self.client.stdin.flush()
        line = self.client.stdout.readline()
        if not line:
            sys.exit("FAILED: the client of Footpath ended")
        answer = json.loads(line)
        return answer["ms"], levels(answer["answer"]) if question == "funnel" else answer["answer"]


def levels(reached):
    """As windowFunnel says it: how many got so far and no further."""
    after = reached[1:] + [0]
    return [[step + 1, own - more] for step, (own, more) in enumerate(zip(reached, after))]


def timed(ask):
    begin = time.perf_counter()
    answer = ask()
    return (time.perf_counter() - begin) * 1000, answer


def measure(question, ways, rounds):
    """Every way in turn, round by round; their medians. All answers have to be one."""
    times, answers = {name: [] for name in ways}, {}
    for turn in range(rounds + 2):
        for name, ask in ways.items():
            took, answers[name] = ask()
            if turn >= 2:
                times[name].append(took)
    expected = next(iter(answers.values()))
    for name, answer in answers.items():
        if answer != expected:
            sys.exit(f"FAILED: {question}: {name} answers {answer[:5]}..., others {expected[:5]}...")
    return {name: statistics.median(own) for name, own in times.items()}, expected


def report(question, medians):
    for name, took in sorted(medians.items(), key=lambda way: way[1]):
        print(f"  {question:7} {name:32} {took:8.1f} ms")
    ours = medians.pop("Footpath")
    best = min(medians, key=medians.get)
    most, aim = GOALS[question]
    share = ours / medians[best]
    print(f"  {question:7} Footpath takes {share:.3f} of the best peer ({best}); at most {most:.3f}"
          + (f", aim {aim:.3f}" if aim else "") + f": {'met' if share <= most else 'MISSED'}", flush=True)
    return share <= most


def main():
    folder, rounds = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2])
    peers, footpath = [ClickHouse(folder), DuckDB(folder)], Footpath(sys.argv[3:])
    events = os.path.getsize(folder / "name.bin")
    met = []
    for question in GOALS:
        ways = {"Footpath": lambda: footpath.ask(question)}
        cold = footpath.ask(question)[0]
        for peer in peers:
            if hasattr(peer, question):
                ways.update((name, lambda ask=ask: timed(ask)) for name, ask in peer.ways(question))
        medians, answer = measure(question, ways, rounds)
        if question == "funnel" and events in LEVELS and [count for _, count in answer] != LEVELS[events]:
            sys.exit(f"FAILED: the levels are {answer}, expected {LEVELS[events]}")
        print(f"  {question:7} Footpath, the first time          {cold:7.1f} ms")
        met.append(report(question, medians))
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
