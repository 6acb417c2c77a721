"""Tells whether a program may show how its source file, or a header beside that, was called.

clang's preprocessor and parser give names of files to whoever asks: `__FILE__` and its like. Most programs
hold such a word somewhere, in a macro that is never used, as `assert` of a header. So macros are followed:
one that stands for such a word is such a word, too, and only one that stands elsewhere than in a `#define`
shows a name. It shows that of the file in which it stands, which matters where that is called otherwise.

As in `questions.py` no lexer tells comments from code: too many uses do no harm.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from nativecache.aot.front.questions import BLANK, DEFINE, GAP, KNOWN, spliced
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass

#: Macros that stand for the name of the file in which they are expanded.
_HERE: Final = (b"__FILE__", b"__FILE_NAME__")
#: What gives the name of another file than the one in which it stands: the source's, or a caller's.
_ELSEWHERE: Final = (
    b"__BASE_FILE__",
    b"__builtin_FILE",
    b"__builtin_FILE_NAME",
    b"__builtin_source_location",
)

_WORD: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_WORDS_ONLY: Final = bytes(n if n in _WORD else 32 for n in range(256))
#: Comments that begin a line, up to where they end: no string reaches into another line, but for raw ones.
_COMMENT: Final = re.compile(rb"^[ \t]*(?:/\*.*?\*/|//(?:(?!\*/)[^\n])*$)", re.DOTALL | re.MULTILINE)
#: A directive that reads a file by a name that a macro stands for, or an absolute one.
_ODD_READ: Final = re.compile(
    rb"(?:#|%:|\?\?=)"
    + GAP
    + rb"(?:include|include_next|import|embed|__include_macros)\b"
    + GAP
    + rb"(?:(?P<macro>[A-Za-z_]\w*)|[^\s/\"<]|/(?!\*)|[\"<][/\\\s]|\Z)",
    re.DOTALL,
)
#: Macros whose beginnings and ends are no common words.
_PREDEFINED: Final = (*_HERE, b"__BASE_FILE__")
#: So many pieces other words are put together from at the most.
_MOST_PIECES: Final = 4
_FIRST_ARGUMENT: Final = re.compile(rb"(\w+)\s*\(\Z")
#: A directive that reads a file by its name.
_READ: Final = re.compile(
    rb"(?:#|%:)" + GAP + rb"(?:include|include_next|import)" + GAP + rb"(?:<[^>\n]*>|\"[^\"\n]*\")"
)
_EMBEDS: Final = (b"embed", b"__has_embed")
_PASTES: Final = (b"##", b"%:%:", b"??=")


@dataclass(frozen=True, slots=True)
class NameText:
    """What matters of a file's text: the text, spliced, without comments that begin a line, and its words.

    `unclear`: it cannot be told which of its lines are directives; then all comments are there. `odd`: it may
    read a file whose name is no plain relative one, or embed any; besides those that macros stand for
    (`named_by`).
    """

    text: bytes
    words: frozenset[bytes]
    unclear: bool
    odd: bool
    named_by: frozenset[bytes]


def name_text(data: bytes) -> NameText:
    """What matters of the text of a file."""
    text = spliced(data)
    trigraph = b"??/" in text  # it may end a line, or go on in the next
    unclear = trigraph or b'R"' in text
    if not unclear:
        text = _COMMENT.sub(b" ", text)
    words = frozenset(text.translate(_WORDS_ONLY).split())
    reads = list(_ODD_READ.finditer(text))
    if not text.isascii():
        reads += _ODD_READ.finditer(BLANK.sub(b" ", text))
    odd = not words.isdisjoint(_EMBEDS) or trigraph or any(not found["macro"] for found in reads)
    return NameText(text, words, unclear, odd, frozenset(found["macro"] or b"" for found in reads))


def reads_oddly(texts: Iterable[NameText]) -> bool:
    """Whether the texts of a program may read files by names that are no plain relative ones."""
    texts = list(texts)
    if any(text.odd for text in texts):
        return True
    macros = frozenset().union(*(text.named_by for text in texts))
    # One that is defined nowhere names no file, and clang would have said so.
    return any(
        macro in text.words and re.search(rb"\bdefine" + GAP + re.escape(macro) + rb"\b", text.text)
        for text in texts
        for macro in macros
    )


def names_one(text: NameText, names: Iterable[bytes]) -> bool:
    """Whether a text that is not odd may read a file of one of some names, whatever folder it is in."""
    return any(re.search(rb"[\"</]" + re.escape(name) + rb"[\">]", text.text) for name in names)


def shows_name(files: Iterable[tuple[NameText, bool]]) -> bool:
    """Whether a program may show the name of one of its files. `files`: all, with whether theirs matters."""
    following = _Following(list(files))
    for words, elsewhere in ((_HERE, False), (_ELSEWHERE, True)):
        for word in words:
            following.add(word, elsewhere=elsewhere)
    return following.is_shown()


class _Following:
    """Follows the macros that stand for the name of a file."""

    def __init__(self, files: list[tuple[NameText, bool]]) -> None:
        self._files = files
        self._known: dict[bytes, bool] = {}
        self._waiting: list[bytes] = []
        self._pastes = any(sign in file.text for sign in _PASTES for file, _ in files)

    def add(self, word: bytes, *, elsewhere: bool) -> None:
        """Has a word followed; `elsewhere`: it may show another file's name than that of where it stands."""
        if word not in self._known or (elsewhere and not self._known[word]):
            self._known[word] = elsewhere
            self._waiting.append(word)

    def is_shown(self) -> bool:
        """Whether any of the words shows a name that matters."""
        while self._waiting:
            word = self._waiting.pop()
            if self._pastes and self._may_be_pasted(word):
                return True
            if any(
                word in file.words and self._is_used(word, file, matters) for file, matters in self._files
            ):
                return True
        return False

    def _is_used(self, word: bytes, file: NameText, matters: bool) -> bool:
        """Whether a word is used where that matters; has the macros that stand for it followed."""
        elsewhere = self._known[word]
        for line, at in _occurrences(word, file.text):
            # A comment may end in front of what looks like a directive's.
            clear = not file.unclear and b"*/" not in line and b"//" not in line[:at]
            if clear and (read := _READ.match(line)) and at < read.end():
                continue  # in the name of a file
            define = DEFINE.match(line) if clear else None
            if define and define.start("name") != at:
                self.add(define["name"], elsewhere=elsewhere)
            elif not define and (matters or elsewhere) and not (clear and KNOWN.search(line[:at])):
                return True
        return False

    def _may_be_pasted(self, word: bytes) -> bool:
        """Whether pieces that stand somewhere may be made one word by `##`.

        A piece that is only ever the left one is none of a word's end. Where ends and beginnings are common
        words, more than a few pieces are none of anybody's.
        """
        length = len(word)
        pieces = {word[start:end] for start in range(length) for end in range(start + 1, length + 1)}
        found = frozenset().union(*(pieces & file.words for file, _ in self._files)) - {word}
        fewest = {0: 0}  # of pieces that reach so far into the word from its beginning on
        for end in range(1, length):
            before = [fewest[start] for start in range(end) if start in fewest and word[start:end] in found]
            if before:
                fewest[end] = min(before) + 1
        most = length if word in _PREDEFINED else _MOST_PIECES
        lasts = [start for start in fewest if start > 0 and fewest[start] < most and word[start:] in found]
        return any(self._may_be_last(word[start:]) for start in lasts)

    def _may_be_last(self, piece: bytes) -> bool:
        """Whether a piece is anywhere something else than the left one of two, or a string of its own."""
        for file, _ in self._files:
            if piece not in file.words:
                continue
            for line, at in _occurrences(piece, file.text):
                before, after = line[:at].rstrip(), line[at + len(piece) :].lstrip()
                if after.startswith((b"##", b"%:%:")) and not before.endswith((b"#", b"%:")):
                    continue
                if _is_in_comment(line, at):
                    continue
                if line[at - 1 : at] in (b'"', b"'") and line[at + len(piece) :][:1] == line[at - 1 : at]:
                    continue
                call = _FIRST_ARGUMENT.search(before)
                if file.unclear or not (call and after[:1] == b"," and self._joins_first(call[1])):
                    return True
        return False

    def _joins_first(self, name: bytes) -> bool:
        """Whether a macro has its first argument as the left one of two only."""
        defined = False
        for file, _ in self._files:
            if name not in file.words:
                continue
            for line, at in _occurrences(name, file.text):
                define = DEFINE.match(line)
                if file.unclear or (b"*/" in line and b"define" in line):
                    return False
                if not define or define.start("name") != at:
                    continue
                first = (define["parameters"] or b"").split(b",")[0].strip()
                if not first or not re.fullmatch(
                    rb"\s*" + re.escape(first) + rb"\s*##\s*\w+\s*", define["body"]
                ):
                    return False
                defined = True
        return defined


def _occurrences(word: bytes, text: bytes) -> Iterable[tuple[bytes, int]]:
    """The lines in which a word stands, without blanks before, and where in each."""
    for match in re.finditer(rb"(?<![0-9A-Za-z_])" + word + rb"(?![0-9A-Za-z_])", text):
        start = text.rfind(b"\n", 0, match.start()) + 1
        end = text.find(b"\n", match.end())
        line = text[start : end if end >= 0 else None]
        stripped = line.lstrip()
        yield stripped, match.start() - start - (len(line) - len(stripped))


def _is_in_comment(line: bytes, at: int) -> bool:
    """Whether a place is surely in a comment that begins and ends in its line."""
    start = line.rfind(b"/*", 0, at)
    if start < 0 or b"*/" in line[start:at] or b"*/" not in line[at:]:
        return False
    return not any(sign in line[:start] for sign in (b'"', b"'", b"//"))
