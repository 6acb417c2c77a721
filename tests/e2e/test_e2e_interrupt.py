"""Ctrl-C and its like: all ends at once, in one line, and what was compiled is kept."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from harness import TOOLS, build, clean_environment
from rules import write

from nativecache.cache.entry import decode_entry
from nativecache.cache.folder import find_entries, find_temporaries

LINE = "nativecache: interrupted; what was compiled is kept\n"
#: It takes some 30 ms; here so much more that other work on the machine does not matter.
GONE_SECONDS = 3
WORDS = ("quick.ll", "slow.ll", "-O2", "--import-limit", "0", "--emit", "object", "-o", "app.o", "-j2")

INTERRUPTIONS = pytest.mark.parametrize(
    ("number", "send"),
    [
        pytest.param(signal.SIGINT, os.killpg, id="Ctrl-C"),
        pytest.param(signal.SIGINT, os.kill, id="SIGINT to the main process"),
        pytest.param(signal.SIGTERM, os.kill, id="SIGTERM to the main process"),
        pytest.param(signal.SIGTERM, os.killpg, id="SIGTERM to all"),
        pytest.param(signal.SIGHUP, os.killpg, id="a terminal that is closed"),
    ],
)


@INTERRUPTIONS
def test_in_the_middle_of_long_compilations(
    number: signal.Signals, send: Callable[[int, int], None], tmp_path: Path
) -> None:
    quick = "".join(f"define i32 @quick{n}() {{\n  ret i32 {n}\n}}\n" for n in range(5))
    write(tmp_path, {"quick.ll": quick, "slow.ll": slow_function()})
    (tmp_path / "app.o").write_text("older")
    child = start(tmp_path, *WORDS)
    until(child, lambda: len(units(tmp_path)) >= 4)  # the fifth may wait behind the slow one
    said = interrupt(child, number, send)
    assert (child.returncode, said) == (128 + number, LINE)
    assert (tmp_path / "app.o").read_text() == "older"
    assert left_behind(tmp_path, "quick.ll", "slow.ll", "app.o") == []
    kept = units(tmp_path)
    write(tmp_path, {"slow.ll": "define i32 @slow() {\n  ret i32 -1\n}\n"})
    again = build(tmp_path, *WORDS)
    assert (again.hits, again.misses) == (len(kept), 6 - len(kept))
    assert kept < units(tmp_path)


@pytest.mark.parametrize("send", [os.killpg, os.kill], ids=["all", "the main process"])
def test_while_clang_is_at_work(send: Callable[[int, int], None], tmp_path: Path) -> None:
    clang = tmp_path / "clang"
    busy = tmp_path / "busy"
    clang.write_text(
        f"#!/bin/sh\n[ $1 = --version ] && exec echo clang version 22\ntouch {busy}\nexec sleep 600\n"
    )
    clang.chmod(0o755)
    sources = write(tmp_path, {f"{n}.c": "int x;\n" for n in range(4)})
    child = start(tmp_path, *sources, "--clang", str(clang), "-o", "app", "-j2")
    until(child, busy.exists)
    said = interrupt(child, signal.SIGINT, send)
    assert (child.returncode, said) == (130, LINE)
    assert left_behind(tmp_path, "clang", "busy", *sources) == []


def test_signals_that_are_ignored_stay_so(tmp_path: Path) -> None:
    """As after nohup, or behind a shell's `&`."""
    write(tmp_path, {"f.ll": "define i32 @f() {\n  ret i32 1\n}\n"})
    words = [sys.executable, "-m", "nativecache.cli.start", "build", "f.ll", "--emit", "object", "--no-cache"]
    quoted = shlex.join([*words, "-o", "f.o"])
    # It raises signals against itself as soon as it is loaded.
    site = tmp_path / "sitecustomize.py"
    site.write_text(
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'nativecache.aot.build':\n"
        "            import signal\n"
        "            signal.raise_signal(signal.SIGHUP)\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    environment = clean_environment()
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environment.get("PYTHONPATH", "")])
    for trap, code in (("trap '' INT HUP; ", 0), ("", 128 + signal.SIGHUP)):
        done = subprocess.run(["sh", "-c", trap + quoted], cwd=tmp_path, env=environment, capture_output=True)
        assert done.returncode == code, done.stderr


