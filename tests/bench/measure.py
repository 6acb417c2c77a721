"""Runs commands and says what they cost, and what a row of the table looks like."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from harness import clean_environment

from nativecache.cli.server_commands import Status, ask, sockets, statuses


class Skipped(Exception):
    """What a row needs is not on this machine."""


@dataclass(frozen=True)
class Cost:
    """Seconds of wall time, and of processor time with all children's."""

    wall: float
    cpu: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.wall + other.wall, self.cpu + other.cpu)


#: Where the resident processes of the builds that are measured have their sockets: the user's are not asked.
RUNTIME = Path(tempfile.mkdtemp(prefix="ncb-"))

#: Of each resident process, what it had spent when it was first seen idle: Python's start, imports, LLVM.
starts: dict[int, float] = {}
_awaited: set[tuple[Path, int]] = set()


def _servers() -> dict[int, Status]:
    """The resident processes, once the builds that they serve are at their ends."""
    deadline = time.monotonic() + 60
    while True:
        found = statuses(str(RUNTIME / "nativecache"))
        if not any(one.active for one in found):
            return {one.process: one for one in found}
        if time.monotonic() > deadline:
            raise SystemExit("bench: a resident process has a build that does not end")
        time.sleep(0.002)


def settle_servers() -> None:
    """Waits for a resident process that is being started, so that it disturbs nothing that is measured."""
    for note in (RUNTIME / "nativecache").glob("*.started"):
        begun = note, note.stat().st_mtime_ns
        if begun in _awaited:
            continue
        _awaited.add(begun)
        deadline = time.monotonic() + 5
        while not note.with_suffix("").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
    for process, one in _servers().items():
        starts.setdefault(process, one.own_seconds)


def call(
    command: Sequence[str | Path],
    folder: Path,
    stdin: Path | None = None,
    stdout: Path | None = None,
    executable: Path | None = None,
    extra: Mapping[str, str] | None = None,
) -> Cost:
    """Run a command that must succeed. `extra`: variables of its environment besides ours.

    What a resident process does for it is counted as its own: the build's child with all that this waited
    for, and the process itself, which was asked by this command only. Its start is not: see `starts`.
    """
    before = _servers()
    server = os.environ.get("NATIVECACHE_SERVER", "")
    ours = {"NATIVECACHE_SERVER": server, "XDG_RUNTIME_DIR": str(RUNTIME)}
    with (
        open(stdin or os.devnull, "rb") as source,
        open(stdout or os.devnull, "wb") as sink,
        tempfile.TemporaryFile() as messages,
    ):
        start = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            executable=executable,
            cwd=folder,
            env=clean_environment() | ours | dict(extra or {}),
            stdin=source,
            stdout=sink,
            stderr=messages,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            messages.seek(0)
            words = messages.read()[-2000:].decode(errors="replace")
            raise SystemExit(f"bench: {' '.join(map(str, command))}\n{words}")
    settle_servers()
    after, cpu = _servers(), usage.ru_utime + usage.ru_stime
    for one in before.values():
        if (now := after.get(one.process)) is not None:
            cpu += now.own_seconds + now.builds_seconds - one.own_seconds - one.builds_seconds
    return Cost(wall, cpu)


def stop_servers() -> None:
    """Ends the resident processes."""
    for path in sockets(str(RUNTIME / "nativecache")):
        with suppress(OSError):
            ask(path, b"Q")
    shutil.rmtree(RUNTIME, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table. `goal` is `<= 0.75` or `>= 6`, empty for what no bar asks for."""

    bar: str
    what: str
    peer: float | None = None
    ours: float | None = None
    unit: str = "s"
    ratio: float | None = None
    goal: str = ""
    pairs: tuple[float, ...] = ()
    skipped: str = ""

    @property
    def met(self) -> bool | None:
        if not self.goal or self.ratio is None:
            return None
        sign, figure = self.goal.split()
        return self.ratio <= float(figure) if sign == "<=" else self.ratio >= float(figure)

    def __str__(self) -> str:
        if self.skipped:
            return f"{self.bar:<4} {self.what:<44} skipped: {self.skipped}"
        peer, ours = (shown(figure, self.unit) for figure in (self.peer, self.ours))
        verdict = {None: "", True: "met", False: "missed"}[self.met]
        ratio = f"{self.ratio:.3g}" if self.ratio is not None else ""
        return f"{self.bar:<4} {self.what:<44} {peer:>10} {ours:>10} {ratio:>8} {self.goal:>9} {verdict}"


TITLE = f"{'':<4} {'':<44} {'peer':>10} {'ours':>10} {'ratio':>8} {'bar':>9}"


def shown(figure: float | None, unit: str) -> str:
    if figure is None:
        return ""
    scaled, name = (figure / 1e6, "MB") if unit == "B" else (figure, unit)
    return f"{scaled:.3g} {name}" if scaled < 100 else f"{scaled:.0f} {name}"


def compare(
    bar: str,
    what: str,
    peers: Sequence[float],
    ours: Sequence[float],
    goal: str,
    unit: str = "s",
    speed: bool = False,
) -> Row:
    """A row of figures taken in pairs: the median of ours ÷ peer, or with `speed` of peer ÷ ours."""
    pairs = tuple(peer / our if speed else our / peer for peer, our in zip(peers, ours, strict=True))
    return Row(
        bar=bar,
        what=what,
        peer=median(peers),
        ours=median(ours),
        unit=unit,
        ratio=median(pairs),
        goal=goal,
        pairs=pairs,
    )
