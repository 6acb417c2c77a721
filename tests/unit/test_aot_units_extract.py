"""A unit is the same text wherever its code stands and whatever it is called, and differs where it must."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from harness import TOOLS

from nativecache.aot.codegen import llvm
from nativecache.aot.ir.module import index_module
from nativecache.aot.key import Compiler, Options, compute_key
from nativecache.aot.records.memo import UnitMemo
from nativecache.aot.simplify import find_bodies
from nativecache.aot.units.extract import NO_IMPORTS, ImportLimits, UnitText, extract
from nativecache.aot.units.fingerprint import Fingerprints
from nativecache.aot.units.partition import partition
from nativecache.aot.units.program import Program, resolve_symbols
from nativecache.cache.lookup import EntryStore
from nativecache.cache.store import NullStore

TRIPLE = "x86_64-unknown-linux-gnu"
COMPILER = Compiler(llvm="22", llvmlite="0", library="1")
OPTIONS = Options(
    triple=TRIPLE, cpu="", features="", level=2, optimize=True, relocation="pic", code_model="default"
)
LIMITS = ImportLimits(lines=20, total=100)


def resolved(*texts: str) -> Program:
    modules = [index_module(llvm.read_module(text.encode()), f"{n}.ll") for n, text in enumerate(texts)]
    return resolve_symbols(modules)


def with_bodies(*texts: str) -> Program:
    program = resolved(*texts)
    memos = [UnitMemo(m.label, COMPILER, OPTIONS, EntryStore(NullStore())) for m in program.modules]
    find_bodies(
        program,
        partition(program, final=True),
        Fingerprints(program, b"", memos),
        memos,
        engine=llvm.Llvmlite(),
        options=OPTIONS,
        final=True,
        store=EntryStore(NullStore()),
        threads=1,
    )
    return program


def unit(program: Program, name: str, limits: ImportLimits = NO_IMPORTS) -> UnitText:
    found = next(u for u in partition(program, final=True) if u.name == name)
    return extract(program, found, triple=TRIPLE, datalayout="", final=True, limits=limits)


def key(text: UnitText) -> str:
    return compute_key(COMPILER, OPTIONS, llvm.Llvmlite().unit_bitcode(text.text))


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


#: Two types of one layout as alias analysis sees them: "A" and "B".
ALIAS_TYPES = """\
!0 = !{!1, !2, i64 0}
!1 = !{!"A", !2, i64 0, !7, i64 8}
!2 = !{!"int", !3, i64 0}
!3 = !{!"omnipotent char", !4, i64 0}
!4 = !{!"Simple C/C++ TBAA"}
!5 = !{!6, !2, i64 0}
!6 = !{!"B", !2, i64 0, !7, i64 8}
!7 = !{!"vtable pointer", !4, i64 0}
"""


def stores(name: str, *types: str) -> str:
    """A function that writes through its argument as each of some types (`!0` is A, `!5` is B)."""
    lines = "".join(f"  store volatile i32 {n}, ptr %p, !tbaa {tag}\n" for n, tag in enumerate(types))
    return f"define void @{name}(ptr %p) {{\n{lines}  ret void\n}}\n"


def alias_types(text: UnitText) -> list[str]:
    """The type of each store of a unit in order, as its node is printed."""
    module = index_module(text.text, "")
    tags = re.findall(r"!tbaa (!\d+)", text.text)
    return [module.metadata[module.metadata[tag][2:].partition(",")[0]] for tag in tags]


@pytest.mark.parametrize(("old", "new"), [('"A"', '"_ZTS6Longer"'), ('"int"', '"long"'), ('"A"', '"t.0"')])
def test_renamed_alias_types_are_the_same(old: str, new: str) -> None:
    text = stores("work", "!0", "!5") + ALIAS_TYPES
    ours, theirs = unit(resolved(text), "work"), unit(resolved(text.replace(old, new)), "work")
    assert ours.text == theirs.text
    assert len(set(alias_types(ours))) == 2


def test_alias_types_that_become_one_make_another_unit() -> None:
    text = stores("work", "!0", "!5") + ALIAS_TYPES
    one = unit(resolved(text.replace('"B"', '"A"')), "work")
    assert key(one) != key(unit(resolved(text), "work"))
    assert len(set(alias_types(one))) == 1


@pytest.mark.parametrize("name", ["vtable pointer", "omnipotent char", "Simple C/C++ TBAA"])
def test_alias_types_with_a_meaning_keep_their_names(name: str) -> None:
    text = stores("work", "!0", "!5") + ALIAS_TYPES
    assert f'!"{name}"' in unit(resolved(text), "work").text
    assert key(unit(resolved(text), "work")) != key(unit(resolved(text.replace(name, "x")), "work"))


def test_alias_types_keep_their_names_where_units_meet() -> None:
    program = resolved(stores("work", "!5", "!0") + ALIAS_TYPES)
    (only,) = partition(program, final=True)
    text = extract(program, only, triple=TRIPLE, datalayout="", final=True, keep_types=True)
    assert [node[3:6] for node in alias_types(text)] == ['"B"', '"A"']


def test_alias_types_of_imported_bodies_are_those_of_their_files() -> None:
    calls = "declare void @one(ptr)\ndeclare void @two(ptr)\n" + stores("caller", "!0", "!5")
    calls = calls.replace("  ret", "  call void @one(ptr %p)\n  call void @two(ptr %p)\n  ret")
    # In the second file B comes first, so each file alone would number them the other way round.
    files = [calls + ALIAS_TYPES, stores("one", "!5") + ALIAS_TYPES, stores("two", "!0") + ALIAS_TYPES]
    text = unit(with_bodies(*files), "caller", LIMITS)
    assert text.imported == ("one", "two")
    a, b, second, third = alias_types(text)
    assert (a, b) == (third, second) and a != b


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
    for one in partition(program, final=True):
        text = extract(program, one, triple=TRIPLE, datalayout="", final=True)
        assert llvm.read_module(text.text.encode("latin-1"))


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
    program = with_bodies(BASE, "declare i32 @work(ptr, i32)\n" + caller("use", "work", "ptr null, i32 2"))
    digest = hashlib.sha256()
    for one in partition(program, final=True):
        text = extract(program, one, triple=TRIPLE, datalayout="", final=True, limits=LIMITS)
        digest.update(repr((one.name, text.text, dict(text.bindings), text.imported)).encode())
    return digest.hexdigest()


# What is brought in to be inlined


def body(name: str, lines: int, head: str = "", attributes: str = "") -> str:
    """A function of that many lines of IR that no clean-up makes shorter."""
    steps = "".join(f"  store volatile i32 {n}, ptr %p\n" for n in range(lines - 2))
    return f"define {head} void @{name}(ptr %p) {attributes} {{\n{steps}  ret void\n}}\n"


def caller(name: str, callee: str, arguments: str = "ptr %p") -> str:
    result = "i32" if callee == "work" else "void"
    return f"define void @{name}(ptr %p) {{\n  call {result} @{callee}({arguments})\n  ret void\n}}\n"


def imported(*texts: str, by: str = "caller", limits: ImportLimits = LIMITS) -> list[str]:
    return sorted(unit(with_bodies(*texts), by, limits).imported)


def test_a_short_callee_is_brought_in() -> None:
    program = with_bodies(caller("caller", "small") + body("small", 5))
    text = unit(program, "caller", LIMITS)
    assert text.imported == ("small",)
    assert "define available_externally void @nc.1(ptr" in text.text


def test_a_callee_of_another_file_is_brought_in() -> None:
    assert imported(caller("caller", "small") + "declare void @small(ptr)\n", body("small", 5)) == ["small"]


def test_the_limit_is_the_longest_callee() -> None:
    def found(lines: int) -> list[str]:
        return imported(caller("caller", "callee") + body("callee", lines))

    program = with_bodies(body("callee", 10))
    at_limit = LIMITS.lines - (program.bodies["callee"].lines - 10)  # how lines are counted
    assert found(at_limit) == ["callee"] and found(at_limit + 1) == []


def test_sizes_are_judged_after_the_clean_up() -> None:
    noise = "".join(f"  %v{n} = add i32 {n}, {n}\n" for n in range(60))
    text = f"define void @callee(ptr %p) {{\n{noise}  store i32 %v3, ptr %p\n  ret void\n}}\n"
    assert imported(caller("caller", "callee") + text) == ["callee"]


def test_a_body_that_would_bring_a_name_which_is_taken() -> None:
    own = "define internal void @memset(ptr %p) noinline {\n  call void @clear(ptr %p)\n  ret void\n}\n"
    own += "declare void @clear(ptr)\n"
    clear = body("clear", 5).replace("  ret", "  call ptr @memset(ptr %p, i8 0, i64 5)\n  ret")
    program = with_bodies(own, clear + "declare ptr @memset(ptr, i8, i64)\n")
    text = unit(program, "memset.0", LIMITS)
    # It stands without; but if that body changes, it may be brought in.
    assert "store" not in text.text and text.imported == ("clear",)
    llvm.Llvmlite().unit_bitcode(text.text)


def test_a_limit_of_none_brings_nothing() -> None:
    assert imported(caller("caller", "small") + body("small", 3), limits=NO_IMPORTS) == []


def test_callees_of_callees_come_too_the_shorter_the_further() -> None:
    levels = range(1, 40)
    assert [LIMITS.at(n) for n in levels] == sorted((LIMITS.at(n) for n in levels), reverse=True)
    assert LIMITS.at(1) == LIMITS.lines and LIMITS.at(40) < 2
    chain = "".join(caller(f"f{n}", f"f{n + 1}") for n in range(40)) + body("f40", 3)
    found = imported(chain, by="f0")
    assert "f2" in found and "f40" not in found
    assert found == sorted(f"f{n}" for n in range(1, len(found) + 1))


def test_the_budget_ends_the_imports() -> None:
    names = [f"g{n}" for n in range(30)]
    calls = "".join(f"  call void @{name}(ptr %p)\n" for name in names)
    text = f"define void @caller(ptr %p) {{\n{calls}  ret void\n}}\n" + "".join(
        body(name, 10) for name in names
    )
    program = with_bodies(text)
    found = unit(program, "caller", LIMITS).imported
    spent = sum(program.bodies[name].lines for name in found)
    assert 0 < spent <= LIMITS.total < spent + program.bodies["g0"].lines


@pytest.mark.parametrize(
    ("head", "attributes"),
    [("", "noinline"), ("", "noinline optnone"), ("weak", ""), ("linkonce", "")],
)
def test_what_must_not_be_inlined_stays_out(head: str, attributes: str) -> None:
    assert imported(caller("caller", "callee") + body("callee", 4, head, attributes)) == []


@pytest.mark.parametrize("head", ["", "internal", "linkonce_odr", "weak_odr", "hidden"])
def test_what_no_other_definition_can_replace_comes(head: str) -> None:
    found = imported(caller("caller", "callee") + body("callee", 4, head))
    assert [name.partition(".")[0] for name in found] == ["callee"]


def test_a_body_that_reads_variable_arguments_stays_out() -> None:
    text = (
        "define void @callee(ptr %p, ...) {\n  call void @llvm.va_start(ptr %p)\n  ret void\n}\n"
        "define void @caller(ptr %p) {\n  call void (ptr, ...) @callee(ptr %p, i32 1)\n  ret void\n}\n"
        "declare void @llvm.va_start(ptr)\n"
    )
    assert imported(text) == []


def test_a_body_whose_block_addresses_are_taken_stays_out() -> None:
    text = "define ptr @callee() {\n  br label %b\nb:\n  ret ptr blockaddress(@callee, %b)\n}\n"
    assert imported(text + "define ptr @caller() {\n  %x = call ptr @callee()\n  ret ptr %x\n}\n") == []


def test_a_body_that_names_a_pinned_local_stays_out() -> None:
    text = (
        "@cell = internal global i32 1\n"
        '@llvm.used = appending global [1 x ptr] [ptr @cell], section "llvm.metadata"\n'
        "define i32 @callee() {\n  %v = load i32, ptr @cell\n  ret i32 %v\n}\n"
    )
    assert (
        imported(
            text,
            "declare i32 @callee()\ndefine i32 @caller() {\n  %x = call i32 @callee()\n  ret i32 %x\n}\n",
        )
        == []
    )


def test_always_inline_comes_at_any_length_and_limit() -> None:
    text = caller("caller", "callee") + body("callee", 60, attributes="alwaysinline")
    assert imported(text, limits=NO_IMPORTS) == ["callee"]
    assert imported(text) == ["callee"]


def test_a_function_never_imports_itself() -> None:
    assert imported(caller("caller", "caller")) == []


def test_functions_that_call_each_other_import_each_other_once() -> None:
    text = caller("even", "odd") + caller("odd", "even")
    assert imported(text, by="even") == ["odd"] and imported(text, by="odd") == ["even"]


def test_what_is_mentioned_but_not_called_stays_out() -> None:
    text = "declare void @keep(ptr)\ndefine void @caller() {\n  call void @keep(ptr @small)\n  ret void\n}\n"
    assert imported(text + body("small", 3)) == []


def test_an_edit_of_an_imported_body_makes_another_unit() -> None:
    one, two = (
        unit(with_bodies(caller("caller", "small") + body("small", lines)), "caller", LIMITS)
        for lines in (5, 6)
    )
    assert key(one) != key(two)


def test_imported_bodies_are_the_same_under_other_names() -> None:
    one = caller("caller", "small") + body("small", 5)
    two = one.replace("@small", "@other").replace("%p", "%q")
    assert unit(with_bodies(one), "caller", LIMITS).text == unit(with_bodies(two), "caller", LIMITS).text


def test_short_constants_are_shown_to_code_that_reads_them() -> None:
    text = (
        "@table = internal constant [3 x i32] [i32 5, i32 6, i32 7]\n"
        "define i32 @caller() {\n  %v = load i32, ptr @table\n  ret i32 %v\n}\n"
    )
    shown = "available_externally hidden constant [3 x i32] [i32 5, i32 6, i32 7]"
    assert shown in unit(with_bodies(text), "caller", LIMITS).text
    assert "i32 6" not in unit(with_bodies(text), "caller").text


@pytest.mark.parametrize("name", ["f", '"a name\\22 of' + "x" * 600 + '"'])
def test_whether_a_constant_is_short_does_not_depend_on_names(name: str) -> None:
    text = f"""\
