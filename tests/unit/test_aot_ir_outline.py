"""An outline tells which functions of a printed module are other ones, and whether anything else is."""

import pytest

from nativecache.aot.ir.outline import Outline, outline, outline_text
from nativecache.aot.ir.syntax import cut_functions
from nativecache.aot.key import text_digest

MODULE = """; ModuleID = 'a.c'
@.str = private unnamed_addr constant [3 x i8] c"}\\0A\\00"

; Function Attrs: nounwind
define i32 @f(i32 %0) #0 {
  %2 = add i32 %0, 1
  ret i32 %2
}

declare i32 @other(i32)

define internal ptr @"a b"() {
  ret ptr @.str
}
define void @last() {
  call void asm "nop", ""()
  ret void
}

attributes #0 = { nounwind }
"""


def of(text: str) -> Outline:
    return outline(text)


def test_functions_are_known_by_the_digests_of_their_texts() -> None:
    found = of(MODULE)
    text = MODULE[MODULE.index("define i32") : MODULE.index("\ndeclare") - 1 + 1]
    assert found.digest("@f") == text_digest(text)
    with pytest.raises(ValueError, match="not in list"):
        found.digest("@other")


def test_the_same_differs_in_nothing() -> None:
    assert of(MODULE).differing(of(MODULE)) == []


@pytest.mark.parametrize(
    ("old", "new", "tokens"),
    [
        ("add i32 %0, 1", "add i32 %0, 2", ["@f"]),
        ("ret ptr @.str", "ret ptr null", ['@"a b"']),
        ("define i32 @f(i32 %0) #0", "define i32 @f(i32 %0)", ["@f"]),
    ],
)
def test_functions_that_differ(old: str, new: str, tokens: list[str]) -> None:
    assert of(MODULE).differing(of(MODULE.replace(old, new))) == tokens


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{ nounwind }", "{ noinline }"),
        ("[3 x i8]", "[4 x i8]"),
        ("declare i32 @other(i32)", "declare i64 @other(i32)"),
        ("\ndeclare i32 @other(i32)\n", ""),
        ("@f(", "@g("),
        ("define void @last() {\n", "define void @more() {\n  ret void\n}\ndefine void @last() {\n"),
        ('asm "nop"', 'asm "hlt"'),  # what asm does, more than its function may have to do with
        ("  ret ptr @.str", '  call void asm "x:", ""()\n  ret ptr @.str'),
        ("  ret ptr @.str", "  ret ptr blockaddress(@f, %3)"),
        ('  call void asm "nop", ""()\n', ""),
    ],
)
def test_what_else_differs(old: str, new: str) -> None:
    assert MODULE.count(old) == 1
    assert of(MODULE).differing(of(MODULE.replace(old, new))) is None


def test_what_stands_between_functions_is_told_apart_by_place() -> None:
    moved = MODULE.replace("\ndeclare i32 @other(i32)\n", "").replace(
        "\nattributes", "\ndeclare i32 @other(i32)\n\nattributes"
    )
    assert of(MODULE).differing(of(moved)) is None


DESCRIBED = (
    MODULE
    + "\n!llvm.dbg.cu = !{!0}\n!0 = distinct !DICompileUnit(file: !1)\n"
    + '!1 = !DIFile(filename: "a.c", directory: "/", checksumkind: CSK_MD5, checksum: "0f")\n'
    + "!2 = !DILocation(line: 7, scope: !3)\n"
)


def test_all_of_debug_information_counts_but_checksums_of_sources() -> None:
    assert of(DESCRIBED).differing(of(DESCRIBED.replace('checksum: "0f"', 'checksum: "1e"'))) == []
    assert of(DESCRIBED).differing(of(DESCRIBED.replace("line: 7", "line: 8"))) is None
    assert of(DESCRIBED).differing(of(DESCRIBED.replace('filename: "a.c"', 'filename: "b.c"'))) is None
    edited = DESCRIBED.replace('checksum: "0f"', 'checksum: "1e"').replace("add i32 %0, 1", "add i32 %0, 2")
    assert of(DESCRIBED).differing(of(edited)) == ["@f"]


def test_digests_of_what_modules_have_of_functions() -> None:
    found = of(MODULE)
    read = found.reading({"@f": "f", '@"a b"': "a b", "@last": "last"}, "rest")
    assert [read.digest(token) for token in ("@f", "@last")] == [text_digest("f"), text_digest("last")]
    again = found.reading({"@last": "other"}, "rest", read)
    assert [again.digest(token) for token in ("@f", "@last")] == [text_digest("f"), text_digest("other")]
    assert read.differing(found) == []


def test_functions_that_differ_as_they_were_read() -> None:
    texts = {"@f": "f", '@"a b"': "a b", "@last": "last"}
    before = of(MODULE).reading(texts, "rest")
    moved = of(MODULE.replace("}\\0A", "!\\0A"))
    assert before.differing(moved) is None
    assert before.differing_as_read(moved.reading(texts, "rest")) == []
    assert before.differing_as_read(moved.reading({**texts, "@f": "g"}, "rest")) == ["@f"]
    assert before.differing_as_read(moved.reading(texts, "another")) is None
    assert before.differing_as_read(moved.reading({**texts, "@last": "asm"}, "rest")) is None, "it is tied"
    assert of(MODULE).differing_as_read(of(MODULE)) is None, "nothing was read"


def test_a_module_without_functions() -> None:
    assert of("@a = global i32 1\n").differing(of("@a = global i32 2\n")) is None
    assert of("").differing(of("")) == []


def content(text: str, begin: int = 0, head: str = "") -> str:
    return outline_text(text, text.encode("latin-1"), cut_functions(text), begin, head).content


def test_the_content_is_all_that_a_module_holds() -> None:
    """Of checksums, too, which the outline leaves out."""
    texts = {DESCRIBED, MODULE, "", "@a = global i32 1\n", DESCRIBED.replace('"0f"', '"1e"')}
    for old in ("add i32 %0, 1", "line: 7", "{ nounwind }", 'a.c"', "declare i32", "asm"):
        texts.add(DESCRIBED.replace(old, old[:-1] + "x"))
    texts.add(DESCRIBED.replace("@f(", "@g("))
    twice = DESCRIBED + DESCRIBED[DESCRIBED.index("!1 = !DIFile") :]
    texts |= {twice, twice[::-1].replace('"f0"', '"e1"', 1)[::-1], twice.replace('"0f"', '"1e"', 1)}
    assert len({content(text) for text in texts}) == len(texts)
    assert content(DESCRIBED) == content(DESCRIBED[:])


@pytest.mark.parametrize("text", [MODULE, DESCRIBED, "", "@a = global i32 1\n"])
def test_what_a_module_begins_with_may_be_left_out(text: str) -> None:
    for place in ("", "here: ", "; of a longer folder\n"):
        moved = place + text
        found = outline_text(moved, moved.encode(), cut_functions(moved), len(place), "; there\n")
        expected = "; there\n" + text
        assert found.outline == of(expected) and found.content == content(expected)
