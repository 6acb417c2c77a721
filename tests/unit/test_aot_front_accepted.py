"""LLVM need not read a text that it accepted before; it reads what is new or spelled in another way."""

from dataclasses import replace
from pathlib import Path

import pytest
from bench.generate import generate

from nativecache.aot.codegen.llvm import Llvmlite, read_module
from nativecache.aot.errors import BuildError
from nativecache.aot.front.accepted import Accepted, is_as_printed, lay_out
from nativecache.cache.lookup import EntryStore
from nativecache.cache.store import MemoryStore

TEXT = """\
; ModuleID = 'some'
source_filename = "a.c"
target triple = "x86_64-unknown-linux-gnu"

%T = type { i32, ptr }

$inline = comdat any

@v = internal global %T { i32 7, ptr @one }
@s = private unnamed_addr constant [4 x i8] c"a\\22;\\00"

declare i32 @puts(ptr)

; Function Attrs: noinline
define i32 @one(i32 %x) #0 {
entry:
  %c = icmp eq i32 %x, 10
  br i1 %c, label %then, label %next, !prof !0

then:                                             ; preds = %entry
  %r = call i32 @puts(ptr @s)
  br label %next

next:                                             ; preds = %then, %entry
  ret i32 %x
}

define linkonce_odr i32 @inline() comdat {
  ret i32 2
}

attributes #0 = { noinline }

!0 = !{!"branch_weights", i32 1, i32 100}
"""


def printed(text: str) -> str:
    return read_module(text.encode())


def fits(text: str) -> bool:
    return is_as_printed(text.encode(), printed(text).encode())


class Reader:
    """LLVM, and what it was given."""

    def __init__(self) -> None:
        self.store = EntryStore(MemoryStore())
        self.given = ""

    def __call__(self, data: bytes) -> str:
        self.given = data.decode()
        return read_module(data)

    def of(self, text: str) -> Accepted:
        return Accepted(text.encode(), Llvmlite().identity, self.store)

    def new(self, text: str) -> list[int] | None:
        return self.of(text).new_functions()

    def accepts(self, text: str) -> bool:
        accepted = self.of(text)
        new = accepted.new_functions()
        assert new
        return accepted.accepts(new, self)


@pytest.fixture
def reader() -> Reader:
    """With TEXT accepted."""
    made = Reader()
    assert made.new(TEXT) is None
    made.of(TEXT).save()
    return made


def test_functions_are_where_the_index_finds_them() -> None:
    layout = lay_out(TEXT.encode())
    assert layout
    texts = [layout.function(n).decode() for n in range(2)]
    assert texts[0].startswith("define i32 @one(") and texts[0].endswith("  ret i32 %x\n}\n")
    assert texts[1] == "define linkonce_odr i32 @inline() comdat {\n  ret i32 2\n}\n"
    assert layout.outside().decode() == TEXT.replace(texts[0], "").replace(texts[1], "")
    assert b"".join(layout.frame()).decode().count("define ") == 2


@pytest.mark.parametrize("text", ["}\n}\n", "hello\n}\n", "define i32 @f()\n{\n  ret i32 1\n}\n", "\n}\n"])
def test_what_has_another_form_has_no_layout(text: str) -> None:
    assert lay_out(text.encode()) is None


def test_what_llvm_prints_fits() -> None:
    assert fits(printed(TEXT)) and fits(TEXT)
    assert fits("") and fits("@v = global i32 1\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("; ModuleID = 'some'\n", ""),
        ("; Function Attrs: noinline\n", "; anything \" goes @here\n"),
        ('source_filename = "a.c"\n', ""),
        (" 10\n", " 00010\n"),
        ("                                             ; preds = %entry\n", "\n"),
        ("; preds = %then, %entry\n", "; preds = %entry, %then\n"),
        ("\ndeclare i32 @puts(ptr)\n", ""),
    ],
)  # fmt: skip
def test_what_means_the_same_fits(old: str, new: str) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new)
    assert fits(text + "\ndeclare i32 @puts(ptr)\n" * ("@puts(ptr)\n" not in text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("@one(", '@"one"('),
        ("@one(i32 %x) #0 {", "@one(i32 %x) noinline {"),
        ("attributes #0 = { noinline }", "attributes #0 = { noinline cold }"),
        ("@puts(ptr)\n", "@puts(ptr %s)\n"),
        ("  ret i32 2\n", "  ret i32 2 ; a comment\n"),
        ("  ret i32 2\n", "  ; a comment\n  ret i32 2\n"),
        ("  ret i32 2\n", "\n  ret i32 2\n"),
        ("  ret i32 2\n", "  ret  i32 2\n"),
        ("  ret i32 2\n", "\tret i32 2\n"),
        ("  ret i32 2\n", "  ret i32 u0x2\n"),
        ("  ret i32 2\n}\n", "  ret i32 2 }\n"),
        ("; preds = %entry\n", "; preds = @one\n"),
        ("call i32 @puts(", "call i32 @puts ("),
        ("call i32 @puts(ptr @s)", "call i32 @puts(ptr @s) noinline"),
        ("\\22;\\00", "\\22\\3b\\00"),
        ("[4 x i8]", "[4  x i8]"),
        ("%T = type { i32, ptr }\n", "%T = type { i32, ptr }\n%U = type { i8 }\n"),
        ("!0 = !{", "!1 = !{"),
        ("@v = ", "@w = global i32 1\n@v = alias i32, ptr @w\n@u = "),
        ("\n}\n\nattr", "\n  uselistorder i32 2, { 1, 0 }\n}\n\nattr"),
    ],
)  # fmt: skip
def test_what_is_spelled_in_another_way_does_not(old: str, new: str) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new).replace("!prof !0", "!prof !1" if "!1 " in new else "!prof !0")
    text = text.replace("ret i32 2\n  uselistorder", "%a = add i32 2, 2\n  ret i32 2\n  uselistorder")
    assert not fits(text)


