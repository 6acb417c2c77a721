"""What end-to-end tests share: build with nativecache, build with clang, run both, compare.

Builds run as subprocesses, as a user's would. A `Program` is a program's sources in a temporary folder that
also holds its cache, so a test that builds twice gets a cold and a warm build.
"""

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

TESTS = Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
EXAMPLES = ROOT / "examples"
#: Programs and modules that tests share.
TOOLS = TESTS / "tools"
PROGRAMS = TESTS / "programs"
CLANG = "clang-22"


class Run(NamedTuple):
    """What a program did: exit code and both outputs, as bytes."""

    code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class BuildResult:
    exit_code: int
    stdout: str
    stderr: str
    stats: dict[str, Any] = field(repr=False)

    @property
    def hits(self) -> int:
        return int(self.stats["hits"])

    @property
    def misses(self) -> int:
        return int(self.stats["misses"])

    @property
    def compiled(self) -> list[str]:
        return [str(name) for name in self.stats["compiled"]]


def enter(folder: Path, log: Path) -> None:
    """Has a forked process work in a folder, without the user's settings, and write all it says to a file."""
    for name in [name for name in os.environ if name.startswith("NATIVECACHE_")]:
        del os.environ[name]
    os.chdir(folder)
    file = log.open("w")
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
    sys.stdout = sys.stderr = file


def build(
    tmp_path: Path,
    *args: str | Path,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
) -> BuildResult:
    """Run `nativecache build ARGS` with the cache in `tmp_path`/cache; `check` asserts that it succeeds."""
    stats = tmp_path / "stats.json"
    stats.unlink(missing_ok=True)
    command = [sys.executable, "-m", "nativecache.cli.start", "build"]
    command += ["--stats-json", str(stats), *map(str, args)]
    command = by_function(command)
    done = subprocess.run(
        command,
        cwd=cwd or tmp_path,
        env=clean_environment() | {"NATIVECACHE_DIR": str(tmp_path / "cache")} | (env or {}),
        capture_output=True,
        text=True,
        timeout=600,
    )
    if check:
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    numbers = json.loads(stats.read_text()) if stats.exists() else {}
    return BuildResult(done.returncode, done.stdout, done.stderr, numbers)


def by_function(words: list[str]) -> list[str]:
    """A build's words that have it cut files into functions at -O0, too: most tests are about those."""
    if "-O0" not in words or any(word.startswith("--granularity") for word in words):
        return words
    at = words.index("-O0")
    return [*words[:at], "--granularity", "function", *words[at:]]


def clean_environment() -> dict[str, str]:
    """The environment without settings that change a build."""
    return {name: value for name, value in os.environ.items() if not name.startswith("NATIVECACHE_")}


def clang_build(sources: Sequence[str | Path], flags: Sequence[str], out: Path) -> Path:
    """Build the same program with clang alone; the flags follow the sources, so `-lm` works."""
    driver = "clang++-22" if any(Path(source).suffix in (".cpp", ".cc") for source in sources) else CLANG
    subprocess.run([driver, *map(str, sources), *flags, "-w", "-o", str(out)], check=True, timeout=600)
    return out


def run(exe: Path, args: Sequence[str | Path] = (), stdin: bytes = b"") -> Run:
    """Run a program; whatever its file is called, it sees itself called `program`."""
    done = subprocess.run(["program", *args], executable=exe, input=stdin, capture_output=True, timeout=120)
    return Run(done.returncode, done.stdout, done.stderr)


def assert_same_behaviour(
    ours: Path,
    clangs: Path,
    args: Sequence[str | Path] = (),
    stdin: bytes = b"",
    code: int = 0,
) -> Run:
    """Both programs give the same output, errors and exit code, and the code is the expected one."""
    expected = run(clangs, args, stdin)
    assert expected.code == code, expected
    actual = run(ours, args, stdin)
    assert actual == expected
    return actual


@dataclass(frozen=True)
class Program:
    """A real program to build both ways: its sources are copied to `space`/`folder`, images land in `space`.

    Builds run in the source folder with relative names, so a `copy` is the same build in another place.
    """

    space: Path
    sources: tuple[str, ...]
    flags: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    folder: str = "src"

    @classmethod
    def copied(
        cls,
        space: Path,
        *files: Path,
        sources: Sequence[str],
        flags: Sequence[str] = (),
        libraries: Sequence[str] = (),
    ) -> "Program":
        """Copy `files`, of which `sources` are compiled, into a new source folder."""
        program = cls(space, tuple(sources), tuple(flags), tuple(libraries))
        program.path().mkdir(parents=True)
        for file in files:
            shutil.copy(file, program.path())
        return program

    def copy(self, folder: str) -> "Program":
        """The same program in another folder, with the same cache."""
        shutil.copytree(self.path(), self.space / folder)
        return replace(self, folder=folder)

    def path(self, name: str = "") -> Path:
        return self.space / self.folder / name

    def build(self, image: str, *options: str, cache: str = "cache") -> BuildResult:
        """Build `space`/`image` with nativecache."""
        arguments = [*self.sources, *self.flags, *options, "-o", str(self.space / image)]
        libraries = ["--", *self.libraries] if self.libraries else []
        environment = {"NATIVECACHE_DIR": str(self.space / cache)}
        return build(self.space, *arguments, *libraries, env=environment, cwd=self.path())

    def clang(self, level: str) -> Path:
        """The image that clang makes at `level`, built once."""
        image = self.space / f"clang{level}"
        if not image.exists():
            sources = [self.path(name) for name in self.sources]
            clang_build(sources, [level, *self.flags, *self.libraries], image)
        return image

    def assert_same_image(self, expected: str, *options: str, cache: str = "cache") -> BuildResult:
        """Build again in some other manner and compare with an image of before, byte for byte."""
        result = self.build("again", *options, cache=cache)
        assert (self.space / "again").read_bytes() == (self.space / expected).read_bytes()
        return result


def llvm_object(ir: str) -> bytes:
    """The object that llvmlite makes of IR for this machine, position independent."""
    llvm = pytest.importorskip("llvmlite.binding")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(reloc="pic")
    obj = machine.emit_object(llvm.parse_assembly(ir))
    assert isinstance(obj, bytes)
    return obj


def edit(file: Path, old: str, new: str) -> None:
    """Replace the one occurrence of `old` in a source file."""
    text = file.read_text()
    assert text.count(old) == 1, f"{file.name}: {text.count(old)} times {old!r}"
    file.write_text(text.replace(old, new))


def needs(tool: str) -> pytest.MarkDecorator:
    """Skips a test, by name, on a machine without the tool."""
    return pytest.mark.skipif(not has_tool(tool), reason=f"needs {tool}")


@functools.cache
def has_tool(tool: str) -> bool:
    return shutil.which(tool) is not None


needs_clang = needs(CLANG)
needs_lld = needs("ld.lld-22")
needs_mold = needs("mold")
needs_csmith = needs("csmith")
needs_gdb = needs("gdb")
needs_faketime = needs("faketime")
