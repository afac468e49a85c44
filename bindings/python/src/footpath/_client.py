"""The client: what an application holds."""

from __future__ import annotations

import atexit
import collections
import ctypes
import datetime
import enum
import logging
import multiprocessing.process
import os
import sys
import weakref
from typing import Any, Callable, Iterable, Mapping, Optional, TypeVar

from . import _core, _encode, _ending, _options, _problems
from ._core import Consent, Delivery, FlushResult, Problem, Who
from ._core import Receipt as ReceiptState
from ._waiting import Answer

_log = logging.getLogger("footpath")
_VERSION = "0.1.0"

_library = _core._UniffiLib
_track = _library.footpath_track
_track.argtypes = (ctypes.c_uint64, ctypes.c_char_p, ctypes.c_size_t)
_track.restype = ctypes.c_int64
_library.footpath_before_fork.argtypes = ()
_library.footpath_before_fork.restype = None
_library.footpath_after_fork.argtypes = (ctypes.c_int32,)
_library.footpath_after_fork.restype = None


class Tracked(enum.Enum):
    """What became of a call. Only ``TAKEN`` is true."""

    TAKEN = 0
    #: The event can never be right; the log says why.
    INVALID = -1
    #: It is larger than the server takes.
    TOO_LARGE = -2
    #: Too much waits.
    QUEUE_FULL = -3
    #: No consent, or not in the sample, or the hook left it out.
    NOT_WANTED = -4
    #: The client was closed.
    CLOSED = -5
    #: The client has met a bug of its own.
    DISABLED = -6

    def __bool__(self) -> bool:
        return self is Tracked.TAKEN


_TAKEN = Tracked.TAKEN
#: What the log says of refusals that no error explains.
_REASONS = {
    Tracked.TOO_LARGE: "it is larger than the server takes",
    Tracked.QUEUE_FULL: "too much waits; events come faster than the disk takes them, or it is full: see stats().last_error",
    Tracked.NOT_WANTED: "no consent, or not in the sample",
    Tracked.CLOSED: "the client was closed",
    Tracked.DISABLED: "the client has met a bug of its own, which an earlier line tells of",
}
_T = TypeVar("_T")
_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()


class Stats(_core.Stats):
    """What a client has done so far."""

    #: Calls that can never be right.
    invalid: int
    #: Events that are larger than the server takes.
    too_large: int
    #: Calls after ``close``, or after a bug of the client's own.
    after_close: int

    def __init__(self, of: _core.Stats, refused: "collections.Counter[Tracked]", left_out: int) -> None:
        vars(self).update(vars(of))
        self.not_wanted += left_out
        self.invalid = refused[Tracked.INVALID]
        self.too_large = refused[Tracked.TOO_LARGE]
        self.after_close = refused[Tracked.CLOSED] + refused[Tracked.DISABLED]

    def __repr__(self) -> str:
        return f"Stats({', '.join(f'{name}={value}' for name, value in vars(self).items())})"

    __str__ = __repr__


class Receipt:
    """How far a critical event has come. Waiting waits; not waiting is fine too."""

    def __init__(self, client: "Client", event_id: str) -> None:
        self._client = client
        #: ``Client.receipt`` takes it, in a later run too.
        self.event_id = event_id

    def wait_queued(self, seconds: float) -> Optional[ReceiptState]:
        """Waits until the event is on the disk; ``None`` when the time is up."""
        return Answer(self._client._inner.queued(self.event_id, _millis(seconds))).wait()

    def wait_delivered(self, seconds: float) -> Optional[ReceiptState]:
        """Waits until the server has the event or never will. When the time is up: how far it has come."""
        return Answer(self._client._inner.delivered(self.event_id, _millis(seconds))).wait()

    async def queued(self, seconds: float) -> Optional[ReceiptState]:
        """As ``wait_queued``, for async callers; it can be cancelled."""
        return await self._client._inner.queued(self.event_id, _millis(seconds))

    async def delivered(self, seconds: float) -> Optional[ReceiptState]:
        """As ``wait_delivered``, for async callers; it can be cancelled."""
        return await self._client._inner.delivered(self.event_id, _millis(seconds))

    def __reduce_ex__(self, _: object) -> "str | tuple[Any, ...]":
        raise TypeError(
            "a footpath.Receipt holds its client, and is neither copied nor pickled: keep its event_id, which client.receipt() takes"
            " in this process and in a later run"
        )


