"""What clang printed of a source is found under another name, where it would print the same; and traps."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import CLANG, needs_clang
from rules import write

from nativecache.aot.front.clang import Clang
from nativecache.aot.front.clang_cache import FrontCache
from nativecache.aot.front.load import load
from nativecache.aot.front.name_shown import name_text, reads_oddly, shows_name
from nativecache.aot.front.sources import ClangJobs, FrontEnd
from nativecache.cache.file_store import FileStore
from nativecache.cache.lookup import EntryStore

pytestmark = needs_clang

SOURCE = '#include "value.h"\n#include <stddef.h>\nsize_t f(void) { return VALUE; }\n'
HEADER = "#include <stdio.h>\n#define VALUE 1\n"


@dataclass
class Space:
    """A folder with sources and a cache."""

    folder: Path

    def ask(self, name: str | Path, *flags: str, cached: bool = True) -> tuple[list[str], int]:
        """What clang says of a file, printed IR and warnings; and whether that was known."""
        store = EntryStore(FileStore(self.folder / "cache"))
        (self.folder / "scratch").mkdir(exist_ok=True)
        inputs = [Path(name)]
        with FrontCache(store, dict(os.environ)) as cache:
            front = FrontEnd(Clang((CLANG,), 22), 2, flags, cache if cached else None)
            sources = ClangJobs(inputs, front, threads=1, outputs=self.folder / "scratch")
            loaded = load(inputs, sources, store, threads=1)
            sources.close()
        whole = [path.read_bytes().hex() for path in loaded.native.values()]
        return [*(found.text for found in loaded.texts), *whole, *loaded.warnings], cache.unchanged

    def check(self, known: bool, name: str | Path, *flags: str) -> str:
        """Asks, and compares what was known with what clang says without a cache."""
        time.sleep(0.02)  # else files count as changed while clang was reading
        answer, unchanged = self.ask(name, *flags)
        assert unchanged == known
        assert not unchanged or answer == self.ask(name, *flags, cached=False)[0]
        return answer[0]


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Space:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write(Path(), {"a.c": SOURCE, "value.h": HEADER})
    return Space(tmp_path)


def test_absolute_names_and_back(space: Space) -> None:
    space.check(False, "a.c")
    space.check(True, Path("a.c").absolute())
    space.check(True, Path("a.c").absolute())
    space.check(True, "./a.c")
    space.check(True, "../here/a.c")
    shutil.copytree(".", "../there")
    space.check(True, space.folder / "there" / "a.c")


def test_another_folder_with_its_headers(space: Space) -> None:
    write(
        Path("src"),
        {"a.c": SOURCE.replace("value.h", "deep/value.h"), "deep/value.h": '#include "../more.h"\n'},
    )
    write(Path("src"), {"more.h": HEADER})
    space.check(False, "src/a.c")
    Path("src").rename("lib")
    space.check(True, "lib/a.c")
    write(Path("lib"), {"more.h": HEADER.replace("1", "2")})
    assert "ret i64 2" in space.check(False, "lib/a.c")


def test_a_renamed_file(space: Space) -> None:
    space.check(False, "a.c")
    Path("a.c").rename("b.c")
    space.check(True, "b.c")
    # What was taken over rests on what is there now.
    space.check(True, "b.c")
    write(Path(), {"value.h": "#define VALUE 7\n"})
    assert "ret i64 7" in space.check(False, "b.c")
    write(Path(), {"a.c": SOURCE, "value.h": HEADER})
    space.check(True, "a.c")
    space.check(True, "b.c")


def test_after_edits_answers_are_kept_by_what_differs(space: Space) -> None:
    text = SOURCE + "".join(f"int g{n}(int n) {{ return n * {n}; }}\n" for n in range(40))
    write(Path(), {"a.c": text})
    space.check(False, "a.c")
    write(Path(), {"a.c": text.replace("* 7;", "* 77;")})
    space.check(False, "a.c")
    space.check(True, Path("a.c").absolute())
    write(Path(), {"a.c": text.replace("* 7;", "* 777;")})
    space.check(False, Path("a.c").absolute())
    space.check(True, Path("a.c").absolute())
    space.check(True, "a.c")


@pytest.mark.parametrize(
    "text",
    [
        "const char *f(void) { return __FILE__; }\n",
        "int f(void) { return sizeof __FILE__; }\n",
        "#define PLACE __FILE__\n#define WHERE PLACE\nint f(void) { return sizeof WHERE; }\n",
        "#define CAT(a, b) a##b\nint f(void) { return sizeof CAT(__FI, LE__); }\n",
        "#define CAT(a, b, c) a##b##c\nint f(void) { return sizeof CAT(__, FILE, __); }\n",
        "#define CAT(a, b) a##b\n#define TWO(a, b) CAT(a, b)\n#define END E__\n"
        "int f(void) { return sizeof TWO(__FIL, END); }\n",
        "#define CAT(a, b, c, d, e) b##a##c##d##e\nint f(void) { return sizeof CAT(F, __, I, LE, __); }\n",
        "int f(void) { return sizeof __BASE_FILE__; }\n",
        "int f(void) { return __builtin_FILE()[0]; }\n",
        "#include <assert.h>\nint f(int n) { assert(n); return n; }\n",
        '#include "place.h"\nint f(void) { return sizeof PLACE; }\n',
        "/* \n#define PLACE */ int f(void) { return sizeof __FILE__; }\n",
        "int f(void) { return 1\n#ifdef X\n#else\n+ sizeof __FI\\\nLE__;\n#endif\n}\n",
        'int n __attribute__((annotate("note")));\n',
        "#if __INCLUDE_LEVEL__ == 0\n#include __FILE__\n#else\nint f(void) { return 1; }\n#endif\n",
        "#if __INCLUDE_LEVEL__\nint f(void) { return 1; }\n#else\n#define ME __FILE__\n#include ME\n#endif\n",
    ],
)
def test_names_that_a_program_shows(space: Space, text: str) -> None:
    write(Path(), {"a.c": text, "place.h": "#define PLACE __FILE__\n"})
    space.check(False, "a.c", "-std=gnu11")
    space.check(False, Path("a.c").absolute(), "-std=gnu11")
    Path("a.c").rename("longer.c")
    space.check(False, "longer.c", "-std=gnu11")


def test_names_that_headers_show_of_themselves(space: Space) -> None:
    write(Path(), {"a.c": '#include "size.h"\nint f(void) { return size(); }\n'})
    write(Path(), {"size.h": "static int size(void) { return sizeof __FILE__; }\n"})
    space.check(False, "a.c")
    space.check(False, Path("a.c").absolute())
    Path("a.c").rename("longer.c")
    space.check(True, "longer.c")


def test_a_name_that_a_flag_shows(space: Space) -> None:
    write(Path(), {"a.c": "int f(void) { return sizeof X; }\n"})
    space.check(False, "a.c", "-DX=__FILE__")
    space.check(False, Path("a.c").absolute(), "-DX=__FILE__")


@pytest.mark.parametrize(
    "text",
    [
        "#include <source_location>\nint f() { return std::source_location::current().file_name()[0]; }\n",
        'const char *g = R"(\n#define X )" __FILE__ R"(\n)";\n',
        "constexpr int size(const char *s = __builtin_FILE()) { return s[0]; }\nint f() { return size(); }\n",
    ],
)
def test_names_that_cplusplus_shows(space: Space, text: str) -> None:
    write(Path(), {"a.cpp": text})
    space.check(False, "a.cpp", "-std=c++20")
    space.check(False, Path("a.cpp").absolute(), "-std=c++20")


def test_the_name_alone_without_its_folder(space: Space) -> None:
    write(Path(), {"a.c": "const char *f(void) { return __FILE_NAME__; }\n"})
    space.check(False, "a.c")
    space.check(False, Path("a.c").absolute())
    Path("a.c").rename("b.c")
    assert "b.c\\00" in space.check(False, "b.c")


def test_constructors_are_called_after_files(space: Space) -> None:
    write(Path(), {"a.cpp": "int g();\nint n = g();\n"})
    space.check(False, "a.cpp")
    space.check(True, Path("a.cpp").absolute())
    Path("a.cpp").rename("b.cpp")
    assert "_GLOBAL__sub_I_b.cpp" in space.check(False, "b.cpp")


def test_macros_that_nobody_uses(space: Space) -> None:
    write(
        Path(),
        {
            "a.c": "#include <assert.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <math.h>\n"
            "#define CAT(a, b) a##b\n/* assert */\nint CAT(f, oo)(void) { return 1; }\n"
        },
    )
    space.check(False, "a.c")
    space.check(True, Path("a.c").absolute())
    Path("a.c").rename("b.c")
    space.check(True, "b.c")


def test_what_was_said_has_the_name(space: Space) -> None:
    write(Path(), {"a.c": "int f(int n) { int unused; return n; }\n"})
    space.check(False, "a.c", "-Wall")
    Path("a.c").rename("b.c")
    space.check(False, "b.c", "-Wall")
    space.check(True, "b.c", "-Wall")


@pytest.mark.parametrize(
    "flag", ["-g", "-gline-tables-only", "-fprofile-instr-generate", "-frandomize-layout-seed=1"]
)
def test_other_flags(space: Space, flag: str) -> None:
    space.check(False, "a.c", flag)
    Path("a.c").rename("b.c")
    space.check(False, "b.c", flag)


def test_headers_beside_the_new_name(space: Space) -> None:
    write(Path(), {"a.c": '#include "stddef.h"\nint f(void) { return sizeof(size_t); }\n'})
    space.check(False, "a.c")
    write(Path("sub"), {"a.c": Path("a.c").read_text()})
    space.check(True, "sub/a.c")
    write(Path("sub"), {"stddef.h": "typedef char size_t;\n"})
    assert "ret i32 1" in space.check(False, "sub/a.c")
    write(Path("other"), {"a.c": Path("a.c").read_text(), "stddef.h": "typedef short size_t;\n"})
    assert "ret i32 2" in space.check(False, "other/a.c")


def test_names_that_are_asked_for_beside_the_new_name(space: Space) -> None:
    write(Path(), {"a.c": '#if __has_include("x.h")\nint f;\n#else\nint g;\n#endif\n'})
    space.check(False, "a.c")
    write(Path("sub"), {"a.c": Path("a.c").read_text(), "x.h": ""})
    assert "@f" in space.check(False, "sub/a.c")
    write(Path("sub2"), {"a.c": Path("a.c").read_text()})
    assert "@g" in space.check(True, "sub2/a.c")
    write(Path("sub2"), {"x.h": ""})
    assert "@f" in space.check(True, "sub2/a.c")


def test_a_header_above(space: Space) -> None:
    write(Path("one/two"), {"a.c": '#include "../x.h"\nint f(void) { return X; }\n'})
    write(Path("one"), {"x.h": "#define X 1\n"})
    write(Path(), {"x.h": "#define X 2\n"})
    Path("a.c").unlink()
    space.check(False, "one/two/a.c")
    shutil.copy("one/two/a.c", "one/a.c")
    assert "ret i32 2" in space.check(False, "one/a.c")
    write(Path("three"), {"two/a.c": Path("one/a.c").read_text(), "x.h": "#define X 1\n"})
    assert "ret i32 1" in space.check(True, "three/two/a.c")
    write(Path("three"), {"x.h": "#define X 3\n"})
    assert "ret i32 3" in space.check(False, "three/two/a.c")


def test_folders_that_flags_name(space: Space) -> None:
    write(
        Path(),
        {"a.c": "#include <value.h>\nint f(void) { return VALUE; }\n", "inc/value.h": "#define VALUE 3\n"},
    )
    Path("value.h").unlink()
    space.check(False, "a.c", "-Iinc")
    space.check(True, Path("a.c").absolute(), "-Iinc")
    write(Path("inc"), {"value.h": "#define VALUE 4\n"})
    assert "ret i32 4" in space.check(False, Path("a.c").absolute(), "-Iinc")
    write(Path("sub"), {"a.c": Path("a.c").read_text(), "inc/value.h": "#define VALUE 5\n"})
    assert "ret i32 4" in space.check(True, "sub/a.c", "-Iinc")


def test_what_may_be_below_both_folders(space: Space) -> None:
    """Below the source's folder, or below the one that a flag names: which of them, only clang knows."""
    write(Path(), {"a.c": "#include <value.h>\nint f(void) { return VALUE; }\n"})
    write(Path("inc"), {"value.h": "#define VALUE 3\n"})
    Path("value.h").unlink()
    space.check(False, "a.c", "-Iinc")
    write(Path("sub"), {"a.c": Path("a.c").read_text(), "inc/value.h": "#define VALUE 3\n"})
    space.check(False, "sub/a.c", "-Iinc")


