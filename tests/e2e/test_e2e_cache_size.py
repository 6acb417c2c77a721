"""A cache is not many times as large as ccache's of the same program."""

import subprocess
from pathlib import Path

import pytest
from harness import PROGRAMS, Program, clean_environment, needs, needs_clang

from nativecache.cache.folder import find_entries

pytestmark = [needs_clang, needs("ccache")]


def sizes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def cxx(tmp_path_factory: pytest.TempPathFactory) -> Program:
    names = ("cxx20.cpp", "cxx20_lib.cpp", "cxx20_lib.h")
    files = [PROGRAMS / name for name in names]
    space = tmp_path_factory.mktemp("size")
    return Program.copied(space, *files, sources=names[:2], flags=["-std=c++20", "-O2"])


@pytest.fixture(scope="module")
def ccache(cxx: Program) -> int:
    """The bytes that ccache keeps, compressed as it does by itself."""
    folder = cxx.space / "ccache.d"
    environment = clean_environment() | {"CCACHE_DIR": str(folder), "CCACHE_CONFIGPATH": "/dev/null"}
    for name in cxx.sources:
        words = ["ccache", "clang++-22", *cxx.flags, "-c", name, "-o", str(cxx.space / f"{name}.o")]
        subprocess.run(words, cwd=cxx.path(), env=environment, check=True, timeout=600)
    return sizes(folder)


# Measured: 17.2 and 14.7 times; the files were 74 times as large before payloads were folded. Of so small a
# program ccache has but two small objects, while the memos know much of what it includes.
@pytest.mark.family(2)
@pytest.mark.parametrize(("store", "most"), [("files", 21), ("sqlite", 18)])
def test_size_of_a_first_build(cxx: Program, ccache: int, store: str, most: float) -> None:
    cxx.build(store, "--store", store, cache=f"cache-{store}")
    ours = sum(len(found.read()) for found in find_entries(cxx.space / f"cache-{store}"))
    assert ours < most * ccache, f"{ours} is {ours / ccache:.1f} times {ccache}"
