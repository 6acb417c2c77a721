"""Measures what a build with one function to compile spends on imports: on all that Python loads.

The modules that such a build had loaded at its end are loaded by a process that does nothing else, and its
processor time is compared with that of a Python that loads nothing.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.measure import Row, Skipped, call
from harness import CLANG, has_tool

# Runs the command line; leaves the names of all modules in a file, in the order in which they were loaded,
# and how often it forked in another one.
DRIVER = """
import atexit, os, sys
forks = []
os.register_at_fork(before=lambda: forks.append(os.getpid()))
def note(process=os.getpid()):
    if os.getpid() == process:
        open("modules", "w").write("\\n".join(name for name in sys.modules if name != "__main__"))
        open("forks", "w").write(str(len(forks)))
atexit.register(note)
from nativecache.cli.start import main
main()
"""
LOAD = """
for name in open("modules").read().split():
    try:
        __import__(name)
    except ImportError:  # a name that was given to a module of another one
        pass
"""
FILES = 8
#: Measurements for each pair that is asked for: one is 0.1 s, and they differ by a tenth.
TIMES = 8
#: What is loaded is to be found compiled, as it is after the first build.
PYTHON = ("env", "-u", "PYTHONDONTWRITEBYTECODE", sys.executable)


def measure_imports(space: Path, pairs: int) -> Iterator[Row]:
    """B21: processor time, and processes forked."""
    if not has_tool(CLANG):
        raise Skipped(f"no {CLANG}")
    folder = space / "imports"
    folder.mkdir()
    _write(folder, "main.c", "".join(f" + f{n}(n)" for n in range(FILES)), "main")
    for n in range(FILES):
        _write(folder, f"f{n}.c", f" * {n + 2}", f"f{n}")
    command = [*PYTHON, "-c", DRIVER, "build", *sorted(path.name for path in folder.glob("*.c"))]
    command += ["-q", "-O2", "-o", "program", "--clang", CLANG, "--cache-dir", "cache"]
    call(command, folder)
    _write(folder, "f3.c", " * 77", "f3")
    call(command, folder)
    costs: list[list[float]] = [[], []]
    for _ in range(pairs * TIMES):
        for taken, words in zip(costs, (("-c", LOAD), ("-I", "-S", "-c", "pass")), strict=True):
            taken.append(call([*PYTHON, *words], folder).cpu)
    ours, bare = map(median, costs)
    what = "one function edited: CPU of imports"
    yield Row(bar="B21", what=what, peer=bare, ours=ours, ratio=ours - bare, goal="<= 0.08")
    count = len((folder / "modules").read_text().split())
    yield Row(bar="B21", what="the same: modules loaded", ratio=count)
    yield Row(bar="B21", what="the same: forks", ratio=int((folder / "forks").read_text()), goal="<= 1")


def _write(folder: Path, file: str, added: str, name: str) -> None:
    declared = "".join(f"int f{n}(int);\n" for n in range(FILES))
    function = f"__attribute__((noinline)) int {name}(int n) {{ return n{added}; }}\n"
    (folder / file).write_text(declared + function)
