"""Builds that are killed at random moments: the cache stays whole, and the next build is right.

`kills.py N [--seed S] [--signal KILL|INT|TERM] [--store files|sqlite] [--workers]` starts N builds in
rounds of KILLS that share a cache folder, which is empty at first, later what killed builds have left of
it. A signal at a random time ends the main process alone or, as often, its whole process group. After each:
every entry is whole, the counters can be read, the output is the right one or what stood there before, and
all processes are gone soon. After each round: builds that are let be give the images of an untouched cache,
and pruning sweeps what killed writers left behind. After signals that can be caught nothing is left behind
in the first place, and one line says so.

With `--workers` it is not the build that dies but one or two of the processes it has started, workers,
compilers and linkers, as where memory runs out: the image is the right one, or there is an error and none.

A build is a fork of a process that has loaded nativecache, so that most signals fall into its work. Its disk
is a slow one, so that one in ten falls into the writing of an entry, which takes no time else.
"""

import argparse
import atexit
import ctypes
import os
import re
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random
from shutil import rmtree
from typing import Any

from harness import CLANG, clean_environment, has_tool
from stores import KINDS

import nativecache.aot.build
import nativecache.cli.main  # noqa: F401 - both loaded before forks
from nativecache.cache import database, files, packs
from nativecache.cache.audit import check_entries
from nativecache.cache.folder import find_entries, find_temporaries, remove
from nativecache.cache.limits import Limits
from nativecache.cache.prune import prune
from nativecache.cache.statistics import read_statistics
from nativecache.cli.start import main as run_command_line

KILLS = 6
LANES = 2
WRITE_SECONDS = 0.0005
#: What is left of a killed build may take so long to end, on a machine with much else to do.
GONE_SECONDS = 20

# Units that take some milliseconds each, so that signals fall between them.
FUNCTIONS = "".join(
    f"static int step{n}(int x) {{ for (int i = 0; i < x; i++) x ^= (x << {n + 1}) + i * {n}; return x; }}\n"
    f"int turn{n}(int x) {{ return step{n}(x) + step{n}(x + {n}) * {n}; }}\n"
    for n in range(6)
)
C_PROGRAM = f"""\
#include <stdio.h>
{FUNCTIONS}
int main(void) {{ printf("%d\\n", {" + ".join(f"turn{n}(9)" for n in range(6))}); return 0; }}
"""
LL_PROGRAM = "".join(
    f"define i32 @f{n}(i32 %x) noinline {{\n  %y = mul i32 %x, {n + 3}\n  ret i32 %y\n}}\n" for n in range(8)
) + "define i32 @main(i32 %r0) {\n@  ret i32 0\n}\n".replace(
    "@  ", "".join(f"  %r{n + 1} = call i32 @f{n}(i32 %r{n})\n" for n in range(8)) + "  "
)


@dataclass
class Reference:
    """A program, its image from an untouched cache, and how long it takes on this machine just now.

    Signals come within so many seconds. They grow with each that came in time and shrink with each that came
    too late, so that about one in eight does, whatever else the machine has to do.
    """

    source: str
    image: bytes
    seconds: float

    def adapt(self, in_time: bool) -> None:
        self.seconds *= 1.015 if in_time else 0.9


@dataclass
class Outcome:
    """What happened in a round: how often, the longest that processes outlived their build, and problems."""

    counts: Counter[str] = field(default_factory=Counter)
    slowest_end: float = 0.0
    problems: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        self.counts += other.counts
        self.slowest_end = max(self.slowest_end, other.slowest_end)
        self.problems += other.problems


