"""What is nested 20,000 deep is built: whatever follows references does so step by step."""

from pathlib import Path

import pytest
from rules import Build

from nativecache.aot.debug.normalise import normalise
from nativecache.aot.ir.module import index_module

DEPTH = 20_000

NODE_USER = """\
define i32 @main() {
  %1 = alloca i32
  store i32 0, ptr %1, !note !0
  %2 = load i32, ptr %1
  ret i32 %2
}
"""
DEBUG = """\
define i32 @main() !dbg !5 {
  %1 = alloca i32
    #dbg_declare(ptr %1, !10, !DIExpression(), !9)
  ret i32 0, !dbg !9
}

!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2, !3}
!0 = distinct !DICompileUnit(language: DW_LANG_C11, file: !1, producer: "x", isOptimized: false, \
runtimeVersion: 0, emissionKind: FullDebug)
!1 = !DIFile(filename: "a.c", directory: "/x")
!2 = !{i32 7, !"Dwarf Version", i32 5}
!3 = !{i32 2, !"Debug Info Version", i32 3}
!4 = !{}
!5 = distinct !DISubprogram(name: "main", scope: !1, file: !1, line: 1, type: !6, scopeLine: 1, \
spFlags: DISPFlagDefinition, unit: !0, retainedNodes: !4)
!6 = !DISubroutineType(types: !7)
!7 = !{!8}
!8 = !DIBasicType(name: "int", size: 32, encoding: DW_ATE_signed)
!9 = !DILocation(line: 2, column: 3, scope: !5)
!10 = !DILocalVariable(name: "v", scope: !5, file: !1, line: 2, type: !20)
"""


def nested_types() -> str:
    """In chains of 2,000, for LLVM takes the square of their length to lay them out."""
    types = "".join(f"%t{n} = type {{ {f'%t{n - 1}' if n % 2000 else 'ptr'}, i32 }}\n" for n in range(DEPTH))
    return (
        f"{types}@g = global %t{DEPTH - 1} zeroinitializer\ndefine i32 @main() {{\n"
        f"  %1 = getelementptr %t{DEPTH - 1}, ptr @g, i32 0, i32 1\n"
        "  %2 = load i32, ptr %1\n  ret i32 %2\n}\n"
    )


def nodes(word: str) -> str:
    return (
        NODE_USER
        + "".join(f"!{n} = {word}!{{!{n + 1}, i32 {n}}}\n" for n in range(DEPTH))
        + f"!{DEPTH} = !{{i32 1}}\n"
    )


def diamonds() -> str:
    """Sixty nodes, and two to the sixtieth ways through them."""
    return (
        NODE_USER
        + "!0 = distinct !{!1, !1}\n"
        + "".join(f"!{n} = !{{!{n + 1}, !{n + 2}}}\n" for n in range(1, 60))
        + "!60 = !{i32 1}\n!61 = !{i32 2}\n"
    )


def pointers() -> str:
    kind = "!DIDerivedType(tag: DW_TAG_pointer_type, baseType:"
    return (
        DEBUG
        + "".join(f"!{20 + n} = {kind} !{21 + n}, size: 64)\n" for n in range(DEPTH))
        + f'!{20 + DEPTH} = !DIBasicType(name: "char", size: 8, encoding: DW_ATE_signed)\n'
    )


def blocks() -> str:
    kind = "distinct !DILexicalBlock(scope:"
    scopes = "".join(
        f"!{21 + n} = {kind} !{20 + n if n else 5}, file: !1, line: {n + 1}, column: 1)\n"
        for n in range(DEPTH)
    )
    text = DEBUG.replace("column: 3, scope: !5", f"column: 3, scope: !{20 + DEPTH}")
    return text.replace("type: !20", "type: !8") + scopes


def calls() -> str:
    """Bodies that callers need, each with the next."""
    functions = "".join(
        f"define available_externally i32 @f{n}() {{\n  %1 = call i32 @f{n - 1}()\n  ret i32 %1\n}}\n"
        for n in range(1, 3000)
    )
    return (
        f"define i32 @f0() {{\n  ret i32 0\n}}\n{functions}"
        "define i32 @main() {\n  %1 = call i32 @f2999()\n  ret i32 %1\n}\n"
    )


def aliases() -> str:
    """Fewer of them, for LLVM's own work grows with the cube of their number."""
    names = "".join(f"@a{n} = alias i32, ptr @a{n - 1}\n" for n in range(1, 400))
    return f"@a0 = global i32 0\n{names}define i32 @main() {{\n  %1 = load i32, ptr @a399\n  ret i32 %1\n}}\n"


@pytest.mark.parametrize(
    "text",
    [nested_types(), nodes(""), nodes("distinct "), diamonds(), pointers(), blocks(), calls(), aliases()],
    ids=["types", "tuples", "distinct", "diamonds", "pointers", "blocks", "calls", "aliases"],
)
def test_what_is_nested_deeply_is_built(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.ll").write_text(text)
    Build.start(tmp_path, tmp_path, "a.ll", "-o", "a", "-O1").result()


def test_deep_debug_information_is_made_small_all_the_same() -> None:
    (module,) = normalise([index_module(pointers(), "a.ll")])
    assert module.debug is not None and len(module.metadata) > DEPTH
