"""Tells the application of problems, on a thread of its own.

The client's thread must not run an application's code: that may close the client, wait for what it tracked, or fork, each
of which waits for that very thread. It only leaves the problem here. The thread that tells it is there while there is
something to tell; the end of the process waits for it, a second at most.
"""

from __future__ import annotations

import collections
import logging
import threading
import time
from typing import Callable, Optional

from . import _core

_log = logging.getLogger("footpath")
#: What is left behind by a listener that hangs is not kept for ever.
_MOST_WAITING = 100
#: The threads that tell something now.
_telling: "set[threading.Thread]" = set()


class Listener(_core.ProblemListener):
    """One client's, in one process: a fork has another."""

    def __init__(self, tell: "Optional[Callable[[_core.Problem], None]]") -> None:
        self._tell = tell
        self._waiting: "collections.deque[_core.Problem]" = collections.deque(maxlen=_MOST_WAITING)
        self._lock = threading.Lock()
        self._is_telling = False

    def on_problem(self, problem: "_core.Problem") -> None:
        """Called by the client's thread."""
        with self._lock:
            self._waiting.append(problem)
            if self._is_telling:
                return
            self._is_telling = True
        thread = threading.Thread(target=self._tell_all, name="footpath-problems", daemon=True)
        _telling.add(thread)
        try:
            thread.start()
        except RuntimeError:  # The interpreter is about to end and starts none any more, or there are too many.
            _telling.discard(thread)
            for one in iter(self._next, None):
                _log.warning("footpath: %s", _words(one))

    def _next(self) -> "Optional[_core.Problem]":
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._is_telling = False
            return None

    def _tell_all(self) -> None:
        try:
            for problem in iter(self._next, None):
                self._tell_one(problem)
        finally:
            _telling.discard(threading.current_thread())

    def _tell_one(self, problem: "_core.Problem") -> None:
        _log.warning("footpath: %s", _words(problem))
        if self._tell is None:
            return
        try:
            self._tell(problem)
        except BaseException:  # SystemExit, too: what else there is to tell must not wait for ever.
            _log.exception("footpath: on_problem failed")


def _words(problem: "_core.Problem") -> str:
    if problem.is_paused():
        return f"delivery is paused, and everything is kept: {getattr(problem.reason, 'message', problem.reason)}"
    if problem.is_storage():
        return f"the queue cannot be used now, and is tried again: {problem.message}"
    if problem.is_quarantined():
        return f"the queue's database was broken and is set aside: {problem.path}"
    if problem.is_unreachable():
        return f"for a minute nothing has got through; everything is kept and sent again: {problem.message}"
    if problem.is_rejected():
        return f"the server will never take some events, and they are given up (told once; stats() counts): {problem.message}"
    if problem.is_lost():
        return f"events are lost: {problem.message}"
    return problem.message


def wait_told(seconds: float) -> None:
    """Lets the listeners that have begun come to their end."""
    deadline = time.monotonic() + seconds
    for thread in list(_telling):
        if thread.is_alive() and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))


def in_child() -> None:
    """The threads of a parent are not in its child."""
    _telling.clear()
