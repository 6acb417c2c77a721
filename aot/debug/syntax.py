"""The grammar of LLVM's printed debug information: patterns of nodes and fields, and groups of kinds.

A node is a line `!7 = [distinct] !DIKind(field: value, …)` or `!7 = !{…}`. Strings hold no quotes, for LLVM
escapes them, so that `"[^"]*"` is a whole string. The names of kinds and fields are those of LLVM's language
reference.
"""

from __future__ import annotations

from typing import Final

from nativecache.linker import lazy_re as re

# Whole nodes

#: Number, line, fields up to the scope, scope, further fields.
LOCATION: Final = re.compile(
    r"^(!\d+) = !DILocation\(line: (\d+)(, (?:column: \d+, )?scope: )(!\d+)(.*)\)$", re.MULTILINE
)
#: Number, scope, file, line, further fields.
BLOCK: Final = re.compile(
    r"^(!\d+) = distinct !DILexicalBlock\(scope: (!\d+), file: (!\d+), line: (\d+)(.*)\)$", re.MULTILINE
)
#: Number, fields up to the scope, scope, file, line, type, further fields.
LOCAL_VARIABLE: Final = re.compile(
    r'^(!\d+) = !DILocalVariable\(((?:name: "[^"]*", )?(?:arg: \d+, )?)scope: (!\d+), file: (!\d+)'
    r", line: (\d+), type: (!\d+)(.*)\)$",
    re.MULTILINE,
)
DWARF_VERSION: Final = re.compile(r'!\{i32 \d+, !"Dwarf Version", i32 (\d+)\}')

# What one node says of another

NODE: Final = re.compile(r"!\d+", re.ASCII)
#: Strings, and the nodes outside of strings.
REFERENCE: Final = re.compile(r'("[^"]*"|!\d+)', re.ASCII)
#: Strings, the nodes outside of strings, and lines.
REFERENCE_OR_LINE: Final = re.compile(r'("[^"]*"|!\d+|\b(?:scopeL|l)ine: \d+)', re.ASCII)
#: A `!dbg` attachment of a function or a global variable.
ATTACHED: Final = re.compile(r",? !dbg (!\d+)", re.ASCII)

# Fields

SCOPE: Final = re.compile(r"\bscope: (!\d+)", re.ASCII)
FILE: Final = re.compile(r"\bfile: (!\d+)", re.ASCII)
LINE: Final = re.compile(r"\bline: (\d+)", re.ASCII)
NAME: Final = re.compile(r'\bname: ("[^"]*")')
LINKAGE_NAME: Final = re.compile(r'\blinkageName: ("[^"]*")')
DECLARATION: Final = re.compile(r"\bdeclaration: (!\d+)", re.ASCII)
RETAINED: Final = re.compile(r"\bretainedNodes: (!\d+)", re.ASCII)
BASE_TYPE: Final = re.compile(r"\bbaseType: (!\d+)", re.ASCII)
SIZE: Final = re.compile(r"\bsize: (\d+)", re.ASCII)
ELEMENTS: Final = re.compile(r"\belements: (!\d+)", re.ASCII)
VARIABLE: Final = re.compile(r"\bvar: (!\d+)", re.ASCII)
VALUE: Final = re.compile(r"\bexpr: (!DIExpression\(.+\))\)$")
TAG: Final = re.compile(r"\(tag: (DW_TAG_\w+)")
#: The line of a declaration, as a field behind others.
LINE_FIELD: Final = re.compile(r", line: (\d+)\b", re.ASCII)
#: Where in the source something is declared.
PLACE: Final = re.compile(r", (?:file: !\d+|(?:scopeL|l)ine: \d+)\b", re.ASCII)
#: What a compile unit lists, and the node of each list.
UNIT_LISTS: Final = re.compile(r", (enums|retainedTypes|globals|imports|macros): (!\d+)", re.ASCII)
DIRECTORY: Final = re.compile(r'\bdirectory: "([^"]*)"')
FILE_NAME: Final = re.compile(r'\bfilename: "([^"]*)"')
MD5: Final = re.compile(r'\bchecksumkind: CSK_MD5, checksum: "([0-9a-f]{32})"')

# Groups of kinds, and of tags

COMPILE_UNIT: Final = "distinct !DICompileUnit("
SUBPROGRAM: Final = "distinct !DISubprogram("
#: The place of a call that was inlined; other locations are not distinct.
INLINED_AT: Final = "distinct !DILocation("
BLOCKS: Final = ("!DILexicalBlock", "distinct !DILexicalBlock")
#: Nodes that belong to the function whose scope they name.
OWNED: Final = (
    "!DILexicalBlockFile(",
    "distinct !DILexicalBlock",
    "!DILocalVariable(",
    "!DILabel(",
    "!DIImportedEntity(",
    "!DICommonBlock(",
)
#: Nodes that a variable may stand in, as the size of an array, and those that such a type is part of.
SIZED: Final = ("!DISubrange(", "!DIGenericSubrange(", "!DIStringType(")
MADE_OF: Final = ("!{", "!DIDerivedType(", "!DICompositeType(", "!DISubroutineType(")
#: Nodes of types and declarations, whose place in the source only the unit of types needs.
PLACELESS: Final = ("!DIDerivedType(", "!DISubprogram(", "!DIImportedEntity(", "!DICommonBlock(")
#: Kinds that are spelled with the tokens of all that they refer to.
SIMPLE: Final = (*PLACELESS, "!{", "!DISubroutineType(", "!DINamespace(", "!DIModule(")
#: Kinds of nodes that types without a name are told apart by.
EXPANDED: Final = (
    "!{",
    "!DIDerivedType(",
    "!DISubroutineType(",
    "!DISubprogram(",
    "distinct !DICompositeType(",
    "!DICompositeType(",
)
RECORD_TAGS: Final = ("DW_TAG_structure_type", "DW_TAG_union_type", "DW_TAG_class_type")
QUALIFIER_TAGS: Final = (
    "DW_TAG_typedef",
    "DW_TAG_const_type",
    "DW_TAG_volatile_type",
    "DW_TAG_atomic_type",
)


def is_composite(body: str) -> bool:
    """Whether a node is a DICompositeType, distinct or not."""
    return "DICompositeType(" in body[:26]
