"""What symbols are called in a unit."""

import pytest

from nativecache.aot.errors import BuildError
from nativecache.aot.ir.module import index_module
from nativecache.aot.units.partition import partition
from nativecache.aot.units.program import Program
from nativecache.aot.units.resolve import resolve_symbols
from nativecache.aot.units.symbol_names import NameClash, SymbolNames

TEXT = """\
define void @f() {
  ret void
}
define internal void @memset() {
  ret void
}
declare void @printf()
"""


def resolved(text: str = TEXT) -> Program:
    return resolve_symbols([index_module(text, "m.c")])


def names(program: Program, unit: str = "f") -> SymbolNames:
    return SymbolNames(program, next(u for u in partition(program) if u.name == unit))


def add(found: SymbolNames, program: Program, token: str) -> str:
    source = program.modules[0].source
    return found.add(source, source.module.entities[token], source.names[token])


def test_what_the_program_defines_is_numbered() -> None:
    program = resolved()
    found = names(program)
    assert [add(found, program, token) for token in ("@memset", "@f", "@printf")] == [
        "@nc.0",
        "@nc.1",
        "@printf",
    ]
    assert found.bindings == {"nc.0": "memset.m", "nc.1": "f"}
    assert found.members == {"f"} and found.tokens["f"] == "@nc.1"


def test_a_local_of_a_library_functions_name_keeps_it_in_its_own_unit_only() -> None:
    program = resolved()
    found = names(program, "memset.m")
    assert add(found, program, "@memset") == "@memset" and found.bindings == {"memset": "memset.m"}


def test_a_name_of_ours_is_refused() -> None:
    program = resolved("declare void @nc.7()\ndefine void @f() {\n  ret void\n}\n")
    with pytest.raises(BuildError, match="that begin with"):
        add(names(program), program, "@nc.7")


def test_two_symbols_of_one_name_clash() -> None:
    program = resolved()
    found, source = names(program), program.modules[0].source
    found.add(source, source.module.entities["@printf"], "printf")
    with pytest.raises(NameClash, match="printf"):
        found.add(source, source.module.entities["@printf"], "another printf")


def test_all_of_a_sealed_module_keep_their_names() -> None:
    program = resolved('module asm ".if 1"\nmodule asm "x: ret"\nmodule asm ".endif"\n' + TEXT)
    (unit,) = (unit for unit in partition(program) if unit.has_asm)
    found = SymbolNames(program, unit)
    assert found.sealed and add(found, program, "@f") == "@f"
