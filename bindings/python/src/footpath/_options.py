"""What the settings of a client may be. What makes no sense is an error where it is written, not a client that never sends."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Optional

from ._core import Consent


class _Rule(NamedTuple):
    #: What is right, in words.
    right: str
    kinds: "tuple[type, ...]"
    holds: "Callable[[Any], bool]" = lambda item: True


def _seconds(least: float) -> _Rule:
    return _Rule(f"seconds, at least {least}", (int, float), lambda item: least <= item < math.inf)


def _count(most: int, least: int = 1) -> _Rule:
    return _Rule(f"a whole number from {least} to {most}", (int,), lambda item: least <= item <= most)


def _is_url(item: str) -> bool:
    return item.startswith(("http://", "https://"))


def _is_folder(item: "str | os.PathLike[str] | None") -> bool:
    return item is None or os.fspath(item) != ""


def _are_shares(samples: "Mapping[Any, Any]") -> bool:
    numbers = (share for name, share in samples.items() if isinstance(name, str) and isinstance(share, (int, float)))
    return sum(0 <= share <= 1 for share in numbers) == len(samples)


_NAME = _Rule("a str that is not empty", (str,), bool)
_TEXT = _Rule("a str", (str,))
_FLAG = _Rule("True or False", (bool,))
_HOOK = _Rule("a function", (Callable,))
_RULES = {
    "in_memory_transport": _FLAG,
    "endpoint": _Rule("a str that begins with http:// or https://", (str,), _is_url),
    "key": _NAME,
    "project": _NAME,
    "queue_folder": _Rule("the path of a folder, or None for a queue in memory", (str, os.PathLike, type(None)), _is_folder),
    "device": _FLAG,
    "strict": _FLAG,
    "before_send": _HOOK,
    "on_problem": _HOOK,
    "exit_seconds": _seconds(0),
    "app": _TEXT,
    "app_version": _TEXT,
    "first_consent": _Rule("a footpath.Consent", (Consent,)),
    "batch_interval": _seconds(0),
    "batch_events": _count(2**32 - 1),
    "batch_bytes": _count(2**63 - 1),
    "request_timeout": _seconds(0.001),
    "ca_certificate": _Rule("the bytes of a certificate in PEM", (bytes,), lambda item: b"-----BEGIN CERTIFICATE-----" in item),
    "ring_bytes": _count(2**30, least=2**17),  # The largest event has to fit in.
    "max_bytes": _count(2**63 - 1),
    "max_events": _count(2**63 - 1),
    "max_age_days": _count(2**32 - 1),
    "debug_view": _NAME,
    "samples": _Rule("a mapping from names of events to shares from 0 to 1", (Mapping,), _are_shares),
}


def check(given: "Mapping[str, Any]", defaults: "Mapping[str, Any]") -> None:
    """Raises TypeError or ValueError for a setting that makes no sense, with its name and what is right."""
    in_memory = given["in_memory_transport"] is True
    for name, rule in _RULES.items():
        item = given[name]
        is_default = name in defaults and item is defaults[name]
        # Nobody asks for these where batches stay in memory.
        if is_default or in_memory and name in ("endpoint", "key") and item == "":
            continue
        wrong = _wrong(rule, item)
        if wrong is not None:
            raise wrong(f"{name}: {rule.right}" + ("" if name == "key" else f", not {item!r:.100}"))
    if given["first_consent"] in (Consent.PENDING, Consent.DENIED) and not given["device"]:
        raise ValueError(
            "first_consent is of a device: a backend has no person who could be asked. Do not track those who have not agreed,"
            " or say device=True where the client belongs to one person"
        )


def _wrong(rule: _Rule, item: Any) -> "Optional[type[Exception]]":
    if not isinstance(item, rule.kinds) or isinstance(item, bool) and rule is not _FLAG:
        return TypeError
    return None if rule.holds(item) else ValueError
