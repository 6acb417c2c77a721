"""ELF objects read, damaged ones among them."""

from pathlib import Path

import pytest
from elf_symbols import symbols
from harness import llvm_object
from hypothesis import given, settings
from hypothesis import strategies as st
from native_objects import compile_c, needs_gcc, run

from nativecache.linker.elf import (
    ET_DYN,
    ET_REL,
    SHT_SYMTAB,
    Names,
    all_linkage,
    check_object,
    contents,
    encode_name,
    find_section,
    linkage,
    read_headers,
    relocated,
    string_at,
    string_table,
)
from nativecache.linker.errors import BadObject
from nativecache.linker.localizing import localize
from nativecache.linker.renaming import rename_symbols

pytestmark = needs_gcc

CALL = "declare i32 @nc.1(i32)\ndefine i32 @nc.0(i32 %a) {\n %b = call i32 @nc.1(i32 %a)\n ret i32 %b\n}"


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


@pytest.mark.slow
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
                assert str(error)  # noqa: PT017 - damage may do no harm


@pytest.mark.parametrize("obj", [b"", b"\x7fELF", b"BC\xc0\xde" + bytes(99), b"\x7fELF\x01\x01" + bytes(99)])
def test_other_formats_are_refused(obj: bytes) -> None:
    with pytest.raises(BadObject):
        symbols(obj)


def test_objects_that_choose_functions_at_run_time(tmp_path: Path) -> None:
    source = (
        "static int two(void) { return 2; } static void *choose(void) { return two; }"
        'static int chosen(void) __attribute__((ifunc("choose"))); int get(void) { return chosen(); }'
    )
    obj = compile_c(tmp_path, source, "-fPIC")
    assert all_linkage(obj.read_bytes()).chosen
    # Who uses what a shared library chooses has nothing to do with how.
    run("gcc", "-shared", obj, "-o", tmp_path / "lib.so")
    assert not all_linkage((tmp_path / "lib.so").read_bytes()).chosen


def test_linkage_of_objects_and_libraries(tmp_path: Path) -> None:
    source = (
        "int com; int far(void); static int own(void) { return far(); } int get(void) { return own() + com; }"
    )
    obj = compile_c(tmp_path, source, "-fcommon", "-fPIC")
    defined, undefined, common, chosen = all_linkage(obj.read_bytes())
    assert sorted(defined) == ["com", "get"] and "far" in undefined and common and not chosen
    assert linkage(obj.read_bytes()) == check_object(obj.read_bytes()) == (defined, undefined)
    run("gcc", "-shared", obj, "-o", tmp_path / "lib.so")
    defined, undefined, common, _ = all_linkage((tmp_path / "lib.so").read_bytes())
    assert {"com", "get"} <= {*defined} and "far" in undefined and not common
    with pytest.raises(BadObject, match="of type 3 where 1 is needed"):
        check_object((tmp_path / "lib.so").read_bytes())


def test_sections_and_their_names() -> None:
    obj = llvm_object(CALL)
    file = read_headers(obj, ET_REL, ET_DYN)
    names = string_table(obj, file, file.names_index)
    assert {".text", ".symtab"} <= {string_at(names, section.name) for section in file.sections}
    table = find_section(file, SHT_SYMTAB)
    assert table is not None and len(contents(obj, table)) == table.size
    assert find_section(file, 0x7FFF) is None
    with pytest.raises(BadObject, match="missing"):
        string_table(obj, file, len(file.sections))


RELOCATED = """
@a = global i32 7, section ".mine"
@p = global ptr getelementptr (i8, ptr @a, i64 2)
@q = global ptr @far
@far = external global i32
"""


def test_relocations_point_into_sections() -> None:
    obj = llvm_object(RELOCATED)
    file = read_headers(obj, ET_REL)
    names = string_table(obj, file, file.names_index)
    numbers = {string_at(names, section.name): n for n, section in enumerate(file.sections)}
    found = [relocated(obj, file, n) for n in numbers.values()]
    assert [(numbers[".mine"], 2)] == [target for targets in found for target in targets.values()]


def test_names_that_are_far_longer_than_their_table_are_refused() -> None:
    names = Names(b"\0" + b"a" * 3_000_000 + b"\0")
    assert names[3_000_000] == "a" and encode_name("a") == b"a\0"
    with pytest.raises(BadObject, match="far longer"):
        [names[start] for start in range(1, 100)]
    with pytest.raises(BadObject, match="outside"):
        Names(b"abc").end(0)
