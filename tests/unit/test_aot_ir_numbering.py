"""Names of values and blocks become the numbers that LLVM gives what has no name."""

from nativecache.aot.ir.module import index_function, index_module
from nativecache.aot.ir.numbering import has_named_locals, local_names, normalized, number_module

NAMED = """\
define i32 @f(i32 %x, ptr %p) {
entry:
  %y = add i32 %x, 1
  br label %end

end:                                              ; preds = %entry
  ret i32 %y
}
"""
NUMBERED = """\
define i32 @f(i32 %0, ptr %1) {
2:
  %3 = add i32 %0, 1
  br label %4

4:
  ret i32 %3
}
"""


def test_arguments_blocks_and_results_share_one_sequence() -> None:
    module = index_module(NAMED, "m.c")
    assert normalized(module.entities["@f"], module).text.replace(": ", ":") == NUMBERED
    assert number_module(NUMBERED) == NUMBERED


def test_types_keep_their_names() -> None:
    text = "%x = type { i32 }\ndefine void @f() {\n  %p = alloca %x\n  ret void\n}\n"
    assert "%1 = alloca %x" in number_module(text)


def test_what_names_values() -> None:
    assert has_named_locals(NAMED) and not has_named_locals(NUMBERED)
    assert local_names(NAMED) >= {"%x", "%y", "%end"} and not local_names(NUMBERED)
    assert not has_named_locals(index_function("declare void @f(ptr)\n").text)
