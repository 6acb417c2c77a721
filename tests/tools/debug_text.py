"""Small modules with debug information, as LLVM prints it."""

from nativecache.aot.debug.analysis import Analysis, analyse
from nativecache.aot.debug.normalise import normalise
from nativecache.aot.ir.module import Module, index_module

HEAD = """\
!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2}

!0 = distinct !DICompileUnit(language: DW_LANG_C11, file: !1, producer: "c", emissionKind: FullDebug)
!1 = !DIFile(filename: "a.c", directory: "/home/me", checksumkind: CSK_MD5, checksum: "SUM")
!2 = !{i32 7, !"Dwarf Version", i32 5}
!3 = !DISubroutineType(types: !4)
!4 = !{!5}
!5 = !DIBasicType(name: "int", size: 32, encoding: DW_ATE_signed)
""".replace("SUM", "0123456789abcdef" * 2)

STRUCT = """\
!20 = distinct !DICompositeType(tag: DW_TAG_structure_type, name: "s", file: !1, line: 3, size: 64, \
elements: !21)
!21 = !{!22}
!22 = !DIDerivedType(tag: DW_TAG_member, name: "next", scope: !20, file: !1, line: 4, baseType: !23, size: 64)
!23 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !20, size: 64)
"""


def function(number: int, name: str, line: int, type_: str = "!23", more: str = "") -> tuple[str, str]:
    """A function with a variable, and its metadata: ten numbers from `number`."""
    n = number
    code = f"""\
define i32 @{name}() !dbg !{n} {{
    #dbg_value(i32 0, !{n + 1}, !DIExpression(), !{n + 2})
  ret i32 0, !dbg !{n + 2}
}}
"""
    nodes = f"""\
!{n} = distinct !DISubprogram(name: "{name}", scope: !1, file: !1, line: {line}, type: !3, \
scopeLine: {line}, spFlags: DISPFlagDefinition, unit: !0)
!{n + 1} = !DILocalVariable(name: "v", scope: !{n + 3}, file: !1, line: {line + 2}, type: {type_})
!{n + 2} = !DILocation(line: {line + 3}, column: 5, scope: !{n + 3})
!{n + 3} = distinct !DILexicalBlock(scope: !{n}, file: !1, line: {line + 1}, column: 3)
{more}"""
    return code, nodes


def module(*functions: tuple[str, str], types: str = STRUCT, head: str = HEAD) -> Module:
    code = "\n".join(code for code, _ in functions)
    nodes = "".join(nodes for _, nodes in functions)
    return index_module(f'source_filename = "a.c"\n\n{code}\n{head}{types}{nodes}', "a.c")


def normalised(*functions: tuple[str, str], types: str = STRUCT, head: str = HEAD) -> Module:
    made = module(*functions, types=types, head=head)
    (made,) = normalise([made], directory="/home/me")
    return made


def analysed(*functions: tuple[str, str], types: str = STRUCT, head: str = HEAD) -> Analysis:
    """What is read of the module of these functions, whose symbols are their names."""
    made = module(*functions, types=types, head=head)
    symbols = {node: token[1:] for node, token in made.described.items()}
    return analyse(made.debug_text, symbols, directory="/home/me")


def text(made: Module, name: str) -> str:
    return made.entities[f"@{name}"].text