class Round:
    """Some killed builds on one cache folder, in a folder of their own beside the sources."""

    def __init__(
        self, base: Path, seed: int, number: signal.Signals, kind: str, *, workers: bool = False
    ) -> None:
        self.rng, self.signal, self.kind, self.workers = Random(seed), number, kind, workers
        self.base, self.space = base, base / f"round-{seed}"
        self.cache, self.scratch, self.log = self.space / "cache", self.space / "tmp", self.space / "log"
        self.outcome = Outcome()
        self.scratch.mkdir(parents=True)

    def run(self, references: list[Reference], kills: int) -> Outcome:
        for _ in range(kills):
            self._kill_one(self.rng.choice(references))
            self._check_folder()
        for reference in references:
            self._check_next_build(reference)
        self._check_sweeping()
        if not self.outcome.problems:
            rmtree(self.space)
        return self.outcome

    def problem(self, text: str) -> None:
        self.outcome.problems.append(f"{self.space.name}: {text}")

    def build(self, source: str, output: Path) -> int:
        """Starts a build with two workers in a process group of its own; the process."""
        words = [
            "build",
            source,
            "-o",
            str(output),
            "-j2",
            "--cache-dir",
            str(self.cache),
            "--store",
            self.kind,
        ]
        ready, begins = os.pipe()
        process = os.fork()
        if process == 0:
            _build(words, self.base, self.scratch, self.log, begins)
        os.close(begins)
        os.read(ready, 1)
        os.close(ready)
        return process

    def _kill_one(self, reference: Reference) -> None:
        if self.rng.random() < 0.3:  # half-warm whatever came before
            remove([found for found in find_entries(self.cache) if self.rng.random() < 0.5])
        output = self.space / f"image{self.rng.randrange(3)}"
        before = output.read_bytes() if output.exists() else None
        process = self.build(reference.source, output)
        if self.workers:
            self._end_without_workers(process, reference, output, before)
            return
        time.sleep(self.rng.uniform(0, reference.seconds))
        whole_group = self.rng.random() < 0.5
        (os.killpg if whole_group else os.kill)(process, self.signal)
        if self.signal == signal.SIGINT and self.rng.random() < 0.3:  # people press Ctrl-C twice
            time.sleep(self.rng.uniform(0, 0.01))
            os.killpg(process, self.signal)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        self.outcome.counts[f"{'group' if whole_group else 'main'}, exit code {code}"] += 1
        reference.adapt(code != 0)
        self._wait_for_all()
        after = output.read_bytes() if output.exists() else None
        allowed = (reference.image,) if code == 0 else (reference.image, before)
        if after not in allowed:
            self.problem(f"{output.name} is neither the right image nor what it was; exit code {code}")
        self._check_end(code)

    def _end_without_workers(
        self, process: int, reference: Reference, output: Path, before: bytes | None
    ) -> None:
        """Kills some of what a build has started, and looks at what comes of it."""
        for _ in range(self.rng.choice((1, 1, 2))):
            time.sleep(self.rng.uniform(0, reference.seconds / 2))
            if below := _descendants(process):
                victim = self.rng.choice(below)
                with suppress(OSError):
                    name = Path(f"/proc/{victim}/comm").read_text().strip()
                    os.kill(victim, signal.SIGKILL)
                    self.outcome.counts[f"killed {name}"] += 1
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        self.outcome.counts[f"exit code {code}"] += 1
        self._wait_for_all()
        after = output.read_bytes() if output.exists() else None
        if after != (before if code else reference.image):
            self.problem(f"{output.name} is not what it should be after exit code {code}")
        said = self.log.read_text()
        if code not in (0, 1, 3) or "Traceback" in said:
            self.problem(f"exit code {code}: {said}")

    def _wait_for_all(self) -> None:
        """Until none of our descendants is left, whoever started them: orphans become our children."""
        begin = time.monotonic()
        with suppress(ChildProcessError):
            while time.monotonic() - begin < GONE_SECONDS:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    time.sleep(0.001)
            self.problem(f"processes run on {GONE_SECONDS} s after their build was killed")
        self.outcome.slowest_end = max(self.outcome.slowest_end, time.monotonic() - begin)

    def _check_end(self, code: int) -> None:
        """A signal that can be caught leaves an exit code, a line and nothing else."""
        if self.signal == signal.SIGKILL:
            return
        said = self.log.read_text()
        caught, default = 128 + self.signal, -self.signal
        # Before a build has begun there is nothing to clean up, and SIGTERM ends it as any process.
        allowed = (0, caught) if self.signal == signal.SIGINT else (0, caught, default)
        if code not in allowed:
            self.problem(f"exit code {code}: {said}")
        line = "nativecache: interrupted; what was compiled is kept\n"
        done = said.removesuffix(line) if code == caught else said
        # A build that had done its work may have said so.
        if (code == caught and not said.endswith(line)) or (
            done and not re.fullmatch(r"image\d: .*\n", done)
        ):
            self.problem(f"said: {said}")
        if left := self._left_behind():
            self.problem(f"left behind after exit code {code}: {left}")

    def _left_behind(self) -> list[str]:
        """Files and folders that no build is at any more."""
        beside = [path.name for path in self.space.iterdir() if path.name.startswith(".")]
        temporaries = [found.path for found in find_temporaries(self.cache)]
        return [*beside, *(path.name for path in self.scratch.iterdir()), *temporaries]

    def _check_folder(self) -> None:
        for bad in check_entries(self.cache, keep=True):
            self.outcome.counts["entries checked"] += 1
            if bad:
                self.problem(f"a bad entry is visible: {bad}")
        if damaged := read_statistics(self.cache).damaged:
            self.problem(f"{damaged} damaged records of statistics")

    def _check_next_build(self, reference: Reference) -> None:
        output = self.space / "image0"
        process = self.build(reference.source, output)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        self._wait_for_all()
        if code or output.read_bytes() != reference.image:
            self.problem(f"the next build of {reference.source} is wrong: {code}, {self.log.read_text()}")

    def _check_sweeping(self) -> None:
        self.outcome.counts["left in the folder"] += len(list(find_temporaries(self.cache)))
        self.outcome.counts["left elsewhere"] += len(self._left_behind())
        prune(self.cache, Limits(None, None, None), now=time.time() + 2 * 3600)
        if left := list(find_temporaries(self.cache)):
            self.problem(f"pruning leaves temporaries: {left}")