def test_our_own_folder_is_one_of_those(space: Space) -> None:
    space.check(False, "a.c", "-I.")
    space.check(True, Path("a.c").absolute(), "-I.")
    shutil.copytree(".", "../there")
    space.check(False, space.folder / "there" / "a.c", "-I.")
    write(space.folder / "there", {"value.h": "#define VALUE 5\n"})
    assert "ret i64 5" in space.check(False, space.folder / "there" / "a.c", "-I.")


def test_links(space: Space) -> None:
    once = "#pragma once\nstatic int one(void) { return 1; }\n"
    text = '#include "x.h"\n#include "y.h"\nint f(void) { return one(); }\n'
    write(Path("one"), {"a.c": text, "x.h": once})
    Path("one/y.h").symlink_to("x.h")
    space.check(False, "one/a.c")
    Path("two").mkdir()
    Path("two/a.c").symlink_to("../one/a.c")
    for name in ("x.h", "y.h"):
        Path("two", name).symlink_to("../one/x.h")
    space.check(True, "two/a.c")
    # Copies are read twice: only once guarded, they may hold nothing that is defined.
    write(Path(), {"three/a.c": SOURCE, "three/value.h": HEADER})
    Path("four").symlink_to("three")
    space.check(False, "three/a.c")
    space.check(True, "four/a.c")


