"""Reads assembler text for what it does to symbols: defines, exports, changes, and what it may name.

Problem: what a piece of asm does to a symbol holds for one object file, and the program is cut into many.
Method: the text is cut into statements as LLVM's assembler cuts it (comments, strings, separators), and each
is taken for labels, a directive, an assignment or an instruction. Names are collected more freely: whatever
looks like one anywhere, comments included, so that no dialect's syntax can hide one. What would need an
assembler to be understood (macros that make symbols, conditions, included files, unknown directives) is
said to be unclear rather than guessed.
Sources: LLVM 22's AsmParser.cpp, ELFAsmParser.cpp, AsmLexer.cpp; GNU as 2.44, "Assembler Directives".
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from nativecache.aot.ir.asm_effects import NOTHING, Assembly
from nativecache.aot.ir.syntax import unescape
from nativecache.linker import lazy_re as re

_WORD: Final = re.compile(r"(?<!\d)[A-Za-z_.$][\w.$]*")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
#: What inline asm has beside the assembler's own: operands, `%=`, `$$`, and forms for dialects.
_OPERAND: Final = re.compile(r"\$(?:(\$)|([(|)])|(\{:uid\})|\{:(\w+)\}|\d+|\{[^}]*\})", re.ASCII)
#: What stands for an operand, and for a number that no other copy of the statement has.
_HOLE, _UNIQUE = "\x02", "\x03"
_LEXEMES: Final = (
    r'/\*.*?\*/|//[^\n]*|{comment}|"(?:[^"\\]|\\.)*"|\'(?:[^\'\\\n]|\\.)\'|[;\n]|["\']|/\*'
    r"|(?:(?!/\*|//|{hash})[^;\n\"'])+"
)
_SPLIT: Final = {
    True: re.compile(_LEXEMES.format(comment=r"\#[^\n]*", hash=r"\#"), re.DOTALL),
    # Elsewhere a hash begins an immediate, and a comment only as the first on its line.
    False: re.compile(_LEXEMES.format(comment=r"(?:(?<=\n)|\A)[ \t]*\#[^\n]*", hash=r"\Z(?!)"), re.DOTALL),
}
_SYMBOL: Final = r'(?:"(?:[^"\\]|\\.)*"|[\w.$@?\x02\x03\\&]+)'
_LABEL: Final = re.compile(rf"\s*({_SYMBOL})\s*:(?!:)")
_ASSIGNMENT: Final = re.compile(rf"\s*({_SYMBOL})\s*==?(?!=)(.*)", re.DOTALL)
_DIRECTIVE: Final = re.compile(r"\s*(\.[A-Za-z_][\w.]*)(.*)", re.DOTALL)
_FIRST: Final = re.compile(rf"\s*({_SYMBOL})")
#: Names put together from a macro's argument or an operand and something else.
_PASTED: Final = re.compile(r"[\w.$\x02]\\[\w(@]|\\\w+\\|\\\(\)|[\w.$]\x02|\x02[A-Za-z_$]", re.ASCII)
_MNEMONIC: Final = re.compile(r"\s*[\w.\x02]+", re.ASCII)
#: In what is more than some instructions without symbols' names of several parts.
_MORE: Final = re.compile(r"[.:=\"'\\]|\d[bf]|/\*|\w\$[\d{]|\$\d+[A-Za-z_]|\}\w")
_NUMBER: Final = re.compile(r"\d+", re.ASCII)
_NUMBERED: Final = re.compile(r"(?<![\w$.\\])(\d+)[bf](?![\w$])", re.ASCII)

_EXPORT: Final = frozenset((".globl", ".global"))
_ATTRIBUTE: Final = frozenset(
    (".hidden", ".internal", ".protected", ".type", ".size", ".thumb_func", ".variant_pcs", ".local")
)
_SET: Final = frozenset((".set", ".equ", ".equiv", ".eqv"))
_SECTION: Final = frozenset((".section", ".text", ".data", ".bss", ".rodata", ".subsection", ".pushsection"))
#: Bytes, places and remarks: they do nothing to symbols but name them.
_PLAIN_WORDS: Final = """
.byte .2byte .4byte .8byte .short .hword .half .word .int .long .dword .quad .xword .octa .value .ascii
.asciz .string .string8 .string16 .string32 .string64 .base64 .zero .skip .space .fill .float .double
.single .float16 .bfloat16 .hfloat .tfloat .tdouble .sleb128 .uleb128 .align .balign .balignw .balignl
.p2align .p2alignw .p2alignl .org .inst .insn .nop .nops .dc .dc.a .dc.b .dc.w .dc.l .dc.s .dc.d .dc.x
.dcb .dcb.b .dcb.w .dcb.l .dcb.s .dcb.d .ds .ds.b .ds.w .ds.l .ds.s .ds.d .reloc .ident .incbin
.att_syntax .intel_syntax .code64 .arch .arch_extension .cpu .fpu .req .unreq .tlsdesccall .ltorg .pool
.warning .print .version
"""
_PLAIN: Final = frozenset(_PLAIN_WORDS.split())
#: Of LLVM's directives for call frames, those that only describe the function they are in.
_FRAME: Final = re.compile(r"\.cfi_(?!sections$)\w+", re.ASCII)
#: Directives that repeat text or keep it for later, with words in it replaced.
_BLOCK: Final = frozenset((".macro", ".rept", ".rep", ".irp", ".irpc"))
_END: Final = frozenset((".endm", ".endmacro", ".endr", ".exitm"))


def names_in(text: str) -> frozenset[str]:
    """All that may be a symbol's name in asm text, given one character per byte."""
    words = set(_WORD.findall(text))
    # `$name` is the value of a name; LLVM doubles the sign in inline asm. `.L` begins private names.
    words |= {word.lstrip("$") for word in words} | {word[2:] for word in words if word.startswith(".L")}
    if '"' in text:
        words |= {_plain(f'"{name}"') for name in _QUOTED.findall(text)}
    return frozenset(words)


