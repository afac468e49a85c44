"""Events as bytes: the fields of a footpath.v1.Event that are the application's, behind one byte for the class.

Written by hand, because this is what a caller waits for. The core checks every byte of it.
"""

from __future__ import annotations

import datetime
import decimal
import numbers
import struct
from typing import Any, Iterable, Mapping, NamedTuple, Optional

CRITICAL, NORMAL, LOSSY = b"\x01", b"\x02", b"\x03"

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_BILLION = decimal.Decimal(1_000_000_000)
_EXACT = decimal.Context(prec=64, traps=[decimal.Inexact, decimal.InvalidOperation])
_MICROSECOND = datetime.timedelta(microseconds=1)
_INT64 = range(-(2**63), 2**63)
_double = struct.Struct("<Bd").pack
_SHORT = [bytes((n,)) for n in range(128)]
_KEY_CACHE: dict[str, bytes] = {}
_KEYS_CACHED = 4096


class Money(NamedTuple):
    """An exact amount: units + nanos / 10^9 of an ISO 4217 currency, both of the same sign."""

    currency: str
    units: int
    nanos: int


def money(amount: "str | int | decimal.Decimal", currency: str) -> Money:
    """An exact amount, for example ``money("12.50", "EUR")``. A float is refused: it is not exact."""
    if isinstance(amount, (float, bool)) or not isinstance(amount, (str, int, decimal.Decimal)):
        raise TypeError("an amount is a str, int or Decimal; a float is not exact")
    try:
        exact = decimal.Decimal(amount)
        if not exact.is_finite() or not abs(exact) < 2**63:
            raise ValueError
        whole = _EXACT.multiply(exact, _BILLION).to_integral_exact(context=_EXACT)
    except (ValueError, decimal.DecimalException):
        raise ValueError(f"{amount!r} is no amount with at most nine places and 63 bits of units") from None
    sign = -1 if whole < 0 else 1
    units, nanos = divmod(abs(int(whole)), 1_000_000_000)
    return Money(currency, sign * units, sign * nanos)


def varint(value: int) -> bytes:
    """A varint; negative numbers as 64 bits."""
    if 0 <= value < 128:
        return _SHORT[value]
    if not -(2**63) <= value < 2**64:
        raise ValueError("a whole number has at most 64 bits")
    value &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _prefixed(tag: bytes, content: bytes) -> bytes:
    size = len(content)
    return tag + (_SHORT[size] if size < 128 else varint(size)) + content


def value(item: Any) -> bytes:
    """The fields of a footpath.v1.Value. Raises TypeError or ValueError for what is none."""
    kind = type(item)
    if kind is str:
        return _prefixed(b"\x0a", item.encode())
    if kind is int:
        if item not in _INT64:
            raise ValueError("a whole number has at most 64 bits; use Decimal")
        return b"\x10" + varint(item)
    if kind is float:
        return _double(0x19, item)
    if kind is bool:
        return b"\x30\x01" if item else b"\x30\x00"
    if kind is Money:
        if item.units not in _INT64:
            raise ValueError("an amount has at most 63 bits of units")
        fields = _prefixed(b"\x0a", item.currency.encode()) + b"\x10" + varint(item.units) + b"\x18" + varint(item.nanos)
        return _prefixed(b"\x2a", fields)
    return _rare_value(item)


def _rare_value(item: Any) -> bytes:
    if isinstance(item, decimal.Decimal):
        return _prefixed(b"\x22", format(item, "f").encode())
    if isinstance(item, datetime.datetime):
        return _prefixed(b"\x3a", time(item))
    if isinstance(item, Mapping):
        entries = b"".join(_prefixed(b"\x0a", _entry(key, one)) for key, one in item.items() if one is not None)
        return _prefixed(b"\x4a", entries)
    if isinstance(item, (list, tuple)):
        return _prefixed(b"\x42", b"".join(_prefixed(b"\x0a", value(one)) for one in item))
    if isinstance(item, str):  # A subclass, such as an enumeration of texts, whose str() is its name.
        return _prefixed(b"\x0a", str.encode(item))
    for base in (int, float):
        if isinstance(item, base):
            return value(base(item))
    raise TypeError(f"a {type(item).__name__} is no value: a str, int, float, bool, Decimal, datetime, money, list or mapping is")


def _key(key: str) -> bytes:
    known = _KEY_CACHE.get(key)
    if known is None:
        known = _prefixed(b"\x0a", key.encode()) + b"\x12"
        if len(_KEY_CACHE) < _KEYS_CACHED:
            _KEY_CACHE[key] = known
    return known


def _entry(key: str, item: Any) -> bytes:
    content = value(item)
    size = len(content)
    return _key(key) + (_SHORT[size] if size < 128 else varint(size)) + content


