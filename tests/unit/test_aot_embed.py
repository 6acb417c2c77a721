"""The parts for embedders: keys cover all that matters, entries are checked, LLVM's end is an error."""

import ctypes
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from elf_symbols import symbols
from llvmlite import binding
from stores import Kind

from nativecache.aot import embed, key
from nativecache.aot.codegen import llvm
from nativecache.aot.embed import (
    BuildError,
    Compiled,
    CorruptEntry,
    Entry,
    Target,
    compile_with_cache,
    compute_key,
    deserialize_entry,
    serialize_entry,
)
from nativecache.cache.store import MemoryStore, NullStore

TARGET = Target(triple="x86_64-unknown-linux-gnu")
SQUARE = "define double @square(double %x) {\n  %y = fmul double %x, %x\n  ret double %y\n}\n"
CALLS = "declare void @elsewhere()\ndefine void @puts() {\n  call void @elsewhere()\n  ret void\n}\n"


def bitcode(text: str) -> bytes:
    with binding.parse_assembly(text, binding.create_context()) as module:
        return bytes(module.as_bitcode())


class DictStore(dict[str, bytes]):
    def put(self, key: str, value: bytes) -> None:
        self[key] = value


# Keys


def test_a_key_is_that_of_bitcode_and_target() -> None:
    square = bitcode(SQUARE)
    found = compute_key(square, TARGET)
    assert len(found) == 64 and set(found) <= set("0123456789abcdef")
    assert compute_key(bytes(square), replace(TARGET)) == found
    assert compute_key(bitcode(CALLS), TARGET) != found


OTHERS = {
    "triple": "aarch64-unknown-linux-gnu",
    "cpu": "x86-64-v3",
    "features": "+avx2",
    "level": 3,
    "optimize": False,
    "relocation": "static",
    "code_model": "large",
}


@pytest.mark.parametrize("name", [one.name for one in fields(Target) if one.name != "llvm"])
def test_each_field_of_a_target_is_in_the_key(name: str) -> None:
    other: Any = {name: OTHERS[name]}
    assert compute_key(bitcode(SQUARE), replace(TARGET, **other)) != compute_key(bitcode(SQUARE), TARGET)


@pytest.mark.parametrize("which", ["llvmlite", "auto"])
def test_which_llvm_is_in_the_key(monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    target = replace(TARGET, llvm=which)
    before = compute_key(bitcode(SQUARE), target)
    other = key.Compiler("22.1.9", "0.50", "1")
    monkeypatch.setattr(llvm.Llvmlite, "identity", other)
    assert compute_key(bitcode(SQUARE), target) != before


def test_no_builds_key_is_the_same() -> None:
    square, options = bitcode(SQUARE), embed._options(TARGET)
    assert compute_key(square, TARGET) != key.compute_key(llvm.Llvmlite().identity, options, square)


@pytest.mark.parametrize("what", [b"", b"BC", SQUARE.encode(), b"\x7fELF"])
def test_what_is_no_bitcode_has_no_key(what: bytes) -> None:
    with pytest.raises(BuildError, match="not LLVM bitcode"):
        compute_key(what, TARGET)


def test_text_has_no_key() -> None:
    with pytest.raises(BuildError, match="in bytes, not as str"):
        compile_with_cache(SQUARE, TARGET, DictStore())  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"level": 4}, {"relocation": "none"}, {"code_model": "huge"}])
def test_a_target_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"a level is|no such"):
        Target(**wrong)


def test_this_machine_is_its_cpu() -> None:
    found = Target.of_this_machine(level=1)
    assert (found.triple, found.cpu, found.level) == (Target().triple, llvm.host()[1], 1)
    assert found.features and not Target().features


# Entries


def test_entries_there_and_back() -> None:
    entry = Entry("ab" * 32, b"object", {"milliseconds": 1.5})
    assert deserialize_entry(entry.key, serialize_entry(entry)) == entry
    with pytest.raises(CorruptEntry):
        deserialize_entry("cd" * 32, serialize_entry(entry))
    with pytest.raises(CorruptEntry):
        deserialize_entry(entry.key, serialize_entry(entry)[:-1])


# Compiling


def test_the_second_time_is_a_hit() -> None:
    store = DictStore()
    first = compile_with_cache(bitcode(SQUARE), TARGET, store)
    second = compile_with_cache(bitcode(SQUARE), TARGET, store)
    assert not first.hit and second == replace(first, hit=True)
    assert list(store) == [first.key] == [compute_key(bitcode(SQUARE), TARGET)]
    assert first.milliseconds > 0


def test_a_hit_asks_llvm_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store = DictStore()
    made = compile_with_cache(bitcode(SQUARE), TARGET, store)
    monkeypatch.setattr(embed, "_compile", None)
    assert compile_with_cache(bitcode(SQUARE), TARGET, store).object == made.object


def test_an_object_is_that_of_no_cache() -> None:
    for target in (TARGET, replace(TARGET, level=0), replace(TARGET, optimize=False)):
        made = [
            compile_with_cache(bitcode(SQUARE), target, NullStore(), isolated=n % 2 == 1) for n in range(4)
        ]
        assert len({one.object for one in made}) == 1 and not any(one.hit for one in made)


def test_symbols_keep_their_names() -> None:
    made = compile_with_cache(bitcode(CALLS), TARGET, MemoryStore())
    assert {symbol.name for symbol in symbols(made.object)} >= {"puts", "elsewhere"}


