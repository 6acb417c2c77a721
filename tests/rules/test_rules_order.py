"""ClangJobs, objects, archives, libraries and options with state are linked in the order of writing."""

import random
import subprocess
from pathlib import Path

import pytest
from harness import needs_clang, needs_lld, needs_mold, run
from orders import command_line, compare_once, prepare
from rules import Build, clang_archive, clang_object, compare, write

pytestmark = needs_clang

each_linker = pytest.mark.parametrize(
    "linker", ["bfd", pytest.param("lld", marks=needs_lld), pytest.param("mold", marks=needs_mold)]
)
MAIN = '#include <stdio.h>\nint main(void) { puts("main"); }\n'
PART = '#include <stdio.h>\n__attribute__((constructor)) static void begin(void) { puts("%s"); }\n'


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    space = tmp_path_factory.mktemp("orders")
    prepare(space)
    return space


@each_linker
def test_random_command_lines(parts: Path, linker: str) -> None:
    """More of them: `python tests/tools/orders.py 1 1000`."""
    for seed in range(3):
        words = command_line(random.Random(seed))
        assert not compare_once(parts, words, linker), words


@pytest.mark.parametrize(
    "words",
    [
        "main0.c s0.c -Wl,--whole-archive liba.a -Wl,--no-whole-archive libb.a",
        # The state is the user's on both sides of ours.
        "-Wl,--whole-archive s0.c libb.a main0.c -Wl,--no-whole-archive liba.a",
        "main3.c -Wl,--whole-archive,liba.a,--no-whole-archive libb.a liba.a",
        "main3.c -Xlinker --whole-archive -Xlinker liba.a -Xlinker --no-whole-archive libb.a",
        "main1.c o0.o -Wl,--push-state -Wl,--whole-archive libb.a -Wl,--pop-state s1.c liba.a libl.so",
        # An archive that a library of ours needs back; `main` decides whose members come.
        "main2.c -Wl,--start-group liba.a libb.a -Wl,--end-group",
        # Whose weak definitions come first, those win.
        "o1.o s1.c main3.c o0.o",
        "s2.c main3.c o0.o s0.c",
        # Nothing uses the library but the user.
        "main3.c -Wl,--no-as-needed libl.so",
        "main3.c libl.so",
        "main3.c -Wl,--as-needed libl.so -Wl,--no-as-needed libk.so",
    ],
)
def test_order(parts: Path, words: str) -> None:
    assert not compare_once(parts, words.split(), "bfd")


@pytest.mark.parametrize(
    "words",
    [
        "-Wl,--as-needed -lk -Wl,--no-as-needed -lk",
        "-Wl,--push-state,--as-needed -lk -Wl,--pop-state libk.so",
        "-Wl,@words",
        "-Wl,--library=k -Wl,-w",
        "-Wl,--library,k -Wl,--no-warnings -Wl,--sort-common=descending -Wl,-entry,_start",
        "-lk -Wl,-call_shared -Wl,-undefined,puts",
        "-lk -t",
    ],
)
def test_libraries_that_nothing_uses(parts: Path, words: str) -> None:
    """Their constructors run, whichever linker and driver there are."""
    (parts / "words").write_text("-lk\n")
    assert not compare_once(parts, ["main3.c", *words.split()], "auto")
    assert run(parts / "ours/app").stdout.startswith(b"l1\n")


def test_libraries_of_the_language_are_found_through_an_image(tmp_path: Path) -> None:
    """That an image needs a library does not hang on what it takes from it."""
    files = {
        "lib.cpp": "int one() { return 1; }\n",
        "main.c": "#include <dlfcn.h>\n#include <stdio.h>\n"
        "int main(int n, char **v) { void *h = dlopen(v[1], 2);"
        ' printf("%d %d %d\\n", !!dlsym(h, "puts"), !!dlsym(h, "cos"), !!dlsym(h, "__cxa_throw")); }\n',
    }
    write(tmp_path, files)
    Build.start(tmp_path, tmp_path, "lib.cpp", "--emit", "shared", "-o", "lib.so").result()
    subprocess.run(["clang-22", "main.c", "-o", "main"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "main", tmp_path / "lib.so"], capture_output=True, check=True)
    assert done.stdout == b"1 1 1\n"


BACK = "int ours(void);\nint theirs(void) { return ours() + 1; }\n"
CALLS = "int theirs(void);\nint ours(void) { return 41; }\nint main(void) { return theirs(); }\n"


@pytest.mark.parametrize(
    "words",
    [
        ("-Wl,libback.a",),
        ("-Xlinker", "libback.a"),
        ("-Wl,--whole-archive,libback.a,--no-whole-archive",),
        ("script.ld",),
        ("libscript.so",),
        ("-L.", "-lscript"),
        ("--", "libback.a"),
        ("--start-group", "libback.a", "--end-group"),
    ],
)
def test_what_the_linker_is_given_in_other_ways_uses_ours(tmp_path: Path, words: tuple[str, ...]) -> None:
    """`ours` is inlined wherever we see a call, and only the archive shows that it is needed."""
    clang_archive(tmp_path, "back.c", BACK)
    write(tmp_path, {"main.c": CALLS, "script.ld": "INPUT(libback.a)\n"})
    (tmp_path / "libscript.so").write_text("/* GNU ld script */\nGROUP ( libback.a )\n")
    Build.start(tmp_path, tmp_path, "main.c", "--linker", "bfd", "-o", "app", *words).result()
    assert run(tmp_path / "app").code == 42


