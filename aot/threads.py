"""Threads that make calls beside the build, as `concurrent.futures` has them, which takes 6 ms to load."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Call(Generic[T]):
    """A call that a thread makes, some time."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._ended = threading.Event()
        self._result: T
        self._error: BaseException | None = None

    def result(self) -> T:
        """What it returned, as soon as it has. Raises what it raised."""
        self._ended.wait()
        if self._error is not None:
            raise self._error
        return self._result

    def make(self) -> None:
        """Makes the call, in this thread."""
        try:
            self._result = self._function()
        except BaseException as error:
            self._error = error
        self._ended.set()

    def forget(self) -> None:
        """Never makes the call."""
        self._error = RuntimeError("the call was not made")
        self._ended.set()


class Threads:
    """At most `size` threads, started when there are calls to make, and gone when there are none."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._waiting: deque[Call[Any]] = deque()
        self._threads: set[threading.Thread] = set()

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()

    def submit(self, function: Callable[[], T]) -> Call[T]:
        """Has a function called, after those that were submitted before."""
        call = Call(function)
        with self._lock:
            self._waiting.append(call)
            if len(self._threads) < self._size:
                thread = threading.Thread(target=self._work)
                self._threads.add(thread)
                thread.start()
        return call

    def wait(self, *, forget: bool = False) -> None:
        """Waits until all calls have been made. With `forget`, no more of them are begun."""
        if forget:
            with self._lock:
                for call in self._waiting:
                    call.forget()
                self._waiting.clear()
        for thread in list(self._threads):
            thread.join()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads.discard(threading.current_thread())
                    return
                call = self._waiting.popleft()
            call.make()
