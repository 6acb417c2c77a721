"""Many symbol names in one string. A build holds such lists for every unit, and a name on its own takes as
much memory as ten of these. No name holds a NUL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain


def pack(names: Iterable[str]) -> str:
    """One string of some names."""
    return "\0".join(names)


def unpack(packed: str) -> list[str]:
    """The names in it."""
    return packed.split("\0") if packed else []


def pack_pairs(names: Mapping[str, str]) -> str:
    """One string of what names stand for."""
    return pack(chain.from_iterable(names.items()))


def unpack_pairs(packed: str) -> dict[str, str]:
    """What the names in it stand for."""
    names = iter(unpack(packed))
    return dict(zip(names, names, strict=True))
