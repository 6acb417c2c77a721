"""Calls into LLVM give the same bytes whatever else the process did, and errors instead of crashes."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nativecache.aot.codegen import llvm
from nativecache.aot.codegen.engine import INLINE_MOST, Engine
from nativecache.aot.codegen.libllvm import SharedLibrary, build_id
from nativecache.aot.errors import BuildError, UsageError
from nativecache.aot.ir.numbering import number_module
from nativecache.aot.key import Options
from nativecache.aot.pool import Job, Pool, WorkerDied

TRIPLE = "x86_64-unknown-linux-gnu"
OPTIONS = Options(
    triple=TRIPLE, cpu="", features="", level=2, optimize=True, relocation="pic", code_model="default"
)
LOOP = """\
target triple = "x86_64-unknown-linux-gnu"
define double @sum(ptr %p, i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %s = phi double [ 0.0, %entry ], [ %t, %loop ]
  %q = getelementptr double, ptr %p, i64 %i
  %v = load double, ptr %q
  %t = fadd fast double %s, %v
  %next = add i64 %i, 1
  %done = icmp eq i64 %next, %n
  br i1 %done, label %out, label %loop
out:
  ret double %t
}
"""


LLVMLITE = llvm.Llvmlite()


@pytest.fixture(params=["llvmlite", "libLLVM"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "llvmlite":
        return LLVMLITE
    found = llvm.find_engine("auto", None)
    if not isinstance(found, SharedLibrary):
        pytest.skip("no libLLVM of llvmlite's version here")
    return found


def unit(n: int) -> bytes:
    return LLVMLITE.unit_bitcode(
        LOOP.replace("@sum", f"@sum{n}").replace("add i64 %i, 1", f"add i64 %i, {n + 1}")
    )


def test_text_and_bitcode_read_alike() -> None:
    texts = [llvm.read_module(data) for data in (LOOP.encode(), LLVMLITE.unit_bitcode(LOOP))]
    assert texts[0].partition("target")[2] == texts[1].partition("target")[2] != ""


def test_names_can_be_taken_off() -> None:
    text = llvm.read_module(LOOP.encode(), True)
    assert "define double @sum(ptr %0, i64 %1)" in text and "%next" not in text and "loop" not in text


def test_bytes_beyond_ascii_are_the_same_raw_and_escaped() -> None:
    raw = llvm.read_module('; naïve\n@"ü" = constant [3 x i8] c"ü\\00"\n'.encode())
    escaped = llvm.read_module(b'@"\\C3\\BC" = constant [3 x i8] c"\\C3\\BC\\00"\n')
    assert raw == escaped


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("define i32 @f() {\n  ret i64 1\n}\n", "2:7: error: "),
        ("define void @f() {\n  br label %x\n}\n", "use of undefined value '%x'"),
        ("define i32 @f(i1 %c) {\n  br i1 %c, label %a, label %b\na:\n  %v = add i32 1, 1\n  ret i32 %v\n"
         "b:\n  ret i32 %v\n}\n", "Instruction does not dominate all uses!"),
        ("define void @f() nosuchattribute {\n  ret void\n}\n", "1:18: error: "),
        ("hello", "1:1: error: expected top-level entity"),
    ],
)  # fmt: skip
def test_bad_text_is_an_error_of_one_line(text: str, reason: str) -> None:
    with pytest.raises(BuildError) as caught:
        llvm.read_module(text.encode())
    assert reason in str(caught.value) and "\n" not in str(caught.value)


def test_bitcode_does_not_depend_on_what_was_parsed_before(engine: Engine) -> None:
    before = engine.unit_bitcode(LOOP)
    engine.unit_bitcode("%T = type { ptr }\n@x = global %T zeroinitializer\ndeclare void @sum2(ptr)\n")
    assert engine.unit_bitcode(LOOP) == before


def test_units_emit_alike_in_any_order(engine: Engine) -> None:
    units = [unit(n) for n in range(6)]
    forward = [engine.emit(bitcode, OPTIONS) for bitcode in units]
    backward = [engine.emit(bitcode, OPTIONS) for bitcode in reversed(units)]
    assert forward == backward[::-1]
    assert len(set(forward)) == len(units)


def test_units_emit_alike_in_any_process(engine: Engine) -> None:
    """In workers of a pool, whichever gets which, and in a fresh interpreter."""
    units = [unit(n) for n in range(6)]
    expected = [engine.emit(bitcode, OPTIONS) for bitcode in units]
    with Pool(2, {"emit": engine.emit}) as pool:
        for n, bitcode in enumerate(units):
            pool.submit(Job("emit", n, (bitcode, OPTIONS)), priority=n % 3)
        assert {done.job.tag: done.result for done in pool.results()} == dict(enumerate(expected))
    script = (
        "import sys; from nativecache.aot.codegen import llvm; from nativecache.aot.key import Options\n"
        f"engine = llvm.find_engine({engine.path or 'llvmlite'!r}, None)\n"
        f"sys.stdout.buffer.write(engine.emit(sys.stdin.buffer.read(), {OPTIONS!r}))"
    )
    fresh = subprocess.run([sys.executable, "-c", script], input=units[3], capture_output=True, check=True)
    assert fresh.stdout == expected[3]


def test_emitting_changes_nothing_that_is_emitted_next(engine: Engine) -> None:
    bitcode = unit(1)
    assert engine.emit(bitcode, OPTIONS) == engine.emit(bitcode, OPTIONS)


def test_what_a_module_marks_as_used_marks_nothing_in_the_next(engine: Engine) -> None:
    """LLVM's machines remember what was marked by its address, which something else has later."""
    marking = engine.unit_bitcode(
        f"""target triple = "{TRIPLE}"
@kept = global i32 1, section "mine"
@other = global i32 2, section "mine"
@llvm.used = appending global [2 x ptr] [ptr @kept, ptr @other], section "llvm.metadata"
"""
    )
    others = '@one = global i32 1, section "mine"\n@two = global i32 2\n'
    plain = engine.unit_bitcode(f'target triple = "{TRIPLE}"\n{others}')
    expected = engine.emit(plain, OPTIONS)
    for _ in range(40):
        engine.emit(marking, OPTIONS)
        assert engine.emit(plain, OPTIONS) == expected


