"""The grammar of LLVM IR as LLVM prints it: expressions for tokens and headers, and how names are spelled.

Text holds one character per byte. LLVM escapes quotes and line ends inside of strings and names, so a string
is always `"[^"]*"`. All expressions are for pieces that LLVM printed, not for what people write.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from nativecache.linker import lazy_re as re

_NAMED: Final = r'[-a-zA-Z$._][-\w$.]*|"[^"]*"'
#: A name as it stands behind its sigil (`@`, `%`, `$`), or in front of the colon of a label.
NAME: Final = rf"(?:{_NAMED}|\d+)"
#: Everything in a piece of IR whose spelling depends on the module around it. Numbered local values
#: (`%12`) are left out on purpose: they are most of the text and mean the same in every module.
TOKEN: Final = re.compile(rf'([@%$](?:{_NAMED})|@\d+|[#!]\d+|"[^"]*")', re.ASCII)

_LINKAGE: Final = (
    r"((?:(private|internal|available_externally|linkonce_odr|linkonce|weak_odr|weak|common|appending"
    r"|extern_weak|external) )?(?:(dso_local|dso_preemptable) )?(?:(default|hidden|protected) )?"
    r"(?:(dllimport|dllexport) )?)"
)
#: A function's header up to its arguments. Groups: define or declare, attachments, all words up to the next
#: group, of them linkage, dso, visibility and dll; calling convention, return attributes and type; token.
FUNCTION: Final = re.compile(
    rf'(define|declare) ((?:![\w.]+ !\d+ )*){_LINKAGE}((?:[^@"]|"[^"]*")*)(@{NAME})\(', re.ASCII
)
#: What follows the `=` of a variable, alias or ifunc, up to its type. Groups: all words up to the next group,
#: of them linkage, dso, visibility and dll; thread_local, unnamed_addr, address space,
#: externally_initialized; global, constant, alias or ifunc.
GLOBAL: Final = re.compile(
    rf"{_LINKAGE}(thread_local(?:\(\w+\))? )?((?:local_)?unnamed_addr )?(addrspace\([^)]*\) )?"
    r"(externally_initialized )?(global|constant|alias|ifunc) ",
    re.ASCII,
)
_GLOBAL_TAIL: Final = re.compile(
    r'((?:, (?:section "[^"]*"|partition "[^"]*"|code_model "[^"]*"|no_sanitize_\w+|sanitize_\w+'
    r'|comdat(?:\((?:\$"[^"]*"|[^()]*)\))?|align \d+|![\w.]+ !\d+))*)((?: #\d+)?)$',
    re.ASCII,
)
_GROUP_AT_END: Final = re.compile(r"(#\d+)$", re.ASCII)
#: The comdat of a definition, by its token unless it has the definition's own name.
COMDAT: Final = re.compile(r'[ ,] ?comdat(?:\((\$(?:"[^"]*"|[^()]*))\))?')
#: A line that defines a metadata node: its token and its body.
METADATA: Final = re.compile(r"^(!\d+) = (.*)$", re.MULTILINE)
#: What `!dbg` attaches to a variable: the node's token.
ATTACHED_NODE: Final = re.compile(r", !dbg (!\d+)", re.ASCII)
#: What describes a function, in its header: the node's token.
HEADER_NODE: Final = re.compile(r" !dbg (!\d+)", re.ASCII)
#: How each address of a block begins.
BLOCK_ADDRESS: Final = "blockaddress("

_BLOCK_OWNER: Final = re.compile(rf"blockaddress\((@{NAME})", re.ASCII)
_REFERENCE: Final = re.compile(rf'"[^"]*"|(@{NAME})', re.ASCII)
_ASM_STRING: Final = re.compile(r'\basm (?:[a-z]+ )*("[^"]*")')
_PARENTHESES: Final = re.compile(r'"[^"]*"|[()]')
_BRACKETS: Final = re.compile(r'"[^"]*"|[\[\]{}<>()]')
_SIMPLE_TYPE: Final = re.compile(rf"ptr addrspace\([^)]*\)|%{NAME}|\w+", re.ASCII)
_ESCAPE: Final = re.compile(r"\\(?:([0-9A-Fa-f]{2})|\\)")
#: A name that LLVM prints without quotes: `$` needs none where it reads, but has them where it writes.
_PLAIN_NAME: Final = re.compile(r"[-a-zA-Z._][-\w.]*", re.ASCII)


#: What ties a function to others by more than its symbols.
_TIES: Final = (" asm ", BLOCK_ADDRESS)


#: Where what stands before a definition begins, where the definition begins and ends, whether it has ties.
Cut = tuple[int, int, int, bool]


def cut_functions(text: str) -> Iterator[Cut]:
    """Where the definitions of functions are in a printed module, in its order.

    Of each: where what stands before it begins, where it begins and ends itself, whether it has inline asm
    or names an address of a block.
    """
    # Most functions have neither: one search then does for all of them. Debug information is behind them all.
    last = end_of_functions(text)
    tied = [_next(text, word, 0, last) for word in _TIES]
    at = 0
    while (end := text.find("\n}\n", at, last)) >= 0:
        start = at if text.startswith("define ", at) else text.index("\ndefine ", at, end) + 1
        end += 3
        is_tied = min(tied) < end
        yield at, start, end, is_tied
        if is_tied:
            tied = [
                _next(text, word, end, last) if found < end else found
                for word, found in zip(_TIES, tied, strict=True)
            ]
        at = end


def end_of_functions(text: str) -> int:
    """Where the last definition of a function ends in a printed module; 0 where there is none."""
    last = text.rfind("\n}\n")
    return last + 3 if last >= 0 else 0


def _next(text: str, word: str, at: int, end: int) -> int:
    """Where a word is found next between two places; the length of the text where it is not."""
    found = text.find(word, at, end)
    return found if found >= 0 else len(text)


def unescape(text: str) -> str:
    """Decodes LLVM's `\\XX` escapes, one character per byte, and its doubled backslashes."""
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else "\\", text) if "\\" in text else text


