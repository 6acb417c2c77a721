"""Profile metadata tells hot calls and cold ones, and only what is a profile counts."""

import pytest

from nativecache.aot.codegen import llvm
from nativecache.aot.ir.module import Module, index_module
from nativecache.aot.ir.profile import COLD, HOT, WARM

SUMMARY = """\
!llvm.module.flags = !{!0}
!0 = !{i32 1, !"ProfileSummary", !1}
!1 = !{!2, !3, !4, !5, !6, !7, !8, !9}
!2 = !{!"ProfileFormat", !"InstrProf"}
!3 = !{!"TotalCount", i64 100000}
!4 = !{!"MaxCount", i64 50000}
!5 = !{!"MaxInternalCount", i64 50000}
!6 = !{!"MaxFunctionCount", i64 50000}
!7 = !{!"NumCounts", i64 10}
!8 = !{!"NumFunctions", i64 10}
!9 = !{!"DetailedSummary", !10}
!10 = !{!11, !12, !13}
!11 = !{i32 10000, i64 50000, i32 1}
!12 = !{i32 990000, i64 1000, i32 5}
!13 = !{i32 999999, i64 2, i32 10}
"""
CALLS = """\
declare void @a(ptr)
declare void @"b c"(ptr)
declare void @d(ptr)
declare i32 @__gxx_personality_v0(...)
define void @f(ptr %p, i1 %x) personality ptr @__gxx_personality_v0 {
  call void @a(ptr @d), !prof !20
  tail call void @a(ptr %p) #0, !prof !21
  call void %p(ptr @d), !prof !22
  br i1 %x, label %then, label %end, !prof !23
then:
  invoke void @"b c"(ptr %p) to label %end unwind label %bad, !prof !24
bad:
  %l = landingpad { ptr, i32 } cleanup
  call void @d(ptr %p)
  resume { ptr, i32 } %l
end:
  ret void
}
attributes #0 = { nounwind }
!20 = !{!"branch_weights", i32 30}
!21 = !{!"branch_weights", i32 12}
!22 = !{!"VP", i32 0, i64 90, i64 777, i64 90}
!23 = !{!"branch_weights", !"expected", i32 2000, i32 1}
!24 = !{!"branch_weights", i32 -1, i32 1}
"""


def module(text: str) -> Module:
    return index_module(llvm.read_module(text.encode()), "a.ll")


def test_calls_are_counted_by_callee() -> None:
    indexed = module(CALLS)
    counts = indexed.profile.call_counts(indexed.entities["@f"].text)
    assert counts == {"@a": 42, '@"b c"': 2**32}


@pytest.mark.parametrize(("count", "heat"), [(0, COLD), (2, COLD), (3, WARM), (999, WARM), (1000, HOT)])
def test_the_summary_says_what_is_much(count: int, heat: int) -> None:
    assert module(SUMMARY).profile.heat(count) == heat


def test_without_a_summary_nothing_is_hot() -> None:
    profile = module(CALLS).profile
    assert not profile.marks_hot
    assert (profile.heat(0), profile.heat(1), profile.heat(10**9)) == (COLD, WARM, WARM)


@pytest.mark.parametrize(
    ("header", "heat"),
    [
        ("", WARM),
        ("cold", COLD),
        ("hot", HOT),
        ("!prof !20", HOT),
        ("!prof !21", COLD),
        ("cold nounwind !prof !20", COLD),
    ],
)
def test_functions_have_a_heat_of_their_own(header: str, heat: int) -> None:
    counts = '!20 = !{!"function_entry_count", i64 5000}\n!21 = !{!"function_entry_count", i64 0}\n'
    indexed = module(f"define void @f() {header} {{ ret void }}\n{SUMMARY}{counts}")
    text = indexed.entities["@f"].text
    groups = list(indexed.attributes)
    assert indexed.profile.function_heat(text.partition("\n")[0], groups) == heat
