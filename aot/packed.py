"""Many symbol names in one string. A build holds such lists for every unit, and a name on its own takes as
much memory as ten of these. No name holds a NUL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain


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
