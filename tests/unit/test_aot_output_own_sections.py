"""Functions and variables have sections of their own where flags ask for them and somebody sees them."""

from pathlib import Path

import pipeline
import pytest

from nativecache.aot.output.own_sections import asked_apart, lumped_modules
from nativecache.aot.request import EmitKind, Request
from nativecache.aot.units.output_model import OutputModel
from nativecache.aot.units.partition import NOTHING_APART, Apart, partition
from nativecache.cache.lookup import EntryStore
from nativecache.cache.store import MemoryStore
from nativecache.linker.symbol_options import SymbolOptions
from nativecache.linker.values import replace

CODE, DATA, BOTH = Apart(code=True, data=False), Apart(code=False, data=True), Apart(code=True, data=True)
COMDATS, IMAGE_DATA = replace(NOTHING_APART, comdats=True), replace(DATA, comdats=True)
PLAIN, PLACED = SymbolOptions(), SymbolOptions(by_section=True)


@pytest.mark.parametrize(
    ("flags", "emit", "told", "apart"),
    [
        ("-ffunction-sections", "object", PLAIN, CODE),
        ("-ffunction-sections -fdata-sections", "archive", PLAIN, BOTH),
        ("-ffunction-sections -fdata-sections", "exe", PLAIN, NOTHING_APART),
        ("-ffunction-sections -fdata-sections", "shared", PLACED, replace(BOTH, comdats=True)),
        ("-fdata-sections", "exe", PLACED, IMAGE_DATA),
        ("-ffunction-sections -fno-function-sections", "exe", PLACED, COMDATS),
        ("", "exe", PLACED, COMDATS),
        ("-ffunction-sections", "asm", PLACED, NOTHING_APART),
    ],
)
def test_what_is_asked(tmp_path: Path, flags: str, emit: EmitKind, told: SymbolOptions, apart: Apart) -> None:
    store, flagged = EntryStore(MemoryStore()), tuple(flags.split())
    request = Request(line=(), output=tmp_path / "out", store=store, emit=emit, clang_flags=flagged)
    assert asked_apart(request, told) == apart


F = "define void @f() {\n  ret void\n}\n"
#: A local that `llvm.used` pins, which shares a unit with its user.
USED = (
    '@llvm.used = appending global [1 x ptr] [ptr @own], section "llvm.metadata"\n'
    "define internal void @own() {\n  ret void\n}\ndefine void @user() {\n  call void @own()\n  ret void\n}\n"
)
#: A table that shares a unit with the function whose block it names.
TABLE = (
    "@table = internal global [1 x ptr] [ptr blockaddress(@g, %b)]\n"
    "define ptr @g() {\n  br label %b\nb:\n  ret ptr @table\n}\n"
)


@pytest.mark.parametrize(
    ("text", "apart", "lumped"),
    [
        (F, BOTH, False),
        (USED, CODE, True),
        (USED, DATA, False),
        (USED, NOTHING_APART, False),
        (USED.replace("@own() {", '@own() section "mine" {'), BOTH, False),
        (TABLE, CODE, True),
        (TABLE, DATA, True),
        ("@a = alias void (), ptr @f\n" + F, BOTH, False),
        ("@x = global i32 1\n@y = global i32 2\n", BOTH, False),
        ('@x = global i32 1, section "s"\n@y = global i32 2, section "s"\n', BOTH, False),
        ('module asm "f_asm: call f"\n' + F, CODE, True),
        ('module asm "f_asm: call f"\n' + F, DATA, False),
        ("$x = comdat any\n@x = linkonce_odr global i32 1, comdat\n@y = global i32 2\n", COMDATS, False),
        (TABLE, COMDATS, False),
        ("$g = comdat any\n" + TABLE.replace("ptr @g() {", "ptr @g() comdat {"), COMDATS, True),
    ],
)
def test_what_shares_a_section_is_told(text: str, apart: Apart, lumped: bool) -> None:
    program = pipeline.resolved(text, labels=("a.ll",), output=OutputModel("exe")).program
    found = list(lumped_modules(program, partition(program, apart), apart))
    assert bool(found) == lumped
