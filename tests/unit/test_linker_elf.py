"""Symbol tables read, renamed and localised, checked with readelf and by linking and running."""

from __future__ import annotations

import ctypes
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from harness import llvm_object
from hypothesis import given, settings
from hypothesis import strategies as st

from nativecache.linker.elf import cut_names, linkage, localize, rename_symbols, symbols
from nativecache.linker.errors import BadObject
from nativecache.linker.native import scan_native

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
pytestmark = pytest.mark.skipif(GCC is None, reason="gcc is missing")


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


CALL = "declare i32 @nc.1(i32)\ndefine i32 @nc.0(i32 %a) {\n %b = call i32 @nc.1(i32 %a)\n ret i32 %b\n}"

CATCH = """
    void may_throw();
    extern "C" int old(int x) { try { may_throw(); } catch (int e) { x = e; } return x; }
"""


def test_symbols_tells_binding_kind_and_visibility(tmp_path: Path) -> None:
    source = """
        int shown = 1; static int own = 2; int com; __thread int tls;
        __attribute__((weak)) void soft(void) {}
        __attribute__((visibility("hidden"))) int *dark(void) { return &own; }
        extern int far; int get(void) { return far + com + tls; }
    """
    found = {s.name: s for s in symbols(compile_c(tmp_path, source, "-fcommon").read_bytes()) if s.name}
    kinds = {name: (s.binding, s.kind, s.visibility, s.defined, s.common) for name, s in found.items()}
    assert kinds["shown"] == ("global", "object", "default", True, False)
    assert kinds["own"] == ("local", "object", "default", True, False)
    assert kinds["com"] == ("global", "object", "default", True, True)
    assert kinds["tls"] == ("global", "tls", "default", True, False)
    assert kinds["soft"] == ("weak", "func", "default", True, False)
    assert kinds["dark"] == ("global", "func", "hidden", True, False)
    assert kinds["far"] == ("global", "notype", "default", False, False)


def test_renamed_object_links_and_runs(tmp_path: Path) -> None:
    unit = tmp_path / "unit.o"
    unit.write_bytes(rename_symbols(llvm_object(CALL), {"nc.0": "start_here", "nc.1": "add_one"}))
    assert {"start_here", "add_one"} <= read_names(unit).keys()
    source = (
        "int start_here(int); int add_one(int x) { return x + 1; } int main(void) { return start_here(41); }"
    )
    main = compile_c(tmp_path, source, name="main")
    run("gcc", unit, main, "-o", tmp_path / "app")
    assert subprocess.run([tmp_path / "app"]).returncode == 42


def test_rename_keeps_section_names_that_share_the_string_table() -> None:
    ir = 'define i32 @text() { ret i32 1 }\ndefine i32 @data() section ".text.data" { ret i32 2 }'
    obj = llvm_object(ir)
    renamed = rename_symbols(obj, {"text": "x", "data": "y"})
    assert b".text.y\0" in renamed and len(linkage(renamed)[0]) == 2


def test_rename_swaps_names(tmp_path: Path) -> None:
    obj = compile_c(tmp_path, "int a(void) { return 1; } int b(void) { return 2; }").read_bytes()
    swapped = rename_symbols(obj, {"a": "b", "b": "a"})
    assert linkage(obj)[0] == ["a", "b"] and linkage(swapped)[0] == ["b", "a"]


def test_rename_takes_the_sections_of_a_function_along(tmp_path: Path) -> None:
    unit = compile_c(tmp_path, CATCH, "-ffunction-sections", compiler="g++")
    unit.write_bytes(rename_symbols(unit.read_bytes(), {"old": "brand_new"}))
    assert " .text.brand_new " in section_names(unit) and ".rela.text.brand_new" in section_names(unit)
    assert ".text.old" not in section_names(unit)


@pytest.mark.skipif(shutil.which("clang++-22") is None, reason="clang++-22 is missing")
def test_rename_takes_the_exception_table_of_clang_along(tmp_path: Path) -> None:
    unit = compile_c(tmp_path, CATCH, "-ffunction-sections", compiler="clang++-22")
    unit.write_bytes(rename_symbols(unit.read_bytes(), {"old": "brand_new"}))
    assert " .gcc_except_table.brand_new " in section_names(unit)


def test_a_section_that_only_looks_like_a_symbols_stays(tmp_path: Path) -> None:
    unit = compile_c(tmp_path, "int text(void); int property(void) { return text(); }", "-fcf-protection")
    before = section_names(unit)
    unit.write_bytes(rename_symbols(unit.read_bytes(), {"text": "a", "property": "b"}))
    assert ".rela.text" in section_names(unit)
    assert (".note.gnu.property" in before) == (".note.gnu.property" in section_names(unit))


