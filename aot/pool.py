"""Worker processes for everything that may crash LLVM, fed one job at a time through pipes.

Workers are forked, so they share the program's text with the driver instead of being sent it. Each
has two jobs at hand: one at work, one waiting in its pipe, which hides the round trip. What a worker was at
when it died is done again once, after all else, when memory is less short: the system kills whom it likes
where that runs out. What waited behind it is given to another. A job that is lost twice is an error, never a
result. A worker ends with its driver, even one that is killed in the middle of a long job; signals that end
the driver mean nothing to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import heapq
import os
import pickle
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NoReturn

from nativecache.linker.shown import shown
from nativecache.linker.signals import end_with_parent, hold_signals, ignore_signals
from nativecache.linker.values import dataclass, replace
from nativecache.linker.waiting import Waiting

#: Jobs at a worker, at work and waiting.
DEPTH: Final = 2
#: Functions whose texts the driver writes itself for workers, a few milliseconds each, in place of forking
#: workers that know the program.
FEW: Final = 8
#: Bytes of a job besides those of its arguments that are bytes or text.
_BESIDES: Final = 1 << 10

#: Bytes that a worker's stack may take. Linux leaves it 128 MiB whatever the limit was at first.
STACK: Final = 120 << 20


@dataclass(frozen=True, slots=True)
class Job:
    """What to call (`task`, a name the pool was made with), with what, on whose behalf (`tag`)."""

    task: str
    tag: Any
    arguments: tuple[Any, ...] = ()
    #: Whether a worker has died at it.
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a job: its result, or why there is none."""

    job: Job
    result: Any
    error: Exception | None
    cpu_seconds: float


class WorkerDied(Exception):
    """Two worker processes ended at a job. The message is what LLVM printed, or the signal."""

    def advice(self) -> str:
        """What may help against a worker's death, to stand behind the message."""
        killed = "SIGKILL" in str(self) or "memory" in str(self)
        return "; if memory is short, use fewer workers (-j1)" if killed else ""


class Channel:
    """Takes values through a pipe, one way. Its ends are descriptors."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        #: Bytes of a job that may wait here: who hands over a result reads nothing meanwhile. A user with
        #: many pipes gets small ones.
        self.room = fcntl.fcntl(self.writer, fcntl.F_GETPIPE_SZ) // 2

    def send(self, value: object) -> None:
        """Raises BrokenPipeError where nobody can read it any more."""
        data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        left = memoryview(len(data).to_bytes(8, "little") + data)
        while left:
            left = left[os.write(self.writer, left) :]

    def receive(self) -> Any:
        """Raises EOFError where the other end is closed."""
        return pickle.loads(self._read(int.from_bytes(self._read(8), "little")))

    def _read(self, size: int) -> bytearray:
        data = bytearray(size)
        left = memoryview(data)
        while left:
            count = os.readv(self.reader, [left])
            if not count:
                raise EOFError
            left = left[count:]
        return data

    def close_reader(self) -> None:
        """Leaves the end to write to."""
        self.reader = _closed(self.reader)

    def close_writer(self) -> None:
        """Leaves the end to read from."""
        self.writer = _closed(self.writer)


def _closed(descriptor: int) -> int:
    """Closes a descriptor if it is open. What is returned in its place cannot become another file's."""
    if descriptor >= 0:
        os.close(descriptor)
    return -1


class _Worker:
    """A process that was forked from this one, and what it has been given to do."""

    def __init__(self, tasks: Mapping[str, Callable[..., Any]], others: list[_Worker]) -> None:
        self.tasks = Channel()
        self.results = Channel()
        self.stderr = os.memfd_create("stderr")
        self.jobs: deque[Job] = deque()
        self._status: int | None = None  # once it has ended
        driver = os.getpid()
        try:
            self._process = os.fork()
        except OSError:
            self._close()
            raise
        if self._process == 0:
            # Copies of the driver's ends would keep other workers from seeing that the driver is gone.
            self.tasks.close_writer()
            self.results.close_reader()
            for other in others:
                other._close()
            _live(self.tasks, self.results, tasks, self.stderr, driver)
        self.tasks.close_reader()
        self.results.close_writer()

    def _close(self) -> None:
        for channel in (self.tasks, self.results):
            channel.close_reader()
            channel.close_writer()
        self.stderr = _closed(self.stderr)

    def last_words(self) -> str:
        """What a worker that has ended, or is about to, printed of it; else how it ended."""
        data = os.pread(self.stderr, os.fstat(self.stderr).st_size, 0)
        lines = data.decode("utf-8", "replace").strip().splitlines()
        for line in lines:
            if "LLVM ERROR" in line or "error:" in line or "Assertion" in line:
                return line.strip()
        deadline = time.monotonic() + 1
        while not self._has_ended() and time.monotonic() < deadline:
            time.sleep(0.001)
        code = None if self._status is None else os.waitstatus_to_exitcode(self._status)
        if code is not None and code < 0:
            return f"killed by signal {signal.Signals(-code).name}"
        return lines[-1].strip() if lines else f"ended with status {code}"

    def _has_ended(self, how: int = os.WNOHANG) -> bool:
        if self._status is None:
            try:
                process, status = os.waitpid(self._process, how)
            except ChildProcessError:  # the system was told to forget how children end
                return True
            self._status = status if process else None
        return self._status is not None

    def stop(self) -> None:
        """Ends the process, whatever it is at."""
        self._close()
        if not self._has_ended():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)
            self._has_ended(0)