class Client:
    """Tracks events and delivers them.

    By default it is a backend's: every event names its user or anonymous id. With ``device=True`` it has a person and
    sessions of its own, as an app on somebody's desktop has.

    All threads of a process may share it. After a fork the child has a queue and streams of its own: the client goes on there
    by itself.
    """

    def __init__(
        self,
        endpoint: str,
        key: str,
        project: str,
        queue_folder: "str | os.PathLike[str] | None",
        *,
        device: bool = False,
        in_memory_transport: bool = False,
        strict: bool = False,
        before_send: Optional[Callable[[str, dict], Optional[Mapping[str, Any]]]] = None,
        on_problem: Optional[Callable[[Problem], None]] = None,
        exit_seconds: float = 2.0,
        app: str = "",
        app_version: str = "",
        first_consent: Optional[Consent] = None,
        batch_interval: Optional[float] = None,
        batch_events: Optional[int] = None,
        batch_bytes: Optional[int] = None,
        request_timeout: Optional[float] = None,
        ca_certificate: Optional[bytes] = None,
        ring_bytes: Optional[int] = None,
        max_bytes: Optional[int] = None,
        max_events: Optional[int] = None,
        max_age_days: Optional[int] = None,
        debug_view: Optional[str] = None,
        samples: Optional[Mapping[str, float]] = None,
    ) -> None:
        """Starts a client and returns at once.

        ``queue_folder``: where the queue lies; ``None`` keeps it in memory, gone with the process.
        ``strict``: calls raise for what they refuse, for tests.
        ``before_send``: gets name and properties of an event on the caller's thread, or the values of a person's or a group's
        properties that it changes; returns the properties to send, or ``None`` to leave the event out.
        ``on_problem``: is told what somebody has to act on, once until it changes, on a thread of its own that is there only
        while there is something to tell: it may close the client, wait and fork.
        ``first_consent``: of a device: what holds on a new install until ``set_consent``.
        ``batch_interval``: seconds that an event waits for company, 1 by default; ``batch_events`` and ``batch_bytes``: what a
        batch holds at most, 500 and 512 KiB by default.
        ``request_timeout``: seconds after which an attempt without an answer ends, 30 by default.
        ``ca_certificate``: trusts servers whose certificate this authority (PEM) signed, instead of the well-known ones.
        ``exit_seconds``: how long the end of the process may wait for the server. What is not delivered by then is sent after
        the next start.

        Raises ValueError or TypeError for a setting that makes no sense.
        """
        _options.check(locals(), Client.__init__.__kwdefaults__)
        self._strict = strict
        self._before_send = before_send
        self._exit_seconds = exit_seconds
        self._on_problem = on_problem
        self._logged: set[str] = set()
        self._config = dict(
            endpoint=endpoint,
            key=key,
            project=project,
            queue_folder=None if queue_folder is None else os.path.abspath(queue_folder),
            carrier=_core.Carrier.MEMORY if in_memory_transport else _core.Carrier.GRPC,
            backend=not device,
            first_consent=first_consent,
            library=f"footpath-python {_VERSION}",
            app=app,
            app_version=app_version,
            batch_interval_ms=None if batch_interval is None else _millis(batch_interval),
            batch_events=batch_events,
            batch_bytes=batch_bytes,
            request_timeout_ms=None if request_timeout is None else _millis(request_timeout),
            ca_certificate=ca_certificate,
            ring_bytes=ring_bytes,
            max_bytes=max_bytes,
            max_events=max_events,
            max_age_days=max_age_days,
            debug_view=debug_view,
            samples=None if samples is None else dict(samples),
        )
        self._is_held = False
        self._start()
        _clients.add(self)

    def _start(self) -> None:
        _follow_multiprocessing()
        config, listener = _core.Config(**self._config), _problems.Listener(self._on_problem)
        try:
            self._ending = _ending.Ending(lambda: _core.FootpathClient(config, listener, None), self._config)
        except _core.ClientError.Invalid as error:
            raise ValueError(error.why) from None
        self._let_go = weakref.finalize(self, self._ending)  # Nobody holds the client any more.
        self._let_go.atexit = False  # `_end_all` does it, after all have sent.
        self._inner = self._ending.inner
        self._handle = self._inner.track_handle()
        self._refused: "collections.Counter[Tracked]" = collections.Counter()
        self._left_out = 0
        if self._is_held:
            self._inner.hold()

    def track(
        self,
        name: str,
        properties: Optional[Mapping[str, Any]] = None,
        *,
        user: Optional[str] = None,
        anonymous: Optional[str] = None,
        session: Optional[str] = None,
        at: Optional[datetime.datetime] = None,
        lossy: bool = False,
    ) -> Tracked:
        """Takes an event. It survives the end of the process from here on. Never waits, and raises only when ``strict``."""
        delivery = _encode.LOSSY if lossy else _encode.NORMAL
        return self._take(self._push, delivery, name, properties, user, anonymous, session, at)

    def track_critical(
        self,
        name: str,
        properties: Optional[Mapping[str, Any]] = None,
        *,
        user: Optional[str] = None,
        anonymous: Optional[str] = None,
        session: Optional[str] = None,
        at: Optional[datetime.datetime] = None,
    ) -> Optional[Receipt]:
        """Takes an event that must not be lost even if the power fails, and answers its receipt; ``None``: it was refused."""
        taken = self._take(self._receive, _encode.CRITICAL, name, properties, user, anonymous, session, at)
        return taken if isinstance(taken, Receipt) else None

    def receipt(self, event_id: str) -> Receipt:
        """How far a critical event of this or an earlier run has come."""
        return Receipt(self, event_id)

    def set_person(
        self,
        set: Optional[Mapping[str, Any]] = None,
        *,
        set_once: Optional[Mapping[str, Any]] = None,
        unset: Iterable[str] = (),
        add: Optional[Mapping[str, float]] = None,
        user: Optional[str] = None,
        anonymous: Optional[str] = None,
    ) -> Tracked:
        """Changes properties of a person: sends the event ``person_updated``."""
        changes = _encode.Changes(set, set_once, unset, add)
        return self._send("person_updated", changes, user, anonymous, lambda encoded: dict(person=encoded))

    def group(
        self,
        kind: str,
        id: str,
        set: Optional[Mapping[str, Any]] = None,
        *,
        user: Optional[str] = None,
        anonymous: Optional[str] = None,
    ) -> Tracked:
        """Says that a person belongs to a group, and sets the group's properties: sends the event ``group_joined``."""
        changes = _encode.Changes(set)
        return self._send("group_joined", changes, user, anonymous, lambda encoded: dict(groups=[_encode.group(kind, id, encoded)]))

    def identify(self, user: str, set: Optional[Mapping[str, Any]] = None) -> Tracked:
        """Of a device: says who its person is. Another user than before begins with a new anonymous id."""
        return self._introduce("identify", _encode.Changes(set), lambda encoded: self._inner.identify(user, encoded), user=user)

    def link(self, anonymous: str, user: str, set: Optional[Mapping[str, Any]] = None) -> Tracked:
        """Of a backend: says that the person behind an anonymous id is a user."""
        link = lambda encoded: self._inner.link(anonymous, user, encoded)
        return self._introduce("link", _encode.Changes(set), link, anonymous=anonymous, user=user)

    def alias(self, name: str) -> Tracked:
        """Of a device: gives its person another name."""
        return self._call("alias", lambda: self._inner.alias(name))

    def reset(self) -> Tracked:
        """Of a device: forgets its person, as after a logout."""
        return self._call("reset", self._inner.reset)

    def register(self, key: str, item: Any) -> Tracked:
        """Of a device: sets a property of every later event."""
        return self._call("register", lambda: self._inner.register(key, _encode.value(item)), {key: item})

    def unregister(self, key: str) -> Tracked:
        """Of a device: takes a shared property away again."""
        return self._call("unregister", lambda: self._inner.unregister(key))

    def set_consent(self, consent: Consent) -> Tracked:
        """Of a device: what its person allows."""
        return self._call("set_consent", lambda: self._inner.set_consent(consent))

    def delete_my_data(self) -> Tracked:
        """Of a device: asks the server to delete what it knows of the person."""
        return self._call("delete_my_data", self._inner.delete_my_data)

    def is_open(self) -> bool:
        """Whether the storage is open: from then on, what was taken outlives the process."""
        return self._inner.is_open()

    def who(self) -> Optional[Who]:
        """Of a device: whom events belong to now, and what that person allows; ``None`` until the storage is open."""
        return self._inner.who()

    def hold(self) -> None:
        """Stops sending. Events are taken and kept."""
        self._is_held = True
        self._inner.hold()

    def resume(self) -> None:
        """Goes on sending at once, after ``hold``, a pause, or during a wait after a failure."""
        self._is_held = False
        self._inner.resume()

    def try_now(self) -> None:
        """Sends at once, also during a wait after a failure, unless delivery is paused or held: for whoever knows that the
        network is back."""
        self._inner.try_now()

    def set_key(self, key: str) -> None:
        """Sends with another project key from now on."""
        if self._call("set_key", lambda: self._inner.set_key(key)):
            self._config["key"] = key

    def stats(self) -> Stats:
        """What this client has done so far."""
        return Stats(self._inner.stats(), self._refused, self._left_out)

    def wait_flushed(self, seconds: float) -> FlushResult:
        """Sends what was tracked so far and waits until it has reached its end, or the time is up."""
        return Answer(self._inner.flush(_millis(seconds))).wait()

    async def flush(self, seconds: float) -> FlushResult:
        """As ``wait_flushed``, for async callers; it can be cancelled."""
        return await self._inner.flush(_millis(seconds))

    def close(self, seconds: float = 0.0) -> None:
        """Waits for the server up to ``seconds``, saves what was not delivered and ends the client. May be called from
        ``on_problem``, too, and more than once."""
        millis = _millis(seconds)
        try:
            if millis > 0 and not self._ending.is_over:
                Answer(self._inner.flush(millis)).wait()
        finally:  # After Ctrl-C, too.
            self._ending()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close(self._exit_seconds)

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.flush(self._exit_seconds)
        finally:  # Cancelled, too.
            self.close()

    def _take(
        self,
        put: "Callable[[str, bytes], _T]",
        delivery: bytes,
        name: str,
        properties: Optional[Mapping[str, Any]],
        user: Optional[str],
        anonymous: Optional[str],
        session: Optional[str],
        at: Optional[datetime.datetime],
    ) -> "_T | Tracked":
        if self._before_send is not None:
            seen = self._show(name, properties)
            if isinstance(seen, Tracked):
                return seen
            properties = seen
        try:
            frame = _encode.event(delivery, name, properties, user, anonymous, session, at)
        except Exception as error:
            why = _encode.why(error, name, properties, at, user=user, anonymous=anonymous, session=session)
            return self._refuse(Tracked.INVALID, name, why)
        return put(name, frame)

    def _push(self, name: str, frame: bytes) -> Tracked:
        code = _track(self._handle, frame, len(frame))
        if code == 0:
            return _TAKEN
        refused, error = Tracked(code), None
        if refused in (Tracked.INVALID, Tracked.TOO_LARGE):
            error = self._error_of(frame)
        return self._refuse(refused, name, error)

    def _receive(self, name: str, frame: bytes) -> "Receipt | Tracked":
        try:
            return Receipt(self, self._inner.track(frame[1:], Delivery.CRITICAL))
        except Exception as error:
            return self._refuse(_code_of(error), name, error)

    def _send(
        self,
        name: str,
        changes: _encode.Changes,
        user: Optional[str],
        anonymous: Optional[str],
        put: "Callable[[bytes], dict[str, Any]]",
    ) -> Tracked:
        """An event that changes the properties of a person or a group."""
        seen = self._show_changes(name, changes)
        if isinstance(seen, Tracked):
            return seen
        try:
            frame = _encode.event(_encode.NORMAL, name, None, user, anonymous, **put(seen.encoded()))
        except Exception as error:
            return self._refuse(Tracked.INVALID, name, _encode.why(error, name, seen.values(), user=user, anonymous=anonymous))
        return self._push(name, frame)

    def _introduce(self, what: str, changes: _encode.Changes, call: Callable[[bytes], Any], **ids: Any) -> Tracked:
        """The client's own event that says who somebody is."""
        seen = self._show_changes("$identify", changes)
        if isinstance(seen, Tracked):
            return seen
        return self._call(what, lambda: call(seen.encoded()), seen.values(), **ids)

    def _call(self, what: str, call: Callable[[], Any], values: Optional[Mapping[str, Any]] = None, **ids: Any) -> Tracked:
        try:
            call()
            return _TAKEN
        except _core.ClientError as error:
            return self._refuse(_code_of(error), what, error)
        except Exception as error:
            return self._refuse(Tracked.INVALID, what, _encode.why(error, what, values, **ids))

    def _show(self, name: str, properties: Optional[Mapping[str, Any]]) -> "Optional[Mapping[str, Any]] | Tracked":
        """The properties as ``before_send`` leaves them, or what became of the event."""
        if not isinstance(name, str) or not isinstance(properties, (Mapping, type(None))):
            return properties  # Encoding says what is wrong.
        try:
            seen = self._before_send(name, dict(properties or {}))  # type: ignore[misc]
        except Exception as error:
            failed = RuntimeError("before_send failed")
            failed.__cause__ = error
            return self._refuse(Tracked.INVALID, name, failed)
        if seen is None:
            self._left_out += 1
            return Tracked.NOT_WANTED
        if not isinstance(seen, Mapping):
            wrong = f"before_send returns the properties, or None to leave the event out, and not a {type(seen).__name__}"
            return self._refuse(Tracked.INVALID, name, TypeError(wrong))
        return seen

    def _show_changes(self, name: str, changes: _encode.Changes) -> "_encode.Changes | Tracked":
        try:
            values = changes.values()
        except TypeError as error:
            return self._refuse(Tracked.INVALID, name, error)
        if self._before_send is None:
            return changes
        seen = self._show(name, values)
        return seen if isinstance(seen, Tracked) else changes.with_values(seen or {})

    def _refuse(self, code: Tracked, name: str, error: Optional[Exception]) -> Tracked:
        self._refused[code] += 1
        if self._strict:
            raise error if error is not None else RuntimeError(f"{name}: {code.name}")
        reason = _reason(code, error)
        kind = f"{name}: {reason}" if code is Tracked.INVALID else code.name
        if kind not in self._logged and len(self._logged) < 1_000:
            self._logged.add(kind)
            cause = error.__cause__ if error is not None else None
            _log.warning("footpath: %.100s: %s: %s (told once; stats() counts)", name, code.name, reason, exc_info=cause)
        return code

    def _error_of(self, frame: bytes) -> Optional[Exception]:
        """The same event the slow way, which says what is wrong."""
        try:
            self._inner.track(frame[1:], Delivery.NORMAL)
        except Exception as error:
            return error
        return None

    def __reduce_ex__(self, _: object) -> "str | tuple[Any, ...]":
        # What copy, deepcopy and pickle ask.
        raise TypeError(
            "a footpath.Client is neither copied nor pickled: its threads may share it, another process makes one of its own,"
            " and a fork goes on with one by itself"
        )

    def _after_fork(self) -> None:
        was_closed = self._ending.is_over
        self._let_go.detach()
        self._ending.leave_to_parent()
        if was_closed:
            self._config["queue_folder"] = None
        self._start()
        if was_closed:
            self._ending()