def test_rename_of_nothing_returns_the_same_bytes() -> None:
    obj = llvm_object(CALL)
    assert rename_symbols(obj, {"other": "x"}) is obj


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from(["nc.0", "nc.1", "0", "text", "elsewhere"]), NAMES))
def test_rename_changes_the_mapped_names_and_nothing_else(names: dict[str, str]) -> None:
    obj = llvm_object(CALL)
    before, after = symbols(obj), symbols(rename_symbols(obj, names))
    assert [names.get(s.name, s.name) for s in before] == [s.name for s in after]
    assert [(s.kind, s.binding, s.defined) for s in before] == [(s.kind, s.binding, s.defined) for s in after]


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_damage_is_a_bad_object_and_no_other_error(data: st.DataObject) -> None:
    obj = bytearray(llvm_object(CALL))
    for _ in range(3):
        obj[data.draw(st.integers(16, len(obj) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(obj[: data.draw(st.integers(0, len(obj)))])
    for damaged in (bytes(obj), cut):
        for use in (
            symbols,
            linkage,
            lambda o: rename_symbols(o, {"nc.0": "x"}),
            lambda o: localize(o, {"nc.0"}),
        ):
            try:
                use(damaged)
            except BadObject as error:
                assert str(error)


@pytest.mark.parametrize("obj", [b"", b"\x7fELF", b"BC\xc0\xde" + bytes(99), b"\x7fELF\x01\x01" + bytes(99)])
def test_other_formats_are_refused(obj: bytes) -> None:
    with pytest.raises(BadObject):
        symbols(obj)


def test_more_sections_than_the_header_can_count(tmp_path: Path) -> None:
    lines = [f'.section .text.s{i},"ax"\n.globl s{i}\n.hidden s{i}\ns{i}: ret\n' for i in range(0x10100)]
    (tmp_path / "many.s").write_text("".join(lines))
    run("gcc", "-c", tmp_path / "many.s", "-o", tmp_path / "many.o")
    obj = (tmp_path / "many.o").read_bytes()
    assert struct.unpack_from("<H", obj, 60) == (0,)
    (tmp_path / "many.o").write_bytes(
        rename_symbols(localize(obj, {"s65790"}), {"s65790": "last", "s7": "seven"})
    )
    names = read_names(tmp_path / "many.o")
    assert names["last"].startswith("LOCAL DEFAULT") and names["seven"].startswith("GLOBAL HIDDEN")
    run("gcc", "-r", "-nostdlib", tmp_path / "many.o", "-o", tmp_path / "again.o")
    assert read_names(tmp_path / "again.o").keys() >= {"last", "seven", "s65791"}


def partial_link(ld: str, folder: Path, *objects: Path) -> Path:
    run(ld, "-r", "-o", folder / "whole.o", *objects)
    return folder / "whole.o"


HIDDEN = '__attribute__((visibility("hidden")))'


@each_linker
def test_localized_symbols_clash_with_nothing(tmp_path: Path, ld: str) -> None:
    one = f"{HIDDEN} int count = 40; {HIDDEN} int step(int x) {{ return x + 1; }} int *keep = &count;"
    two = f"extern {HIDDEN} int count; {HIDDEN} int step(int); int run(void) {{ return step(step(count)); }}"
    whole = partial_link(
        ld,
        tmp_path,
        compile_c(tmp_path, one, "-fPIC", name="one"),
        compile_c(tmp_path, two, "-fPIC", name="two"),
    )
    whole.write_bytes(localize(whole.read_bytes(), {"count", "step"}))
    names = read_names(whole)
    assert names["count"].startswith("LOCAL") and names["step"].startswith("LOCAL")
    assert names["run"].startswith("GLOBAL") and names["keep"].startswith("GLOBAL")
    main = compile_c(
        tmp_path,
        "int run(void); int step(int x) { return 0; } int count; int main(void) { return run(); }",
        name="m",
    )
    run("gcc", main, whole, "-o", tmp_path / "app")
    assert subprocess.run([tmp_path / "app"]).returncode == 42


@each_linker
def test_only_the_named_hidden_symbols_become_local(tmp_path: Path, ld: str) -> None:
    source = f"{HIDDEN} int mine = 1; {HIDDEN} int theirs = 2; int shown = 3;"
    whole = partial_link(ld, tmp_path, compile_c(tmp_path, source))
    whole.write_bytes(localize(whole.read_bytes(), {"mine", "shown"}))
    names = read_names(whole)
    assert names["mine"].startswith("LOCAL") and names["theirs"].startswith("GLOBAL HIDDEN")
    assert names["shown"].startswith("GLOBAL DEFAULT")


@each_linker
def test_local_names_of_images_get_shorter_and_no_others(tmp_path: Path, ld: str) -> None:
    """Linkers may keep `e.one`, `able.one` and `stable.one` in one string."""
    for name in ("one", "two"):
        source = (
            f'{HIDDEN} int s asm("stable.{name}") = 1, a asm("able.{name}") = 2, f asm("f.{name}") = 3;'
            f' int e asm("e.{name}") = 4; int sum_{name}(void) {{ return s + a + f + e; }}'
        )
        compile_c(tmp_path, source, "-fPIC", name=name)
    image = tmp_path / "lib.so"
    run(ld, "-shared", tmp_path / "one.o", tmp_path / "two.o", "-o", image)
    shorter = {f"{name}.{file}": name for name in ("stable", "able", "f") for file in ("one", "two")}
    data = bytearray(image.read_bytes())
    for at in cut_names(bytes(data), shorter):
        assert data[at] == ord(".")
        data[at] = 0
    image.write_bytes(data)
    names = [line.split()[-1] for line in run("readelf", "-sW", image).splitlines() if " OBJECT " in line]
    # Twice what others see: there are two tables.
    assert names.count("e.one") == names.count("e.two") == 2 and names.count("f") == 2
    for name in ("able", "stable"):
        assert sum(one in (name, f"{name}.one", f"{name}.two") for one in names) == 2
    library = ctypes.CDLL(str(image))
    assert library.sum_one() == library.sum_two() == 10


@pytest.mark.parametrize("ld", [LINKERS["lld"], LINKERS["bfd"]])  # mold -r makes hidden thread-locals visible
def test_thread_local_symbols_become_local_and_still_work(tmp_path: Path, ld: str | None) -> None:
    if ld is None:
        pytest.skip("linker is missing")
    source = (
        f"{HIDDEN} __thread int pad = 1; {HIDDEN} __thread int t = 41; int run(void) {{ return t + pad; }}"
    )
    whole = partial_link(ld, tmp_path, compile_c(tmp_path, source, "-fPIC"))
    whole.write_bytes(localize(whole.read_bytes(), {"t", "pad"}))
    assert read_names(whole)["t"].startswith("LOCAL")
    main = compile_c(tmp_path, "int run(void); int main(void) { return run(); }", name="main")
    run("gcc", main, whole, "-o", tmp_path / "app")
    assert subprocess.run([tmp_path / "app"]).returncode == 42


@each_linker
@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is missing")
def test_comdat_members_stay_global_and_are_still_folded(tmp_path: Path, ld: str) -> None:
    shared = (
        f"template <class T> struct {HIDDEN} Box {{ static T get() {{ static T n = 20; return ++n; }} }};"
    )
    one = f"{shared} {HIDDEN} int helper() {{ return Box<int>::get(); }} int one() {{ return helper(); }}"
    two = f"{shared} int one(); int main() {{ return one() + Box<int>::get() - 1; }}"
    whole = partial_link(ld, tmp_path, compile_c(tmp_path, one, "-O0", name="one", compiler="g++"))
    promoted = {s.name for s in symbols(whole.read_bytes())}
    whole.write_bytes(localize(whole.read_bytes(), promoted))
    names = read_names(whole)
    assert names["_Z6helperv"].startswith("LOCAL") and names["_ZN3BoxIiE3getEv"].startswith("WEAK")
    run("g++", compile_c(tmp_path, two, "-O0", name="two", compiler="g++"), whole, "-o", tmp_path / "app")
    assert subprocess.run([tmp_path / "app"]).returncode == 42


@each_linker
@pytest.mark.skipif(shutil.which("clang-22") is None, reason="clang-22 is missing")
def test_the_address_significance_table_is_dropped(tmp_path: Path, ld: str) -> None:
    source = f"{HIDDEN} int a(void) {{ return 1; }} int (*b)(void) = a; int main(void) {{ return b() + 41; }}"
    unit = compile_c(tmp_path, source, "-faddrsig", compiler="clang-22")
    unit.write_bytes(localize(unit.read_bytes(), {"a"}))
    assert "ADDRSIG" not in run("readelf", "-SW", unit) and read_names(unit)["a"].startswith("LOCAL")
    run("gcc", partial_link(ld, tmp_path, unit), "-o", tmp_path / "app")
    assert subprocess.run([tmp_path / "app"]).returncode == 42


@pytest.mark.parametrize("thin", ["", "T"])
def test_scan_native_reads_every_member_of_an_archive(tmp_path: Path, thin: str) -> None:
    one = compile_c(tmp_path, "int b(void); int a(void) { return b(); }", name="a_member_with_a_long_name")
    two = compile_c(tmp_path, "int far(void); int b(void) { return far(); }", name="two")
    run("ar", "rcs" + thin, tmp_path / "lib.a", one, two)
    found = scan_native(tmp_path / "lib.a")
    assert found.defined == {"a", "b"} and found.undefined == {"b", "far"}


def test_scan_native_reads_the_dynamic_table_of_a_shared_library(tmp_path: Path) -> None:
    source = f"int far(void); {HIDDEN} int inner(void) {{ return far(); }} int a(void) {{ return inner(); }}"
    run("gcc", "-shared", compile_c(tmp_path, source, "-fPIC"), "-o", tmp_path / "lib.so")
    found = scan_native(tmp_path / "lib.so")
    assert "a" in found.defined and "inner" not in found.defined and "far" in found.undefined


def test_scan_native_names_the_file_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_text("neither an object nor a script")
    with pytest.raises(BadObject, match=r"lib\.so: not an ELF object"):
        scan_native(tmp_path / "lib.so")
