"""Finds what a source text asks of the file system that no depfile tells: names for which there is no file.

A question is `__has_include(<x.h>)` and its kin, asked directly or through macros (`#define HAS(x)
__has_include(x)`). Files that are there are in the depfile. So are all names that stand in questions in the
text noted, whether clang came by them or not: too many do no harm. Where a name cannot be told from the text,
that is said, and the answer is not kept.

No lexer tells comments from code here, for whoever errs about one (a raw string, an apostrophe in `#if 0`)
errs about all that follows. Questions are answered in `#if` lines and stand in those or in macros, so only
lines in which a `#` comes first, or a comment's end, can matter; of these, all that might be a question is
taken for one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass

if TYPE_CHECKING:
    from re import Pattern

_WORDS: Final = (b"__has_include", b"__has_include_next", b"__has_embed")

#: A byte order mark, and what clang takes for blanks besides (clang/lib/Lex/UnicodeCharSets.h).
BLANK: Final = re.compile(
    rb"\A\xef\xbb\xbf|\xc2[\x85\xa0]|\xe1\x9a\x80|\xe1\xa0\x8e|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]|\xe2\x81\x9f|\xe3\x80\x80"
)
_SPLICE: Final = re.compile(rb"\\[ \t\f\v]*\n")
#: The end of a line as clang has it behind a backslash, too.
_BACKWARDS: Final = re.compile(rb"(?<=\\)\n\r|(?<=\\[ \t\f\v])\n\r")
_COMMENT: Final = re.compile(rb"//|/\*")
GAP: Final = rb"(?:\s|/\*(?:(?!\*/).)*\*/)*"
_MATTERS: Final = re.compile(rb"(?:#|%:)" + GAP + rb"(?:(?:el)?if\b|define\b|/\*|$)")
_DIRECTIVE: Final = re.compile(rb"(?:#|%:)" + GAP + rb"(\w+)")
DEFINE: Final = re.compile(
    rb"(?:#|%:)" + GAP + rb"define" + GAP + rb"(?P<name>\w+)(?:\((?P<parameters>[^)]*)\))?(?P<body>.*)"
)
KNOWN: Final = re.compile(
    rb"(?:\bdefined" + GAP + rb"\(?|(?:#|%:)" + GAP + rb"(?:ifn?def|undef))" + GAP + rb"$"
)
_LITERAL: Final = re.compile(GAP + rb"\(" + GAP + rb"(?:<([^>\n]+)>|\"([^\"\n]+)\")")
_CALL: Final = re.compile(rb"(\w+)" + GAP + rb"\(")
_ARGUMENT: Final = re.compile(GAP + rb"\(" + GAP + rb"(\w+)" + GAP + rb"\)")
_WORD: Final = re.compile(rb"\w+")
_PASTE: Final = re.compile(rb"##|%:%:")

#: Macros of clang's own whose names do not begin with two underscores; all stand for 1.
_PREDEFINED: Final = (b"linux", b"unix", b"i386", b"mips", b"sparc", b"PPC", b"vax", b"pixel")

#: So many spellings of one name are noted, if macros are expanded in it.
_MOST_NAMES: Final = 16

_TIMES: Final = (b"__DATE__", b"__TIME__", b"__TIMESTAMP__")
_TIME: Final = re.compile(rb"__(?:DATE|TIME|TIMESTAMP)__")
#: What may keep clang from saying that it met one: a pragma by which -Wdate-time is ignored, in odd forms.
_IGNORED: Final = re.compile(rb"\bignored\b(?!\s*\\?\"-W[\w+=-]+\\?\"(?!\s*(?:\\\"|\"\s*[^\s)])))")
#: The name of a warning in several literals, which clang makes one, or with escapes in it.
_PIECED: Final = re.compile(rb"\"-(?:W[\w+=-]*(?:\\?\"\s*\\?\"[\w+=-]|\\+\w)|\\?\"\s*\\?\"W)")

#: Directives by which an assembler reads another file, whole or in pieces that strings or macros make one.
_ASSEMBLER: Final = (
    re.compile(rb"incbin"),
    re.compile(rb"\.i(?:nclude\b|(?:n|nc|ncb|ncbi|ncl|nclu|nclud)?(?:\"|\s*##|\\(?:[xuo0-7]|n\{)))"),
    # The dot and the first letter as escapes.
    re.compile(rb"\\(?:x0*2e|x\{0*2e|0?56|o\{0*56|u\{?0*2e|n\{full)"),
    re.compile(rb"\.\\(?:x\{?0*[46]9|1[15]1|o\{0*1[15]1|u\{?0*[46]9|n\{latin)"),
    # A piece in clang's choice between dialects.
    re.compile(rb"\.(?:in?|inc(?:bi?|lu?|lud)?)?\{"),
    re.compile(rb"define[ \t]+\w+[ \t]+include\b"),
)
#: A dot that stands alone, at the end of a literal that another piece follows, or in what may become one.
_ASSEMBLER_DOT: Final = (
    re.compile(
        rb"\.\"(?:(?<=[^\w)\]'.>].\")|(?<=\\\w.\")|(?<=\\\w\w.\")|(?<=\\\w\w\w.\"))"
        + (GAP + rb"(?:[\"\w#]|\Z)")
    ),
    re.compile(rb"\.(?:(?<=[(;].)|(?<=[(;]\s.))\s*[),#a-z_]|\.(?:(?<=,.)|(?<=,\s.))\s*[),#]"),
    re.compile(rb"define[ \t]+\w+(?:\([^)\n]*\))?[ \t]+\.(?!\.)"),
)
#: Pieces that a dot may precede.
_ASSEMBLER_PIECES: Final = (
    re.compile(rb"include(?:(?<=\"include)\s*[\"\\]|(?<=[(,\s]include)\s*[\"),])"),
    re.compile(rb"\"i(?:n|nc|ncb|ncbi|ncl|nclu|nclud)?\"\s*[\"\w]"),
    re.compile(rb"inc(?:(?<=\binc)|(?<=\"inc))\s*(?:##|,\s*(?:bin|lude)\b)"),
    re.compile(rb"##\s*(?:bin|c?lude)\b"),
)
_ASSEMBLER_MACRO: Final = re.compile(rb"\.(?:macro|irpc?|altmacro)\b")
_ASSEMBLER_PARAMETER: Final = re.compile(rb"\.\w*\\")
#: A raw string's beginning; letters are small.
_RAW: Final = re.compile(rb'r"(?:(?<=\br")|(?<=\b[ul]r")|(?<=\bu8r"))[^ ()\\\t\v\f\n]{0,16}\(')
_COMMENT_LINE: Final = re.compile(rb"^[ \t]*/\*", re.MULTILINE)
#: `#pragma GCC dependency` compares files' times; an alias is another name to look for.
_COMPILER: Final = re.compile(rb"\b(?:GCC|clang)\Z")


@dataclass(frozen=True, slots=True)
class Text:
    """What matters of a source text: its lines with directives, spliced, and what it may do besides.

    `times`: it names a macro for the time of day. `hushed`: it may keep clang from telling that such a macro
    was met. `odd`: a pragma that looks at more files.
    """

    lines: bytes
    tokens: frozenset[bytes]
    pastes: bool
    times: bool
    hushed: bool
    odd: str


def read_text(data: bytes) -> Text:
    """What matters of a source file's text: directives, and what it may do besides."""
    text = spliced(data)
    if not data.isascii() and BLANK.search(data):  # where they are blanks, and where they are in a name
        text += b"\n" + spliced(BLANK.sub(b" ", data))
    if b"??/" in data or b"??=" in data:  # with trigraphs, and without
        text += b"\n" + spliced(data.replace(b"??/", b"\\").replace(b"??=", b"#"))
    matter = list(_lines_that_matter(text))
    lines = b"\n".join(matter)
    times = b"__DATE__" in text or b"__TIME" in text
    hushed = b"-Wdate-time" in text or b"-Weverything" in text
    hushed |= b'"-' in text and b"ignored" in text and bool(_PIECED.search(text))
    hushed |= b"ignored" in text and (b"_Pragma" in text or b"pragma" in text) and _hushes_oddly(text)
    return Text(
        lines,
        # A macro with statements in it is for no `#if`.
        frozenset(_WORD.findall(b"\n".join(line for line in matter if not _has_statements(line)))),
        bool(_PASTE.search(lines)),
        bool(times and _TIME.search(text)),
        hushed,
        _odd_pragma(text),
    )