def _code_of(error: Exception) -> Tracked:
    kinds = _core.ClientError
    for kind, code in (
        (kinds.TooLarge, Tracked.TOO_LARGE),
        (kinds.QueueFull, Tracked.QUEUE_FULL),
        (kinds.NotWanted, Tracked.NOT_WANTED),
        (kinds.Closed, Tracked.CLOSED),
        (kinds.Disabled, Tracked.DISABLED),
    ):
        if isinstance(error, kind):
            return code
    return Tracked.INVALID


def _reason(code: Tracked, error: Optional[Exception]) -> str:
    if isinstance(error, _core.ClientError.TooLarge):
        return f"{error.bytes} bytes, {error.limit} are allowed"
    if code is Tracked.INVALID:
        return str(getattr(error, "why", None) or error)
    return _REASONS.get(code, "")


def _millis(seconds: float) -> int:
    return int(min(max(0.0, float(seconds) * 1_000), 2.0**53))


def _all_clients() -> "list[Client]":
    while True:
        try:
            return list(_clients)
        except RuntimeError:  # Another thread has just made one.
            continue


def _end_all() -> None:
    """The end of the process: all clients send at the same time."""
    try:
        waiting = [client for client in _all_clients() if client._exit_seconds > 0 and not client._ending.is_over]
        flushes = [Answer(client._inner.flush(_millis(client._exit_seconds))) for client in waiting]
        for flush in flushes:
            flush.wait()
        _ending.end_all()
        _problems.wait_told(1.0)
    finally:  # After Ctrl-C, too.
        _ending.shut_border()
        _ending.end_all()


def _end_with_child(*_: object) -> None:
    sys.modules["multiprocessing.util"].Finalize(None, _end_all, exitpriority=10)


def _follow_multiprocessing() -> None:
    """Children of multiprocessing end without ``atexit``, and clear what was to be done instead as their first step."""
    util = sys.modules.get("multiprocessing.util")
    if util is None:
        return
    if multiprocessing.process.parent_process() is not None:
        _end_with_child()
    util.register_after_fork(_library, _end_with_child)


def _in_child() -> None:
    _library.footpath_after_fork(1)
    _problems.in_child()
    _ending.in_child()
    _follow_multiprocessing()
    for client in _all_clients():
        client._after_fork()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_library.footpath_before_fork,
        after_in_parent=lambda: _library.footpath_after_fork(0),
        after_in_child=_in_child,
    )