def time(moment: datetime.datetime) -> bytes:
    """The fields of a google.protobuf.Timestamp. A moment without a zone is local time, as everywhere in Python."""
    if moment.tzinfo is None:
        moment = moment.astimezone()
    seconds, micros = divmod((moment - _EPOCH) // _MICROSECOND, 1_000_000)
    return b"\x08" + varint(seconds) + b"\x10" + varint(micros * 1_000)


class Changes(NamedTuple):
    """Changes to the properties of a person or a group."""

    set: Optional[Mapping[str, Any]] = None
    set_once: Optional[Mapping[str, Any]] = None
    unset: Iterable[str] = ()
    add: Optional[Mapping[str, float]] = None

    def values(self) -> "dict[str, Any]":
        """All their values by property. Raises TypeError for what is no mapping."""
        values: "dict[str, Any]" = {}
        for which in ("add", "set_once", "set"):
            some = getattr(self, which)
            if not isinstance(some, (Mapping, type(None))):
                raise TypeError(f"{which} is a mapping, not {type(some).__name__}")
            values.update(some or {})
        return values

    def with_values(self, values: Mapping[str, Any]) -> "Changes":
        """The same with these values: a property that is not in them stays as it is, one that is new is set."""
        kept = lambda some: {key: values[key] for key in some or {} if key in values}
        known = self.values()
        new = {key: item for key, item in values.items() if key not in known}
        return self._replace(set={**kept(self.set), **new}, set_once=kept(self.set_once), add=kept(self.add))

    def encoded(self) -> bytes:
        """The fields of a footpath.v1.PropertyChanges. Raises TypeError or ValueError for what is none."""
        return changes(*self)


def changes(
    set: Optional[Mapping[str, Any]] = None,
    set_once: Optional[Mapping[str, Any]] = None,
    unset: Iterable[str] = (),
    add: Optional[Mapping[str, float]] = None,
) -> bytes:
    """The fields of a footpath.v1.PropertyChanges."""
    if isinstance(unset, (str, bytes)):
        raise TypeError(f"unset is a list of names, not {type(unset).__name__}")
    parts = [_prefixed(b"\x0a", _entry(key, item)) for key, item in (set or {}).items() if item is not None]
    parts += [_prefixed(b"\x12", _entry(key, item)) for key, item in (set_once or {}).items() if item is not None]
    parts += [_prefixed(b"\x1a", key.encode()) for key in unset]
    for key, amount in (add or {}).items():
        if isinstance(amount, bool) or not isinstance(amount, numbers.Number):
            raise TypeError(f'property "{key}": a number is added, not a {type(amount).__name__}')
        parts.append(_prefixed(b"\x22", _prefixed(b"\x0a", key.encode()) + _double(0x11, float(amount))))
    return b"".join(parts)


def group(kind: str, id: str, of: bytes) -> bytes:
    """The fields of a footpath.v1.GroupChange."""
    return _prefixed(b"\x0a", kind.encode()) + _prefixed(b"\x12", id.encode()) + _prefixed(b"\x1a", of)


def event(
    delivery: bytes,
    name: str,
    properties: Optional[Mapping[str, Any]],
    user: Optional[str] = None,
    anonymous: Optional[str] = None,
    session: Optional[str] = None,
    at: Optional[datetime.datetime] = None,
    person: bytes = b"",
    groups: Iterable[bytes] = (),
) -> bytes:
    """What ``footpath_track`` takes: the class, then the event's frame."""
    parts = [delivery, _prefixed(b"\x1a", name.encode())]
    if properties:
        for key, item in properties.items():
            if item is None:
                continue
            entry = _entry(key, item)
            size = len(entry)
            parts += (b"\x5a", _SHORT[size] if size < 128 else varint(size), entry)
    if at is not None:
        parts.append(_prefixed(b"\x22", time(at)))
    if anonymous is not None:
        parts.append(_prefixed(b"\x2a", anonymous.encode()))
    if user is not None:
        parts.append(_prefixed(b"\x32", user.encode()))
    if session is not None:
        parts.append(_prefixed(b"\x3a", session.encode()))
    if person:
        parts.append(_prefixed(b"\x6a", person))
    parts += (_prefixed(b"\x72", one) for one in groups)
    return b"".join(parts)


def why(error: Exception, name: Any, properties: Any, at: Any = None, **ids: Any) -> Exception:
    """What is wrong with an event that could not be encoded, with the name of the property where it is one."""
    if not isinstance(name, str):
        return TypeError(f"a name is a str, not {type(name).__name__}")
    for which, id in ids.items():
        if not isinstance(id, (str, type(None))):
            return TypeError(f"{which} is a str, not {type(id).__name__}")
    if not isinstance(at, (datetime.datetime, type(None))):
        return TypeError(f"at is a datetime, not {type(at).__name__}")
    if properties is not None and not isinstance(properties, Mapping):
        return TypeError(f"properties are a mapping, not {type(properties).__name__}")
    try:
        for key, item in (properties or {}).items():
            if not isinstance(key, str):
                return TypeError(f"a property's name is a str, not {type(key).__name__}")
            try:
                event(NORMAL, "", {key: item})
            except RecursionError:
                return ValueError(f'property "{key}": lists and mappings are nested at most five deep')
            except Exception as wrong:
                return ValueError(f'property "{key}": {wrong}')
    except Exception as wrong:
        return wrong
    return error