def read_assembly(strings: Iterable[str], *, inline: bool, triple: str) -> Assembly:
    """Reads the asm strings of a function, or of a module, in order.

    Each holds one character per byte, and may be assembled on its own. `inline`: as IR holds it, with
    operands as `$0`.
    """
    texts = tuple(strings)
    if not texts:
        return NOTHING
    hash_comments = not triple.startswith(("aarch64", "arm64", "arm", "thumb"))
    return _read(texts, inline, hash_comments)


@lru_cache(maxsize=1 << 14)
def _read(texts: tuple[str, ...], inline: bool, hash_comments: bool) -> Assembly:
    if inline and not any(map(_MORE.search, texts)):
        return Assembly(names=frozenset().union(*map(_inline_names, texts)))
    reader = _Reader(hash_comments)
    for text in texts:
        reader.names |= _inline_names(text) if inline else names_in(text)
        reader.read(_OPERAND.sub(_operand, text) if inline else text)
    return reader.finish()


def _inline_names(text: str) -> frozenset[str]:
    """The names in a piece of inline asm, with `$` as IR spells it (`$$`) and as the assembler sees it."""
    return names_in(text) | names_in(text.replace("$$", "$")) if "$$" in text else names_in(text)


def _operand(match: re.Match[str]) -> str:
    dollar, form, unique, word = match.groups()
    if dollar:
        return "$"
    if form:
        return " "
    if unique:
        return _UNIQUE
    if word == "comment":
        return "#"
    return "" if word else _HOLE


def _plain(symbol: str) -> str:
    """A symbol's name as symbol tables spell it."""
    if symbol[:1] == '"':
        symbol = re.sub(r"\\(.)", r"\1", symbol[1:-1], flags=re.DOTALL)
    return symbol.encode("latin-1", "replace").decode("utf-8", "surrogateescape")


