"""Calls are made beside the caller, in order, by so many threads, and what they end in is handed over."""

import threading
from functools import partial

import pytest

from nativecache.aot.threads import Threads


def test_results_and_errors_come_from_calls() -> None:
    with Threads(2) as threads:
        calls = [threads.submit(partial(int, text)) for text in ("1", "x", "3")]
        assert (calls[0].result(), calls[2].result()) == (1, 3)
        for _ in range(2):
            with pytest.raises(ValueError, match="'x'"):
                calls[1].result()


@pytest.mark.parametrize("size", [1, 3])
def test_calls_begin_in_order_no_more_than_the_size_at_once(size: int) -> None:
    begun: list[int] = []
    go = threading.Semaphore(0)

    def note(n: int) -> None:
        begun.append(n)
        go.acquire()

    with Threads(size) as threads:
        calls = [threads.submit(partial(note, n)) for n in range(7)]
        for n, call in enumerate(calls):
            go.release()
            if size == 1:
                call.result()
                assert begun[: n + 1] == list(range(n + 1)) and len(begun) <= n + 2
    assert sorted(begun) == list(range(7)) and threading.active_count() <= size + 1


def test_leaving_waits_for_what_was_submitted_and_leaves_no_thread() -> None:
    before = threading.active_count()
    done: list[int] = []
    with Threads(2) as threads:
        for n in range(20):
            threads.submit(partial(done.append, n))
    assert sorted(done) == list(range(20)) and threading.active_count() == before


def test_what_has_not_begun_can_be_forgotten() -> None:
    go, begun = threading.Event(), threading.Event()
    threads = Threads(1)

    def wait() -> None:
        begun.set()
        go.wait()

    first = threads.submit(wait)
    second = threads.submit(go.clear)
    begun.wait()
    threading.Timer(0.05, go.set).start()
    threads.wait(forget=True)
    first.result()
    with pytest.raises(RuntimeError, match="not made"):
        second.result()
    assert go.is_set()


def test_threads_that_have_ended_are_started_again() -> None:
    threads = Threads(1)
    assert [threads.submit(partial(abs, -n)).result() for n in range(5)] == list(range(5))
    threads.wait()
