"""The grammar of printed IR: names, references, types."""

import llvmlite.binding
import pytest

from nativecache.aot.ir.syntax import (
    TOKEN,
    asm_strings,
    attach,
    block_owners,
    closing_parenthesis,
    cut_functions,
    end_of_functions,
    global_group,
    global_tail,
    quote,
    references,
    split_global,
    symbol_name,
    type_end,
    unescape,
)


@pytest.mark.parametrize(
    "name", ["plain", "with space", 'quo"te', "back\\slash", "ünï", "1st", "a.b$c-d", "\udc80"]
)
def test_quoting_a_name_and_reading_it_again(name: str) -> None:
    assert symbol_name("@" + quote(name)) == name


@pytest.mark.parametrize(
    "name", ["plain", "a-b.c_d", "a$b", "$0", "with space", "1st", "_Z3$_0v", "-x", ".y"]
)
def test_a_name_is_quoted_where_llvm_quotes_it(name: str) -> None:
    printed = str(llvmlite.binding.parse_assembly(f'define void @"{name}"() {{\n  ret void\n}}\n'))
    assert f"define void @{quote(name)}()" in printed


def test_the_mark_against_mangling_is_no_part_of_a_name() -> None:
    assert symbol_name('@"\\01_plain"') == "_plain"


def test_references_leave_strings_out() -> None:
    assert references('ptr @a, c"@b", ptr @"c d", i32 0, @1 @a') == ["@a", '@"c d"', "@1", "@a"]


def test_unescape_gives_one_character_a_byte() -> None:
    assert unescape("a\\22\\C3\\BCb") == 'a"\xc3\xbcb'
    assert unescape(r"\\5C\\\5C\0A") == "\\5C\\\\\n", "LLVM doubles a backslash"
    assert unescape(r"a\\41\5Cb") == r"a\41\b"


def test_owners_of_block_addresses() -> None:
    assert block_owners('[ptr blockaddress(@f, %a), ptr blockaddress(@"g h", %b)]') == ["@f", '@"g h"']


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("i32 1", "i32"),
        ("ptr null", "ptr"),
        ("ptr addrspace(3) null", "ptr addrspace(3)"),
        ("%S zeroinitializer", "%S"),
        ('%"a b" undef', '%"a b"'),
        ("[2 x { i8, [3 x i8] }] zeroinitializer", "[2 x { i8, [3 x i8] }]"),
        ('<{ i8, %"]>" }> undef', '<{ i8, %"]>" }>'),
        ("<4 x float> zeroinitializer", "<4 x float>"),
        ('target("spirv.Image", void, 1) undef', 'target("spirv.Image", void, 1)'),
    ],
)
def test_where_a_type_ends(text: str, type_: str) -> None:
    assert text[: type_end(text)] == type_


@pytest.mark.parametrize("text", ["[2 x i8", ", i8", "{ i8 "])
def test_no_type(text: str) -> None:
    with pytest.raises(ValueError, match="type"):
        type_end(text)


def test_closing_parenthesis_counts_and_skips_strings() -> None:
    text = '(i32 (ptr), @")" ()) rest'
    assert text[: closing_parenthesis(text, 0)] == '(i32 (ptr), @")" ())'
    with pytest.raises(ValueError, match="unbalanced"):
        closing_parenthesis("((", 0)


def test_a_token_is_what_another_module_spells_otherwise() -> None:
    line = '  %1 = call %T @"a b"(ptr @.str, i32 %x, ptr @3) #4, !dbg !5'
    assert TOKEN.findall(line) == ["%T", '@"a b"', "@.str", "%x", "@3", "#4", "!5"]


def test_inline_asm_is_told_from_functions_of_that_name() -> None:
    assert asm_strings('call void asm sideeffect "nop", "~{memory}"()\n call void @asm()') == ["nop"]


def test_the_end_of_a_globals_line() -> None:
    line = 'constant [2 x i8] c"a\\00", section ".x", align 1, !dbg !3 #2\n'
    assert global_tail(line) == (', section ".x", align 1, !dbg !3', " #2")
    assert split_global(f'@"a = b" = {line}') == ('@"a = b"', line.rstrip())


ONE, TWO = "define void @f() {\n  ret void\n}\n", 'define void @g() {\n  call void asm "nop", ""()\n}\n'
BEHIND = '\ndeclare void @h()\n!0 = !{!" asm blockaddress(@f, %1)"}\n'


@pytest.mark.parametrize(
    ("text", "tied"),
    [
        (ONE + TWO + ONE + BEHIND, [False, True, False]),
        ("@x = global i32 1\n\n" + TWO + TWO + ONE, [True, True, False]),
        (ONE + "\n" + ONE + BEHIND, [False, False]),
        ('module asm "nop"\n\n' + ONE + ONE, [True, False]),  # what is before it counts
        (BEHIND, []),
        ("", []),
    ],
)
def test_where_functions_are(text: str, tied: list[bool]) -> None:
    """What may be asm in a string of debug information ties nothing: all of that is behind the functions."""
    cuts = list(cut_functions(text))
    assert [is_tied for *_, is_tied in cuts] == tied
    assert {text[start:end] for _, start, end, _ in cuts} <= {ONE, TWO}
    ends = [0, *(end for _, _, end, _ in cuts)]
    assert [before for before, *_ in cuts] == ends[:-1] and end_of_functions(text) == ends[-1]


@pytest.mark.parametrize(
    ("line", "group", "attached"),
    [
        ("@v = global i32 0, align 4\n", "", "@v = global i32 0, align 4, !dbg !1\n"),
        ("@v = global i32 0, align 4 #2\n", "#2", "@v = global i32 0, align 4, !dbg !1 #2\n"),
        ("@v = global i32 0, !dbg !0 #12\n", "#12", "@v = global i32 0, !dbg !0, !dbg !1 #12\n"),
        ('@v = global [4 x i8] c"a #2"\n', "", '@v = global [4 x i8] c"a #2", !dbg !1\n'),
    ],
)
def test_what_is_attached_to_a_global_stands_before_its_group(line: str, group: str, attached: str) -> None:
    assert (global_group(line), attach(line, ", !dbg !1")) == (group, attached)