def test_copies_of_what_was_one_file(space: Space) -> None:
    once = "#pragma once\nstatic int n[];\n#ifdef N\nint twice;\n#endif\n#define N\nstatic int n[1];\n"
    text = '#include "x.h"\n#include "y.h"\nint f(void) { return sizeof n; }\n'
    write(Path("one"), {"a.c": text, "x.h": once})
    Path("one/y.h").symlink_to("x.h")
    space.check(False, "one/a.c", "-w")
    shutil.copytree("one", "two")
    assert "@twice" in space.check(False, "two/a.c", "-w")


def test_a_source_that_reads_itself_or_another_of_the_new_name(space: Space) -> None:
    text = '#ifdef AGAIN\nint g;\n#else\n#define AGAIN\n#include "a.c"\nint f(void) { return g; }\n#endif\n'
    write(Path(), {"a.c": text})
    space.check(False, "a.c")
    space.check(True, Path("a.c").absolute())
    write(Path(), {"b.c": text})
    space.check(False, "b.c")
    asking = '#if __has_include("d.c")\nint d;\n#else\nint no;\n#endif\n'
    write(Path(), {"c.c": asking})
    space.check(False, "c.c")
    Path("c.c").rename("d.c")
    assert "@d" in space.check(False, "d.c")


def test_what_is_embedded(space: Space) -> None:
    write(Path(), {"a.c": 'const char f[] = {\n#embed "data"\n};\n', "data": "12"})
    space.check(False, "a.c", "-std=c23")
    write(Path("sub"), {"a.c": Path("a.c").read_text(), "data": "34"})
    assert '"34"' in space.check(False, "sub/a.c", "-std=c23")


