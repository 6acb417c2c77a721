"""A build loads what it uses: no LLVM where all is in the cache, none of what it can do without."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import CLANG, clean_environment, needs_clang
from rules import write

from nativecache.aot.codegen.libllvm import find_library
from nativecache.aot.codegen.llvm import VERSION

pytestmark = needs_clang

#: Runs the command line, and notes what it and the processes that it forks do. An import is noted where a
#: module is really looked for.
SCRIPT = """\
import os, sys
log = os.open("events", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
def note(event, words):
    if event in ("import", "ctypes.dlopen", "os.fork") or (event == "open" and str(words[0]).endswith(".c")):
        os.write(log, f"{event} {words[0] if words else None}\\n".encode())
sys.addaudithook(note)
from nativecache.cli.start import main
main()
"""
#: What neither kind of build may load.
UNUSED = {
    *("click", "rich", "llvmlite", "multiprocessing", "concurrent", "logging", "dataclasses", "inspect"),
    *(
        "tempfile",
        "shutil",
        "random",
        "uuid",
        "datetime",
        "socket",
        "sqlite3",
        "tarfile",
        "tomllib",
        "difflib",
    ),
    *(
        "nativecache.cli.commands",
        "nativecache.cli.cache",
        "nativecache.cache.folder",
        "nativecache.cache.prune",
    ),
    *("nativecache.aot.embed", "nativecache.aot.front.members", "nativecache.aot.front.accepted"),
    *("nativecache.linker.dwarf", "nativecache.aot.debug.analysis"),
}
#: What an edit of a function in C has no use for either, if there is a plan for it.
UNUSED_BY_EDITS = {
    *("nativecache.aot.ir.assembly", "nativecache.aot.ir.unwinding", "nativecache.aot.units.interface"),
    *(
        "nativecache.aot.standing.adopt",
        "nativecache.aot.records.named_nodes",
        "nativecache.aot.debug.tokens",
    ),
    *("nativecache.aot.front.preambles", "nativecache.aot.front.precompile"),
    *("nativecache.linker.fixups", "nativecache.linker.localizing", "nativecache.linker.sections"),
}
FILES = {
    "main.c": "int f(int), g(int);\nint main(int n, char **v) { return f(n) + g(n); }\n",
    "f.c": "__attribute__((noinline)) int f(int n) { return n * 3; }\n",
    "g.c": "__attribute__((noinline)) int g(int n) { return n - 4; }\n",
}


@dataclass(frozen=True)
class Events:
    """What a build said, and what it and its workers loaded and forked."""

    said: str
    modules: frozenset[str]
    libraries: tuple[str, ...]
    forks: int
    #: Sources that were opened, as often as they were.
    sources: tuple[str, ...]

    @property
    def llvm(self) -> list[str]:
        """The libraries of LLVM that were loaded."""
        return [name for name in self.libraries if "llvm" in name.lower()]


def build(space: Path, *options: str) -> Events:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "build", *FILES, "-O2", "--clang", CLANG, "-o", "app", *options],
        cwd=space,
        env=clean_environment() | {"NATIVECACHE_DIR": str(space / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    events = [line.split(" ", 1) for line in (space / "events").read_text().splitlines()]
    seen: Mapping[str, list[str]] = {
        kind: [words for event, words in events if event == kind]
        for kind in ("import", "ctypes.dlopen", "os.fork", "open")
    }
    modules = frozenset(seen["import"])
    return Events(
        done.stdout, modules, tuple(seen["ctypes.dlopen"]), len(seen["os.fork"]), tuple(seen["open"])
    )


@pytest.fixture
def space(tmp_path: Path) -> Path:
    write(tmp_path, FILES)
    assert "3 compiled" in build(tmp_path).said
    return tmp_path


def unused(modules: frozenset[str]) -> set[str]:
    return {name for name in modules if name in UNUSED or name.partition(".")[0] in UNUSED}


def test_where_all_is_in_the_cache_no_llvm_is_loaded_and_nothing_forked(space: Path) -> None:
    write(space, {"f.c": "// A comment.\n" + FILES["f.c"]})
    done = build(space)
    assert "3 of 3 functions from cache" in done.said
    assert not unused(done.modules) and not done.llvm and not done.forks


def test_llvmlite_is_known_without_being_loaded_too(space: Path) -> None:
    assert "3 compiled" in build(space, "--llvm", "llvmlite").said
    write(space, {"f.c": "// A comment.\n" + FILES["f.c"]})
    done = build(space, "--llvm", "llvmlite")
    assert "3 of 3 functions from cache" in done.said
    assert not unused(done.modules) and not done.llvm and not done.forks


def test_a_function_to_compile_loads_one_llvm_once_and_forks_one_worker(space: Path) -> None:
    if find_library("auto", VERSION, CLANG) is None:
        pytest.skip("needs LLVM's shared library")
    write(space, {"f.c": FILES["f.c"].replace("3", "5")})
    done = build(space)
    assert "2 of 3 functions from cache" in done.said
    assert not unused(done.modules) and len(done.llvm) == 1 and "libLLVM" in done.llvm[0]
    assert UNUSED_BY_EDITS.isdisjoint(done.modules)
    # It cleans the function up before anything is known of who inlines it, and compiles it then.
    assert done.forks == 1


def test_another_library_in_the_place_of_one_that_is_known_is_looked_at(space: Path, tmp_path: Path) -> None:
    found = find_library("auto", VERSION, CLANG)
    if found is None:
        pytest.skip("needs LLVM's shared library")
    library = tmp_path / "libLLVM.so"
    shutil.copyfile(found.path, library)  # a link's time would be that of the library that all others use
    build(space, "--llvm", str(library))
    write(space, {"f.c": "// A comment.\n" + FILES["f.c"]})
    assert not build(space, "--llvm", str(library)).llvm
    write(space, {"f.c": FILES["f.c"]})
    os.utime(library)
    assert build(space, "--llvm", str(library)).llvm


def test_files_that_clang_compiles_in_one_piece_load_no_llvm(space: Path) -> None:
    build(space, "-O0")
    write(space, {"f.c": FILES["f.c"].replace("3", "5")})
    done = build(space, "-O0")
    assert "2 of 3 files from cache" in done.said
    assert not unused(done.modules) and not done.llvm and not done.forks


def test_a_source_that_did_not_change_is_read_once(space: Path) -> None:
    """To see whether there is anything to do; the build goes by what was seen then."""
    write(space, {"f.c": FILES["f.c"].replace("3", "5")})
    done = build(space)
    assert done.sources.count("main.c") == done.sources.count("g.c") == 1
