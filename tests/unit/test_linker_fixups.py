"""Lines found in objects and restored: what comes out is what compiling with the real lines gives."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from dwarf_bytes import elf, entry_object, line_table
from harness import CLANG, llvm_object, needs, needs_clang, needs_lld

from nativecache.linker.errors import BadObject
from nativecache.linker.fixups import Fixups, apply_fixups, find_fixups
from nativecache.linker.lines import (
    DIRECTORY_PLACEHOLDER,
    MAX_LINE,
    MAX_RANGES,
    MIDDLE,
    REACH,
    encode,
    ordinal,
)

needs_dwarfdump = needs("llvm-dwarfdump-22")

# Real lines so far down that LLVM encodes them as long as encoded ones: then objects are equal byte for byte.
FAR = [3_000_000, 70_000_000, 40_000_000, 9_000_000]
NEAR = [12, 44, 70_000, 300]
LINES = [100_000 + 7 * k for k in range(20)]

# A marker's @I+N is line N of range I, @kN the line of the Nth declaration.
PROGRAM = """\
# @k3 "types.h"
struct node {
# @k9 "types.h"
    int value; struct node *next;
};
# @0+0 "unit.c"
static inline int square(int x) { return x * x; }
static inline __attribute__((always_inline)) int sum(struct node *node) {
    int total = 0;
    for (; node; node = node->next)
        total += square(node->value);
    return total;
}
# 200000 "plain.h"
static inline int plain(int x) { return x % 7 ? x / 3 : square(x + 1); }
# @1-40 "part.h"
static inline int part(int x) {
    for (int i = 0; i < x; i++) x += square(i) ^ i;

    return x;
}
# @2+100 "unit.c"
int entry(struct node *node, int n) {
    int many = sum(node);
# @3+200000 "body.inc"
    many += part(n) + plain(many);
# @2+400 "unit.c"
    if (many > n) many -= part(many) * square(n);
    return many + plain(n);
}
"""
CXX = PROGRAM.replace(
    "    if (many > n)",
    "    auto add = [&](int x) { many += x + sum(node);\n        return many; };\n    if (add(n) > n)",
)


def place(source: str, bases: Sequence[int] = (), lines: Sequence[int] = (), shift: int = 0) -> str:
    """The source with its markers at real lines, or encoded if there are none, from range `shift` on."""

    def line(match: re.Match[str]) -> str:
        index, offset, declaration = match.groups()
        if declaration:
            return str(lines[int(declaration)] if bases else ordinal(int(declaration)))
        return str(bases[int(index)] + int(offset) if bases else encode(shift + int(index), int(offset)))

    return re.sub(r"@(?:(\d+)([+-]\d+)|k(\d+))", line, source)


def compile_source(folder: Path, source: str, *flags: str) -> bytes:
    unit = folder / ("unit.cpp" if source.count("auto") else "unit.c")
    unit.write_text(source)
    command = [
        CLANG,
        "-c",
        "-g",
        "-ffreestanding",
        "-fdebug-compilation-dir=/src",
        *flags,
        unit.name,
        "-o",
        "o",
    ]
    subprocess.run(command, cwd=folder, check=True, timeout=120)
    return (folder / "o").read_bytes()


def restored(
    obj: bytes, bases: Sequence[int], lines: Sequence[int] = LINES, directory: bytes = b"/home/me/src"
) -> bytes:
    """The object with its real lines, which have come through the packed form of its fixups."""
    out = bytearray(obj)
    apply_fixups(out, Fixups.decode(find_fixups(obj).encode()), bases, lines, {}, directory)
    return bytes(out)


def decoded(folder: Path, obj: bytes) -> str:
    """What llvm-dwarfdump reads, without offsets and lengths, which depend on the forms of numbers."""
    (folder / "dumped").write_bytes(obj)
    command = ["llvm-dwarfdump-22", "--debug-info", "--debug-line", str(folder / "dumped")]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.sub(r"(?m)\b0x[0-9a-f]{8}\b|^ *(total_length|prologue_length):.*", "", text)


@needs_clang
@pytest.mark.parametrize(
    ("source", "target"),
    [(PROGRAM, "x86_64"), (CXX, "x86_64"), (CXX, "aarch64"), (CXX, "riscv64")],
    ids=["c", "cxx", "cxx-aarch64", "cxx-riscv64"],
)
@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_restored_object_is_the_one_compiled_with_real_lines(
    tmp_path: Path, source: str, level: str, version: int, target: str
) -> None:
    flags = (f"--target={target}-linux-gnu", f"-gdwarf-{version}", level)
    obj = compile_source(tmp_path, place(source), *flags)
    real = compile_source(tmp_path, place(source, FAR, LINES), *flags)
    fixups = find_fixups(obj)
    assert len(fixups.rows) >= 8 and len(fixups.declarations) > 8 and obj != real
    assert restored(obj, FAR) == real


FLAGS = {
    "dwarf2": ("-gdwarf-2",),
    "dwarf3": ("-gdwarf-3",),
    "64 bits": ("-gdwarf64",),
    "64 bits, dwarf4": ("-gdwarf64", "-gdwarf-4"),
    "sections": ("-ffunction-sections",),
    "type units": ("-fdebug-types-section",),
    "type units, dwarf4": ("-fdebug-types-section", "-gdwarf-4"),
    "split": ("-gsplit-dwarf=single",),
    "split, type units": ("-gsplit-dwarf=single", "-fdebug-types-section"),
    "split, dwarf4": ("-gsplit-dwarf=single", "-gdwarf-4", "-fdebug-types-section"),
    "line tables": ("-gline-tables-only",),
}


@needs_clang
@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_every_layout_of_debug_information_is_restored(tmp_path: Path, flags: tuple[str, ...]) -> None:
    obj = compile_source(tmp_path, place(CXX), "-O2", *flags)
    real = compile_source(tmp_path, place(CXX, FAR, LINES), "-O2", *flags)
    assert obj != real and restored(obj, FAR) == real


@needs_clang
@needs_lld
def test_tables_of_several_units_are_told_apart_by_their_relocations(tmp_path: Path) -> None:
    def linked(bases: Sequence[int] = (), lines: Sequence[int] = ()) -> bytes:
        one = compile_source(tmp_path, place(PROGRAM, bases, lines), "-O2")
        other = CXX.replace("entry", "other")
        two = compile_source(tmp_path, place(other, bases, lines), "-O1", "-gdwarf-4")
        (tmp_path / "one").write_bytes(one)
        (tmp_path / "two").write_bytes(two)
        subprocess.run(["ld.lld-22", "-r", "one", "two", "-o", "both"], cwd=tmp_path, check=True)
        return (tmp_path / "both").read_bytes()

    obj, real = linked(), linked(FAR, LINES)
    assert obj != real and restored(obj, FAR) == real


@needs_clang
@needs_dwarfdump
@pytest.mark.parametrize("flags", [("-O0",), ("-O2", "-gdwarf-4"), ("-O2", "--target=riscv64-linux-gnu")])
def test_restored_lines_are_those_that_llvm_reads_from_the_real_object(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    """Lines near the top, which have shorter forms, and ranges so high that a step takes five bytes."""
    obj = compile_source(tmp_path, place(CXX, shift=900), *flags)
    real = compile_source(tmp_path, place(CXX, NEAR, LINES), *flags)
    assert {width for _, width, _, _ in find_fixups(obj).rows} == {4, 5}
    assert decoded(tmp_path, restored(obj, [0] * 900 + NEAR)) == decoded(tmp_path, real)


@needs_clang
@needs_dwarfdump
def test_lines_at_the_ends_of_what_can_be_written(tmp_path: Path) -> None:
    bases = [MAX_LINE - REACH, 41, 0, REACH + 1]
    source = PROGRAM.replace("@0+0", f"@0+{REACH - 20}").replace("@3+200000", f"@3-{REACH}")
    obj = compile_source(tmp_path, place(source, shift=MAX_RANGES // 2 - 4), "-O2")  # clang reads 31 bits
    real = compile_source(tmp_path, place(source, bases, LINES), "-O2")
    assert decoded(tmp_path, restored(obj, [0] * (MAX_RANGES // 2 - 4) + bases)) == decoded(tmp_path, real)


UNIT = """
target triple = "x86_64-unknown-linux-gnu"
%struct.s = type { i32 }
define i32 @nc.0(ptr %p) !dbg !10 {
  #dbg_value(ptr %p, !16, !DIExpression(), !20)
  %x = load i32, ptr %p, !dbg !21
  %y = call i32 @nc.1(i32 %x), !dbg !22
  %z = xor i32 %y, 5, !dbg !24
  ret i32 %z, !dbg !20
}
declare i32 @nc.1(i32)
!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2, !3}
!0 = distinct !DICompileUnit(language: DW_LANG_C11, file: !1, isOptimized: true, emissionKind: FullDebug)
!1 = !DIFile(filename: "a.c", directory: "DIRECTORY", checksumkind: CSK_MD5, checksum: "MD5-A")
!2 = !{i32 2, !"Debug Info Version", i32 3}
!3 = !{i32 7, !"Dwarf Version", i32 VERSION}
!4 = !DIFile(filename: "b.h", directory: "DIRECTORY", checksumkind: CSK_MD5, checksum: "MD5-B")
!10 = distinct !DISubprogram(name: "f", scope: !1, file: !1, line: L0, type: !11, scopeLine: L1,
  spFlags: DISPFlagDefinition | DISPFlagOptimized, unit: !0, retainedNodes: !15)
