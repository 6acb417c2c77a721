"""Functions and variables stand where a script or an option puts their sections, as in clang's image."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from harness import CLANG, build, needs, needs_clang, needs_lld, needs_mold, run
from rules import clang_object, compare, write

pytestmark = [needs_clang, needs("nm"), needs("readelf")]

OWN_SECTIONS = ("-ffunction-sections", "-fdata-sections")
#: Functions and variables whose order in the image shows; CLASS is static, or nothing.
SOURCE = """\
CLASS int va = 1, vb = 2, vc[3]; const int ra[4] = {1}, rb[4] = {2};
__attribute__((noinline)) CLASS int fa(int x) { return x + va++ + ra[x & 3]; }
__attribute__((noinline)) CLASS int fb(int x) { return x * vb++ + rb[x & 3]; }
__attribute__((noinline, cold)) CLASS int fc(int x) { return x * vc[x & 1]++; }
__attribute__((noinline)) int fd(int x) { return fa(x) + fb(x + 1) + fc(x + 2); }
int main(int c, char **v) { return fa(c) + fb(c + 1) + fc(c + 2) + fd(c + 3) - 18; }
"""
FILES = {
    "place.ld": "SECTIONS { .mytext : { KEEP(*(.text.fb)) *(.text.fa .text.unlikely.fc) }\n"
    "  .mydata : { *(.data.vb) *(.bss.vc) *(.data.va) } } INSERT BEFORE .data;\n",
    "sort.ld": "SECTIONS { .mytext : { *(SORT(.text.f?)) } } INSERT AFTER .text;\n",
    "symbols.txt": "fd\nvb\nfb\nra\nfa\nvc\n",
    "edges.txt": "main fc 100\nmain fb 50\nfc fb 30\n",
    "sections.txt": ".text.fd\n.text.fb\n.text.fa\n.data.vb\n.data.va\n",
}


def shown(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def layout(image: Path) -> tuple[list[str], dict[str, int]]:
    """The program's symbols as they stand in an image, and the sizes of its sections called `my…`."""
    symbols, headers = shown("nm", "-n", image), shown("readelf", "-SW", image)
    names = re.findall(r" ([frv][a-d]|main)$", symbols, re.MULTILINE)
    return names, {name: int(size, 16) for name, size in re.findall(r"(\.my\w+) .* (\w+) 00 ", headers)}


def placed(image: Path) -> set[str]:
    """The symbols in an image's sections called `my…`."""
    headers, symbols = shown("readelf", "-SW", image), shown("readelf", "-sW", image)
    ours = re.findall(r"\[ *(\d+)\] \.my", headers)
    return {name for number, name in re.findall(r" (\d+) (\w+)$", symbols, re.MULTILINE) if number in ours}


def compare_layouts(space: Path, *words: str) -> list[str]:
    """Build with nativecache and with clang; what is where in both. The symbols in order."""
    build(space, *words, "-o", "ours")
    subprocess.run([CLANG, "-w", *words, "-o", "clangs"], cwd=space, check=True, timeout=60)
    ours, clangs = layout(space / "ours"), layout(space / "clangs")
    assert ours[0] == clangs[0]
    assert ours[1].keys() == clangs[1].keys() and all(ours[1].values())
    return ours[0]


