"""What is brought into a unit to be inlined or folded."""

import pytest
from pipeline import LIMITS, body, caller, key, unit, with_bodies

from nativecache.aot.codegen import llvm
from nativecache.aot.units.imports import NO_IMPORTS, ImportLimits


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

    bodies = with_bodies(body("callee", 10)).candidates.bodies
    at_limit = LIMITS.lines - (bodies["callee"].lines - 10)  # how lines are counted
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
    made = with_bodies(text)
    found, bodies = unit(made, "caller", LIMITS).imported, made.candidates.bodies
    spent = sum(bodies[name].lines for name in found)
    assert 0 < spent <= LIMITS.total < spent + bodies["g0"].lines


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
