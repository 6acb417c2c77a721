"""Gives nodes content tokens: digests of all that can be seen from a node, the same in any module.

A token is `!` and 20 decimal digits. A node of a function's own has 4 more: its place in the function's
group.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from nativecache.aot.debug.syntax import REFERENCE
from nativecache.aot.ir.debug_info import Nodes
from nativecache.linker import lazy_re as re

_REFERENCE_WITHOUT_STRINGS: Final = re.compile(r"(!\d+)", re.ASCII)


def digits(text: str) -> str:
    """A digest of a text as a number of 20 digits, the first 8 bytes of its SHA-256."""
    return f"{int.from_bytes(hashlib.sha256(text.encode('latin-1')).digest()[:8], 'little'):020}"


def respell(body: str, name: Callable[[str], str]) -> str:
    """A node's body with what `name` makes of each node that it refers to."""
    parts = REFERENCE.split(body)
    for at in range(1, len(parts), 2):
        if parts[at][0] == "!":
            parts[at] = name(parts[at])
    return "".join(parts)


class Tokens:
    """The tokens of a module's nodes, by number, and the nodes' new bodies, by token."""

    def __init__(self) -> None:
        self.by_node: dict[str, str] = {}
        self.nodes = Nodes()
        self._claimed: Counter[str] = Counter()

    def add(self, body: str) -> str:
        """The token of a node that is the same as any with its body."""
        token = f"!{digits(body)}"
        self.nodes.add(token, body)
        return token

    def add_distinct(self, body: str) -> str:
        """The token of a node with an identity: another one with the same body gets another token."""
        token = f"!{self.claim(body)}"
        self.nodes.add(token, body)
        return token

    def claim(self, text: str) -> str:
        """Digits for a text, others each time that it comes."""
        self._claimed[text] += 1
        count = self._claimed[text]
        return digits(text if count == 1 else f"{text}\0{count}")


class TextTokens(dict[str, str]):
    """What stands for each node in a module's text: a location as it is written, or a token.

    `known` are locations, `name` is asked for the token of any other node when it first comes.
    """

    def __init__(self, known: Mapping[str, str], name: Callable[[str], str]) -> None:
        super().__init__(known)
        self._name = name

    def __missing__(self, n: str) -> str:
        found = self[n] = self._name(n)
        return found

    def spell(self, text: str) -> str:
        """A text with what stands for each node in the node's place."""
        if '"' not in text:
            parts = _REFERENCE_WITHOUT_STRINGS.split(text)
            parts[1::2] = map(self.__getitem__, parts[1::2])
            return "".join(parts)
        parts = REFERENCE.split(text)
        for at in range(1, len(parts), 2):
            if parts[at][0] == "!":
                parts[at] = self[parts[at]]
        return "".join(parts)
