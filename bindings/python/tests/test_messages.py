"""What the hook sees, and what the log says."""

import datetime
import decimal
import subprocess
import sys
import textwrap
import time
import types

import pytest

import footpath
from footpath import Problem, Tracked, money


def hooked(hook, **settings):
    return footpath.Client("", "", "demo", None, in_memory_transport=True, before_send=hook, **settings)


def test_the_hook_sees_what_changes_persons_and_groups():
    seen = []
    hook = lambda name, properties: seen.append((name, properties)) or properties
    with hooked(hook, strict=True) as client:
        client.set_person({"plan": "pro"}, set_once={"first": 1}, unset=["old"], add={"visits": 2}, user="u")
        client.group("company", "acme", {"seats": 5}, user="u")
        client.link("a-1", "u", {"mail": "m"})
        client.track_critical("paid", {"order": 1}, user="u")
    assert seen == [
        ("person_updated", {"plan": "pro", "first": 1, "visits": 2}),
        ("group_joined", {"seats": 5}),
        ("$identify", {"mail": "m"}),
        ("paid", {"order": 1}),
    ]
    device = hooked(hook, device=True)
    assert device.identify("u", {"mail": "m"})
    assert seen[4:] == [("$identify", {"mail": "m"})]
    device.close()


def test_the_hook_changes_what_changes_persons_and_groups(messages, monkeypatch):
    def hook(name, properties):
        properties.pop("secret", None)
        return {key: "x" if key == "mail" else item for key, item in properties.items()} | {"new": name}

    frames = []
    monkeypatch.setattr(footpath._client, "_track", lambda handle, frame, size: frames.append(frame) or 0)
    client = hooked(hook, strict=True)
    changes = dict(set_once={"mail": "m", "secret": 2}, unset=["old"], add={"visits": 2, "secret": 3})
    assert client.set_person({"mail": "m", "secret": 1, "plan": "pro"}, **changes, user="u")
    assert client.group("company", "acme", {"secret": 1, "seats": 5}, user="u")
    assert client.link("a-1", "u", {"secret": 1, "mail": "m"}) and client.wait_flushed(10).acked == 1
    updated, joined = (messages("Event").FromString(frame[1:]) for frame in frames)
    person = updated.person
    assert sorted(person.set) == ["mail", "new", "plan"] and person.set["mail"].string_value == "x"
    assert list(person.set_once) == ["mail"] and person.set_once["mail"].string_value == "x"
    assert (list(person.unset), dict(person.add)) == (["old"], {"visits": 2.0})
    assert sorted(joined.groups[0].changes.set) == ["new", "seats"]
    client.close()


def test_the_hook_leaves_out_what_changes_persons_and_groups(start, stored):
    client = start(before_send=lambda name, properties: None)
    assert client.set_person({"plan": "pro"}, user="left-out") is Tracked.NOT_WANTED
    assert client.group("company", "acme", user="left-out") is Tracked.NOT_WANTED
    assert client.link("a-1", "left-out") is Tracked.NOT_WANTED
    assert client.wait_flushed(20).complete and client.stats().not_wanted == 3 and client.stats().acked == 0


def test_what_the_hook_returns(caplog):
    returned = {}
    client = hooked(lambda name, properties: returned["is"])
    for empty in ({}, types.MappingProxyType({})):
        returned["is"] = empty
        assert client.track("e", {"p": 1}, user="u")
    returned["is"] = None
    assert client.track("e", {"p": 1}, user="u") is Tracked.NOT_WANTED
    for wrong in (False, True, 0, "", [], (), "p"):
        returned["is"] = wrong
        for _ in range(3):
            assert client.track("e", {"p": 1}, user="u") is Tracked.INVALID
            assert client.track_critical("e", {"p": 1}, user="u") is None
            assert client.set_person({"p": 1}, user="u") is Tracked.INVALID
    assert client.wait_flushed(10).complete
    stats = client.stats()
    assert (stats.acked, stats.not_wanted, stats.invalid) == (2, 1, 7 * 9)
    told = [record.message for record in caplog.records if "before_send returns" in record.message]
    assert len(told) == 2 * 5 and any("a list" in line for line in told), told  # A kind of each, for either event.
    client.close()


def test_a_hook_that_fails_is_told_of_once(caplog):
    client = hooked(lambda name, properties: 1 / properties["zero"])
    for n in range(3):
        assert client.track("e", {"zero": 0}, user="u") is Tracked.INVALID
    assert client.stats().invalid == 3
    (told,) = [record for record in caplog.records if "before_send failed" in record.message]
    assert isinstance(told.exc_info[1], ZeroDivisionError)
    client.close()
    with hooked(lambda name, properties: 1 / 0, strict=True) as strict, pytest.raises(RuntimeError, match="before_send failed"):
        strict.track("e", user="u")