def test_another_language(space: Space) -> None:
    write(Path(), {"a.c": "int f(void) { return sizeof 'a'; }\n"})
    space.check(False, "a.c")
    Path("a.c").rename("a.cpp")
    space.check(False, "a.cpp")


def test_what_is_damaged_costs_time_only(space: Space) -> None:
    space.check(False, "a.c")
    for path in (space.folder / "cache").rglob("*.o"):
        path.write_bytes(path.read_bytes()[:-40])
    space.check(False, Path("a.c").absolute())


def test_names_that_clang_prints_otherwise(space: Space) -> None:
    space.check(False, "a.c")
    for name in ('quo"te.c', "apo'strophe.c", "back\\slash.c", "umlaut-ä.c"):
        write(Path(), {name: SOURCE})
        space.check(False, name)
    write(Path("x y"), {"a.c": SOURCE, "value.h": HEADER})
    space.check(True, "x y/a.c")


def test_what_is_followed() -> None:
    def shows(*texts: str, matters: bool = True) -> bool:
        return shows_name([(name_text(text.encode()), matters) for text in texts])

    unused = "#define WHERE __FILE__\n#undef WHERE\n#ifdef WHERE\n#endif\n/* WHERE\n WHERE */\n// WHERE\n"
    assert not shows(unused)
    assert shows(unused, "int n = WHERE;\n")
    assert not shows(unused, "int n = WHERE;\n", matters=False)
    assert shows("#define BASE __BASE_FILE__\nint n = BASE;\n", matters=False)
    assert shows("int n; /*\n#define X */ f(__FILE__);\n")
    assert shows("%:define X(a) a%:%:LE__\nX(__FI)\n")
    assert not shows("#define NAME(f) __ ## f\n#define CAT(x, y) x ## y\nFILE *CAT(__, file); /* __ */\n")
    assert shows("#define CAT(x, y) y ## x\nCAT(FILE__, __)\nCAT(__, FILE)\n")


def test_what_is_read_oddly() -> None:
    def odd(*texts: str) -> bool:
        return reads_oddly([name_text(text.encode()) for text in texts])

    assert not odd('#include "a.h"\n# include <b.h>\n#include /* c */ "c.h"\n#include_next <d.h>\n')
    assert not odd("#ifdef USER\n#include USER\n#endif\n", "/* define USER\n*/\n")
    assert odd("#include USER\n", '#define USER "user.h"\n')
    for text in (
        '#include "/a.h"\n',
        "#include </a.h>\n",
        "%:include </a.h>\n",
        "#embed <a>\n",
        "#\\\ninclude </a>\n",
    ):
        assert odd(text)