@pytest.mark.parametrize("storage", ["", "static"])
@pytest.mark.parametrize(
    "words",
    [
        pytest.param("-T place.ld -fuse-ld=bfd", marks=needs("ld.bfd")),
        pytest.param("-Wl,-T,place.ld -fuse-ld=lld-22", marks=needs_lld),
        pytest.param("-shared -fPIC -T place.ld -fuse-ld=bfd", marks=needs("ld.bfd")),
        pytest.param("-static -T place.ld -fuse-ld=bfd", marks=needs("ld.bfd")),
        pytest.param("-T sort.ld -Wl,--sort-section=name -fuse-ld=bfd", marks=needs("ld.bfd")),
        pytest.param("-Wl,--unique=.text.fb -fuse-ld=bfd", marks=needs("ld.bfd")),
        pytest.param("-Wl,--sort-section=name -fuse-ld=bfd", marks=needs("ld.bfd")),
        pytest.param("-Wl,--section-ordering-file=sections.txt -fuse-ld=gold", marks=needs("ld.gold")),
        pytest.param("-Wl,--shuffle-sections=*=-1 -fuse-ld=lld-22", marks=needs_lld),
        pytest.param("-Wl,--reverse-sections -fuse-ld=mold", marks=needs_mold),
    ],
)
def test_sections_are_placed_by_name(tmp_path: Path, words: str, storage: str) -> None:
    write(tmp_path, {**FILES, "a.c": f"#define CLASS {storage}\n{SOURCE}"})
    compare_layouts(tmp_path, "a.c", "-O2", *OWN_SECTIONS, *words.split())


@needs("ld.bfd")
def test_one_kind_of_section_alone(tmp_path: Path) -> None:
    write(tmp_path, {**FILES, "a.c": f"#define CLASS\n{SOURCE}"})
    for flag, found in zip(OWN_SECTIONS, (".mytext", ".mydata"), strict=True):
        compare_layouts(tmp_path, "a.c", "-O2", flag, "-T", "place.ld")
        assert layout(tmp_path / "ours")[1].keys() == {found}
    assert run(tmp_path / "ours").code == run(tmp_path / "clangs").code


@needs("ld.bfd")
@pytest.mark.parametrize("flag", ["-Os", *OWN_SECTIONS])
def test_what_is_in_a_comdat_has_its_own_section_anyway(tmp_path: Path, flag: str) -> None:
    text = (
        "template <class T> __attribute__((noinline)) T fa(T x) { return x + 1; }\n"
        "inline int va = 4; int vb = 5;\n"
        "__attribute__((noinline)) int fb(int x) { return fa(x) + va++ + vb++; }\n"
        "struct S { S(); int n; }; S::S() : n(3) {}\nint main(int c, char **v) { return fb(c) + S().n; }\n"
    )
    script = (
        "SECTIONS { .mytext : { *(.text._Z2faIiET_S0_) *(.text._Z2fbi .text._ZN1SC2Ev) }\n"
        "  .mydata : { *(.data.va) *(.data.vb) } } INSERT AFTER .data;\n"
    )
    write(tmp_path, {"a.cpp": text, "s.ld": script})
    build(tmp_path, "a.cpp", "-O2", flag, "-T", "s.ld", "-o", "ours")
    words = [CLANG.replace("clang", "clang++"), "-O2", flag, "a.cpp", "-T", "s.ld", "-o", "clangs"]
    subprocess.run(words, cwd=tmp_path, check=True, timeout=60)
    assert run(tmp_path / "ours").code == run(tmp_path / "clangs").code
    assert {"va", "_Z2faIiET_S0_"} <= placed(tmp_path / "clangs") == placed(tmp_path / "ours")


@needs("ld.bfd")
def test_flags_that_come_and_go_count_at_once(tmp_path: Path) -> None:
    """Units are the same with and without them, and so is the link line."""
    write(tmp_path, {**FILES, "a.c": f"#define CLASS\n{SOURCE}"})
    words = ["a.c", "-O2", "-fuse-ld=bfd", "-T", "place.ld"]
    for _ in range(2):
        compare_layouts(tmp_path, *words)
        assert not layout(tmp_path / "ours")[1]
        compare_layouts(tmp_path, *words, "-ffunction-sections")
        assert layout(tmp_path / "ours")[1].keys() == {".mytext"}


