"""Waits for the core by Python's own means, so that Ctrl-C and other signals are heard meanwhile.

The core's calls that wait would not let go of their thread. Its coroutines let themselves be waited for without an event
loop, too: each step of theirs is an event that the core sets. It is asked at once, and who gives up waiting is forgotten.
No thread is needed, which from Python 3.12 on cannot be had any more when the process ends.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Coroutine, Generator, Generic, TypeVar

_T = TypeVar("_T")


class _Step:
    """What a coroutine of the core awaits, as if it were a future of asyncio."""

    def __init__(self) -> None:
        self._is_set = threading.Event()
        self._result: Any = None

    def cancelled(self) -> bool:
        return False

    def set_result(self, result: Any) -> None:
        self._result = result
        self._is_set.set()

    def wait(self) -> None:
        self._is_set.wait()

    def __await__(self) -> "Generator[_Step, None, Any]":
        yield self
        return self._result


class _Loop:
    """What a coroutine of the core asks of its event loop."""

    def create_future(self) -> _Step:
        return _Step()

    def call_soon_threadsafe(self, call: Any, *args: Any) -> None:
        call(*args)


class Answer(Generic[_T]):
    """What a coroutine of the core, which begins here, will say."""

    def __init__(self, coroutine: "Coroutine[_Step, None, _T]") -> None:
        self._coroutine = coroutine
        around = asyncio._get_running_loop()
        asyncio._set_running_loop(_Loop())  # type: ignore[arg-type]  # The coroutine asks for it in its first step.
        try:
            self._step = coroutine.send(None)
        finally:
            asyncio._set_running_loop(around)

    def wait(self) -> _T:
        try:
            while True:
                self._step.wait()
                self._step = self._coroutine.send(None)
        except StopIteration as end:
            return end.value
        finally:  # Does nothing, but after Ctrl-C.
            self._coroutine.close()
