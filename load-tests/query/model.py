#!/usr/bin/env python3
"""A deterministic set of behaviour: `model.py FOLDER [EVENTS] [PERSONS] [DAYS] [SEED]`.

Persons are active by a log-normal law, so that some are heavy users. A session has 1 + geometric events (12 on average) with
exponential gaps (40 s on average) and begins by a curve over the hours of a day. Names: 46 by Zipf's law, and the four steps of
a funnel, which sessions take in order with a share of 45, 40, 55 and 60 % going on; 3 % of all events get a random one of these
four, so that steps also come out of order.

Writes the same events twice: FOLDER/parquet/day=NN.parquet for other engines, in the order of time, and one file of plain
numbers for each column (FOLDER/*.bin, little endian; words.json says what the small numbers mean) for footpath-query.
"""

import json
import pathlib
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

STEPS = ["product_viewed", "add_to_cart", "checkout_started", "purchase"]
OTHERS = """page_view session_start button_clicked scroll_depth search_performed video_played notification_opened share
signup_started signup_completed login logout profile_viewed profile_updated settings_opened feed_refreshed post_liked
post_commented image_uploaded filter_applied sort_changed tab_switched modal_opened modal_closed form_started form_submitted
form_error coupon_applied wishlist_added review_read review_written chat_opened chat_message_sent help_viewed faq_opened
email_clicked push_received push_dismissed app_backgrounded app_foregrounded experiment_viewed feature_used export_clicked
invite_sent plan_viewed error_shown""".split()
NAMES = STEPS + OTHERS
COUNTRIES = "US IN BR DE GB FR JP CA MX ID AU ES IT NL PL TR KR SE NG ZA".split()
PLATFORMS = ["web", "ios", "android"]
HOURS = [2, 1, 1, 1, 1, 2, 3, 5, 7, 8, 8, 8, 9, 8, 8, 8, 8, 9, 10, 11, 11, 9, 6, 4]
FIRST_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
DAY_MS = 86_400_000


def shares(weights):
    """Upper ends of what each weight takes of 0..1."""
    return np.cumsum(weights) / np.sum(weights)


def sessions(draw, events, persons, days):
    """Whose each session is, how many events it has, when it begins: ms from the first day."""
    activity = shares(draw.lognormal(0, 1.3, persons))
    count = int(events / 12 * 1.02)
    person = np.searchsorted(activity, draw.random(count)).astype(np.int64)
    length = np.minimum(draw.geometric(1 / 12, count), 400)
    last = int(np.searchsorted(np.cumsum(length), events))
    first_day = draw.random(persons) ** 2 * days * 0.9
    if last < count:
        length[last] -= np.cumsum(length)[last] - events
        count = last + 1
        person, length = person[:count], length[:count]
    day = np.floor(np.minimum(first_day[person] + draw.random(count) * (days - first_day[person]), days - 1e-9))
    hour = np.searchsorted(shares(HOURS), draw.random(count))
    start = (day * 86400 + hour * 3600 + draw.random(count) * 3600) * 1000
    return person, length, start


def names(draw, length, first, position):
    """What happens in each event, as an index of NAMES."""
    total = len(position)
    zipf = shares(1 / np.arange(1, len(OTHERS) + 1) ** 1.1)
    name = (np.searchsorted(zipf, draw.random(total)) + len(STEPS)).astype(np.int8)
    name[position == 0] = NAMES.index("session_start")
    noise = draw.random(total) < 0.03
    name[noise] = draw.integers(0, len(STEPS), int(noise.sum()), dtype=np.int8)
    depth = np.where(draw.random(len(length)) < 0.45, 1, 0)
    for reached, share in ((1, 0.40), (2, 0.55), (3, 0.60)):
        depth += (depth == reached) & (draw.random(len(length)) < share)
    for step in range(len(STEPS)):
        takes = (depth > step) & (length > depth)
        at = first[takes] + ((step + 1) * length[takes] // (depth[takes] + 1))
        name[at] = step
    return name


def model(events, persons, days, seed):
    """All columns, in the order of time."""
    draw = np.random.default_rng(seed)
    person, length, start = sessions(draw, events, persons, days)
    total = int(length.sum())
    session = np.repeat(np.arange(len(length)), length)
    first = np.cumsum(length) - length
    position = np.arange(total) - np.repeat(first, length)
    gap = draw.exponential(40_000, total)
    gap[position == 0] = 0
    passed = np.cumsum(gap)
    time = (start[session] + passed - np.repeat(passed[first], length)).astype(np.int64)
    time = np.minimum(time, days * DAY_MS - 1)
    name = names(draw, length, first, position)
    key = (np.arange(persons, dtype=np.uint64) + 1) * np.uint64(0x9E37_79B9_7F4A_7C15)
    key ^= key >> np.uint64(29)
    country = np.searchsorted(shares(1 / np.arange(1, 21) ** 0.9), draw.random(persons)).astype(np.int8)
    platform = np.searchsorted([0.5, 0.8, 1.0], draw.random(persons)).astype(np.int8)
    price = np.where(name < len(STEPS), np.round(draw.lognormal(3.3, 0.9, total), 2), np.nan)
    order = np.argsort(time, kind="stable")
    who = person[session[order]]
    return {
        "time": time[order] + FIRST_MS,
        "person": key[who],
        "session": session[order].astype(np.uint64),
        "name": name[order].astype(np.uint8),
        "country": country[who].astype(np.uint8),
        "platform": platform[who].astype(np.uint8),
        "price": price[order],
    }


def words(column, values):
    return pa.DictionaryArray.from_arrays(pa.array(column), pa.array(values)).cast(pa.string())


def table(part):
    keys, place = np.unique(part["person"], return_inverse=True)
    texts = np.array([f"u_{int(key):016x}" for key in keys], dtype=object)
    return pa.table({
        "user_id": pa.array(part["person"]),
        "user_key": pa.array(texts[place], pa.string()),
        "session_id": pa.array(part["session"]),
        "ts": pa.array(part["time"], pa.timestamp("ms", "UTC")),
        "event": words(part["name"], NAMES),
        "country": words(part["country"], COUNTRIES),
        "platform": words(part["platform"], PLATFORMS),
        "price": pa.array(part["price"], mask=np.isnan(part["price"])),
    })


def main():
    folder = pathlib.Path(sys.argv[1])
    events, persons, days, seed = (
        int(given) for given in sys.argv[2:] + ["20000000", "200000", "30", "42"][len(sys.argv) - 2:])
    columns = model(events, persons, days, seed)
    (folder / "parquet").mkdir(parents=True, exist_ok=True)
    for name, column in columns.items():
        column.tofile(folder / f"{name}.bin")
    spoken = {"name": NAMES, "country": COUNTRIES, "platform": PLATFORMS}
    (folder / "words.json").write_text(json.dumps(spoken))
    ends = np.searchsorted(columns["time"], FIRST_MS + np.arange(days + 1) * DAY_MS)
    for day in range(days):
        part = {name: column[ends[day]:ends[day + 1]] for name, column in columns.items()}
        pq.write_table(table(part), folder / "parquet" / f"day={day:02d}.parquet", compression="zstd",
                       row_group_size=131_072, use_dictionary=["event", "country", "platform", "user_key"])
    print(f"{len(columns['time'])} events of {len(np.unique(columns['person']))} persons in {days} days")


if __name__ == "__main__":
    main()
