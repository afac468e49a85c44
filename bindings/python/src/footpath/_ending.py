"""The end of clients, and of the process: a Python that ends must not be called any more, or the process is aborted.

The core calls into Python from a client's own thread, which has ended when `Ending` has been called, and from the thread
that makes a client or looks at one of the core's coroutines, which passes `border`.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Callable, Mapping

from . import _core

_log = logging.getLogger("footpath")
#: Held while the core may call into Python from the thread that calls it.
border = threading.RLock()
_is_shut = False
#: What has not ended. A client that nobody holds any more stays here until it has.
_running: "set[Ending]" = set()
#: What belongs to the parent of this process; never freed here.
_of_parents: "list[_core.FootpathClient]" = []


class Ending:
    """Ends what runs of one client, once. Whoever comes second waits for the first."""

    def __init__(self, make: "Callable[[], _core.FootpathClient]", config: Mapping[str, Any]) -> None:
        self._lock = threading.RLock()  # Taken again by a signal's handler that closes the client.
        self._config = config
        self.is_over = False
        with border:
            if _is_shut:
                raise RuntimeError("the process ends: no client can be made any more")
            self.inner = make()
            _running.add(self)

    def __call__(self) -> None:
        """When it returns, nothing of the client runs any more."""
        with self._lock:
            if self.is_over:
                return
            unsaved = self.inner.shutdown()
            self.is_over = True
            _running.discard(self)
        if unsaved is not None:
            _log.error("footpath: %s", unsaved)
        self._say_what_waits()

    def _say_what_waits(self) -> None:
        stats = self.inner.stats()
        if not stats.pending or self._config["carrier"] is _core.Carrier.MEMORY:
            return
        if self._config["queue_folder"] is None:
            _log.warning("footpath: events that are gone with their queue, which was in memory: %d", stats.pending)
        elif stats.last_error is not None:
            _log.warning("footpath: events that wait for the next start: %d; the last failure: %s", stats.pending, stats.last_error)

    def leave_to_parent(self) -> None:
        """In a child: the threads are the parent's."""
        self.inner._handle = None  # Freeing it would reach for them.
        _of_parents.append(self.inner)


def end_all() -> None:
    """Also those that another thread is just ending."""
    for ending in list(_running):
        ending()


def shut_border() -> None:
    """From here on no client is made, and only the thread that ends the process looks at coroutines: others that await one
    wait until it has ended."""
    global _is_shut
    with border:
        _is_shut = True


def in_child() -> None:
    """The locks may be held by threads that are not here."""
    global border, _is_shut
    border, _is_shut = threading.RLock(), False
    for ending in _running:
        ending.leave_to_parent()
    _running.clear()


def _passes_border(call: "Callable[..., None]") -> "Callable[..., None]":
    def passes(*args: Any) -> None:
        with border:
            if not _is_shut or threading.current_thread() is threading.main_thread():
                call(*args)

    return passes


# Both call back at once where an answer is there, or is given up.
for _name in ("ffi_footpath_rust_future_poll_rust_buffer", "ffi_footpath_rust_future_free_rust_buffer"):
    setattr(_core._UniffiLib, _name, _passes_border(getattr(_core._UniffiLib, _name)))
