"""What the tests of the splitting rules share: small programs, built both ways and compared.

There are many of them, so a build is a fork of the test process, which has loaded nativecache already:
0.1 s of processor time where a process of its own takes 0.27 s, most of it to import Python modules.
"""

import json
import multiprocessing
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import CLANG, BuildResult, assert_same_behaviour, by_function, enter, run

import nativecache.aot.build  # noqa: F401 - loaded before forks
from nativecache.cli.main import main

LEVELS = ("-O0", "-O2")
#: Where rules are tried that do not say so; at all levels with `--whole` (conftest.py). At -O0 files are left
#: whole but for those who ask.
tried = ["-O2"]


@dataclass(frozen=True)
class Built:
    """One level's builds: nativecache's image and figures (cold), and what the image printed."""

    image: Path
    result: BuildResult
    stdout: str


@dataclass(frozen=True)
class Build:
    """A build that runs in a forked process."""

    process: multiprocessing.process.BaseProcess
    log: Path
    stats: Path

    @classmethod
    def start(cls, space: Path, folder: Path, *words: str | Path) -> "Build":
        """Run `nativecache build WORDS` in `space`, with the cache and all that is noted in `folder`."""
        log, stats = folder / "log", folder / "stats.json"
        arguments = ["build", "--cache-dir", folder / "cache", "--stats-json", stats, *words]
        context = multiprocessing.get_context("fork")
        process = context.Process(target=_build, args=(space, log, by_function(list(map(str, arguments)))))
        process.start()
        return cls(process, log, stats)

    def result(self) -> BuildResult:
        self.process.join()
        assert self.process.exitcode == 0, self.log.read_text()
        return BuildResult(0, self.log.read_text(), "", json.loads(self.stats.read_text()))


def _build(space: Path, log: Path, arguments: list[str]) -> None:
    enter(space, log)
    main(arguments)


def write(space: Path, files: Mapping[str, str]) -> list[str]:
    """Write the sources; their names, headers left out."""
    for name, text in files.items():
        (space / name).parent.mkdir(parents=True, exist_ok=True)
        (space / name).write_text(text, encoding="utf-8")
    return [name for name in files if not name.endswith(".h")]


def compare(  # noqa: PLR0913 - what a build takes, by keyword
    space: Path,
    files: Mapping[str, str],
    says: str | None = None,
    *,
    code: int = 0,
    natives: Sequence[str] = (),
    order: Sequence[str] = (),
    cflags: Sequence[str] = (),
    link: Sequence[str] = (),
    options: Sequence[str] = (),
    levels: Sequence[str] | None = None,
) -> dict[str, Built]:
    """Build with nativecache and with clang; both images behave alike.

    `says`: what the program must print. `order`: the inputs, where natives do not come last. A warm build
    follows: it compiles nothing and gives the same bytes.
    """
    levels = levels or tried
    inputs = [*write(space, files), *natives]
    if order:
        assert sorted(order) == sorted(inputs)
        inputs = list(order)
    driver = "clang++-22" if any(name.endswith(".cpp") for name in inputs) else CLANG
    flags = [f"--cflag={flag}" for flag in cflags]
    after = ["--", *link] if link else []
    folders = {level: space / level for level in levels}
    theirs = {}
    for level, folder in folders.items():
        folder.mkdir()
        command = [driver, *(str(space / name) for name in inputs), level, *cflags, *link]
        theirs[level] = subprocess.Popen([*command, "-w", "-o", folder / "clang"])

    def ours(image: str, *more: str) -> dict[str, BuildResult]:
        words = [*inputs, *flags, *options, *more]
        builds = {
            level: Build.start(space, folder, *words, level, "-o", folder / image, *after)
            for level, folder in folders.items()
        }
        return {level: build.result() for level, build in builds.items()}

    cold = ours("image")
    built = {}
    for level, folder in folders.items():
        assert theirs[level].wait(60) == 0
        done = assert_same_behaviour(folder / "image", folder / "clang", code=code)
        if says is not None:
            assert done.stdout.decode() == says, done
        built[level] = Built(folder / "image", cold[level], done.stdout.decode())
    warm = ours("warm", "-j1")
    for level, folder in folders.items():
        assert warm[level].misses == 0, warm[level].compiled
        assert (folder / "warm").read_bytes() == (folder / "image").read_bytes()
    return built


def clang_object(space: Path, name: str, text: str, *flags: str) -> str:
    """Compile a source to an object with clang alone; its file name in `space`."""
    (space / name).write_text(text)
    out = Path(name).stem + ".o"
    subprocess.run([CLANG, "-O2", *flags, "-w", "-c", name, "-o", out], cwd=space, check=True, timeout=60)
    return out


def clang_archive(space: Path, name: str, text: str) -> str:
    """An archive of one object made by clang; its file name in `space`."""
    member = clang_object(space, name, text)
    out = f"lib{Path(name).stem}.a"
    subprocess.run(["ar", "rcs", out, member], cwd=space, check=True, timeout=60)
    return out


def link_with_clang(space: Path, *words: str, out: str = "linked") -> str:
    """Link with clang in `space` and run; what the image printed."""
    driver = "clang++-22" if any(word.endswith(".cpp") for word in words) else CLANG
    subprocess.run([driver, "-w", *words, "-o", out], cwd=space, check=True, timeout=60)
    done = run(space / out)
    assert done.code == 0, done
    return done.stdout.decode()