def test_a_script_a_symbol_and_an_entry_keep_their_values(tmp_path: Path) -> None:
    write(tmp_path, {"main.c": MAIN})
    words = ("main.c", "-u", "puts", "-z", "now", "-e", "_start", "-T", "s.ld", "-rpath", "/x")
    (tmp_path / "s.ld").write_text("SECTIONS { .mine : { *(.mine) } } INSERT AFTER .data;\n")
    Build.start(tmp_path, tmp_path, *words, "--linker", "bfd", "-o", "app").result()
    assert run(tmp_path / "app").stdout == b"main\n"
    dynamic = subprocess.run(["readelf", "-d", "app"], cwd=tmp_path, capture_output=True, text=True).stdout
    assert "NOW" in dynamic and "[/x]" in dynamic


@pytest.mark.parametrize("format", ["--format=binary", "-b,binary"])
def test_files_of_a_format_that_the_linker_is_told(tmp_path: Path, format: str) -> None:
    text = "extern const char _binary_d_bin_start[];\nint main(void) { return _binary_d_bin_start[0]; }\n"
    write(tmp_path, {"main.c": text, "d.bin": "A"})
    words = ("main.c", f"-Wl,{format}", "d.bin", "-Wl,--format=default", "--linker", "bfd", "-o", "app")
    Build.start(tmp_path, tmp_path, *words).result()
    assert run(tmp_path / "app").code == ord("A")


def test_a_partial_link_takes_what_the_linker_is_told(tmp_path: Path) -> None:
    native = clang_object(tmp_path, "native.c", "int native(void) { return 5; }\n")
    write(tmp_path, {"a.c": "int native(void);\nint a(void) { return native() + 1; }\n"})
    Build.start(tmp_path, tmp_path, "a.c", native, "-r", "-Wl,--defsym=told=3", "-o", "both.o").result()
    symbols = subprocess.run(["nm", "both.o"], cwd=tmp_path, capture_output=True, text=True).stdout
    assert {line.split()[-1] for line in symbols.splitlines()} >= {"a", "native", "told"}


def test_the_place_of_an_object_is_part_of_what_was_linked(tmp_path: Path) -> None:
    """The same inputs in another order are another image."""
    native = clang_object(tmp_path, "native.c", PART % "native")
    write(tmp_path, {"main.c": MAIN, "more.c": PART % "more"})
    for order, said in (
        (("more.c", native, "main.c"), b"more\nnative\nmain\n"),
        ((native, "more.c", "main.c"), b"native\nmore\nmain\n"),
    ):
        Build.start(tmp_path, tmp_path, *order, "-o", "app").result()
        assert run(tmp_path / "app").stdout == said


def test_constructors_across_sources_and_objects(tmp_path: Path) -> None:
    natives = [clang_object(tmp_path, f"n{n}.c", PART % f"n{n}") for n in range(2)]
    files = {"main.c": MAIN, "a.c": PART % "a", "b.c": PART % "b"}
    order = ["a.c", natives[1], "main.c", natives[0], "b.c"]
    compare(tmp_path, files, "a\nn1\nn0\nb\nmain\n", natives=natives, order=order, levels=["-O2"])


@pytest.mark.parametrize("place", ["input", "behind"])
def test_unused_sections_of_rusts_libraries_go(tmp_path: Path, place: str) -> None:
    """An rlib's objects bring much that nobody uses; rustc has the linker drop it."""
    text = "int used(void) { return 7; }\nint lost(void);\nint unused(void) { return lost(); }\n"
    member = clang_object(tmp_path, "r.c", text, "-ffunction-sections")
    subprocess.run(["ar", "rcs", "libr.rlib", member], cwd=tmp_path, check=True)
    write(tmp_path, {"main.c": "int used(void);\nint main(void) { return used(); }\n"})
    words = ("libr.rlib",) if place == "input" else ("--", "libr.rlib")
    Build.start(tmp_path, tmp_path, "main.c", "-o", "app", *words).result()
    assert run(tmp_path / "app").code == 7


def test_an_rlib_calls_back(tmp_path: Path) -> None:
    subprocess.run(["ar", "rcs", "lib.rlib", clang_object(tmp_path, "b.c", BACK)], cwd=tmp_path, check=True)
    write(tmp_path, {"main.c": CALLS})
    Build.start(tmp_path, tmp_path, "main.c", "-o", "app", "--", "lib.rlib").result()
    assert run(tmp_path / "app").code == 42
