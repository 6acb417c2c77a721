"""A clock that is two years off, or jumps: builds are right, and what is in use stays in the cache.

All builds run under faketime, some without an offset, so that they see the same environment. Times of files
are the real ones, as on a machine whose clock is set while files stay.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from harness import BuildResult, clean_environment, edit, needs_clang, needs_faketime, run
from rules import write

from nativecache.cache.folder import find_entries

pytestmark = needs_faketime

NOW, AHEAD, BEHIND = "+0", "+2y", "-2y"
DAY = 24 * 3600

MAIN = '#include <stdio.h>\nint f(int);\nint main(void) {\n  printf("%d\\n", f(5));\n  return 0;\n}\n'
SOURCES = {"main.c": MAIN, "f.c": "int f(int x) {\n  return x + 1;\n}\n"}


def at(clock: str, space: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command with a clock that is off."""
    environment = {"NATIVECACHE_DIR": str(space / "cache"), "NO_FAKE_STAT": "1", "DONT_FAKE_MONOTONIC": "1"}
    return subprocess.run(
        ["faketime", "-m", "-f", clock, sys.executable, "-m", "nativecache.cli.start", *map(str, words)],
        cwd=space,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
    )


def build_at(clock: str, space: Path, *words: str) -> BuildResult:
    done = at(clock, space, "build", *SOURCES, "-o", "app", "--stats-json", "stats.json", *words)
    assert (done.returncode, done.stderr) == (0, "")
    return BuildResult(0, done.stdout, done.stderr, json.loads((space / "stats.json").read_text()))


@pytest.fixture
def space(tmp_path: Path) -> Path:
    write(tmp_path, SOURCES)
    return tmp_path


@needs_clang
def test_builds(space: Path) -> None:
    cold = build_at(NOW, space)
    image = (space / "app").read_bytes()
    assert (cold.hits, cold.stats["sources_unchanged"]) == (0, 0)
    for clock in (AHEAD, BEHIND):
        (space / "app").unlink()
        warm = build_at(clock, space)
        assert (warm.misses, warm.stats["sources_unchanged"]) == (0, 2), clock
        assert warm.stats["wall_seconds"] >= 0 and warm.stats["saved_seconds"] >= 0
        assert (space / "app").read_bytes() == image
    for number, clock in enumerate((AHEAD, BEHIND, NOW), 1):
        edit(space / "f.c", f"x + {number};", f"x + {number + 1};")
        times = os.stat(space / "main.c").st_mtime - number * DAY
        os.utime(space / "f.c", (times, times))
        assert build_at(clock, space).misses == 1, clock
        assert run(space / "app").stdout == b"%d\n" % (5 + number + 1)


def test_statistics(space: Path) -> None:
    write(space, {"f.ll": "define i32 @f() {\n  ret i32 1\n}\n"})
    for clock in (NOW, AHEAD, BEHIND, NOW, AHEAD):
        done = at(clock, space, "build", "f.ll", "--emit", "object", "-o", "f.o", "-v")
        assert (done.returncode, done.stderr) == (0, "")
    # Folding under either clock loses nothing.
    for clock in (AHEAD, BEHIND, NOW):
        figures = json.loads(at(clock, space, "cache", "stats", "--json").stdout)
        years = [int(day[:4]) for day in figures["days"]]
        assert len(years) == 3 and years[2] - years[0] in (3, 4)
        assert [day["builds"] for day in figures["days"].values()] == [1, 2, 2]
        assert (figures["total"]["builds"], figures["total"]["hits"], figures["damaged_records"]) == (5, 4, 0)
        assert all(number >= 0 for number in figures["total"].values() if isinstance(number, (int, float)))


def test_a_jump_prunes_nothing_at_first(space: Path) -> None:
    def build(clock: str, name: str) -> str:
        write(space, {f"{name}.ll": f"define i32 @{name}() {{\n  ret i32 {ord(name)}\n}}\n"})
        done = at(clock, space, "build", f"{name}.ll", "--emit", "object", "-o", f"{name}.o", "-v")
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    build(NOW, "f")
    build(NOW, "g")
    entries = {entry.key for entry in find_entries(space / "cache")}
    build(AHEAD, "f")  # which looks whether something is to be pruned
    lock = space / "cache" / "v1" / "prune.lock"
    deadline = time.monotonic() + 30
    while not lock.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    with FileLock(lock, timeout=30):  # it has looked
        assert entries <= {entry.key for entry in find_entries(space / "cache")}
    # What was used since is kept under that clock; the rest is too old by now.
    assert at(AHEAD, space, "cache", "prune", "--automatic=3601").returncode == 0
    assert entries & {entry.key for entry in find_entries(space / "cache")} < entries
    assert "1 of 1 functions from cache" in build(AHEAD, "f")
    # Back again, that is in use in the future, which is no harm.
    assert at(NOW, space, "cache", "prune").returncode == 0
    assert "1 of 1 functions from cache" in build(NOW, "f")