@pytest.mark.parametrize("damage", ["flip", "cut", "other", "empty"])
def test_a_damaged_value_is_made_again_and_replaced(damage: str) -> None:
    store = DictStore()
    made = compile_with_cache(bitcode(SQUARE), TARGET, store)
    other = compile_with_cache(bitcode(CALLS), TARGET, store)
    whole = store[made.key]
    store[made.key] = {
        "flip": bytes([whole[0] ^ 1]) + whole[1:],
        "cut": whole[:-1],
        "other": store[other.key],
        "empty": b"",
    }[damage]
    again = compile_with_cache(bitcode(SQUARE), TARGET, store)
    assert not again.hit and again.object == made.object
    assert compile_with_cache(bitcode(SQUARE), TARGET, store).hit


def test_the_stores_of_folders_will_do(tmp_path: Path, kind: Kind) -> None:
    made = compile_with_cache(bitcode(SQUARE), TARGET, kind.open(tmp_path, warn=pytest.fail))
    again = compile_with_cache(bitcode(SQUARE), TARGET, kind.open(tmp_path, warn=pytest.fail))
    assert again == replace(made, hit=True)


def call(made: Compiled, name: str, argument: float) -> float:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine()
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
    engine.add_object_file(binding.ObjectFileRef.from_data(made.object))
    engine.finalize_object()
    function = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(engine.get_function_address(name))
    return float(function(argument))


@pytest.mark.parametrize("which", ["llvmlite", "auto"])
def test_an_object_runs(which: str) -> None:
    made = compile_with_cache(bitcode(SQUARE), replace(Target.of_this_machine(), llvm=which), DictStore())
    assert call(made, "square", 7) == 49


def test_a_module_is_optimised_for_its_target() -> None:
    """As if it had named the target itself: where the second field is depends on the layout."""
    field = "define ptr @f(ptr %p) {\n  %q = getelementptr {i8, i64}, ptr %p, i32 0, i32 1\n  ret ptr %q\n}\n"
    layout = llvm.data_layout(embed._options(TARGET))
    named = f'target datalayout = "{layout}"\ntarget triple = "{TARGET.triple}"\n{field}'
    made = [compile_with_cache(bitcode(text), TARGET, DictStore()).object for text in (field, named)]
    assert made[0] == made[1]


def test_threads_compile_at_once() -> None:
    store = DictStore()
    texts = [SQUARE.replace("@square", f"@square{n % 4}") for n in range(24)]
    targets = [replace(TARGET, llvm=which) for which in ("llvmlite", "auto")]
    jobs = [(bitcode(text), targets[n % 2]) for n, text in enumerate(texts)]
    with ThreadPoolExecutor(4) as executor:
        made = list(executor.map(lambda job: compile_with_cache(job[0], job[1], store), jobs))
    assert {one.key: one.object for one in made} == {
        one: deserialize_entry(one, store[one]).payload for one in store
    }


# Errors


@pytest.mark.parametrize("isolated", [False, True])
def test_a_module_for_another_target(isolated: bool) -> None:
    theirs = bitcode('target triple = "aarch64-unknown-linux-gnu"\n' + SQUARE)
    with pytest.raises(
        BuildError, match="is for aarch64-unknown-linux-gnu, not for x86_64-unknown-linux-gnu"
    ):
        compile_with_cache(theirs, TARGET, DictStore(), isolated=isolated)
    with pytest.raises(BuildError, match="data layout"):
        compile_with_cache(
            bitcode('target datalayout = "E"\n' + SQUARE), TARGET, DictStore(), isolated=isolated
        )
    with pytest.raises(BuildError, match="unknown target 'vax'"):
        compile_with_cache(bitcode(SQUARE), Target(triple="vax"), DictStore(), isolated=isolated)


def test_broken_bitcode_is_an_error_and_not_kept() -> None:
    store, square = DictStore(), bitcode(SQUARE)
    for end in range(4, len(square), len(square) // 20):
        with pytest.raises(BuildError):
            compile_with_cache(square[:end], TARGET, store, isolated=True)
    assert not store


def test_llvm_that_ends_is_an_error() -> None:
    ends = 'define void @f() {\n  call void asm "nonsense", "~{nowhere}"()\n  ret void\n}\n'
    text = 'define i32 @f() {\n  %x = call i32 asm "mov $0, 1", "={nosuch}"()\n  ret i32 %x\n}\n'
    store = DictStore()
    for bad in (ends, text):
        with pytest.raises(BuildError):
            compile_with_cache(bitcode(bad), TARGET, store, isolated=True)
    old = replace(TARGET, cpu="i386", features="-64bit")
    with pytest.raises(BuildError, match="LLVM stopped while compiling"):
        compile_with_cache(bitcode(SQUARE), old, store, isolated=True)
    assert not store
    assert compile_with_cache(bitcode(SQUARE), TARGET, store, isolated=True).object


def test_a_module_that_reads_files_is_not_kept(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = DictStore()
    module = bitcode(f'module asm ".section .rodata"\nmodule asm ".incbin \\22{data}\\22"\n{SQUARE}')
    for content in (b"first content", b"second content"):
        data.write_bytes(content)
        made = compile_with_cache(module, TARGET, store)
        assert content in made.object and not made.hit and not store