class _Reader:
    def __init__(self, hash_comments: bool) -> None:
        self._split = _SPLIT[hash_comments]
        self.names: frozenset[str] = frozenset()
        self._defined: set[str] = set()
        self._exported: set[str] = set()
        self._weak: set[str] = set()
        self._changed: set[str] = set()
        self._versioned: set[str] = set()
        self._aliased: set[str] = set()
        self._counted: set[str] = set()
        self._local: set[str] = set()
        self._numbers: set[str] = set()
        self._numbered: set[str] = set()
        self._pushed = 0
        self._switched = False
        self._sections = False
        self._unclear = ""
        self._open = 0  # blocks of text that is kept or repeated

    def read(self, text: str) -> None:
        """Reads one string. What it switches holds for the next as well."""
        statement = ""
        for lexeme in self._split.findall(text):
            if lexeme in ("\n", ";"):
                self._statement(statement)
                statement = ""
            elif lexeme in ('"', "'", "/*"):
                self._doubt("a quote or comment that does not end")
            elif lexeme.startswith("/*"):
                statement += " "
            elif not lexeme.startswith("//") and not lexeme.lstrip(" \t").startswith("#"):
                statement += lexeme
            elif self._split is _SPLIT[False] and not lexeme.startswith("//"):
                # An immediate that follows a blank, unless it is the first on its line.
                statement += lexeme if statement.strip() else ""
        self._statement(statement)

    def finish(self) -> Assembly:
        if self._pushed:
            self._doubt("a section that is pushed and not popped")
        if self._open:
            self._doubt("a macro that does not end")
        if not self._numbered <= self._numbers:
            self._doubt("a numbered label of another asm statement")
        return Assembly(
            self.names,
            frozenset(self._defined),
            frozenset(self._exported - self._local),
            frozenset(self._weak),
            frozenset(self._changed),
            frozenset(self._versioned),
            frozenset(self._aliased),
            frozenset(self._counted),
            self._sections,
            self._unclear,
        )

    def _doubt(self, reason: str) -> None:
        self._unclear = self._unclear or reason

    def _statement(self, text: str) -> None:
        while match := _LABEL.match(text):
            if _NUMBER.fullmatch(match[1]):
                self._numbers.add(match[1])
            else:
                self._define(match[1])
            text = text[match.end() :]
        if not text.strip():
            return
        self._numbered.update(_NUMBERED.findall(text))
        first = _MNEMONIC.match(text)  # may end in an operand's size
        if ("\\" in text or _HOLE in text) and _PASTED.search(text, first.end() if first else 0):
            self._doubt("a name of several parts")
        if match := _ASSIGNMENT.match(text):
            self._assign(match[1], match[2])
        elif match := _DIRECTIVE.match(text):
            self._directive(match[1].lower(), match[2])
        elif text.lstrip()[0] in '"\\&':
            self._doubt("a statement made by a macro's argument")

    def _directive(self, word: str, rest: str) -> None:
        if word in _PLAIN or _FRAME.fullmatch(word):
            if "-" in rest:
                # A difference is known only where all that is in it is; what is added is not worth a look.
                self._counted.update(names_in(rest))
                if any(_HOLE in part.partition("-")[2] for part in _split_arguments(rest)):
                    self._doubt("a difference with an operand")
            return
        if word in _EXPORT:
            self._exported.update(self._symbols(rest))
        elif word == ".weak":
            found = self._symbols(rest)
            self._exported.update(found)
            self._weak.update(found)
            self._changed.update(found)
        elif word in _ATTRIBUTE:
            found = self._symbols(rest if word not in (".type", ".size") else rest.partition(",")[0])
            self._changed.update(found)
            if word == ".local":
                self._local.update(found)
        elif word in _SET or word == ".weakref":
            self._assign(*_halves(rest))
        elif word == ".symver":
            found = self._symbols(rest.partition(",")[0])
            self._versioned.update(found)
            self._aliased.update(found)
        elif word in (".comm", ".common", ".lcomm"):
            found = self._symbols(rest.partition(",")[0])
            self._defined.update(found)
            if word != ".lcomm":
                self._exported.update(found)
        elif word in _SECTION:
            self._sections = self._switched = True
            self._pushed += word == ".pushsection"
            if _HOLE in rest or "\\" in rest:
                self._doubt("a section named by an operand")
        elif word == ".popsection":
            self._pushed -= 1
            if self._pushed < 0:
                self._doubt("a section that is popped and not pushed")
        elif word == ".previous":
            if not self._switched:
                self._doubt("a return to a section that something else left")
        elif word in _BLOCK:
            self._begin(word, rest)
        elif word in _END:
            self._open -= word != ".exitm"
        else:
            self._doubt(f"the directive {word}")

    def _begin(self, word: str, rest: str) -> None:
        self._open += 1
        if word == ".irpc":
            self._doubt("a name of several parts")
        if word == ".macro":
            first = _FIRST.match(rest)
            name = _plain(first[1]) if first else ""
            if not name or name.startswith(".") or not re.fullmatch(r"[\w.$]+", name):
                self._doubt("a macro with a name of its own kind")
            self._once(name)

    def _once(self, name: str) -> None:
        if name in self._defined and name != ".":
            self._doubt(f"'{name}' is more than one thing")
        self._defined.add(name)

    def _define(self, symbol: str) -> None:
        escaped = symbol[0] == '"' and not self._open and "\\" not in re.sub(r'\\["\\]', "", symbol)
        if ("\\" in symbol and not escaped) or "&" in symbol:
            self._doubt("a symbol that a macro makes")
        elif _HOLE in symbol:
            self._doubt("a symbol named by an operand")
        elif _UNIQUE not in symbol:  # else nothing outside of the statement can name it
            self._once(_plain(symbol))

    def _assign(self, symbol: str, value: str) -> None:
        self._define(symbol.strip())
        if symbol.strip() != ".":  # else the current place is moved
            self._aliased.update(names_in(value))
        if _HOLE in value or "\\" in value:
            self._doubt("a symbol whose value is an operand")

    def _symbols(self, rest: str) -> set[str]:
        found = set()
        for part in _split_arguments(rest):
            match = _FIRST.match(part)
            if match is None:
                continue
            if _HOLE in match[1] or _UNIQUE in match[1] or "\\" in match[1] or "&" in match[1]:
                self._doubt("a symbol that an operand or a macro makes")
            else:
                # `.type` may have a blank before what follows, which no name holds.
                found.add(_plain(match[1]))
        return found


def _split_arguments(rest: str) -> list[str]:
    """What commas outside of quotes divide."""
    return re.findall(r'(?:"(?:[^"\\]|\\.)*"|[^,"])+', rest)


def _halves(rest: str) -> tuple[str, str]:
    first, *more = _split_arguments(rest) or [""]
    return first, ",".join(more)


def asm_words(strings: Iterable[str]) -> frozenset[str]:
    """The identifiers in asm text given as printed (escaped) strings."""
    return frozenset().union(*(names_in(unescape(text)) for text in strings))