@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_at_random_moments(name: str) -> None:
    assert_no_problems("6", "--signal", name)


@pytest.mark.parametrize(("store", "kills"), [("files", 30), ("sqlite", 6)])
def test_killed_at_random_moments(store: str, kills: int) -> None:
    """What SIGKILL leaves: only whole entries, and what is swept."""
    assert_no_problems(str(kills), "--store", store)


def test_workers_compilers_and_linkers_are_killed_at_random_moments() -> None:
    assert_no_problems("9", "--workers")


def assert_no_problems(*words: str) -> None:
    done = subprocess.run([sys.executable, TOOLS / "kills.py", *words], capture_output=True, text=True)
    if done.stdout.startswith("skipped: "):
        pytest.skip(done.stdout.removeprefix("skipped: ").strip())
    assert done.returncode == 0, done.stdout + done.stderr


def start(space: Path, *words: str) -> "subprocess.Popen[str]":
    (space / "tmp").mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "nativecache.cli.start", "build", *words],
        cwd=space,
        env=clean_environment() | {"NATIVECACHE_DIR": str(space / "cache"), "TMPDIR": str(space / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def until(child: "subprocess.Popen[str]", condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert child.poll() is None, f"it was too quick to be interrupted: {child.communicate()[0]}"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def interrupt(child: "subprocess.Popen[str]", number: int, send: Callable[[int, int], None]) -> str:
    """What the build says before it and all that it started is gone, soon after a signal."""
    begin = time.monotonic()
    send(child.pid, number)
    try:
        said, _ = child.communicate(timeout=60)
        with pytest.raises(ProcessLookupError):  # noqa: PT012 - asked until it raises
            while time.monotonic() - begin < GONE_SECONDS:
                os.killpg(child.pid, 0)
                time.sleep(0.001)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    print(f"gone after {(time.monotonic() - begin) * 1000:.0f} ms")
    assert time.monotonic() - begin < GONE_SECONDS
    return said


def units(space: Path) -> set[str]:
    """Keys of the objects of units in the cache, which have names of symbols beside them."""
    found = set()
    for entry in find_entries(space / "cache"):
        if "defined" in decode_entry(entry.key, Path(entry.path).read_bytes()).meta:
            found.add(entry.key)
    return found


def left_behind(space: Path, *known: str) -> list[str]:
    others = {path.name for path in space.iterdir()} - {"cache", "tmp", *known}
    temporaries = [*find_temporaries(space / "cache"), *(space / "tmp").iterdir()]
    return [*others, *map(str, temporaries)]


def slow_function(depth: int = 1500) -> str:
    """Loops in loops: LLVM's time grows with more than the square of their depth, to minutes here."""
    heads = "".join(
        f"h{n}:\n  %i{n} = phi i32 [ 0, %{f'h{n - 1}' if n else 'entry'} ], [ %j{n}, %t{n} ]\n"
        f"  br label %{f'h{n + 1}' if n + 1 < depth else 'body'}\n"
        for n in range(depth)
    )
    tails = "".join(
        f"t{n}:\n  %j{n} = add i32 %i{n}, 1\n  %c{n} = icmp slt i32 %j{n}, %x\n"
        f"  br i1 %c{n}, label %h{n}, label %{f't{n - 1}' if n else 'out'}\n"
        for n in reversed(range(depth))
    )
    return (
        f"define i32 @slow(i32 %x, ptr %p) {{\nentry:\n  br label %h0\n{heads}"
        f"body:\n  store volatile i32 %i{depth - 1}, ptr %p\n  br label %t{depth - 1}\n{tails}"
        "out:\n  ret i32 0\n}\n"
    )
