import datetime
import decimal
import enum

import pytest

from footpath import Money, _encode, money


def decoded(messages, frame):
    return messages("Event").FromString(frame[1:])


def test_every_kind_is_what_a_generated_client_reads(messages):
    class Plan(str, enum.Enum):
        PRO = "pro"

    moment = datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=datetime.timezone.utc)
    properties = {
        "text": "ü" * 100, "int": -5, "big": 2**62, "double": 1.5, "yes": True, "no": False,
        "decimal": decimal.Decimal("12.340"), "small": decimal.Decimal("1E-7"), "money": money("-3.25", "CHF"),
        "time": moment, "list": [1, "x"], "map": {"a": {"b": 2}}, "plan": Plan.PRO, "long": "y" * 20_000,
        "none": None, "nones": {"a": None, "b": 1},
    }
    frame = _encode.event(_encode.LOSSY, "paid", properties, user="u", anonymous="a", session="s", at=moment)
    assert frame[:1] == b"\x03"
    event = decoded(messages, frame)
    assert (event.name, event.user_id, event.anonymous_id, event.session_id) == ("paid", "u", "a", "s")
    assert (event.time.seconds, event.time.nanos) == (-1, 999_999_000)
    got = event.properties
    assert (got["text"].string_value, got["int"].int_value, got["big"].int_value) == ("ü" * 100, -5, 2**62)
    assert (got["double"].double_value, got["yes"].bool_value, got["no"].WhichOneof("kind")) == (1.5, True, "bool_value")
    assert (got["decimal"].decimal_value, got["small"].decimal_value) == ("12.340", "0.0000001")
    assert (got["money"].money_value.units, got["money"].money_value.nanos) == (-3, -250_000_000)
    assert got["time"].time_value.nanos == 999_999_000
    assert [one.WhichOneof("kind") for one in got["list"].list_value.values] == ["int_value", "string_value"]
    assert got["map"].map_value.values["a"].map_value.values["b"].int_value == 2
    assert (got["plan"].string_value, got["long"].string_value) == ("pro", "y" * 20_000)
    assert "none" not in got and list(got["nones"].map_value.values) == ["b"]


def test_changes(messages):
    changes = messages("PropertyChanges").FromString(_encode.changes({"a": 1}, {"b": 2}, ["c"], {"d": 3}))
    assert (changes.set["a"].int_value, changes.set_once["b"].int_value) == (1, 2)
    assert (list(changes.unset), changes.add["d"]) == (["c"], 3.0)


def test_amounts_are_exact():
    assert money("12.50", "EUR") == ("EUR", 12, 500_000_000)
    assert money("-0.000000001", "EUR") == ("EUR", 0, -1)
    assert money(7, "EUR") == ("EUR", 7, 0)
    assert money("9223372036854775807.999999999", "EUR") == ("EUR", 2**63 - 1, 999_999_999)
    assert money(decimal.Decimal("-9223372036854775807.5"), "EUR") == ("EUR", -(2**63) + 1, -500_000_000)
    for wrong in ("1.0000000001", "x", "nan", "inf", "1e30", "9223372036854775808", "0." + "1" * 60, "1e-400"):
        with pytest.raises(ValueError):
            money(wrong, "EUR")
    for wrong in (1.1, True, None):
        with pytest.raises(TypeError):
            money(wrong, "EUR")


@pytest.mark.parametrize("wrong", [2**63, object(), {"x": object()}, b"bytes", {1: 2}, [None], Money("EUR", 2**63, 0), Money("EUR", 1, 2**70)])
def test_what_is_no_value_is_an_error(wrong):
    with pytest.raises((TypeError, ValueError, AttributeError)):
        _encode.event(_encode.NORMAL, "e", {"p": wrong})
