"""Shapes: pieces of IR without the spelling of what they name, so that numbers and names do not matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from typing import Protocol

from nativecache.aot.ir.syntax import TOKEN
from nativecache.aot.key import text_digest
from nativecache.linker.values import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """A piece of IR without the spelling of what it names, and those tokens, in order of first use.

    Names of values and contents of strings mean themselves, so they stay.
    """

    shape: bytes  # digest of the text with a rank in place of each token
    symbols: tuple[str, ...]  # tokens of globals
    others: tuple[str, ...]  # of types, attribute groups, metadata and comdats
    #: Symbols that are named more than once.
    repeated: tuple[str, ...]


def make_shape(text: str, types: Container[str]) -> Shape:
    """The shape of a piece of IR. `types`: tokens of its module's types, which are spelled like values."""
    parts = TOKEN.split(text)
    tokens = parts[1::2]
    symbols: list[str] = []
    others: list[str] = []
    ranks = {}
    for token in dict.fromkeys(tokens):
        if token[0] == "@":
            ranks[token] = f"\0@{len(symbols)}\0"
            symbols.append(token)
        elif token[0] == '"' or (token[0] == "%" and token not in types):
            ranks[token] = token
        else:
            ranks[token] = f"\0{len(others)}\0"
            others.append(token)
    parts[1::2] = map(ranks.__getitem__, tokens)
    repeated: Iterable[str] = ()
    if len(tokens) > len(ranks):
        counts = Counter(token for token in tokens if token[0] == "@")
        repeated = (token for token, count in counts.items() if count > 1)
    return Shape(text_digest("".join(parts)), tuple(symbols), tuple(others), tuple(repeated))


class ShapeStore(Protocol):
    """Where shapes of functions are kept by the digest of their text."""

    def shape(self, name: bytes) -> Shape | None:
        """The shape of the function whose text has this digest, if it is kept."""

    def add_shape(self, name: bytes, made: Shape) -> None:
        """Keeps the shape of the function whose text has this digest."""