def _descendants(process: int) -> list[int]:
    """The processes that a process has started, and those that these have."""
    found: list[int] = []
    waiting = [process]
    while waiting:
        try:
            threads = list(Path(f"/proc/{waiting.pop()}/task").iterdir())
            below = [int(word) for thread in threads for word in (thread / "children").read_text().split()]
        except OSError:  # it has ended
            continue
        found += below
        waiting += below
    return found


def _build(words: list[str], folder: Path, scratch: Path, log: Path, begins: int) -> None:
    """Becomes a build: what the child of a fork does. Does not return."""
    os.setpgid(0, 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(clean_environment() | {"TMPDIR": str(scratch)})
    tempfile.tempdir = None
    files.write_all = _write_slowly
    database.Database._remove = _remove_slowly  # type: ignore[assignment, method-assign]
    packs.ENOUGH = 2  # so that also builds of small programs pack what they make
    sys.argv = ["nativecache", *words]
    code = 1
    try:
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            sys.stdout = sys.stderr = file
            os.close(begins)
            try:
                run_command_line()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0
            # What the interpreter does at its end.
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
    except BaseException as error:
        if any("nativecache" in frame.filename for frame in traceback.extract_tb(error.__traceback__)[1:]):
            os.write(2, traceback.format_exc().encode())
        elif isinstance(error, KeyboardInterrupt):  # before it began, or after it ended
            code = 130
    finally:
        os._exit(code)


def _write_slowly(descriptor: int, data: bytes) -> None:
    half = len(data) // 2
    time.sleep(WRITE_SECONDS)  # the file is empty
    os.write(descriptor, data[:half])
    time.sleep(WRITE_SECONDS)
    os.write(descriptor, data[half:])


_remove = database.Database._remove


def _remove_slowly(home: database.Database, which: str, values: Sequence[Any]) -> bool:
    """In the transaction that puts a value."""
    time.sleep(WRITE_SECONDS)
    return _remove(home, which, values)


def _reap_orphans() -> None:
    """Orphans among this process's descendants become its children (prctl(2))."""
    set_child_subreaper = 36
    if ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0):
        raise OSError("prctl")


