"""A unit is the same text wherever its code stands and whatever it is called, and differs where it must."""

import gc
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import TOOLS
from pipeline import LIMITS, TRIPLE, caller, key, resolved, unit, with_bodies

from nativecache.aot.codegen import llvm
from nativecache.aot.units.extract import extract
from nativecache.aot.units.partition import partition

BASE = """\
%struct.S = type { i32, ptr }
@.str = private unnamed_addr constant [3 x i8] c"hi\\00", align 1
@total = internal global i32 0, align 4
declare i32 @printf(ptr, ...)
define internal i32 @helper(i32 %x) {
entry:
  %sum = add i32 %x, 3
  ret i32 %sum
}
define i32 @work(ptr %s, i32 %n) {
entry:
  %where = getelementptr %struct.S, ptr %s, i32 0, i32 1
  %p = load ptr, ptr %where
  %c = icmp eq i32 %n, 7
  br i1 %c, label %yes, label %no
yes:
  %said = call i32 (ptr, ...) @printf(ptr @.str)
  br label %no
no:
  %h = call i32 @helper(i32 %n)
  store i32 %h, ptr @total
  ret i32 %h
}
"""


def same_unit(changed: str, name: str = "work") -> None:
    ours, theirs = unit(resolved(BASE), "work"), unit(resolved(changed), name)
    assert ours.text == theirs.text
    assert key(ours) == key(theirs)


def test_a_renamed_function_is_the_same_unit() -> None:
    same_unit(BASE.replace("@work", '@"other name"').replace("@helper", "@h2"), "other name")


def test_renamed_locals_of_the_file_are_the_same() -> None:
    same_unit(BASE.replace("@total", "@counter.12"))


def test_renamed_types_are_the_same() -> None:
    same_unit(BASE.replace("%struct.S", "%struct.S.12"))


@pytest.mark.parametrize("name", ["where", "p", "c", "yes", "no", "said", "h"])
def test_renamed_values_and_blocks_are_the_same(name: str) -> None:
    same_unit(BASE.replace(f"%{name}", f"%{name}.i.i").replace(f"\n{name}:", f"\n{name}.i.i:"))


def test_values_without_names_are_the_same() -> None:
    nameless = llvm.read_module(BASE.encode(), True)
    assert key(unit(resolved(BASE), "work")) == key(unit(resolved(nameless), "work"))


def test_renumbered_strings_are_the_same() -> None:
    same_unit(BASE.replace("@.str", "@.str.41"))
    other = '@.str.1 = private unnamed_addr constant [4 x i8] c"abc\\00"\n'
    same_unit(other + BASE + "define ptr @user() {\n  ret ptr @.str.1\n}\n")


def test_declarations_in_another_order_or_unused_are_the_same() -> None:
    line = "declare i32 @printf(ptr, ...)\n"
    same_unit(BASE.replace(line, "") + "declare void @unused(ptr)\n@more = global i32 7\n" + line)


def test_definitions_in_another_order_are_the_same() -> None:
    cut = BASE.index("define i32 @work")
    head = BASE.index("define internal")
    same_unit(BASE[:head] + BASE[cut:] + BASE[head:cut])


def test_comments_and_the_source_files_name_change_nothing() -> None:
    text = 'source_filename = "elsewhere/x.c"\n; a comment\n' + BASE.replace("entry:", "entry: ; here")
    same_unit(text.replace("ret i32 %h\n", "ret i32 %h ; the end\n"))


def test_other_attribute_group_numbers_are_the_same() -> None:
    used = BASE.replace("define i32 @work(ptr %s, i32 %n)", "define i32 @work(ptr %s, i32 %n) nounwind")
    first = unit(resolved(used), "work")
    second = unit(resolved("define void @zero() noinline cold {\n  ret void\n}\n" + used), "work")
    assert first.text == second.text


def test_other_metadata_numbers_are_the_same() -> None:
    tbaa = '!0 = !{!"int", !1}\n!1 = !{!"root"}\n!2 = !{!0, !0, i64 0}\n'
    used = BASE.replace("load ptr, ptr %where", "load ptr, ptr %where, !tbaa !2") + tbaa
    shifted = used
    for number in "210":
        shifted = shifted.replace(f"!{number}", f"!{int(number) + 5}")
    extra = 'define void @zero() !x !9 {\n  ret void\n}\n!9 = !{!"zero"}\n'
    assert unit(resolved(used), "work").text == unit(resolved(extra + shifted), "work").text


def test_the_place_of_inline_asm_changes_nothing() -> None:
    asm = """\
define i32 @work(i32 %x) {
  %y = call i32 asm "rorl $0 ; , !srcloc !9", "=r,0"(i32 %x), !srcloc !0, !other !1
  ret i32 %y
}
!0 = !{i64 100}
!1 = !{!"other"}
"""
    ours, theirs = (unit(resolved(text), "work") for text in (asm, asm.replace("i64 100", "i64 200")))
    assert ours.text == theirs.text
    assert '"rorl $0 ; , !srcloc !9"' in ours.text and "!other !0" in ours.text


def test_another_file_changes_nothing() -> None:
    alone = unit(resolved(BASE), "work")
    among = unit(resolved("define i32 @first() {\n  ret i32 1\n}\n", BASE), "work")
    assert alone.text == among.text