@pytest.mark.parametrize("emit", ["image", pytest.param("object", marks=needs_lld)])
def test_what_cannot_be_compiled_apart_is_compiled_by_clang(tmp_path: Path, emit: str) -> None:
    """A static function that is to stay shares a unit with its users, a table of labels with its function."""
    text = (
        "__attribute__((used, noinline)) static int fa(int x) { return x + 1; }\n"
        "__attribute__((noinline)) int fb(int x) { return fa(x) * 2; }\n"
        "int fc(int *p) { static void *to[] = {&&a, &&b}; int n = 0; goto *to[*p]; a: n += 3; p++;"
        " goto *to[*p]; b: return n; }\n"
        "int main(void) { int p[] = {0, 1}; return fb(2) + fc(p) - 9; }\n"
    )
    write(tmp_path, {**FILES, "a.c": text})
    if emit == "image":
        words = ["a.c", "-O2", *OWN_SECTIONS, "-T", "place.ld"]
        assert compare_layouts(tmp_path, *words)[:1] != ["main"]
        assert layout(tmp_path / "ours")[1].keys() == {".mytext"} and run(tmp_path / "ours").code == 0
    else:
        build(tmp_path, "a.c", "-O2", *OWN_SECTIONS, "-c", "-o", "a.o")
        subprocess.run([CLANG, "a.o", "-T", "place.ld", "-o", "app"], cwd=tmp_path, check=True, timeout=60)
        assert layout(tmp_path / "app")[1].keys() == {".mytext"} and run(tmp_path / "app").code == 0


def test_what_cannot_be_compiled_apart_in_ir_is_told(tmp_path: Path) -> None:
    text = "__attribute__((used, noinline)) static int fa(int x) { return x; }\nint fb() { return fa(1); }\n"
    write(tmp_path, {"a.c": text})
    words = [CLANG, "-O2", "-Xclang", "-disable-llvm-passes", "-emit-llvm", "-c", "a.c"]
    subprocess.run(words, cwd=tmp_path, check=True, timeout=60)
    done = build(tmp_path, "a.bc", "-O2", "-ffunction-sections", "-c", "-o", "a.o")
    assert "warning: a.bc: functions or variables that are compiled together share a section" in done.stderr
    assert "share a section" not in build(tmp_path, "a.bc", "-O2", "-c", "-o", "a.o").stderr


@pytest.mark.parametrize("flag", [*OWN_SECTIONS, "-Os"])
def test_sections_without_unique_names(tmp_path: Path, flag: str) -> None:
    inline = "inline __attribute__((noinline)) int f(int x) { return x; }\n"
    write(tmp_path, {"a.cpp": inline + "int x = 1; int g(int y) { return f(y) + x; }\n"})
    words = ["a.cpp", "-O2", flag, "-fno-unique-section-names", "-c"]
    build(tmp_path, *words, "-o", "ours.o")
    subprocess.run([CLANG, *words, "-o", "clangs.o"], cwd=tmp_path, check=True, timeout=60)
    names = re.compile(r" (\.(?:text|data)\S*)")
    ours, clangs = (
        set(names.findall(shown("readelf", "-SW", tmp_path / f"{n}.o"))) for n in ("ours", "clangs")
    )
    assert ours == clangs


@pytest.mark.parametrize("storage", ["", "static"])
@pytest.mark.parametrize(
    "words",
    [
        pytest.param("-Wl,--symbol-ordering-file=symbols.txt -fuse-ld=lld-22", marks=needs_lld),
        pytest.param("-Xlinker --symbol-ordering-file -Xlinker symbols.txt -fuse-ld=lld-22", marks=needs_lld),
        pytest.param("-Wl,--call-graph-ordering-file=edges.txt -fuse-ld=lld-22", marks=needs_lld),
        pytest.param("-Wl,--retain-symbols-file=symbols.txt -fuse-ld=bfd", marks=needs("ld.bfd")),
        pytest.param("-Wl,--retain-symbols-file=symbols.txt -fuse-ld=gold", marks=needs("ld.gold")),
        pytest.param("-Wl,--retain-symbols-file=symbols.txt -fuse-ld=mold", marks=needs_mold),
    ],
)
def test_lists_name_symbols_as_the_source_does(tmp_path: Path, words: str, storage: str) -> None:
    write(tmp_path, {**FILES, "a.c": f"#define CLASS {storage}\n{SOURCE}"})
    compare_layouts(tmp_path, "a.c", "-O2", *OWN_SECTIONS, *words.split())


