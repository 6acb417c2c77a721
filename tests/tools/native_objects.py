"""Objects made with this machine's compilers and linkers, and what readelf says of them."""

import shutil
import subprocess
from pathlib import Path

import pytest

GCC = shutil.which("gcc")
LINKERS = {
    "bfd": shutil.which("ld.bfd"),
    "mold": shutil.which("mold"),
    "lld": shutil.which("ld.lld") or shutil.which("ld.lld-22"),
}
each_linker = pytest.mark.parametrize(
    "ld",
    [
        pytest.param(p, id=n, marks=[] if p else pytest.mark.skip(f"{n} is missing"))
        for n, p in LINKERS.items()
    ],
)
needs_gcc = pytest.mark.skipif(GCC is None, reason="gcc is missing")
HIDDEN = '__attribute__((visibility("hidden")))'


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def compile_c(folder: Path, source: str, *flags: str, name: str = "unit", compiler: str = "gcc") -> Path:
    suffix = ".cc" if compiler in ("g++", "clang++-22") else ".c"
    (folder / f"{name}{suffix}").write_text(source)
    run(compiler, "-O1", "-c", *flags, folder / f"{name}{suffix}", "-o", folder / f"{name}.o")
    return folder / f"{name}.o"


def read_names(path: Path) -> dict[str, str]:
    """Symbol name → binding, visibility and section, as readelf sees them."""
    rows = [line.split() for line in run("readelf", "-sW", path).splitlines()]
    return {row[7]: f"{row[4]} {row[5]} {row[6]}" for row in rows if len(row) == 8 and row[0][:-1].isdigit()}


def section_names(path: Path) -> str:
    return run("readelf", "-SW", path)


def partial_link(ld: str, folder: Path, *objects: Path) -> Path:
    run(ld, "-r", "-o", folder / "whole.o", *objects)
    return folder / "whole.o"
