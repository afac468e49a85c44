import math
from pathlib import Path

import pytest

import footpath
from footpath import Consent


def client(**settings):
    given = dict(endpoint="", key="", project="demo", queue_folder=None, in_memory_transport=True)
    return footpath.Client(**{**given, **settings})


@pytest.mark.parametrize("name, wrong", [
    *[(name, number) for name in ("exit_seconds", "batch_interval", "request_timeout") for number in (-1, -0.001, math.nan, math.inf)],
    ("request_timeout", 0),
    *[(name, number) for name in ("batch_events", "batch_bytes", "ring_bytes", "max_bytes", "max_events", "max_age_days")
      for number in (0, -1, 2**64)],
    ("ring_bytes", 1000),
    ("endpoint", "localhost:7400"), ("project", ""), ("queue_folder", ""), ("debug_view", ""), ("ca_certificate", b"/etc/ca.pem"),
    ("samples", {"scrolled": 1.5}), ("samples", {"scrolled": -0.1}), ("samples", {"scrolled": math.nan}), ("samples", {1: 0.5}),
    ("samples", {"scrolled": "half"}),
])  # fmt: skip
def test_a_value_that_makes_no_sense(name, wrong):
    with pytest.raises(ValueError, match=f"^{name}: .*, not "):
        client(**{name: wrong})


@pytest.mark.parametrize("name, wrong", [
    *[(name, item) for name in ("exit_seconds", "batch_interval", "request_timeout") for item in ("2", True)],
    *[(name, item) for name in ("batch_events", "batch_bytes", "ring_bytes", "max_bytes", "max_events", "max_age_days")
      for item in (1.5, "9", True)],
    *[(name, item) for name in ("device", "in_memory_transport", "strict") for item in (1, "yes", None)],
    *[(name, 5) for name in ("before_send", "on_problem", "endpoint", "project", "queue_folder", "app", "app_version",
                             "first_consent", "ca_certificate", "debug_view", "samples")],
    ("exit_seconds", None), ("queue_folder", b"bytes"), ("first_consent", "denied"), ("samples", [("scrolled", 0.5)]),
])  # fmt: skip
def test_a_value_of_another_kind(name, wrong):
    with pytest.raises(TypeError, match=f"^{name}: .*, not "):
        client(**{name: wrong})


def test_an_unknown_name():
    with pytest.raises(TypeError, match="batch_size"):
        client(batch_size=5)


def test_a_key_is_not_shown():
    for wrong in (b"secret", ["secret"]):
        with pytest.raises(TypeError, match="^key: a str that is not empty$"):
            client(key=wrong)
    with pytest.raises(ValueError, match="^key: a str"):
        client(endpoint="http://127.0.0.1:9", in_memory_transport=False)


def test_an_endpoint_that_is_none():
    with pytest.raises(ValueError, match="endpoint"):
        client(endpoint="http://", key="k", in_memory_transport=False)


@pytest.mark.parametrize("consent", [Consent.DENIED, Consent.PENDING])
def test_a_backend_has_nobody_to_ask(consent):
    with pytest.raises(ValueError, match="device=True"):
        client(first_consent=consent)
    with client(first_consent=consent, device=True, exit_seconds=0) as device:
        assert device.wait_flushed(0.1) is not None
        assert device.who().consent == consent


def test_the_least_of_everything_goes(tmp_path):
    least = dict(
        exit_seconds=0, batch_interval=0, batch_events=1, batch_bytes=1, request_timeout=0.001, ring_bytes=131_072, max_bytes=1 << 20,
        max_events=1, max_age_days=1, samples={"scrolled": 0, "clicked": 1.0}, first_consent=Consent.GRANTED, on_problem=print,
        before_send=lambda name, properties: properties, debug_view="mine", app="shop", app_version="1", queue_folder=Path(tmp_path),
    )  # fmt: skip
    with client(**least) as small:
        assert small.track("largest", {"text": "x" * 32_000}, user="u")
        assert small.wait_flushed(10).complete