def symbol_name(token: str) -> str:
    """The symbol-table name of an `@name` token; `\\01` (print without mangling) is dropped as on ELF.

    The text holds one character per byte; the result is decoded as UTF-8 with surrogate escapes,
    as `os.fsdecode` and the linker package do.
    """
    name = token[1:]
    if name[:1] == '"':
        name = unescape(name[1:-1]).encode("latin-1").decode("utf-8", "surrogateescape")
    return name.removeprefix("\x01")


def quote(name: str) -> str:
    """A symbol name as printed IR spells it behind the `@`."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    data = name.encode("utf-8", "surrogateescape")
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:02X}" for b in data) + '"'


def references(text: str) -> list[str]:
    """All `@name` tokens of a piece of IR, in order, strings left out."""
    return [token for token in _REFERENCE.findall(text) if token]


def block_owners(text: str) -> list[str]:
    """The tokens of the functions whose blocks' addresses are taken in a piece of IR."""
    return _BLOCK_OWNER.findall(text)


def asm_strings(text: str) -> list[str]:
    """The inline asm strings of a function, given by its text, as printed, without quotes."""
    return [string[1:-1] for string in _ASM_STRING.findall(text)]


def split_global(text: str) -> tuple[str, str]:
    """The token and the rest of a `@name = …` line; the name may hold anything if it is quoted."""
    end = text.index('"', 2) + 1 if text[1] == '"' else text.index(" ")
    return text[:end], text[end + 3 :].rstrip("\n")


def global_tail(line: str) -> tuple[str, str]:
    """What follows the initialiser in the line of a global: its attributes, then its attribute group."""
    match = _GLOBAL_TAIL.search(line.rstrip("\n"))
    return (match[1], match[2]) if match else ("", "")


def attach(line: str, attachments: str) -> str:
    """The line of a global with more attached to it; an attribute group goes behind all that is."""
    group = global_group(line)
    at = line.rindex(f" {group}") if group else len(line.rstrip("\n"))
    return f"{line[:at]}{attachments}{line[at:]}"


def global_group(line: str) -> str:
    """The attribute group in the line of a global, its last word; "" where it has none."""
    found = _GROUP_AT_END.match(line, line.rfind(" ") + 1)
    return found[1] if found else ""


def type_end(text: str, start: int = 0) -> int:
    """The index behind the type that begins at `start` of a piece of IR. Raises ValueError if none does."""
    if text[start] in "[{<" or text.startswith("target(", start):
        depth = 0
        for match in _BRACKETS.finditer(text, start):
            if match[0] in "[{<(":
                depth += 1
            elif match[0] in "]}>)":
                depth -= 1
                if depth == 0:
                    return match.end()
        raise ValueError(f"unbalanced type: {text[start : start + 80]}")
    simple = _SIMPLE_TYPE.match(text, start)
    if simple is None:
        raise ValueError(f"not a type: {text[start : start + 80]}")
    return simple.end()


def closing_parenthesis(text: str, start: int) -> int:
    """The index behind the `)` that closes the `(` at `start`. Raises ValueError if none does."""
    depth = 0
    for match in _PARENTHESES.finditer(text, start):
        if match[0] == "(":
            depth += 1
        elif match[0] == ")":
            depth -= 1
            if depth == 0:
                return match.end()
    raise ValueError(f"unbalanced parentheses: {text[start : start + 80]}")