def _has_statements(line: bytes) -> bool:
    code = _COMMENT.split(line, 1)[0]
    return b"define" in code and (b";" in code or b"{" in code)


def _lines_that_matter(text: bytes) -> Iterator[bytes]:
    """Lines with `#if`, `#elif`, `#define` or what may be one, and with something behind a comment."""
    starts: set[int] = set()
    for sign in (b"#", b"%:", b"*/"):
        at = text.find(sign)
        while at >= 0:
            end = text.find(b"\n", at)
            if end < 0:
                end = len(text)
            start = text.rfind(b"\n", 0, at) + 1
            before = text[start:at].strip()
            if sign == b"*/":
                matters = bool(text[at + 2 : end].strip())
            else:  # only comments may stand before a directive
                matters = (not before or b"*/" in before) and bool(_MATTERS.search(text, at, end))
            if matters:
                starts.add(start)
            at = text.find(sign, end)
    for start in sorted(starts):
        end = text.find(b"\n", start)
        yield text[start : end if end >= 0 else None]


class AssemblerParts(NamedTuple):
    """What of a directive by which an assembler reads a file may be in a text."""

    whole: bool
    dot: bool
    piece: bool
    macro: bool
    parameter: bool


def assembler_parts(data: bytes, *, assembly: bool = False) -> AssemblerParts:
    """What of a directive by which an assembler reads a file may be in a text, or in one in `assembly`."""
    text = spliced(data).lower()
    # No string reaches into another line, for lines are spliced, but for a raw one; trigraphs splice, too.
    # Those of an assembler do.
    strings_end = not assembly and not _RAW.search(text) and b"??/" not in text

    def has(expression: Pattern[bytes]) -> bool:
        found = (match.start() for match in expression.finditer(text))
        return any(
            not (strings_end and _is_in_comment_lines(text, at))
            for at in found
            if not text.startswith(b"include", at) or _is_piece(text, at)
        )

    return AssemblerParts(
        any(map(has, _ASSEMBLER)),
        assembly or any(map(has, _ASSEMBLER_DOT)),
        any(map(has, _ASSEMBLER_PIECES)),
        has(_ASSEMBLER_MACRO),
        has(_ASSEMBLER_PARAMETER),
    )