def test_sections_in_assembly_are_numbered_anew_in_each_unit(engine: Engine) -> None:
    text = f'target triple = "{TRIPLE}"\n@one = unnamed_addr constant i32 1, section "mine"\n'
    printed = [engine.emit(engine.unit_bitcode(text), replace(OPTIONS, output="assembly")) for _ in "ab"]
    assert printed[0] == printed[1] and b"unique,1\n" in printed[0]


def test_what_is_small_to_a_module_is_not_so_to_the_next(engine: Engine) -> None:
    triple = "riscv64-unknown-linux-gnu"
    options = replace(OPTIONS, triple=triple, relocation="static", code_model="medium")
    text = f'target triple = "{triple}"\n@one = global i32 1\n'
    flag = '!llvm.module.flags = !{!0}\n!0 = !{i32 8, !"SmallDataLimit", i32 8}\n'
    plain, flagged = engine.unit_bitcode(text), engine.unit_bitcode(text + flag)
    first = [engine.emit(bitcode, options) for bitcode in (plain, flagged)]
    assert first == [engine.emit(bitcode, options) for bitcode in (plain, flagged)]
    assert [b".sdata" in emitted for emitted in first] == [False, True]


def test_options_change_what_is_emitted(engine: Engine) -> None:
    bitcode = unit(0)
    kinds = [
        OPTIONS,
        replace(OPTIONS, level=0),
        replace(OPTIONS, optimize=False),
        replace(OPTIONS, cpu="znver4"),
        replace(OPTIONS, features="+avx2"),
        replace(OPTIONS, output="assembly"),
        replace(OPTIONS, output="bitcode"),
    ]
    assert len({engine.emit(bitcode, options) for options in kinds}) == len(kinds)


def test_loops_are_vectorised_from_o2_on(engine: Engine) -> None:
    text = {
        level: engine.emit(unit(0), replace(OPTIONS, level=level, output="assembly")).decode()
        for level in (1, 2)
    }
    assert "addpd" in text[2] and "addpd" not in text[1]


