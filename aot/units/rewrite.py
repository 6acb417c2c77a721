"""Rewrites printed IR with one unit's own tokens in place of the tokens of the modules that it comes from.

A text is split at its tokens (one regex); each different token is resolved once for each module, and the
parts are joined again. What a token becomes is for the unit's writer to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from nativecache.aot.ir.debug_info import RELATIVE
from nativecache.aot.ir.syntax import TOKEN
from nativecache.aot.units.lines import Lines, write_lines
from nativecache.aot.units.program import Definitions
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass

#: Types, metadata and declarations are written into many units: their splits are kept (0.3 s of
#: sqlite's 1.0 s extraction). Bodies are longer and written once. In characters of IR.
SHARED_TEXT: Final = 400

#: What a token becomes, given where it stands: its source, the token, the level (see Rewriter.rewrite), and
#: how often the profile has it called, if it knows.
Resolve = Callable[[Definitions, str, int, int | None], str]
#: A token, or a line that counts from the first of the range whose key it has.
_TOKEN_OR_LINE: Final = re.compile(
    rf"{TOKEN.pattern[:-1]}|(?<=ine: )-?\d+{RELATIVE}{RELATIVE}[^{RELATIVE}]*{RELATIVE})", re.ASCII
)
_NO_COUNTS: Final[Mapping[str, int]] = {}


@dataclass(frozen=True, slots=True)
class Pieces:
    """A text split at its tokens: odd parts are the tokens."""

    parts: list[str]
    tokens: list[str]
    different: tuple[str, ...]

    def join(self, known: Mapping[str, str]) -> str:
        """The text with what `known` has for each of its tokens. Raises KeyError if it lacks one."""
        parts = self.parts.copy()
        parts[1::2] = map(known.__getitem__, self.tokens)
        return "".join(parts)


def _split(text: str) -> Pieces:
    return _pieces(TOKEN.split(text))


def split_node(text: str) -> Pieces:
    """A node of debug information split at its tokens, and at the lines that have the key of their range.

    Strings stay what they are.
    """
    return _pieces(_join_strings((_TOKEN_OR_LINE if RELATIVE in text else TOKEN).split(text)))


def _pieces(parts: list[str]) -> Pieces:
    tokens = parts[1::2]
    return Pieces(parts, tokens, tuple(dict.fromkeys(tokens)))


def _join_strings(parts: list[str]) -> list[str]:
    """The same text split at the tokens that are no strings."""
    joined = parts[:1]
    for token, rest in zip(parts[1::2], parts[2::2], strict=True):
        if token[0] == '"':
            joined[-1] += token + rest
        else:
            joined += (token, rest)
    return joined


_split_shared = lru_cache(maxsize=1 << 17)(_split)


class Rewriter:
    """What the tokens of each module are called in one unit, and the rewriting of texts with that."""

    def __init__(self, resolve: Resolve, lines: Lines) -> None:
        """`resolve` says what a token becomes that is new to the unit, `lines` how lines are written."""
        self.resolve = resolve
        self._lines = lines
        self._known: dict[int, dict[str, str]] = {}

    def close(self) -> None:
        """Lets go of what resolves tokens, which holds this rewriter: workers collect no cycles (pool.py)."""
        del self.resolve

    def known(self, source: Definitions) -> dict[str, str]:
        """The unit's tokens by those of a source's module, as far as they are resolved; may be added to."""
        return self._known.setdefault(id(source.module), {})

    def token(self, source: Definitions, token: str) -> str:
        """What a token of the source is called in the unit, apart from any code that names it."""
        known = self.known(source)
        if token not in known:
            known[token] = self.resolve(source, token, 0, None)
        return known[token]

    def pieces(self, source: Definitions, text: str) -> Pieces:
        """A piece of the source's IR split at its tokens, its lines written; it may be shared."""
        if RELATIVE in text:
            debug = source.module.debug
            assert debug is not None
            text = write_lines(text, source.label, debug.scopes, self._lines)
        return _split_shared(text) if len(text) < SHARED_TEXT else _split(text)

    def rewrite(
        self, source: Definitions, text: str, calls: frozenset[str] = frozenset(), level: int = 0
    ) -> str:
        """A piece of the source's IR with the unit's tokens; new ones are resolved in order of first use.

        `level`: how far from the unit's own code the text is, 0 if it is no code. What the code `calls` is
        resolved with that, what it only mentions with its negative.
        """
        known = self.known(source)
        pieces = self.pieces(source, text)
        counts = source.module.profile.call_counts(text) if level and " !prof " in text else _NO_COUNTS
        for token in pieces.different:
            if token not in known:
                near = level if token in calls else -level
                known[token] = self.resolve(source, token, near, counts.get(token))
        return pieces.join(known)