def has_assembler_read(texts: Iterable[AssemblerParts]) -> bool:
    """Whether the texts of a program may have an assembler read a file: parts of it may be in several."""
    texts = list(texts)
    if any(text.whole for text in texts):
        return True
    in_pieces = any(text.dot for text in texts) and any(text.piece for text in texts)
    return in_pieces or (any(text.macro for text in texts) and any(text.parameter for text in texts))


def _is_piece(text: bytes, at: int) -> bool:
    """Whether blanks before a place, if there are any, stand behind a parenthesis or a comma."""
    before = text[max(0, at - 80) : at]
    return not before[-1:].isspace() or before.rstrip()[-1:] in (b"(", b",", b"")


def _is_in_comment_lines(text: bytes, at: int) -> bool:
    """Whether a place is in a comment that begins a line; where no string does, there is no doubt of that."""
    end = text.rfind(b"*/", 0, at)
    return bool(_COMMENT_LINE.search(text, end + 2 if end >= 0 else 0, at))


def spliced(data: bytes) -> bytes:
    """A text with each line in one: ends of lines behind backslashes are gone."""
    if b"\r" in data:
        data = _BACKWARDS.sub(b"\n", data)
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\\" in data:
        data = _SPLICE.sub(b"", data)
    return data.replace(b"\0", b" ")  # behind a backslash it is none


def _hushes_oddly(text: bytes) -> bool:
    for at in _places(text, b"ignored"):  # the expression alone takes ten times as long
        if not _IGNORED.match(text, at):
            continue
        line = text[text.rfind(b"\n", 0, at) + 1 : at]
        if _is_in_comment(line):
            continue
        if b"#" in line or b"%:" in line or b"ragma" in line.lower():
            return True
    return False


def _places(text: bytes, word: bytes) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + 1)


