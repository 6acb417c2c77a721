"""What became of a unit, apart from its object."""

from __future__ import annotations

from nativecache.linker.values import dataclass


@dataclass(frozen=True, slots=True)
class UnitResult:
    """How a unit's object comes into the image: under which names, and with which lines.

    `own` is a digest of the unit's own definitions, without what they refer to. The rest is encoded, for a
    build holds one of these for each unit: `bindings` pairs of the object's symbols and the program's,
    `line_map` what its encoded lines stand for, `fixups` where they are in the object; both empty where it
    has no debug information.
    """

    key: str
    own: str
    bindings: str
    line_map: str = ""
    fixups: str = ""
