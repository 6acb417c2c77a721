"""Builds during which one system call on the cache folder fails, by strace: none may cost more than time.

A rehearsal of the command lists its calls on the folder, each by its number among those of its name. The
command does the same each time, so the call of that number can be made to fail in a next run, and strace
says which one it was.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import CLANG, clean_environment, has_tool
from stores import Kind

from nativecache.cache.counters import add_counts
from nativecache.cache.folder import find_entries, remove

TRACED = (
    *("open", "openat", "read", "pread64", "write", "pwrite64", "close", "lseek", "ftruncate", "flock"),
    *("fcntl", "rename", "mkdir", "unlink", "rmdir", "chmod", "fchmod", "utimensat", "getdents64"),
    *("statfs", "newfstatat", "stat", "lstat", "fstat", "statx", "access", "readlink"),
)
#: Calls that strace can also skip and report as done, as a disk does that lies.
LOST = ("write", "rename", "mkdir", "unlink", "utimensat")
ERRORS = ("EIO", "EACCES", "ENOSPC", "EMFILE")

SOURCES = {
    "m.c": "static int g(int x) { return x * 3 + 1; }\nint f(int x) { return g(x) ^ 5; }\n",
    "h.ll": "define i32 @h1() {\n  ret i32 1\n}\n\ndefine i32 @h2() {\n  ret i32 2\n}\n",
}
BUILD = ("build", *(SOURCES if has_tool(CLANG) else ("h.ll",)), "--emit", "object", "-o", "out.o")


@functools.cache
def why_not() -> str:
    """What keeps strace from being of use; "" if nothing does."""
    if not has_tool("strace"):
        return "needs strace"
    command = ["strace", "-o", "/dev/null", "-e", "inject=chdir:error=EIO", "true"]
    done = subprocess.run(command, capture_output=True, text=True)
    return f"strace may not trace here: {done.stderr.strip()[-200:]}" if done.returncode else ""


needs_strace = pytest.mark.skipif(bool(why_not()), reason=why_not() or "strace works")


@dataclass(frozen=True)
class Call:
    """The `number`th call of a name, from 1, as strace showed it in the rehearsal, and what it returned."""

    name: str
    number: int
    line: str
    result: int

    @property
    def kind(self) -> str:
        """The same for calls on the same sort of file."""
        path = re.sub(r"[0-9a-f-]{16,}", "X", self.line.split("cache", 1)[1].split('"')[0].split(">")[0])
        return f"{self.name} {re.sub(r'[/]([0-9a-f]{2})(?=/|$)', '/X', path)} {'-1' in self.line[-60:]}"

    def faults(self) -> tuple[str, ...]:
        """Ways to fail, as strace spells them."""
        lost = (f"retval={self.result}",) if self.name in LOST and self.result >= 0 else ()
        return (*(f"error={error}" for error in ERRORS), *lost)


@dataclass(frozen=True)
class Scene:
    """A command in `space`, and a folder with what is to be there before: `cache`, and maybe an output."""

    name: str
    space: Path
    words: tuple[str, ...]
    kind: Kind

    @property
    def cache(self) -> Path:
        return self.space / "cache"

    def prepare(self) -> None:
        for name in ("cache", "out.o"):
            before, now = self.space / self.name / name, self.space / name
            shutil.rmtree(now, ignore_errors=True)
            now.unlink(missing_ok=True)
            if before.is_dir():
                shutil.copytree(before, now)
            elif before.exists():
                shutil.copy2(before, now)

    def run(self, *words: str, under: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Runs this scene's command, or another one; `under` a tool."""
        return subprocess.run(
            [*under, sys.executable, "-m", "nativecache.cli.start", *(words or self.words)],
            cwd=self.space,
            env=clean_environment()
            | {
                "NATIVECACHE_DIR": str(self.cache),
                "NATIVECACHE_STORE": self.kind.name,
                "PYTHONHASHSEED": "0",
            },
            capture_output=True,
            text=True,
            timeout=120,
        )

    def calls(self) -> list[Call]:
        """The calls on the cache folder that the command makes in its first thread."""
        self.prepare()
        self._trace("-e", f"trace={','.join(f'?{name}' for name in TRACED)}")
        counts: dict[str, int] = {}
        found = []
        for line in self._traced():
            if (match := re.match(r"(\w+)\(.*\) += (-?\d+)", line)) is None:
                continue
            counts[match[1]] = counts.get(match[1], 0) + 1
            if str(self.cache) in line:
                found.append(Call(match[1], counts[match[1]], line, int(match[2])))
        return found

    def made_elsewhere(self) -> list[str]:
        """The folders that a cold build makes in other threads and processes than its first."""
        self.prepare()
        self._trace("-f", "-e", "trace=execve,mkdir")
        first = self._traced()[0].split()[0]
        made = [line for line in self._traced() if "mkdir(" in line and line.endswith(" = 0")]
        return [line.split('"')[1] for line in made if str(self.cache) in line and line.split()[0] != first]

    def fail(self, call: Call, fault: str) -> tuple[subprocess.CompletedProcess[str], bool]:
        """Runs the command while a call fails; and whether that was a call on the cache folder."""
        self.prepare()
        done = self._trace("-e", f"trace={call.name}", "-e", f"inject={call.name}:{fault}:when={call.number}")
        return done, any("INJECTED" in line and str(self.cache) in line for line in self._traced())

    def fail_to_make(self, *folders: str) -> tuple[subprocess.CompletedProcess[str], int]:
        """Runs the command while folders cannot be made, whoever tries; and how often that was."""
        self.prepare()
        names = [word for path in folders for word in ("-P", path)]
        done = self._trace("-f", *names, "-e", "trace=mkdir", "-e", "inject=mkdir:error=ENOSPC")
        return done, sum("INJECTED" in line for line in self._traced())

    def _trace(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self.run(under=("strace", "-y", "-o", str(self.space / "strace.log"), *options))

    def _traced(self) -> list[str]:
        return (self.space / "strace.log").read_text(errors="replace").splitlines()

    def problems(self, done: subprocess.CompletedProcess[str], fault: str) -> Iterator[str]:
        """What is not as it should be after a run in which something failed, and in builds after it."""
        if "Traceback" in done.stderr:
            yield done.stderr
        is_build = self.words == BUILD
        if (is_build or self.words[1] == "stats") and done.returncode:
            yield f"exit code {done.returncode}: {done.stderr}"
        if len(done.stderr.splitlines()) > 1:
            yield f"more than a line: {done.stderr}"
        if is_build:
            yield from self._image("the build", done)
        elif self.words[1] == "stats" and not fault.startswith("retval"):  # what is lost is lost
            yield from self._sums()
        yield from self._image("the next build", self.run(*BUILD))
        if (again := self.run(*BUILD)).stdout.count("up to date") != 1:
            yield f"the build after the next: {again.stdout}{again.stderr}"

    def _image(self, which: str, done: subprocess.CompletedProcess[str]) -> Iterator[str]:
        if done.returncode or (which != "the build" and done.stderr):
            yield f"{which}: exit code {done.returncode}: {done.stderr}"
        output, expected = self.space / "out.o", self.space / "expected"
        if not output.exists() or output.read_bytes() != expected.read_bytes():
            yield f"{which}: another image"

    def _sums(self) -> Iterator[str]:
        sums = self.run("cache", "stats", "--json").stdout
        if sums != (self.space / "sums").read_text():
            yield f"other sums: {sums}"


def some_faults(scene: Scene, most: int) -> list[tuple[Call, str]]:
    """Calls of a scene of as many kinds as can be, each with a way to fail."""
    kinds: dict[str, Call] = {}
    for call in scene.calls():
        kinds.setdefault(call.kind, call)
    step = max(1, len(kinds) // most)
    chosen = list(kinds.values())[::step][:most]
    return [(call, call.faults()[n % len(call.faults())]) for n, call in enumerate(chosen)]


def every_fault(scene: Scene) -> Iterator[tuple[Call, str]]:
    """Each call of a scene with each way to fail."""
    for call in scene.calls():
        for fault in call.faults():
            yield call, fault


def scenes(space: Path, kind: Kind) -> list[Scene]:
    """All scenes, in a new folder, with one kind of store."""
    for name, text in SOURCES.items():
        (space / name).write_text(text)

    def keep(name: str, *words: str) -> Scene:
        made = Scene(name, space, words, kind)
        (space / name).mkdir()
        for part in ("cache", "out.o"):
            if (space / part).is_dir():
                shutil.copytree(space / part, space / name / part)
            elif (space / part).exists():
                shutil.copy2(space / part, space / name / part)
        return made

    cold = keep("cold", *BUILD)
    cold.run(*BUILD, "--no-cache").check_returncode()
    (space / "out.o").rename(space / "expected")
    cold.run().check_returncode()
    # Of days that are over, so that there is something to fold.
    add_counts(space / "cache", {"builds": 3}, now=1_600_000_000)
    add_counts(space / "cache", {"builds": 4}, now=1_600_000_000)
    stats = keep("stats", "cache", "stats")
    prune = keep("prune", "cache", "prune", "--max-files", "4")
    done = keep("done", *BUILD)
    (space / "sums").write_text(stats.run("cache", "stats", "--json").stdout)
    add_counts(space / "cache", {"builds": 5}, now=1_600_100_000)
    folded = keep("folded", "cache", "prune", "--max-age", "1s")
    (space / "out.o").unlink()
    warm = keep("warm", *BUILD)
    remove(sorted(find_entries(space / "cache"), key=lambda found: found.key)[::2])
    half = keep("half", *BUILD)
    return [cold, half, warm, done, stats, prune, folded]
