"""gdb and lldb show the same program in our image as in clang's: scripted sessions on both, compared.

Sessions are data (see tools/debuggers.py). Where the replies differ, the lines that do are listed beside the
session with the reason; anything else that differs fails, and so does a listed difference that is gone.
"""

import subprocess
from pathlib import Path

import pytest
from debuggers import both, check_session, gdb, lldb, replies
from harness import PROGRAMS, Program, build, edit, needs, needs_clang, needs_gdb, needs_lld

pytestmark = [needs_clang, needs_lld]
needs_lldb = needs("lldb-22")

SOURCES = PROGRAMS / "debug"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """A program in C; every session on it is run with the cache that the first one filled."""
    return Program.copied(
        tmp_path_factory.mktemp("shapes"), *SOURCES.iterdir(), sources=("shapes.c", "nodes.c"), flags=("-g",)
    )


@pytest.fixture(scope="module")
def animals(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """One in C++. libstdc++ comes without debug information: the types of std::string are ours to bring."""
    return Program.copied(
        tmp_path_factory.mktemp("animals"),
        *SOURCES.iterdir(),
        sources=("animals.cpp", "zoo.cpp"),
        flags=("-g", "-fstandalone-debug"),
    )


@needs_gdb
def test_c_in_gdb(shapes: Program) -> None:
    ours, clangs = both(shapes, "-O0")
    check_session("shapes.gdb", ours, clangs, shapes.path())


@needs_lldb
def test_c_in_lldb(shapes: Program) -> None:
    ours, clangs = both(shapes, "-O0")
    check_session("shapes.lldb", ours, clangs, shapes.path())


@needs_gdb
def test_cxx_in_gdb(animals: Program) -> None:
    ours, clangs = both(animals, "-O0")
    check_session("animals.gdb", ours, clangs, animals.path())


@needs_lldb
def test_cxx_in_lldb(animals: Program) -> None:
    ours, clangs = both(animals, "-O0")
    check_session("animals.lldb", ours, clangs, animals.path())


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Two files and two functions that mean something else by a name; all that is of one size."""
    files = sorted((PROGRAMS / "twins").iterdir())
    return Program.copied(tmp_path_factory.mktemp("twins"), *files, sources=("one.c", "two.c"), flags=("-g",))


@needs_gdb
def test_same_names_in_gdb(twins: Program) -> None:
    ours, clangs = both(twins, "-O0")
    check_session("twins.gdb", ours, clangs, twins.path())


@needs_lldb
def test_same_names_in_lldb(twins: Program) -> None:
    ours, clangs = both(twins, "-O0")
    check_session("twins.lldb", ours, clangs, twins.path())


@needs_gdb
@pytest.mark.parametrize("options", [["-O0", "-gdwarf-4"], ["-O0", "-gdwarf-2"], ["-O0", "-gz"]])
def test_versions_of_dwarf(shapes: Program, options: list[str]) -> None:
    ours, clangs = both(shapes, *options)
    check_session("versions.gdb", ours, clangs, shapes.path())


@needs_gdb
def test_lines_only(shapes: Program) -> None:
    ours, clangs = both(shapes, "-O0", "-g1")
    check_session("lines_only.gdb", ours, clangs, shapes.path())


@needs_gdb
@needs_lldb
@pytest.mark.parametrize("linker", ["lld", "bfd", "mold"])
def test_statics_are_found_by_name_where_there_are_only_lines(shapes: Program, linker: str) -> None:
    """Nothing but its symbol says what a function is called."""
    ours, clangs = both(shapes, "-O0", "-g1", f"-fuse-ld={linker}")
    for debugger, session in ((gdb, ["break visit"]), (lldb, ["b visit"])):
        assert replies(debugger, ours, session, shapes.path()) == replies(
            debugger, clangs, session, shapes.path()
        )


@needs_gdb
@pytest.mark.parametrize("kind", ["archive", "object", "shared"])
def test_what_clang_links(shapes: Program, kind: str) -> None:
    """An archive, an object or a shared library of ours, with a main program that clang compiles.

    The main program has no types of the names that the library's have: what it has could not be known.
    """
    space, folder = shapes.space, shapes.path()
    (space / "main.c").write_text(
        "int count_nodes(int n), shared_counter = 3;\nint main(void) { return count_nodes(3); }\n"
    )
    name = {"archive": "libnodes.a", "object": "nodes.o", "shared": "libnodes.so"}[kind]
    built = space / kind / name
    built.parent.mkdir()
    build(space, "nodes.c", "-g", "-O0", "--emit", kind, "-o", built, cwd=folder)
    theirs = ["-shared", "-fPIC"] if kind == "shared" else ["-c"]
    reference = space / kind / ("clang.so" if kind == "shared" else "clang.o")
    subprocess.run(["clang-22", "nodes.c", "-g", *theirs, "-o", str(reference)], cwd=folder, check=True)
    images = []
    for part, place in ((built, "ours"), (reference, "them")):
        image = space / kind / place / "image"
        image.parent.mkdir()
        arguments = [str(space / "main.c"), str(part), "-g", "-no-pie", "-o", str(image)]
        subprocess.run(["clang-22", *arguments], cwd=folder, check=True)
        images.append(image)
    check_session("library.gdb", images[0], images[1], folder)


@needs_gdb
def test_lines_move_and_functions_do_not(tmp_path: Path) -> None:
    """After an edit on top functions come from the cache with their new lines, as if compiled anew."""
    program = Program.copied(
        tmp_path, *SOURCES.iterdir(), sources=("shapes.c", "nodes.c"), flags=("-g", "-O0")
    )
    both(program)
    edit(
        program.path("shapes.c"),
        "#include <stdio.h>\n",
        "/* three\n   more\n   lines */\n#include <stdio.h>\n",
    )
    edit(program.path("nodes.c"), "#include <string.h>\n", "\n#include <string.h>\n")
    result = program.build("again")
    assert result.compiled == []
    ours, clangs = both(program)
    program.assert_same_image("ours/image", cache="cold")
    check_session("moved.gdb", ours, clangs, program.path())


@needs_gdb
def test_optimized(shapes: Program) -> None:
    ours, clangs = both(shapes, "-O2")
    check_session("optimized.gdb", ours, clangs, shapes.path())


@needs_gdb
def test_breakpoints_in_statics_once_started(shapes: Program) -> None:
    """gdb 13 looks for a static by its symbol, and tells no line where that has another name."""
    ours, clangs = both(shapes, "-O0")
    check_session("statics_once_started.gdb", ours, clangs, shapes.path())