def _odd_pragma(text: bytes) -> str:
    """A pragma that looks at more files, or ""."""
    if b"include_alias" in text:
        return "include_alias"
    for at in _places(text, b"dependency"):
        if _COMPILER.search(text, max(0, (end := _behind(text, at)) - 6), end):
            return "dependency"
    return ""


def _behind(text: bytes, at: int) -> int:
    """Where what stands before a place ends, blanks and comments left out."""
    while True:
        while at and text[at - 1] in b" \t\n\v\f\r":
            at -= 1
        if text[at - 2 : at] != b"*/":
            return at
        # A comment begins with the first sign for one behind the end of the last.
        begin = text.find(b"/*", max(0, text.rfind(b"*/", 0, at - 2) + 2), at - 2)
        if begin < 0:
            return at
        at = begin


def preprocessor_words(flags: Sequence[str]) -> list[str]:
    """Flags as clang's preprocessor is given them, also behind `-Wp,` and `-Xpreprocessor`."""
    plain = (flag for flag in flags if flag != "-Xpreprocessor")
    return [word for flag in plain for word in (flag.split(",")[1:] if flag.startswith("-Wp,") else [flag])]


def macro_definitions(flags: Sequence[str]) -> bytes:
    """The directives that flags which define macros stand for (`-D`, also behind `-Wp,`)."""
    lines: list[str] = []
    words = preprocessor_words(flags)
    for before, word in zip(["", *words], words, strict=False):
        if before in ("-D", "--define-macro"):
            name, _, value = word.partition("=")
        elif word.startswith(("-D", "--define-macro=")):
            name, _, value = word.removeprefix("-D").removeprefix("--define-macro=").partition("=")
        else:
            continue
        lines.append(f"#define {name} {value}")
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def depends_on_time(texts: Sequence[Text], tokens: Callable[[], frozenset[bytes]]) -> bool:
    """Whether texts may say what time it is, judged by their letters alone.

    `tokens` gives all words in them, and in flags: pieces of a macro's name may stand anywhere.
    """
    if any(text.times for text in texts):
        return True
    if not any(text.pastes for text in texts):
        return False
    words = tokens()
    return any(_in_pieces(name, words) for name in _TIMES)


def all_tokens(texts: Iterable[bytes]) -> frozenset[bytes]:
    """All words in some source texts."""
    return frozenset().union(*(_WORD.findall(spliced(text)) for text in texts))


def _in_pieces(name: bytes, tokens: frozenset[bytes], most: int = 3) -> bool:
    """Whether pasting two or more tokens, `most` at the most, gives a name."""

    def rest(start: int, left: int) -> bool:
        return any(
            name[start:end] in tokens and (end == len(name) or (left > 1 and rest(end, left - 1)))
            for end in range(start + 1, len(name) + (start > 0))
        )

    return rest(0, most)


class Unclear(Exception):
    """A `__has_include` whose name the text does not tell; with the line that asks it."""


def names_asked_for(texts: Iterable[Text]) -> tuple[str, ...]:
    """The names that the texts of a program may ask for. Raises Unclear if some cannot be told."""
    texts = list(texts)
    asking = _Asking(texts)
    asking.follow(_WORDS)
    return tuple(dict.fromkeys(map(os.fsdecode, asking.names)))


