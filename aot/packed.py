"""Many names, of symbols or nodes, in one string. A build holds such lists for every unit, and a name on its
own takes as much memory as ten of these. No name holds a NUL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

#: Digits of a node's token, of one that is a function's own, and of the place of the latter in its group.
_PLAIN, _OWN, RANK = 20, 24, 4


def encode_names(names: Iterable[str]) -> str:
    """One string of some names, as `decode_names` takes it."""
    return "\0".join(names)


def decode_names(packed: str) -> list[str]:
    """The names in a string that `encode_names` made."""
    return packed.split("\0") if packed else []


def encode_pairs(names: Mapping[str, str]) -> str:
    """One string of pairs of names, as `decode_pairs` takes it."""
    return encode_names(chain.from_iterable(names.items()))


def decode_pairs(packed: str) -> dict[str, str]:
    """The pairs of names in a string that `encode_pairs` made."""
    names = iter(decode_names(packed))
    return dict(zip(names, names, strict=True))


def encode_nodes(tokens: Iterable[str]) -> str:
    """One string of the tokens of a module's nodes, as `decode_nodes` takes it.

    Most are one function's own: of these the first is spelled as a whole, the others by their place.
    """
    parts, head = [], ""
    for token in tokens:
        part = token[1:]
        if len(part) == _OWN:
            known, head = head, part[:_PLAIN]
            part = part[_PLAIN:] if known == head else part
        parts.append(part)
    return ",".join(parts)


def decode_nodes(packed: str) -> list[str]:
    """The tokens in a string that `encode_nodes` made. Raises ValueError for most other strings."""
    tokens, head = [], ""
    for part in packed.split(",") if packed else ():
        if not (part.isascii() and part.isdigit()) or len(part) not in (
            _PLAIN,
            _OWN,
            RANK if head else _OWN,
        ):
            raise ValueError("no token of a node")
        if len(part) == _OWN:
            head = part[:_PLAIN]
        tokens.append(f"!{head}{part}" if len(part) == RANK else f"!{part}")
    return tokens
