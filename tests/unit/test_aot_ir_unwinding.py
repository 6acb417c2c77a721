"""Which functions keep `nounwind`: those out of which nothing is thrown, whatever their language says."""

from nativecache.aot.ir.module import Module, index_module
from nativecache.aot.ir.unwinding import admit_unwinding

HANDLER = """define void @main(ptr %f) personality ptr @__gxx_personality_v0 {
  call void @outer(ptr %f)
  ret void
}
declare i32 @__gxx_personality_v0(...)
"""
GROUPS = """
attributes #0 = { nounwind }
attributes #1 = { noinline nounwind "x"="#0 nounwind " }
attributes #2 = { noinline }
"""


def module(text: str, groups: str = GROUPS) -> Module:
    return index_module("".join(line + "\n" for line in text.strip("\n").split("\n")) + groups, "a.ll")


def function(name: str, *calls: str, head: str = "", group: str = "#0") -> str:
    steps = "".join(f"  {call}\n" for call in calls)
    return f"define {head}void @{name}(ptr %f) {group} {{\n{steps}  ret void\n}}\n"


def unwinding(*texts: str) -> list[str]:
    """Functions, of the first text, that have lost `nounwind` beside a program with handlers."""
    modules = [module(texts[0]), module(HANDLER, ""), *map(module, texts[1:])]
    claims = {f.token for f in modules[0].functions() if "#0" in f.groups or "#1" in f.groups}
    first, *_ = admit_unwinding(modules)
    kept = {g for g, body in first.attributes.items() if " nounwind " in body.partition('"')[0]}
    return sorted(f.token for f in first.functions() if f.token in claims and kept.isdisjoint(f.groups))


def test_nothing_is_taken_where_nothing_handles_exceptions() -> None:
    made = module(function("outer", "call void %f()"))
    assert admit_unwinding([made]) == [made]


def test_who_calls_what_is_not_known_may_throw() -> None:
    assert unwinding(function("outer", "call void %f()")) == ["@outer"]
    assert unwinding(function("outer", "call void @other()") + "declare void @other()\n") == ["@outer"]
    assert unwinding(function("outer", "call void %f() #0")) == ["@outer"], (
        "its language says that of all calls"
    )


def test_who_calls_nothing_that_may_throw_keeps_its_word() -> None:
    assert unwinding(function("outer")) == []
    assert unwinding(function("outer", 'call void asm sideeffect "nop", ""()')) == []
    assert unwinding(function("outer", "call void @llvm.trap()") + "declare void @llvm.trap()\n") == []
    assert unwinding(function("outer", "call void @other()") + "declare void @other() #0\n") == []


def test_it_is_followed_through_calls() -> None:
    leaf, middle = function("leaf"), function("middle", "call void @leaf(ptr %f)")
    assert unwinding(function("outer", "call void @middle(ptr %f)") + middle + leaf) == []
    throwing = function("leaf", "call void %f()")
    found = unwinding(function("outer", "call void @middle(ptr %f)") + middle + throwing)
    assert found == ["@leaf", "@middle", "@outer"]
    around = function("middle", "call void @outer(ptr %f)")
    assert unwinding(function("outer", "call void @middle(ptr %f)") + around) == []


def test_a_definition_that_may_be_another_one_is_not_believed() -> None:
    outer = function("outer", "call void @leaf(ptr %f)")
    assert unwinding(outer + function("leaf", head="weak ")) == ["@outer"]
    assert unwinding(outer + function("leaf", head="linkonce_odr ")) == []
    library = '!llvm.module.flags = !{!0}\n!0 = !{i32 8, !"PIC Level", i32 2}\n'
    assert unwinding(outer + function("leaf") + library) == ["@outer"]
    assert unwinding(outer + function("leaf", head="hidden ") + library) == []


def test_other_attributes_and_strings_stay() -> None:
    made = module(function("outer", "call void %f()", group="#1"))
    made, _ = admit_unwinding([made, module(HANDLER, "")])
    (group,) = made.entities["@outer"].groups
    assert made.attributes[group] == '{ noinline "x"="#0 nounwind " }'


def test_calls_are_believed_where_exceptions_are_known() -> None:
    made = module(function("outer", "call void %f() #0") + HANDLER)
    assert admit_unwinding([made]) == [made]