class _Asking:
    """Follows the macros that stand for a question."""

    def __init__(self, texts: list[Text]) -> None:
        self._texts = texts
        self._defined: dict[bytes, set[bytes | None]] | None = None
        self.names: list[bytes] = []
        self._pastes = any(text.pastes for text in texts)
        # The words themselves are looked at wherever they stand.
        self._tokens = frozenset().union(*(text.tokens for text in texts)).difference(_WORDS)

    def follow(self, words: Iterable[bytes]) -> None:
        """Notes what the words are asked, and what other macros are asked that stand for them."""
        seen: set[bytes] = set()
        waiting = list(words)
        while waiting:
            word = waiting.pop()
            if word in seen:
                continue
            seen.add(word)
            if self._pastes and _in_pieces(word, self._tokens):
                raise Unclear(os.fsdecode(word) + ", which may be put together by ##")
            for line, at in self._occurrences(word):
                other = self._judge(line, at, word)
                if other:
                    waiting.append(other)

    def _occurrences(self, word: bytes) -> Iterator[tuple[bytes, int]]:
        expression = re.compile(rb"(?<!\w)%s(?!\w)" % word)
        for text in self._texts:
            if word not in text.lines:
                continue
            for match in expression.finditer(text.lines):
                start = text.lines.rfind(b"\n", 0, match.start()) + 1
                end = text.lines.find(b"\n", match.end())
                line = text.lines[start : end if end >= 0 else None]
                yield line, match.start() - start

    def _judge(self, line: bytes, at: int, word: bytes) -> bytes | None:
        """Notes the name of one question. A macro that asks in its turn is returned."""
        before, after = line[:at], line[at + len(word) :]
        directives = _DIRECTIVE.findall(before)
        if not directives and b"*/" not in before:
            return None  # no `#` before it: in a comment, or for nothing
        if directives and not {b"if", b"elif", b"define"}.intersection(directives):
            return None
        if KNOWN.search(before) or _is_in_comment(before):
            return None
        define = DEFINE.search(line) if b"define" in directives else None
        if b"define" in directives and not define:
            raise Unclear(_shown(line))
        if define and define.start("name") == at:
            return None  # what it stands for is looked at where it is used
        direct = word in _WORDS
        if literal := _LITERAL.match(after):
            name = literal[1] or literal[2]
            others = set(_CALL.findall(before)).difference(_WORDS, (b"defined", b"if", b"elif"))
            if direct and not define and not others:
                self.names.append(name)  # no macro is expanded in it
            else:
                self._note_expanded(name, line, _parameters(define))
            return None
        if define:
            parameters = _parameters(define)
            argument = _ARGUMENT.match(after)
            if len(parameters) == 1 and argument and argument[1] in parameters:
                return define["name"]
            if not parameters and define["parameters"] is None and not after.strip(b" \t)"):
                if not define["body"].strip(b" \t(").startswith(word):
                    raise Unclear(_shown(line))
                return define["name"]
        raise Unclear(_shown(line))

    def _note_expanded(self, name: bytes, line: bytes, parameters: Sequence[bytes]) -> None:
        """A name in a macro or its arguments: what looks like a macro in it is one."""
        names = [b""]
        for part in re.split(rb"(\w+)", name):
            values = self._values(part)
            if part.startswith(b"__") or part in parameters or b" " in part:
                values = None
            if values is None or len(names) * len(values) > _MOST_NAMES:
                raise Unclear(_shown(line))
            names = [before + value for before in names for value in values]
        self.names += names

    def _values(self, word: bytes) -> list[bytes] | None:
        """What a word in a name may be expanded to, itself first; None if that cannot be told."""
        values = [word]
        for value in values:
            for body in self._macros().get(value, ()):
                if body is None:
                    return None
                if body not in values:
                    values.append(body)
        return values

    def _macros(self) -> dict[bytes, set[bytes | None]]:
        """What macros without parameters stand for: a word or nothing, else None."""
        if self._defined is None:
            self._defined = {name: {b"1"} for name in _PREDEFINED}
            for text in self._texts:
                for match in DEFINE.finditer(text.lines):
                    if match["parameters"] is None:
                        body = match["body"].strip()
                        simple = body if not body or _WORD.fullmatch(body) else None
                        self._defined.setdefault(match["name"], set()).add(simple)
        return self._defined


def _parameters(define: re.Match[bytes] | None) -> tuple[bytes, ...]:
    if not define or define["parameters"] is None:
        return ()
    names = (name.strip().removesuffix(b"...").rstrip() for name in define["parameters"].split(b","))
    return tuple(name or b"__VA_ARGS__" for name in names)


def _is_in_comment(before: bytes) -> bool:
    """Whether what follows is in a `//` comment for certain, whatever came in the lines above."""
    start = before.find(b"//")
    if start < 0:
        return False
    code, comment = before[:start], before[start:]
    return not (any(sign in code for sign in (b'"', b"'", b"<")) or b'"' in comment or b"*/" in comment)


def _shown(line: bytes) -> str:
    return line.strip()[:60].decode("utf-8", "replace")