!11 = !DISubroutineType(types: !12)
!12 = !{!13, !14}
!13 = !DIBasicType(name: "int", size: 32, encoding: DW_ATE_signed)
!14 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !17, size: 64)
!15 = !{!16}
!16 = !DILocalVariable(name: "p", arg: 1, scope: !10, file: !1, line: L1, type: !14)
!17 = !DICompositeType(tag: DW_TAG_structure_type, name: "s", file: !4, line: K0, size: 32, elements: !18)
!18 = !{!19}
!19 = !DIDerivedType(tag: DW_TAG_member, name: "m", scope: !17, file: !4, line: K1, baseType: !13, size: 32)
!20 = !DILocation(line: L2, column: 3, scope: !10)
!21 = !DILocation(line: 0, scope: !10)
!22 = !DILocation(line: L3, column: 9, scope: !23, inlinedAt: !20)
!23 = distinct !DISubprogram(name: "g", scope: !4, file: !4, line: L4, type: !11, scopeLine: L4,
  spFlags: DISPFlagDefinition | DISPFlagOptimized, unit: !0)
!24 = !DILocation(line: L5, scope: !25)
!25 = !DILexicalBlockFile(scope: !10, file: !4, discriminator: 0)
"""
SUMS = {bytes([1] * 16): bytes(range(16)), bytes([2] * 16): bytes(range(16, 32))}


def unit(
    version: int, directory: str, sums: Sequence[bytes], own: Sequence[int], types: Sequence[int]
) -> bytes:
    """The object of UNIT; `own` are its lines L0 to L5, `types` the lines K0 and K1."""
    ir = UNIT.replace("DIRECTORY", directory).replace("VERSION", str(version))
    for name, value in zip(["MD5-A", "MD5-B"], sums, strict=True):
        ir = ir.replace(name, value.hex())
    for letter, lines in ("L", own), ("K", types):
        ir = re.sub(rf"\b{letter}(\d)\b", lambda match, at=lines: str(at[int(match[1])]), ir)  # type: ignore[misc]
    return llvm_object(ir)


@pytest.mark.parametrize("version", [2, 3, 4, 5])
def test_unit_of_ir_is_restored_with_its_checksums_and_directory(version: int) -> None:
    encoded = [*map(encode, [0, 0, 0, 1, 1, 62], [0, 1, 5, 8, -3, 0])]
    bases = [5_000_000, 9_000_000, *[0] * 60, 20_000_000]
    real = [5_000_000, 5_000_001, 5_000_005, 9_000_008, 8_999_997, 20_000_000]
    obj = unit(version, DIRECTORY_PLACEHOLDER, list(SUMS), encoded, [ordinal(0), ordinal(1)])
    fixups = find_fixups(obj)
    assert len(fixups.checksums) == (2 if version == 5 else 0) and fixups.directories
    out = bytearray(obj)
    directory = "/home" + "/long" * 24 + "/.."
    apply_fixups(out, fixups, bases, [77_000, 88_000], SUMS, directory.encode())
    assert out == unit(version, directory, list(SUMS.values()), real, [77_000, 88_000])


def test_short_directory_is_padded_and_an_unknown_checksum_stays() -> None:
    obj = unit(5, DIRECTORY_PLACEHOLDER, list(SUMS), [encode(0, 0)] * 6, [1, 1])
    out = bytearray(obj)
    known, unknown = SUMS
    apply_fixups(out, find_fixups(obj), [7], [], {known: SUMS[known]}, b"/home/me")
    assert DIRECTORY_PLACEHOLDER.encode() not in out and b"\0/home/me\0\0" in out
    assert unknown in out and known not in out and SUMS[known] in out


def test_object_without_debug_information_has_no_sites() -> None:
    fixups = find_fixups(llvm_object("define void @f() { ret void }"))
    assert not fixups and fixups.encode() == "" and Fixups.decode("") == fixups


def test_lines_that_were_not_encoded_stay() -> None:
    obj = unit(5, "/src", list(SUMS), [1, 2, 3, 4, 5, MIDDLE - 1], [8, 9])
    fixups = find_fixups(obj)
    assert not fixups.declarations and not fixups.rows and len(fixups.checksums) == 2
    assert restored(obj, []) == obj


def test_sections_that_cannot_be_restored_are_refused() -> None:
    placeholder = b"\0" + DIRECTORY_PLACEHOLDER.encode() + b"\0"
    assert find_fixups(elf({".debug_str": placeholder})).directories
    refused = [
        {".zdebug_info": b""},
        {".debug_macro": b""},
        {".debug_info": entry_object(b"", b"")[200:]},  # without abbreviations
        {".rodata": placeholder},
        {".debug_line": line_table(b"", names=b"\0" + placeholder)},
        {".debug_str": placeholder[:-1] + b"/include\0"},
        {".debug_str": b"/up" + placeholder[1:]},
        {".debug_str": placeholder[:-1]},
    ]
    for sections in refused:
        with pytest.raises(BadObject):
            find_fixups(elf(sections))
    with pytest.raises(BadObject, match="compressed"):
        find_fixups(elf({".debug_line": b""}, flags=0x800))


@pytest.mark.parametrize("version", [4, 5])
def test_damage_is_refused_or_without_effect(version: int) -> None:
    own = [*map(encode, [0, 0, 0, 1, 1, 62], [0, 1, 5, 8, -3, 0])]
    obj = unit(version, DIRECTORY_PLACEHOLDER, list(SUMS), own, [ordinal(0), ordinal(1)])
    rng = random.Random(version)
    refused = 0
    for _ in range(1500):
        damaged = bytearray(obj)
        for _ in range(rng.choice([1, 1, 2, 8])):
            damaged[rng.randrange(len(obj))] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        if rng.random() < 0.1:
            del damaged[rng.randrange(len(obj)) :]
        try:
            apply_fixups(damaged, find_fixups(bytes(damaged)), [1000] * 63, [1, 1], SUMS, b"/")
        except BadObject:
            refused += 1
    assert 200 < refused < 1400


def test_lines_that_do_not_go_with_the_object_are_refused() -> None:
    own = [*map(encode, [0, 0, 0, 1, 1, 2], [0, 1, 5, 8, -3, 0])]
    obj = unit(5, DIRECTORY_PLACEHOLDER, list(SUMS), own, [ordinal(0), ordinal(1)])
    fixups = find_fixups(obj)
    good: dict[str, Any] = {"bases": [9, 9, 9], "lines": [1, 1], "checksums": SUMS, "directory": b"/"}
    apply_fixups(bytearray(obj), fixups, **good)
    bad: list[dict[str, Any]] = [
        {"bases": [9, 9]},
        {"bases": []},
        {"bases": [9, 9, -1]},
        {"bases": [MAX_LINE, 9, 9]},
        {"bases": [9, 1, 9]},
        {"lines": [1]},
        {"lines": [1, -1]},
        {"checksums": dict.fromkeys(SUMS, b"short")},
        {"directory": b"/" * 129},
    ]
    for change in bad:
        with pytest.raises(BadObject):
            apply_fixups(bytearray(obj), fixups, **(good | change))
    with pytest.raises(BadObject):
        apply_fixups(bytearray(obj[:300]), fixups, **good)
    twice = bytearray(obj)
    apply_fixups(twice, fixups, **good)
    with pytest.raises(BadObject, match="already"):
        apply_fixups(twice, fixups, **good)


def test_sites_come_back_from_their_text() -> None:
    rng = random.Random(1)

    def some(limit: int = 1 << 32) -> tuple[int, ...]:
        return tuple(rng.randrange(limit) for _ in range(rng.randrange(6)))

    for _ in range(300):
        rows = [(at, rng.choice([4, 5]), rng.randrange(2047), rng.randrange(2047)) for at in some()]
        fixups = Fixups(some(), tuple(rows), some(), some())
        text = fixups.encode()
        assert Fixups.decode(text) == fixups and bool(text) == bool(fixups)
        assert text.isascii() and text.isprintable() and not set(text) & set('"\\')


def test_text_that_names_no_sites_is_refused() -> None:
    text = Fixups((1, 2), ((7, 4, 0, 1),), (3,), (4,)).encode()
    rng = random.Random(2)
    bad = [
        text[:-4],
        text + "AAAA",
        text[4:],
        "A",
        "====",
        "ümlaut",
        text[:-1] + "\n",
        text[:9] + " " + text[9:],
    ]
    for wrong in [*bad, Fixups((1,), ((7, 3, 0, 1),)).encode()]:
        with pytest.raises(BadObject):
            Fixups.decode(wrong)
    for _ in range(500):
        at = rng.randrange(len(text))
        with suppress(BadObject):
            assert Fixups.decode(text[:at] + chr(rng.randrange(33, 127)) + text[at + 1 :]).encode()