def test_an_edit_of_another_function_changes_nothing() -> None:
    same_unit(BASE.replace("add i32 %x, 3", "mul i32 %x, 30"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("icmp eq i32 %n, 7", "icmp ne i32 %n, 7"),
        ("icmp eq i32 %n, 7", "icmp eq i32 %n, 8"),
        ("i32 0, i32 1\n", "i32 0, i32 0\n"),
        ('c"hi\\00"', 'c"ho\\00"'),
        ("{ i32, ptr }", "{ i64, ptr }"),
        ("define i32 @work(ptr %s", "define i32 @work(ptr noalias %s"),
        ("i32 %n) {\nentry:\n  %where", "i32 %n) nounwind {\nentry:\n  %where"),
        ("define i32 @work", "define hidden i32 @work"),
        ("define i32 @work", "define weak_odr i32 @work"),
        ("declare i32 @printf(ptr, ...)", "declare i32 @printf(ptr, ...) cold"),
        ("define internal i32 @helper(i32 %x)", "define internal i32 @helper(i32 %x) nounwind"),
        ("define internal i32 @helper", "define internal fastcc i32 @helper"),
        ("@total = internal global i32 0, align 4", "@total = internal global i32 0, align 8"),
        ("@total = internal global i32", "@total = global i32"),
        ("@total = internal global i32", "@total = internal thread_local global i32"),
        ("store i32 %h", "store volatile i32 %h"),
    ],
)
def test_what_matters_makes_another_unit(old: str, new: str) -> None:
    assert old in BASE
    changed = BASE.replace(old, new)
    if "fastcc" in new:
        changed = changed.replace("call i32 @helper", "call fastcc i32 @helper")
    assert key(unit(resolved(BASE), "work")) != key(unit(resolved(changed), "work"))


def test_another_signature_of_a_callee_makes_another_unit() -> None:
    changed = BASE.replace("@helper(i32 %x)", "@helper(i32 %x, i32 %y)").replace(
        "@helper(i32 %n)", "@helper(i32 %n, i32 1)"
    )
    assert key(unit(resolved(BASE), "work")) != key(unit(resolved(changed), "work"))


def test_module_flags_make_another_unit() -> None:
    flags = '!llvm.module.flags = !{{!0}}\n!0 = !{{i32 7, !"PIC Level", i32 {}}}\n'
    keys = {key(unit(resolved(BASE + flags.format(n)), "work")) for n in (1, 2)}
    assert len(keys | {key(unit(resolved(BASE), "work"))}) == 3


def test_another_name_of_a_library_function_makes_another_unit() -> None:
    """LLVM knows what `strlen` does."""
    text = "declare i64 @NAME(ptr)\ndefine i64 @f(ptr %p) {\n  %n = call i64 @NAME(ptr %p)\n  ret i64 %n\n}\n"
    texts = {name: unit(resolved(text.replace("NAME", name)), "f").text for name in ("strlen", "mine")}
    assert "@strlen(" in texts["strlen"] and texts["strlen"] != texts["mine"]


def test_functions_that_the_program_defines_are_placeholders() -> None:
    text = unit(resolved(BASE), "work")
    assert text.bindings == {"nc.0": "work", "nc.1": "helper.0", "nc.2": "total.0"}
    assert "@printf" in text.text and "@work" not in text.text


def test_a_library_function_that_the_program_defines_keeps_its_name() -> None:
    program = resolved("define i64 @strlen(ptr %p) {\n  ret i64 0\n}\n")
    assert "define i64 @strlen(" in unit(program, "strlen").text


def test_a_local_with_a_library_functions_name_does_not() -> None:
    program = resolved(
        "define internal i64 @strlen(ptr %p) {\n  ret i64 0\n}\n"
        "define i64 @f(ptr %p) {\n  %n = call i64 @strlen(ptr %p)\n  ret i64 %n\n}\n"
    )
    assert "strlen" not in unit(program, "f").text


def test_llvm_reads_and_verifies_every_unit() -> None:
    program = resolved(BASE)
    for one in program.units:
        text = program.extract(one)
        assert llvm.read_module(text.text.encode("latin-1"))


def test_extraction_leaves_no_cycles() -> None:
    """Workers collect none: what one unit leaves would stay until the build ends."""
    made = with_bodies(BASE)
    unit(made, "work", LIMITS)  # what is kept for all units
    gc.collect()
    gc.disable()
    try:
        unit(made, "work", LIMITS)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_extraction_is_the_same_in_another_process() -> None:
    script = (
        "import hashlib, sys; sys.path[:0] = sys.argv[1:]; import test_aot_units_extract as t\n"
        "print(t.digest_of_all())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script, Path(__file__).parent, TOOLS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert digests == {f"{digest_of_all()}\n"}


def digest_of_all() -> str:
    """One digest over all units of a program of two files, with imports."""
    made = with_bodies(BASE, "declare i32 @work(ptr, i32)\n" + caller("use", "work", "ptr null, i32 2"))
    digest = hashlib.sha256()
    for one in partition(made.program):
        text = extract(made.program, one, made.candidates, triple=TRIPLE, datalayout="")
        digest.update(repr((one.name, text.text, dict(text.bindings), text.imported)).encode())
    return digest.hexdigest()