TWINS = (
    "static int n{0}; __attribute__((noinline)) static int fa(int x) {{ return x + n{0}++; }}\n"
    "__attribute__((noinline)) static int fb(int x) {{ return x * n{0}++; }}\n"
    "int twin_{0}(int x) {{ return fa(x) + fb(x); }}\n"
)


@needs_lld
@pytest.mark.parametrize("native", [False, True])
def test_static_functions_of_one_name_in_several_files(tmp_path: Path, native: bool) -> None:
    main = "int twin_c(int), twin_d(int);\nint main(int c, char **v) { return twin_c(c) + twin_d(c); }\n"
    write(tmp_path, {"c.c": TWINS.format("c"), "d.c": TWINS.format("d"), "main.c": main})
    (tmp_path / "list").write_text("fb\nfa\n")
    inputs = ["c.c", "d.c", "main.c"]
    if native:
        inputs[1] = clang_object(tmp_path, "d.c", TWINS.format("d"), *OWN_SECTIONS)
    words = [
        *inputs,
        "-O2",
        *OWN_SECTIONS,
        "-Wl,--fatal-warnings,--symbol-ordering-file=list",
        "-fuse-ld=lld-22",
    ]
    assert [n for n in compare_layouts(tmp_path, *words) if n != "main"] == ["fb", "fb", "fa", "fa"]
    (tmp_path / "list").write_text("fa\nfb\n")
    assert [n for n in compare_layouts(tmp_path, *words) if n != "main"] == ["fa", "fa", "fb", "fb"]


@pytest.mark.parametrize("flags", [(), ("-g",)])
def test_pragma_puts_variables_and_functions_into_sections(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """What is in a section stays in the image for who walks it, as with the attribute."""
    text = """\
#include <stdio.h>
#pragma clang section rodata="table" data="mydata" bss="mybss" text="mytext"
const int one = 1, two = 2;
int filled = 3;
int empty;
int called(void) { return 4; }
#pragma clang section rodata="" data="" bss="" text=""
extern const int __start_table[], __stop_table[], __start_mydata[], __start_mybss[];
extern const char __start_mytext[], __stop_mytext[];
int main(void) {
    for (const int *p = __start_table; p < __stop_table; p++) printf("%d ", *p);
    printf("%d %d %d\\n", __start_mydata[0], __start_mybss[0], __stop_mytext > __start_mytext);
}
"""
    more = '#pragma clang section rodata="table"\nconst int three = 7;\n'
    compare(tmp_path, {"main.c": text, "more.c": more}, "1 2 7 3 0 1\n", cflags=flags, levels=("-O0", "-O2"))


@pytest.mark.parametrize("edited", ["x + 2", "x * 9"])
def test_edits_beside_variables_that_a_pragma_places(tmp_path: Path, edited: str) -> None:
    text = """\
#pragma clang section data="mydata"
int filled = 3, other = 4;
#pragma clang section data=""
__attribute__((noinline)) int f(int x) { return x + 1; }
int main(void) { return f(filled) - other; }
"""
    words = ["main.c", "-O2", "-g", "-o", "app"]
    for returned in ("x + 1", edited):
        write(tmp_path, {"main.c": text.replace("x + 1", returned)})
        build(tmp_path, *words)
    warm = (tmp_path / "app").read_bytes()
    build(tmp_path, *words, "--cache-mode", "off")
    assert (tmp_path / "app").read_bytes() == warm
