"""What asm does to symbols. `assembly.py` finds it out, where there is any asm."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from nativecache.linker.values import dataclass


@dataclass(frozen=True, slots=True)
class Assembly:
    """What a piece of asm does to symbols, which are given by name as symbol tables spell them.

    `names`: all that it may name, for whatever purpose. `defined`: labels, values, aliases, macros and their
    like. `exported`: made visible to other files, `weak` also those that others may replace. `changed`: given
    an attribute, type or size. `versioned`: given a version, which may take its own name away. `aliased`:
    what it gives another name to. `counted`: what it takes differences of. `sections`: whether it puts
    anything elsewhere than where it stands. `unclear`: why it cannot be told what it does, or nothing.
    """

    names: frozenset[str] = frozenset()
    defined: frozenset[str] = frozenset()
    exported: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    versioned: frozenset[str] = frozenset()
    aliased: frozenset[str] = frozenset()
    counted: frozenset[str] = frozenset()
    sections: bool = False
    unclear: str = ""

    @property
    def made(self) -> frozenset[str]:
        """All that would be something else, or nothing, without this piece."""
        return self.defined | self.changed | self.versioned

    @classmethod
    def union(cls, pieces: Collection[Assembly]) -> Assembly:
        """What several pieces do together."""

        def together(field: str) -> frozenset[str]:
            return frozenset().union(*(getattr(piece, field) for piece in pieces))

        return cls(
            names=together("names"),
            defined=together("defined"),
            exported=together("exported"),
            weak=together("weak"),
            changed=together("changed"),
            versioned=together("versioned"),
            aliased=together("aliased"),
            counted=together("counted"),
            sections=any(piece.sections for piece in pieces),
            unclear=next((piece.unclear for piece in pieces if piece.unclear), ""),
        )


NOTHING: Final = Assembly()