DEEP = [[[[[[1]]]]]]


@pytest.mark.parametrize("wrong, why", [
    (float("nan"), "finite"), (float("inf"), "finite"), (DEEP, "nested at most"), (money("1", "eur"), "ISO 4217"), (object(), "is no value"),
    (decimal.Decimal("NaN"), "decimal"), (2**70, "64 bits"), ({"": 1}, "1 to 255 bytes"), ({"x": {"y": float("nan")}}, "finite"),
])  # fmt: skip
def test_the_log_names_the_property_that_is_wrong(caplog, wrong, why):
    backend = hooked(None)
    device = hooked(None, device=True)
    device.wait_flushed(10)  # Its storage is open: what is wrong is known at once from here on.
    fine = {"before": 1, "nothing": None}
    calls = [
        lambda: backend.track("e1", {**fine, "price": wrong}, user="u"),
        lambda: backend.track_critical("e2", {"price": wrong, **fine}, user="u") or Tracked.INVALID,
        lambda: backend.set_person({"price": wrong}, add={"n": 1}, user="u"),
        lambda: backend.set_person(fine, set_once={"price": wrong}, user="u"),
        lambda: backend.group("company", "acme", {"price": wrong}, user="u"),
        lambda: device.identify("u", {"price": wrong}),
        lambda: device.register("price", wrong),
    ]
    for call in calls:
        assert call() is Tracked.INVALID
    told = [record.message for record in caplog.records if "INVALID" in record.message]
    assert len(told) == len(calls) - 1 and all("property \"price\": " in line and why in line for line in told), told
    assert backend.stats().tracked == device.stats().tracked == 0
    with hooked(None, strict=True) as strict, pytest.raises(Exception, match='property "price": '):
        strict.track("e", {**fine, "price": wrong}, user="u")
    backend.close()
    device.close()


def test_the_log_names_what_else_is_wrong(caplog):
    client = hooked(None)
    calls = {
        "at is a datetime, not int": lambda: client.track("e", user="u", at=5),
        "1970 to 2100": lambda: client.track("e", user="u", at=datetime.datetime(1960, 1, 1)),
        "set is a mapping, not list": lambda: client.set_person(["plan"], user="u"),
        "unset is a list of names, not str": lambda: client.set_person(unset="plan", user="u"),
        'property "n": a number is added, not a str': lambda: client.set_person(add={"n": "1"}, user="u"),
        "user is a str, not int": lambda: client.set_person({"a": 1}, user=1),
        "properties are a mapping, not list": lambda: client.track("e", ["a"], user="u"),
        "anonymous is a str, not int": lambda: client.link(5, "u"),
    }
    for why, call in calls.items():
        caplog.clear()
        assert call() is Tracked.INVALID
        assert why in caplog.text
    with_hook = hooked(lambda name, properties: properties)
    assert with_hook.set_person(["plan"], user="u") is Tracked.INVALID
    assert with_hook.track("e", ["a"], user="u") is Tracked.INVALID
    assert client.stats().tracked == with_hook.stats().tracked == 0
    assert client.set_key(5) is None
    client.close()
    with_hook.close()


def test_many_wrong_events_cost_little(caplog):
    with hooked(None) as client:
        begin = time.monotonic()
        for _ in range(5_000):
            client.track("e", {f"p{n}": float("nan") for n in range(20)}, user="u")
        assert time.monotonic() - begin < 10 and client.stats().invalid == 5_000


def test_an_unreachable_server_is_told_of_at_the_end(tmp_path):
    body = f"""
    import footpath, logging, sys, time
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    client = footpath.Client("http://127.0.0.1:9", "k", "demo", {str(tmp_path / "q")!r}, exit_seconds=1)
    client.track("e", user="u")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(body)], capture_output=True, text=True, timeout=30)
    (told,) = done.stdout.splitlines()
    assert "events that wait for the next start: 1; the last failure: " in told
    assert not done.stderr


def test_a_queue_in_memory_tells_what_is_gone(caplog, start):
    client = start(None, url="http://127.0.0.1:9")
    client.track("e", user="u")
    client.close()
    assert "events that are gone with their queue, which was in memory: 1" in caplog.text


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_problems_are_told_in_words(caplog, start, tmp_path):
    start(key="wrong").track("e", user="u")
    (tmp_path / "file").write_text("no folder")
    start(tmp_path / "file").track("e", user="u")
    wait_for(lambda: "delivery is paused, and everything is kept: Unauthenticated: " in caplog.text)
    wait_for(lambda: "the queue cannot be used now, and is tried again: " in caplog.text)
    assert "Problem." not in caplog.text
    words = footpath._problems._words
    assert "nothing has got through" in words(Problem.UNREACHABLE("no route"))
    assert "given up" in words(Problem.REJECTED("bad")) and "lost: the disk" in words(Problem.LOST("the disk"))