def test_simplify_takes_memory_traffic_out_and_inlines_nothing(engine: Engine) -> None:
    text = engine.simplify(
        "define i32 @f(i32 %x) {\n  %p = alloca i32\n  store i32 %x, ptr %p\n  %v = load i32, ptr %p\n"
        "  %w = call i32 @g(i32 %v)\n  ret i32 %w\n}\ndefine i32 @g(i32 %x) {\n  ret i32 %x\n}\n",
        OPTIONS,
    )
    assert "alloca" not in text and "call i32 @g(i32 %x)" in text


def test_what_simplify_makes_has_numbers_in_libllvm() -> None:
    """Or `number_module` would do it, which takes longer than the passes."""
    if (engine := llvm.find_engine("auto", None)).identity.llvmlite:
        pytest.skip("no libLLVM")
    text = engine.simplify(
        "define i32 @f(i1 %0, ptr %1) {\n  %3 = alloca i32\n  store i32 0, ptr %3\n"
        "  br i1 %0, label %4, label %6\n"
        "4:\n  %5 = load i32, ptr %1\n  store i32 %5, ptr %3\n  br label %6\n"
        "6:\n  %7 = load i32, ptr %3\n  ret i32 %7\n}\n",
        OPTIONS,
    )
    assert " phi " in text and number_module(text) == text


def test_a_target_that_llvm_does_not_know() -> None:
    with pytest.raises(BuildError, match="unknown target 'nosuch-linux-gnu'"):
        llvm.data_layout(replace(OPTIONS, triple="nosuch-linux-gnu"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (replace(OPTIONS, features="+nosuch"), "'+nosuch' is not a recognized feature for this target"),
        (
            replace(OPTIONS, triple="aarch64-linux-gnu", cpu="nosuch"),
            "'nosuch' is not a recognized processor",
        ),
    ],
)
def test_a_cpu_or_feature_that_llvm_does_not_know(options: Options, reason: str) -> None:
    """LLVM says so on standard error and goes on, or dies: asked in a worker."""
    with Pool(1, {"check": llvm.check_target}) as pool:
        pool.submit(Job("check", None, (options,)))
        error = next(iter(pool.results())).error
    assert isinstance(error, (BuildError, WorkerDied)) and reason in str(error)


def test_a_known_cpu_is_no_error() -> None:
    llvm.check_target(replace(OPTIONS, cpu="znver4", features="+avx2,-bmi"))


def test_inline_asm_that_cannot_be_assembled_costs_the_worker_only(engine: Engine) -> None:
    bad = engine.unit_bitcode(
        f'target triple = "{TRIPLE}"\ndefine void @f() {{\n'
        '  call void asm "nop", "{nosuch}"(i32 1)\n  ret void\n}\n'
    )
    with Pool(1, {"emit": engine.emit}) as pool:
        pool.submit(Job("emit", "bad", (bad, OPTIONS)))
        pool.submit(Job("emit", "good", (unit(0), OPTIONS)))
        done = {d.job.tag: d for d in pool.results()}
    assert "couldn't allocate input reg for constraint '{nosuch}'" in str(done["bad"].error)
    assert done["good"].result.startswith(b"\x7fELF")


def test_merging_units_renames_their_symbols() -> None:
    one = LLVMLITE.unit_bitcode(
        "declare i32 @nc.1()\ndefine i32 @nc.0() {\n  %x = call i32 @nc.1()\n  ret i32 %x\n}\n"
    )
    two = LLVMLITE.unit_bitcode("define i32 @nc.0() {\n  ret i32 7\n}\n")
    merged = llvm.merge([(one, {"nc.0": "main", "nc.1": "a b"}), (two, {"nc.0": "a b"})])
    text = llvm.read_module(merged)
    assert "define i32 @main()" in text and 'define i32 @"a b"()' in text and "nc." not in text


def test_units_that_clash_cannot_be_merged() -> None:
    one = LLVMLITE.unit_bitcode("define i32 @f() {\n  ret i32 7\n}\n")
    with pytest.raises((BuildError, RuntimeError), match="f"):
        llvm.merge([(one, {}), (one, {})])


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("LLVM IR parsing error\n<string>:3:7: error: bad\n  ret\n", "3:7: error: bad"),
        ("\n\nword\nmore", "word"),
        ("", "no reason given"),
    ],
)
def test_first_line_of_llvms_message(message: str, line: str) -> None:
    assert llvm.first_line(message) == line


LEVELS = [replace(OPTIONS, level=level) for level in range(4)]