def _live(
    jobs: Channel, results: Channel, tasks: Mapping[str, Callable[..., Any]], stderr: int, driver: int
) -> NoReturn:
    """The whole life of a worker. What it may die of is told by what it printed, and by its status."""
    try:
        ignore_signals()  # the driver ends its workers
        end_with_parent(driver)
        _deepen_stack()
        gc.disable()  # units leave no cycles, and a collection would walk, and copy, the driver's whole heap
        os.dup2(stderr, 2)
        _work(jobs, results, tasks)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    finally:
        os._exit(1)


def _work(jobs: Channel, results: Channel, tasks: Mapping[str, Callable[..., Any]]) -> None:
    while True:
        try:
            task, arguments = jobs.receive()
        except (EOFError, OSError):
            os._exit(0)
        start = time.process_time()
        error: Exception | None = None
        result = None
        try:
            result = tasks[task](*arguments)
        except MemoryError:  # whatever it would say of the job, this says more of the machine
            os.write(2, b"out of memory\n")
            os._exit(1)
        except Exception as caught:
            error = caught
        try:
            results.send((result, error, time.process_time() - start))
        except BrokenPipeError:
            os._exit(0)


def _deepen_stack() -> None:
    """Lets this process's stack grow: LLVM recurses as deeply as types, scopes and expressions are nested."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = STACK if most == resource.RLIM_INFINITY else min(STACK, most)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_STACK, (wanted, most))


class Pool:
    """At most `size` workers, started when there is work. Use as a context manager.

    `tasks` must not depend on state that changes after the pool was made: workers are forked.
    """

    def __init__(
        self,
        size: int,
        tasks: Mapping[str, Callable[..., Any]],
        *,
        describe: Callable[[Job], str] = lambda job: f"LLVM to {job.task}",
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        """`describe`: what is waited for while a job is at work, for people.

        `prepare` is called before a worker is forked: for what is loaded here, each of them need not load.
        """
        self._describe = describe
        self.size = max(1, size)
        self._tasks = tasks
        self._prepare = prepare
        self._workers: list[_Worker] = []
        self._waiting: list[tuple[float, int, Job]] = []
        self._count = 0

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        with hold_signals():
            for worker in self._workers:
                worker.stop()
            self._workers.clear()

    def submit(self, job: Job, *, priority: float = 0.0) -> None:
        """Queues a job. Higher priorities go first, equal ones in the order they came."""
        self._count += 1
        heapq.heappush(self._waiting, (-priority, self._count, job))

    def results(self, describe: Callable[[Job], str] | None = None) -> Iterator[Done]:
        """Yields ends of jobs as they come until no job is left; more may be submitted meanwhile.

        `describe`, as the pool was made with it, is for these and all later ones.
        """
        self._describe = describe or self._describe
        while self._waiting or any(worker.jobs for worker in self._workers):
            self._feed()
            busy = {worker.results.reader: worker for worker in self._workers if worker.jobs}
            poll = select.poll()
            for reader in busy:
                poll.register(reader, select.POLLIN)
            with Waiting(self._at_work):
                found = poll.poll()
            for ready, _ in found:
                yield from self._receive(busy[ready])

    def _at_work(self) -> str:
        """What the workers are at, asked by another thread."""
        jobs = [list(worker.jobs)[:1] for worker in list(self._workers)]
        return shown(", ".join(self._describe(job) for first in jobs for job in first))

    def _feed(self) -> None:
        for depth in range(1, DEPTH + 1):
            for worker in tuple(self._workers):
                if self._waiting and len(worker.jobs) < depth and (depth == 1 or self._fits(worker)):
                    self._send(worker)
            while depth == 1 and self._waiting and len(self._workers) < self.size:
                self._prepare()
                sys.stdout.flush()
                sys.stderr.flush()
                try:
                    with hold_signals():
                        worker = _Worker(self._tasks, self._workers)
                        self._workers.append(worker)
                except OSError:  # no more processes, or no memory for one
                    if not self._workers:
                        raise
                    self.size = len(self._workers)
                    break
                self._send(worker)

    def _fits(self, worker: _Worker) -> bool:
        """Whether the next job can wait in a worker's pipe, with what else is sent of it."""
        arguments = self._waiting[0][2].arguments
        size = sum(len(argument) for argument in arguments if isinstance(argument, bytes))
        # A character of text is a byte of LLVM's, and sent in up to two.
        size += sum(2 * len(argument) for argument in arguments if isinstance(argument, str))
        return size + _BESIDES <= worker.tasks.room

    def _send(self, worker: _Worker) -> None:
        priority, number, job = heapq.heappop(self._waiting)
        try:
            worker.tasks.send((job.task, job.arguments))
        except BrokenPipeError:
            # It died at what it was at before, if at anything: its connection will tell.
            heapq.heappush(self._waiting, (priority, number, job))
            if not worker.jobs:
                self._dismiss(worker)
        else:
            worker.jobs.append(job)

    def _receive(self, worker: _Worker) -> Iterator[Done]:
        try:
            result, error, seconds = worker.results.receive()
        except (EOFError, OSError):  # the latter in the middle of a result
            job = worker.jobs.popleft()
            for waiting in worker.jobs:
                self.submit(waiting, priority=float("inf"))
            words = worker.last_words()
            self._dismiss(worker)
            if job.lost:
                yield Done(job, None, WorkerDied(words), 0.0)
            else:
                self.submit(replace(job, lost=True), priority=float("-inf"))
            return
        yield Done(worker.jobs.popleft(), result, error, seconds)

    def _dismiss(self, worker: _Worker) -> None:
        with hold_signals():
            self._workers.remove(worker)
            worker.stop()
