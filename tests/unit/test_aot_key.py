"""A key changes with everything that an object depends on, and with nothing else."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from nativecache.aot.codegen.llvm import Llvmlite
from nativecache.aot.key import Compiler, Options, assembler_reads, compute_key, explain_key

COMPILER = Compiler(llvm="22.1.0", llvmlite="0.50.0", library="1000")
OPTIONS = Options(
    triple="x86_64-unknown-linux-gnu",
    cpu="",
    features="",
    level=2,
    optimize=True,
    relocation="pic",
    code_model="default",
)
KNOWN = "056d58aa50d2785b0d6577432de2bf7c7191561d1dc61b79ec378fde047fb1cf"
OTHER_COMPILERS = {"llvm": "22.1.1", "llvmlite": "0.50.1", "library": "1001"}
OTHER_OPTIONS = {
    "relative": True,
    "triple": "aarch64-unknown-linux-gnu",
    "cpu": "znver4",
    "features": "+avx2",
    "level": 3,
    "optimize": False,
    "relocation": "static",
    "code_model": "large",
    "output": "assembly",
    "unroll": True,
}


def test_a_key_is_a_sha256_in_hexadecimal() -> None:
    key = compute_key(COMPILER, OPTIONS, b"bitcode")
    assert len(key) == 64 and set(key) <= set("0123456789abcdef")
    assert key == compute_key(replace(COMPILER), replace(OPTIONS), b"bitcode")


def test_a_key_stays_what_it_was() -> None:
    """Entries outlive this process: a change of the recipe needs a new SCHEMA, and a new value here."""
    assert compute_key(COMPILER, OPTIONS, b"bitcode") == KNOWN


@pytest.mark.parametrize("name", [field.name for field in fields(Compiler)])
def test_another_compiler_gives_another_key(name: str) -> None:
    other = Compiler(**{**_values(COMPILER), name: OTHER_COMPILERS[name]})
    assert compute_key(other, OPTIONS, b"bitcode") != compute_key(COMPILER, OPTIONS, b"bitcode")


@pytest.mark.parametrize("name", [field.name for field in fields(Options)])
def test_another_option_gives_another_key(name: str) -> None:
    other = Options(**{**_values(OPTIONS), name: OTHER_OPTIONS[name]})
    assert compute_key(COMPILER, other, b"bitcode") != compute_key(COMPILER, OPTIONS, b"bitcode")


def test_other_bitcode_gives_another_key() -> None:
    assert compute_key(COMPILER, OPTIONS, b"bitcode") != compute_key(COMPILER, OPTIONS, b"bitcodf")


def test_fields_do_not_run_into_each_other() -> None:
    one = replace(OPTIONS, cpu="ab", features="c")
    other = replace(OPTIONS, cpu="a", features="bc")
    assert compute_key(COMPILER, one, b"") != compute_key(COMPILER, other, b"")


def test_explain_names_every_field_in_the_order_of_the_recipe() -> None:
    lines = explain_key(COMPILER, OPTIONS, b"bitcode").splitlines()
    names = [line.partition(": ")[0] for line in lines]
    assert names[:4] == ["schema", "llvm", "llvmlite", "library"]
    assert names[4:] == [*(field.name for field in fields(Options)), "bitcode"]


def test_explain_differs_where_keys_do() -> None:
    other = replace(OPTIONS, level=3)
    one, two = (explain_key(COMPILER, o, b"bitcode").splitlines() for o in (OPTIONS, other))
    assert [pair for pair in zip(one, two, strict=True) if pair[0] != pair[1]] == [("level: 2", "level: 3")]


def test_files_that_the_assembler_reads_are_in_the_key(tmp_path: Path) -> None:
    data = tmp_path / "data.bin"
    data.write_bytes(b"one")
    texts = [
        f'\nmodule asm ".incbin \\22{data}\\22"\n',
        f'  call void asm sideeffect "1: .include \\22{data}\\22", ""()\n',
        f'\nmodule asm ".IncBin \\22{data}\\22"\n',
    ]
    first = [assembler_reads(text) for text in texts]
    assert all(first) and first == [assembler_reads(text) for text in texts]
    data.write_bytes(b"two")
    assert not set(first) & {assembler_reads(text) for text in texts}
    assert len({compute_key(COMPILER, OPTIONS, b"bitcode", files) for files in (first[0], b"")}) == 2


def test_a_file_whose_name_is_not_plain_is_never_the_same() -> None:
    for line in ("\\09.incbin name", "d: .\\\\x\\\\()bin", ".INC\\5C()bin", ".altmacro", ".$(incbin$|x$)"):
        text = f'\nmodule asm "{line}"\n'
        assert assembler_reads(text) != assembler_reads(text), line


@pytest.mark.parametrize(
    "text", ['@s = constant [9 x i8] c".include\\00"\n', 'module asm ".included .L\\\\@ \\\\x"\n', ""]
)
def test_no_file(text: str) -> None:
    assert assembler_reads(text) == b""


def test_the_compiler_in_use_is_known_by_its_library() -> None:
    found = Llvmlite().identity
    assert found.llvm.startswith("22.") and found.llvmlite.startswith("0.50")
    assert int(found.library) > 10_000_000


def _values(record: Compiler | Options) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def test_explain_names_the_files_that_the_assembler_reads() -> None:
    files = "data.bin 12\ndata\udcff.bin 13".encode("utf-8", "surrogateescape")
    plain, with_files = (explain_key(COMPILER, OPTIONS, b"bitcode", found) for found in (b"", files))
    assert with_files.startswith(plain) and with_files != plain
    assert with_files.removeprefix(plain) == "files: 'data.bin 12\\ndata\\udcff.bin 13'\n"
