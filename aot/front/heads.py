"""Finds the head of a source file, which may be compiled by itself, and what in a text forbids that.

The head is the file's leading run of directives and comments, as clang's own `Lexer::ComputePreamble` has it,
but shorter where there is any doubt: a line that is not surely one of those below ends it, no line goes on in
another, no condition stays open, and it ends with a directive, so that no comment is cut off from what it is
about.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from nativecache.linker import lazy_re as re

_COMMENT_LINE: Final = re.compile(rb"[ \t]*//[^\n]*\n")
_COMMENT: Final = re.compile(rb"[ \t]*/\*(?:[^*]|\*(?!/))*\*/[ \t]*\n")
_BLANK: Final = re.compile(rb"[ \t]*\n")
_CLOSED: Final = re.compile(rb"/\*(?:[^*\n]|\*(?!/))*\*/")
_DIRECTIVE: Final = re.compile(rb"[ \t]*#[ \t]*([a-z]+)\b([^\n]*)\n")
#: What a line of the head is never with: it goes on in the next, or is read otherwise by some standards.
_DOUBTS: Final = re.compile(rb"[\\\r\0\v\f]|\?\?|R\"")
#: A name that is written out; one that a macro stands for may be the file's own.
_INCLUDED: Final = re.compile(rb"[ \t]*(?:<[\w./+-]+>|\"[\w./+-]+\")[ \t]*(?://.*)?")
_OPENING: Final = (b"if", b"ifdef", b"ifndef")
_WITHIN: Final = (b"elif", b"elifdef", b"elifndef", b"else")

#: A directive that reads a file whose name a macro stands for.
_COMPUTED: Final = re.compile(
    rb"(?:#|%:|\?\?=)[ \t]*(?:include|include_next|import|embed|__include_macros)\b(?![ \t]*[<\"])"
)

#: Pragmas that clang's preprocessor carries out without a trace in what it prints.
_SILENT: Final = re.compile(
    rb"\b(?:push_macro|pop_macro|restrict_expansion|hdrstop)\b|\bGCC\s+poison\b"
    rb"|(?i:ragma)[^\n]*\bclang\s+(?:deprecated|final|module|__debug|unsafe_buffer_usage)\b"
)
#: In preprocessed text: literals, in which nothing else counts; what opens and ends scopes, declarations.
_TOKENS: Final = re.compile(
    rb"R\"([^ ()\\\t\v\f\n]{0,16})\(.*?\)\1\"|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|\b\d[\w.']*"
    rb"|\[\[|[{};\[]|^[ \t]*#[^\n]*",
    re.DOTALL | re.MULTILINE,
)
_NAMESPACE: Final = re.compile(rb"(?:\bnamespace\b[^;=(]*|\bextern\s*\"C(?:\+\+)?\"\s*)\Z")
_NAMELESS_SPACE: Final = re.compile(
    rb"\bnamespace\s*(?:\[\[.*?\]\]\s*|__attribute__\s*\(\(.*?\)\)\s*)*\Z", re.DOTALL
)
_ATTRIBUTES: Final = rb"(?:\s|__attribute__\s*\(\([^{};]*?\)\)|alignas\s*\([^{};]*?\)|\[\[[^{};]*?\]\])*"
_NAMELESS_TYPE: Final = re.compile(
    rb"\b(?:struct|union|class|enum(?:\s+(?:struct|class))?)\b" + _ATTRIBUTES + rb"(?::[^{};]*)?\Z"
)
_BEFORE_LAMBDA: Final = rb"(?:[=(,{};&|?:!<>+*/-]|\b(?:return|co_yield|co_return|case))\s*"
_LAMBDA: Final = re.compile(_BEFORE_LAMBDA + rb"\Z")
_LOCAL: Final = re.compile(_BEFORE_LAMBDA + rb"\[(?!\[)|\b(?:struct|union|class|enum)\b[^;(){}=]*\{")
_ENDS: Final = re.compile(rb"\s*;")
#: Of a declaration, up to its first brace: of internal linkage; constants are, where no function is declared.
_INTERNAL: Final = re.compile(rb"\bstatic\b|\A[^(]*\bconst(?:expr)?\b[^(]*\Z")
#: Behind the end of a function: how a declaration begins that is another one, or the end of a namespace.
_NEXT: Final = re.compile(rb"\s*(?:[\w#~}\[]|::|\Z)")
_LAMBDA_TYPE: Final = re.compile(rb"\bdecltype\s*\(\s*\[(?!\[)")
#: The name of a file where clang's code generation needs it, not the preprocessor.
_NAMES: Final = re.compile(rb"__builtin_(?:FILE\b|source_location)|\bannotate\b")
#: A condition that stands in one line whole and surely, as `#if __has_builtin(__builtin_source_location)`.
_CONDITION: Final = re.compile(rb"^(?<!\\\n)[ \t]*#[ \t]*(?:el)?if\b[^\n\"*?\\]*$", re.MULTILINE)
_DEFINED: Final = re.compile(
    rb"^(?:@([^ ]+) = (?!(?:[a-z_]+ )*external )|define [^@\n]*@([^ (]+)|(module asm))", re.MULTILINE
)
_IOSTREAM: Final = re.compile(
    rb"_ZStL8__ioinit|__cxx_global_var_init|_GLOBAL__sub_I_.*|llvm\.global_ctors|__dso_handle"
)
_HASH: Final = re.compile(rb"^[ \t]*#[ \t]*([^\n]*)$", re.MULTILINE)
_LINE_MARKER: Final = re.compile(rb"\d+ \"")
_PRAGMA: Final = re.compile(rb"pragma[ \t]+(.*)")
#: Of what clang prints of a pragma: its beginning, what it opens or closes, or 0 where it only needs to be
#: within what is opened.
_PAIRED: Final = tuple(
    (re.compile(expression), kind, step)
    for expression, kind, step in (
        (rb"(?:GCC|clang)[ \t]+diagnostic[ \t]+push\s*", "diagnostic", 1),
        (rb"(?:GCC|clang)[ \t]+diagnostic[ \t]+pop\s*", "diagnostic", -1),
        (rb"(?:GCC|clang)[ \t]+diagnostic[ \t]+(?:ignored|warning|error)\b.*", "diagnostic", 0),
        (rb"GCC[ \t]+visibility[ \t]+push[ \t]*\(\w+\)\s*", "visibility", 1),
        (rb"GCC[ \t]+visibility[ \t]+pop\s*", "visibility", -1),
        (rb"pack[ \t]*\([ \t]*push[ \t]*(?:,[ \t]*\d+[ \t]*)?\)\s*", "pack", 1),
        (rb"pack[ \t]*\([ \t]*pop[ \t]*\)\s*", "pack", -1),
        (rb"pack[ \t]*\([ \t]*\d+[ \t]*\)\s*", "pack", 0),
    )
)
_HARMLESS: Final = re.compile(rb"(?:once|(?:GCC|clang)[ \t]+system_header)\s*")
_MODULES: Final = re.compile(rb"^[ \t]*(?:export[ \t]+)?(?:import|module)\b", re.MULTILINE)


def head_length(data: bytes) -> int:
    """How many bytes of a source file its head has; 0 if nothing is included in it."""
    at = end = 0
    depth, includes = 0, False
    while at < len(data):
        comment = _COMMENT.match(data, at)
        if comment and not _DOUBTS.search(comment[0]):
            at = comment.end()
            continue
        stop = data.find(b"\n", at) + 1
        if not stop or _DOUBTS.search(data, at, stop):
            break
        if _BLANK.match(data, at) or _COMMENT_LINE.match(data, at):
            at = stop
            continue
        word, rest = _directive(data[at:stop])
        if word in _OPENING:
            depth += 1
        elif word == b"endif":
            depth -= 1
        elif word == b"include":
            if not _INCLUDED.fullmatch(rest):
                break
            includes = True
        elif word not in (b"define", b"undef") and (word not in _WITHIN or not depth):
            break
        if depth < 0:
            break
        at = stop
        if not depth:
            end = at
    return end if includes else 0


def _directive(line: bytes) -> tuple[bytes, bytes]:
    """The word of a directive that stands in one line, and what is behind it but for comments; or b""."""
    match = _DIRECTIVE.fullmatch(line)
    if not match:
        return b"", b""
    rest = _CLOSED.sub(b" ", match[2])
    # A comment that may go on in the next line, or a string that looks like one.
    return (b"", b"") if b"/*" in rest else (match[1], rest)


def may_read(data: bytes, name: bytes) -> bool:
    """Whether a text may include or embed the file of a name, whatever folder it is in."""
    if _COMPUTED.search(data):
        return True
    return re.search(rb"[\"</]" + re.escape(name) + rb"[\">]", data) is not None


def has_silent_pragma(data: bytes) -> bool:
    """Whether a text may hold a pragma that `what_stays_open` does not see."""
    return _SILENT.search(data) is not None


def asks_for_names(data: bytes) -> bool:
    """Whether a text may ask for names of source files in another way than by macros."""
    return _NAMES.search(data) is not None and _NAMES.search(_CONDITION.sub(b"", data)) is not None


def has_numbered_names(printed: bytes) -> bool:
    """Whether a preprocessed head in C++ may have types that clang numbers as it meets them.

    Those are types and lambdas without linkage: without a name, in scopes of namespaces, and all within
    functions and variables of internal linkage. Read from a precompiled header, they are met when they are
    read, else when code is generated for them. No parser reads the text here: what is unclear counts.
    """
    if _LAMBDA_TYPE.search(printed):
        return True
    spaces = 0  # namespaces that are open
    depth = 0  # of other scopes
    began = inner = 0  # where the declaration began, and the first scope in it
    nameless = is_enum = False
    for match in _TOKENS.finditer(printed):
        token, at = match[0], match.start()
        if token == b"[" and not depth and _LAMBDA.search(printed, max(began, at - 80), at):
            return True
        if token == b"{":
            if not depth:
                before = printed[began:at]
                if _NAMELESS_SPACE.search(before):
                    return True
                if _NAMESPACE.search(before):
                    spaces += 1
                    began = match.end()
                    continue
                typedef = re.search(rb"\btypedef\b", before)
                nameless = not typedef and _NAMELESS_TYPE.search(before) is not None
                is_enum = re.search(rb"\benum\b", before) is not None
                inner = at
            depth += 1
        elif token == b"}" and depth:
            depth -= 1
            if not depth:
                local = _INTERNAL.search(printed[began:inner])
                if local and _LOCAL.search(printed, inner, at):
                    return True
                if nameless and not (is_enum and _ENDS.match(printed, match.end())):
                    return True
                if _NEXT.match(printed, match.end()):
                    began = match.end()
        elif token == b"}":
            spaces -= 1
            began = match.end()
        elif token == b";" and not depth:
            began = match.end()
    return depth != 0 or spaces != 0


def what_is_defined(ir: bytes) -> str:
    """What the IR of a head alone defines besides what `<iostream>` has in each file, or ""."""
    defined = (match[1] or match[2] or match[3] for match in _DEFINED.finditer(ir))
    return next((name.decode("latin-1") for name in defined if not _IOSTREAM.fullmatch(name)), "")


def what_stays_open(printed: bytes) -> str:
    """What of a preprocessed head may reach beyond its end, or "": all that is not known not to."""
    if _MODULES.search(printed):
        return "a module"
    depths: dict[str, int] = {}
    for match in _HASH.finditer(printed):
        if _LINE_MARKER.match(match[1]):
            continue
        pragma = _PRAGMA.fullmatch(match[1])
        if not pragma or not _is_paired(pragma[1], depths):
            return f"#{match[1].decode('latin-1')[:60]}"
    return next((f"a pragma {kind} that is not closed" for kind, depth in depths.items() if depth), "")


def _is_paired(pragma: bytes, depths: dict[str, int]) -> bool:
    """Whether a pragma reaches no further than to the one that closes what it stands in; counts those."""
    if _HARMLESS.fullmatch(pragma):
        return True
    for expression, kind, step in _PAIRED:
        if expression.fullmatch(pragma):
            depths[kind] = depths.get(kind, 0) + step
            return depths[kind] > 0 if step >= 0 else depths[kind] >= 0
    return False


def entered(printed: bytes) -> Iterable[bytes]:
    """The names of files that were entered in a preprocessed text, as its line markers give them."""
    return (match[1] for match in re.finditer(rb"^# 1 \"((?:[^\"\\\n]|\\.)*)\" 1\b", printed, re.MULTILINE))