@pytest.mark.parametrize(
    "options",
    [
        *LEVELS,
        replace(OPTIONS, optimize=False),
        replace(OPTIONS, relocation="static", code_model="medium"),
        replace(OPTIONS, cpu="znver4", features="-avx512f"),
        replace(OPTIONS, output="assembly"),
        replace(OPTIONS, triple="aarch64-unknown-linux-gnu"),
    ],
)
def test_both_engines_make_the_same_object(engine: Engine, options: Options) -> None:
    """Their versions differ in the last number at most; were they to differ in code, keys keep them apart."""
    bitcode = LLVMLITE.unit_bitcode(LOOP.replace(TRIPLE, options.triple))
    assert engine.emit(bitcode, options) == LLVMLITE.emit(bitcode, options)


SQUARE = """\
target triple = "{triple}"
define available_externally i32 @square(i32 %x) {{
  %1 = mul i32 %x, %x
  ret i32 %1
}}
{more}
define i32 @f(i32 %x) {{
  %1 = call i32 @square(i32 %x)
  %2 = call i32 @square(i32 %1)
  ret i32 %2
}}
"""
LONG = "\n".join(f"declare void @long{n}()" for n in range(INLINE_MOST // 16))


@pytest.mark.parametrize(
    ("level", "more", "first"),
    [(0, "", False), (1, "", False), (2, "", True), (3, "", True), (2, LONG, False)],
)
def test_what_is_imported_is_inlined_before_all_else(
    monkeypatch: pytest.MonkeyPatch, level: int, more: str, first: bool
) -> None:
    found = llvm.find_engine("auto", None)
    if not isinstance(found, SharedLibrary):
        pytest.skip("no libLLVM of llvmlite's version here")
    bitcode = LLVMLITE.unit_bitcode(SQUARE.format(triple=TRIPLE, more=more))
    whole = found.emit(bitcode, replace(OPTIONS, level=level))
    # What LLVM's own pipeline is left with, and what it makes of that.
    monkeypatch.setattr(SharedLibrary, "_run", _only_first)
    alone = found.emit(bitcode, replace(OPTIONS, level=level, output="bitcode"))
    assert (b"square" in alone) != first
    assert (b"square" in whole) == (level == 0)  # what is inlined is no symbol of the object


def _only_first(engine: SharedLibrary, module: Any, passes: str, options: Options) -> None:
    before = passes.rpartition("default<")[0].rstrip(",")
    if before:
        _RUN(engine, module, before, options)


_RUN = SharedLibrary._run


def test_there_is_tiny_code_in_every_engine(engine: Engine) -> None:
    options = replace(OPTIONS, triple="aarch64-unknown-linux-gnu", code_model="tiny")
    assert llvm.data_layout(options)
    assert engine.emit(LLVMLITE.unit_bitcode(LOOP.replace(TRIPLE, options.triple)), options)


def test_bad_input_is_an_exception_in_every_engine(engine: Engine) -> None:
    with pytest.raises(RuntimeError, match="expected"):
        engine.unit_bitcode("define void @f( {")
    with pytest.raises(RuntimeError, match="nosuch"):
        engine.emit(unit(0), replace(OPTIONS, triple="nosuch-linux-gnu"))


def test_a_library_is_known_by_its_build_id(tmp_path: Path) -> None:
    found = llvm.find_engine("auto", None)
    if not isinstance(found, SharedLibrary):
        pytest.skip("no libLLVM of llvmlite's version here")
    assert found.identity.llvmlite == "" and re.fullmatch("[0-9a-f]{16,}", found.identity.library)
    assert found.identity.library == build_id(Path(found.path))
    (tmp_path / "short").write_bytes(b"\x7fELF\x02\x01")
    with pytest.raises(OSError, match="short"):
        SharedLibrary(str(tmp_path / "short"))


def test_a_file_without_build_id_is_known_by_size_and_time(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"none")
    assert build_id(tmp_path / "x").startswith("4-")


def test_an_engine_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nosuch\.so: cannot be used as LLVM's library"):
        llvm.find_engine(str(tmp_path / "nosuch.so"), None)
    with pytest.raises(UsageError, match="cannot be used as LLVM's library"):
        llvm.find_engine("libc.so.6", None)
