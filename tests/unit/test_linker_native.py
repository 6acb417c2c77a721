"""What native inputs define and need."""

from pathlib import Path

import pytest
from native_objects import HIDDEN, compile_c, needs_gcc, run

from nativecache.linker.errors import BadObject
from nativecache.linker.native import scan_native

pytestmark = needs_gcc


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
