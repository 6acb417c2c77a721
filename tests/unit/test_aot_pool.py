"""Jobs run in other processes; what happens to one of those costs one job."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from nativecache.aot.pool import Done, Job, Pool, WorkerDied


def end(*arguments: Any) -> None:
    os._exit(3)


def run_all(size: int, tasks: Mapping[str, Callable[..., Any]], *jobs: Job) -> list[Done]:
    with Pool(size, tasks) as pool:
        for job in jobs:
            pool.submit(job)
        return list(pool.results())


@pytest.mark.parametrize("size", [1, 2, 5])
def test_every_job_has_one_result(size: int) -> None:
    done = run_all(size, {"square": lambda n: n * n}, *(Job("square", n, (n,)) for n in range(20)))
    assert sorted((d.job.tag, d.result) for d in done) == [(n, n * n) for n in range(20)]
    assert all(d.error is None and d.cpu_seconds >= 0 for d in done)


def test_no_jobs_no_results_and_no_workers() -> None:
    assert run_all(4, {}) == []


def test_jobs_run_in_other_processes_no_more_than_the_pools_size() -> None:
    def who() -> int:
        time.sleep(0.01)
        return os.getpid()

    done = run_all(2, {"who": who}, *(Job("who", n) for n in range(12)))
    workers = {d.result for d in done}
    assert os.getpid() not in workers and len(workers) == 2


def test_tasks_see_what_the_driver_held_when_the_pool_was_made() -> None:
    held = {"text": "x" * 100_000}
    assert run_all(1, {"size": lambda: len(held["text"])}, Job("size", 0))[0].result == 100_000


def test_an_exception_is_the_jobs_error_and_the_worker_goes_on() -> None:
    def half(n: int) -> float:
        return 1 / n

    done = {d.job.tag: d for d in run_all(1, {"half": half}, *(Job("half", n, (n,)) for n in (2, 0, 4)))}
    assert isinstance(done[0].error, ZeroDivisionError) and done[0].result is None
    assert (done[2].result, done[4].result) == (0.5, 0.25)


def test_results_may_be_large() -> None:
    done = run_all(2, {"make": bytes}, *(Job("make", n, (5_000_000,)) for n in range(4)))
    assert [len(d.result) for d in done] == [5_000_000] * 4


def test_arguments_may_be_large() -> None:
    data = bytes(3_000_000)
    done = run_all(2, {"size": len}, *(Job("size", n, (data,)) for n in range(6)))
    assert [d.result for d in done] == [len(data)] * 6


def test_arguments_and_results_may_both_be_large() -> None:
    """A worker that hands over a result takes no job meanwhile, nor does the driver take that result."""
    large = bytes(10_000_000)
    done = run_all(2, {"back": lambda data: data}, *(Job("back", n, (large,)) for n in range(8)))
    assert [d.result for d in done] == [large] * 8


def test_a_dead_worker_costs_the_job_at_hand_only() -> None:
    """The job that waited behind it in the same worker's pipe is done by another."""
    tasks = {"end": end, "add": lambda n: n + 1}
    done = {
        d.job.tag: d for d in run_all(1, tasks, Job("end", "x"), *(Job("add", n, (n,)) for n in range(4)))
    }
    assert isinstance(done["x"].error, WorkerDied)
    assert {tag: d.result for tag, d in done.items() if tag != "x"} == {0: 1, 1: 2, 2: 3, 3: 4}


def test_every_worker_may_die() -> None:
    tasks = {"end": end, "add": lambda n: n + 1}
    jobs = [Job("end" if n % 2 else "add", n, (n,)) for n in range(10)]
    done = {d.job.tag: d for d in run_all(2, tasks, *jobs)}
    assert sorted(done) == list(range(10))
    assert all((d.error is None) == (tag % 2 == 0) for tag, d in done.items())


def test_last_words_are_what_llvm_printed() -> None:
    def abort() -> None:
        os.write(2, b"some noise\nLLVM ERROR: out of ideas\nPLEASE submit a bug report\n")
        os._exit(1)

    assert str(run_all(1, {"abort": abort}, Job("abort", 0))[0].error) == "LLVM ERROR: out of ideas"


def test_last_words_of_the_silent_are_the_signal_or_the_status() -> None:
    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    done = {
        d.job.tag: str(d.error) for d in run_all(1, {"kill": kill, "end": end}, Job("kill", 0), Job("end", 1))
    }
    assert done == {0: "killed by signal SIGKILL", 1: "ended with status 3"}


def test_words_of_one_worker_are_not_anothers() -> None:
    def say(n: int) -> None:
        os.write(2, b"error: %d\n" % n)
        os._exit(1)

    done = run_all(2, {"say": say}, *(Job("say", n, (n,)) for n in range(4)))
    assert {d.job.tag: str(d.error) for d in done} == {n: f"error: {n}" for n in range(4)}


def test_high_priorities_go_first_and_equal_ones_in_order() -> None:
    with Pool(1, {"name": str}) as pool:
        for n, priority in enumerate([0.0, 5.0, 1.0, 5.0, 9.0]):
            pool.submit(Job("name", n, (n,)), priority=priority)
        assert [done.job.tag for done in pool.results()] == [4, 1, 3, 2, 0]


def test_results_may_bring_more_jobs() -> None:
    seen = []
    with Pool(2, {"count": lambda n: n}) as pool:
        pool.submit(Job("count", 0, (0,)))
        for done in pool.results():
            seen.append(done.result)
            if done.result < 10:
                pool.submit(Job("count", 0, (done.result + 1,)))
    assert seen == list(range(11))


def test_a_pool_can_be_used_again_after_its_results() -> None:
    with Pool(2, {"name": str}) as pool:
        for n in range(3):
            pool.submit(Job("name", n, (n,)))
            assert [done.result for done in pool.results()] == [str(n)]


def test_leaving_the_pool_ends_its_workers_at_work() -> None:
    started = time.monotonic()
    with Pool(2, {"sleep": time.sleep, "who": os.getpid}) as pool:
        for n in range(2):
            pool.submit(Job("who", n), priority=1)
            pool.submit(Job("sleep", n, (60,)))
        results = pool.results()
        workers = {next(results).result for _ in range(2)}
    assert time.monotonic() - started < 10
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "at work"])
def test_workers_end_with_their_driver(busy: bool, tmp_path: Path) -> None:
    """A driver that is killed leaves nothing running, not even what has long to go."""
    note = tmp_path / "workers"
    driver = os.fork()
    if driver == 0:  # pragma: no cover - another process
        with Pool(2, {"who": os.getpid, "sleep": time.sleep}) as pool:
            for n in range(8):
                pool.submit(Job("who", n))
            note.write_text(" ".join({str(done.result) for done in pool.results()}))
            if busy:
                for n in range(3):
                    pool.submit(Job("sleep", n, (min(n, 1) * 600,)))
                next(pool.results())
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(driver, 0)
    workers = [int(word) for word in note.read_text().split()]
    assert workers
    deadline = time.monotonic() + 5
    while any(_runs(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(_runs(worker) for worker in workers)


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_task_may_write_to_standard_error_without_being_seen(capfd: pytest.CaptureFixture[str]) -> None:
    run_all(1, {"say": lambda: os.write(2, b"noise")}, Job("say", 0))
    assert capfd.readouterr().err == ""
