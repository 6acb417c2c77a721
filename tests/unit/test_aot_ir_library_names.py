"""The table of names that LLVM knows is the one compiled into the library in use."""

import functools
import mmap
from pathlib import Path

import llvmlite.binding
import pytest

from nativecache.aot.ir import library_names
from nativecache.aot.ir.library_names import has_meaning

#: TargetLibraryInfo's names follow each other in one block, each ended by a NUL; these two are first.
#: (A later block that begins alike holds the functions that code generation calls by itself.)
FIRST = b"\0??2@YAPAXI@Z\0??2@YAPAXIABUnothrow_t@std@@@Z\0"
LIBRARY = Path(llvmlite.binding.__file__).parent / "libllvmlite.so"

pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="needs libllvmlite.so")


@functools.cache
def names_in_the_library() -> list[str]:
    with LIBRARY.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(FIRST) + 1
        return data[start : data.find(b"\0\0", start)].decode("ascii").split("\0")


def test_every_name_of_the_library_has_a_meaning() -> None:
    names = names_in_the_library()
    assert len(names) > 400
    assert [name for name in names if not has_meaning(name)] == []


def test_the_table_holds_nothing_that_the_library_does_not_know() -> None:
    assert set(library_names._LIBRARY_CALLS.split()) == set(names_in_the_library())


@pytest.mark.parametrize("name", ["main", "__gxx_personality_v0", "llvm.sqrt.f64", "__kmpc_fork_call"])
def test_entry_points_personalities_and_runtimes_have_a_meaning(name: str) -> None:
    assert has_meaning(name)


@pytest.mark.parametrize("name", ["", "Main", "main2", "my_malloc", "malloc.1", "nc.0"])
def test_other_names_have_none(name: str) -> None:
    assert not has_meaning(name)