def make_references(base: Path, kind: str) -> list[Reference]:
    """The programs, and what they are to become."""
    texts = {"program.ll": LL_PROGRAM}
    if has_tool(CLANG):
        texts["program.c"] = C_PROGRAM
    else:
        print(f"no {CLANG}: without a program in C", flush=True)
    references = []
    for number, (name, text) in enumerate(texts.items()):
        (base / name).write_text(text)
        seconds = []
        for turn in range(3):
            untouched = Round(base, -1 - 3 * number - turn, signal.SIGKILL, kind)
            begin = time.monotonic()
            process = untouched.build(name, untouched.space / "image")
            if os.waitpid(process, 0)[1]:
                raise SystemExit(f"{name} cannot be built: {untouched.log.read_text()}")
            seconds.append(time.monotonic() - begin)
            image = (untouched.space / "image").read_bytes()
            rmtree(untouched.space)
        references.append(Reference(name, image, min(seconds)))
    return references


def rounds(
    base: Path, kills: int, seed: int, number: signal.Signals, kind: str, *, workers: bool = False
) -> Iterator[Outcome]:
    """Outcomes of as many rounds as make so many kills, as they come."""
    context = get_context("fork")
    references = make_references(base, kind)
    for reference in references:
        print(f"{reference.source} takes {reference.seconds * 1000:.0f} ms", flush=True)
    tasks = [(seed + n, min(KILLS, kills - n * KILLS)) for n in range(-(-kills // KILLS))]
    lanes = []
    for n in range(LANES):
        ours, theirs = context.Pipe(duplex=False)
        arguments = (base, tasks[n::LANES], number, kind, workers, references, theirs)
        context.Process(target=_run_rounds, args=arguments).start()
        theirs.close()
        lanes.append(ours)
    while lanes:
        for lane in wait(lanes):
            assert isinstance(lane, Connection)
            try:
                yield lane.recv()
            except EOFError:
                lanes.remove(lane)


def _run_rounds(
    base: Path,
    tasks: list[tuple[int, int]],
    number: signal.Signals,
    kind: str,
    workers: bool,
    references: list[Reference],
    lane: Connection,
) -> None:
    _reap_orphans()
    for seed, kills in tasks:
        lane.send(Round(base, seed, number, kind, workers=workers).run(references, kills))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("kills", type=int, metavar="N", help="how many builds are killed")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the first round (1)")
    parser.add_argument("--signal", choices=["KILL", "INT", "TERM"], default="KILL", help="(KILL)")
    parser.add_argument("--store", choices=[kind.name for kind in KINDS], default="files", help="(files)")
    parser.add_argument("--workers", action="store_true", help="kill what builds have started instead")
    arguments = parser.parse_args()
    if not sys.platform.startswith("linux"):
        print("skipped: needs Linux, which hands orphans to who asks for them")
        return 0
    base = Path(tempfile.mkdtemp(prefix="nativecache-kills-"))
    number = signal.Signals[f"SIG{arguments.signal}"]
    found, begin, done = Outcome(), time.monotonic(), 0
    kills = (base, arguments.kills, arguments.seed, number, arguments.store)
    for outcome in rounds(*kills, workers=arguments.workers):
        found.add(outcome)
        print("".join(f"{problem}\n" for problem in outcome.problems), end="", flush=True)
        done = min(done + KILLS, arguments.kills)
        if done % (100 * KILLS) == 0:
            print(f"{done} kills in {time.monotonic() - begin:.0f} s", flush=True)
    for name, count in sorted(found.counts.items()):
        print(f"{name}: {count}")
    print(f"the last process of a killed build was gone after {found.slowest_end * 1000:.0f} ms at most")
    print(f"{done} kills in {time.monotonic() - begin:.0f} s, {len(found.problems)} problems")
    if found.problems:
        print(f"the rounds with problems are in {base}")
        return 1
    rmtree(base)
    return 0


if __name__ == "__main__":
    sys.exit(main())