@table = internal constant [2 x ptr] [ptr @{name}, ptr @{name}]
declare void @{name}()
define ptr @caller() {{
  %v = load ptr, ptr @table
  ret ptr %v
}}
"""
    assert "= available_externally" in unit(with_bodies(text), "caller", LIMITS).text


def test_the_length_of_a_types_name_is_not_shown() -> None:
    text = """\
@_ZTS1A = constant [3 x i8] c"1A\\00"
@_ZTI1A = constant { ptr, ptr } { ptr null, ptr @_ZTS1A }
define ptr @caller() {
  ret ptr @_ZTI1A
}
"""
    other = text.replace("[3 x i8]", "[4 x i8]").replace("1A\\00", "2AB\\00").replace("1A", "2AB")
    ours, theirs = (unit(with_bodies(each), "caller", LIMITS).text for each in (text, other))
    assert ours == theirs


def test_variables_that_may_change_are_not_shown() -> None:
    text = "@cell = global i32 41\ndefine i32 @caller() {\n  %v = load i32, ptr @cell\n  ret i32 %v\n}\n"
    assert "41" not in unit(with_bodies(text), "caller", LIMITS).text


# Profiles

SUMMARY = """\
!llvm.module.flags = !{!90}
!90 = !{i32 1, !"ProfileSummary", !91}
!91 = !{!92, !93, !94, !95, !96, !97, !98, !99}
!92 = !{!"ProfileFormat", !"InstrProf"}
!93 = !{!"TotalCount", i64 10000}
!94 = !{!"MaxCount", i64 5000}
!95 = !{!"MaxInternalCount", i64 5000}
!96 = !{!"MaxFunctionCount", i64 5000}
!97 = !{!"NumCounts", i64 10}
!98 = !{!"NumFunctions", i64 10}
!99 = !{!"DetailedSummary", !100}
!100 = !{!101, !102}
!101 = !{i32 990000, i64 1000, i32 5}
!102 = !{i32 999999, i64 1, i32 10}
"""


def profiled(counts: dict[str, int], *bodies: str) -> str:
    """A function `caller` that calls each name as often as given, and a summary by which 1000 is hot."""
    calls = "".join(f"  call void @{name}(ptr %p), !prof !{n}\n" for n, name in enumerate(counts))
    nodes = "".join(f'!{n} = !{{!"branch_weights", i32 {m}}}\n' for n, m in enumerate(counts.values()))
    return f"define void @caller(ptr %p) {{\n{calls}  ret void\n}}\n{''.join(bodies)}{nodes}{SUMMARY}"


def test_hot_calls_have_a_higher_limit() -> None:
    long = LIMITS.lines * 4
    bodies = [body(name, long) for name in ("hot", "warm")]
    assert imported(profiled({"warm": 999, "hot": 1000}, *bodies)) == ["hot"]


def test_calls_that_never_happen_bring_nothing() -> None:
    small, must = body("small", 3), body("must", 3, attributes="alwaysinline")
    assert imported(profiled({"small": 0, "must": 0}, small, must)) == ["must"]
    assert imported(caller("caller", "small") + body("small", 3, attributes="cold")) == []


def test_the_hottest_calls_have_the_budget_first() -> None:
    names = {f"g{n}": 1000 + n for n in range(5)}
    text = profiled({"warm": 50, **names}, body("warm", 15), *(body(name, 40) for name in names))
    assert unit(with_bodies(text), "caller", LIMITS).imported == ("g4", "g3", "warm")


def test_functions_hot_by_themselves_have_a_higher_limit() -> None:
    text = caller("caller", "callee") + body("callee", LIMITS.lines * 4, attributes="hot")
    assert imported(text) == ["callee"]
    text = caller("caller", "callee") + body("callee", LIMITS.lines * 4, attributes="!prof !0")
    for count, found in ((1000, ["callee"]), (999, [])):
        assert imported(text + f'!0 = !{{!"function_entry_count", i64 {count}}}\n{SUMMARY}') == found