def test_generated_programs_fit(tmp_path: Path) -> None:
    """So that `make bench` measures what it is meant to."""
    assert fits(generate(50, tmp_path / "g.ll").file.read_text())


def test_nothing_is_read_again(reader: Reader) -> None:
    assert reader.new(TEXT) == []


def test_another_llvm_reads_everything(reader: Reader) -> None:
    other = replace(Llvmlite().identity, llvm="1.0")
    assert Accepted(TEXT.encode(), other, reader.store).new_functions() is None


def test_a_changed_function_is_read_alone(reader: Reader) -> None:
    text = TEXT.replace("ret i32 2", "ret i32 3")
    assert reader.new(text) == [1]
    assert reader.accepts(text)
    assert "ret i32 3" in reader.given and "call i32" not in reader.given
    assert "define i32 @one(i32 %x) #0 {\n  unreachable\n}\n" in reader.given


def test_older_functions_are_kept(reader: Reader) -> None:
    reader.of(TEXT.replace("ret i32 2", "ret i32 3")).save()
    assert reader.new(TEXT) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("i32 7", "i32 8"),
        ("@one(i32 %x) #0", "@one(i32 %x)"),
        ("@inline() comdat", "@inline() #0 comdat"),
        ("\ndefine i32 @one", "\n@more = global i32 0\n\ndefine i32 @one"),
        ("1, i32 100", "2, i32 100"),
    ],
)
def test_all_is_read_where_the_frame_is_new(reader: Reader, old: str, new: str) -> None:
    assert old in TEXT
    assert reader.new(TEXT.replace(old, new)) is None


@pytest.mark.parametrize(
    "body",
    [
        "  ret i64 3\n",
        "  %v = call i32 @gone()\n  ret i32 %v\n",
        "  %v = load %U, ptr @v\n  ret i32 3\n",
        "  ret i32 3, !prof !9\n",
        "  ret i32 3 ; why\n",
        "  ret i32 3\n}\n\ndefine i32 @more() {\n  ret i32 4\n",
    ],
)
def test_a_function_that_llvm_refuses_or_prints_in_another_way_is_not_accepted(
    reader: Reader, body: str
) -> None:
    text = TEXT.replace("  ret i32 2\n", body)
    if (new := reader.new(text)) is not None:
        assert new == [1] and not reader.accepts(text)


def test_all_is_read_where_functions_refer_to_blocks_of_others(reader: Reader) -> None:
    """To take a block away makes another function wrong, which did not change."""
    functions = (
        "define ptr @f() {\n  br label %a\n\na:\n  ret ptr null\n}\n",
        "define ptr @g() {\n  ret ptr blockaddress(@f, %a)\n}\n",
    )
    text = "".join(functions)
    assert fits(text)
    reader.of(text).save()
    assert reader.new(text) == [] and reader.new(text.replace("%a", "%b").replace("a:", "b:")) is None


def test_the_name_of_another_function_is_not_accepted(reader: Reader) -> None:
    text = TEXT.replace("@inline()", "@one()")
    assert reader.new(text) is None
    with pytest.raises(BuildError, match="invalid redefinition of function 'one'"):
        printed(text)


def test_an_entry_that_is_lost_costs_a_reading(reader: Reader) -> None:
    assert Accepted(TEXT.encode(), Llvmlite().identity, EntryStore(MemoryStore())).new_functions() is None
