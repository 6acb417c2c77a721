"""What is known of a module's debug information once it is normalised (see debug/normaliser.py)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from nativecache.aot.packed import decode_names, encode_names
from nativecache.linker.lines import MIDDLE, RANGE_SHIFT

#: Marks a line that counts from the first of its range, `3\1`, which the scope that follows tells, or else a
#: key does, `3\1\1key\1`. LLVM prints no such character.
RELATIVE: Final = "\1"
#: Stands around the key of the function in whose scope a type is.
LOCAL_TO: Final = "\2"
#: Stands for a line that is kept by the node's token.
ELSEWHERE: Final = "\3"
#: Stands around the key of a line that is part of a name.
IN_NAME: Final = "\4"
NAMED_LINE: Final = re.compile(rf"{IN_NAME}([^{IN_NAME}]*){IN_NAME}")


@dataclass(frozen=True, slots=True)
class LineMap:
    """What the lines in a unit's text stand for, by their encoding (linker/lines.py).

    All are pairs of a module's label and: `ranges`, a key; `lines`, the token of a declaration; `names`, the
    key of a line that is part of a name.
    """

    ranges: tuple[tuple[str, str], ...] = ()
    lines: tuple[tuple[str, str], ...] = ()
    names: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        """Whether there are any lines."""
        return bool(self.ranges or self.lines or self.names)

    def encode(self) -> str:
        """As packed.py packs names: how many ranges and lines there are, then all labels and keys."""
        if not self:
            return ""
        flat = [part for place in (*self.ranges, *self.lines, *self.names) for part in place]
        return encode_names([str(len(self.ranges)), str(len(self.lines)), *flat])

    @classmethod
    def decode(cls, packed: str) -> LineMap:
        """The map that `encode` packed."""
        if not packed:
            return cls()
        ranges, lines, *flat = decode_names(packed)
        n, m = int(ranges), int(ranges) + int(lines)
        pairs = tuple(zip(flat[::2], flat[1::2], strict=True))
        return cls(pairs[:n], pairs[n:m], pairs[m:])

    def decode_line(self, line: int) -> tuple[int, str]:
        """How far a line is from the first of its range, and the range's key."""
        return (line & ((1 << RANGE_SHIFT) - 1)) - MIDDLE, self.ranges[(line >> RANGE_SHIFT) - 1][1]

    def declared(self, line: int) -> tuple[str, str]:
        """The declaration whose line this is."""
        return self.lines[line - MIDDLE]


NO_LINES: Final = LineMap()


class Nodes(Mapping[str, str]):
    """Nodes by content token. A function's own are spelled when the first of them is asked for."""

    def __init__(self) -> None:
        """Without any nodes."""
        self._bodies: dict[str, str] = {}
        self._groups: dict[str, str] = {}  # by the 21 characters that their tokens begin with

    def add(self, token: str, body: str) -> None:
        """Adds one node."""
        self._bodies[token] = body

    def add_group(self, head: str, text: str) -> None:
        """Adds a function's own nodes, a line each, whose tokens are `head` and four digits of their rank.

        In the text a NUL stands for `head` without its `!`.
        """
        self._groups[head] = text

    def __getitem__(self, token: str) -> str:
        """The body of a node. Raises KeyError if there is none of that token."""
        found = self._bodies.get(token)
        if found is None:
            head = token[:21]
            bodies = self._groups[head].replace("\0", head[1:]).split("\n")
            self._bodies.update((f"{head}{rank:04}", body) for rank, body in enumerate(bodies))
            found = self._bodies[token]
        return found

    def __iter__(self) -> Iterator[str]:
        """The tokens of all nodes that are spelled so far."""
        return iter(self._bodies)

    def __len__(self) -> int:
        """How many nodes are spelled so far."""
        return len(self._bodies)


@dataclass
class DebugInfo:
    """What normalised debug information leaves to be known besides its nodes.

    Tokens are content tokens, `function` and `variable` are those of globals.
    """

    #: Whether lines are relative and what else depends on where sources are is left out.
    relative: bool = True
    #: First line by range key.
    ranges: dict[str, int] = field(default_factory=dict)
    #: Range key by token of a scope.
    scopes: dict[str, str] = field(default_factory=dict)
    #: Line by token of a declaration; in generated text, which module's declaration it was made from.
    lines: dict[str, int] = field(default_factory=dict)
    declared: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: Lines that are part of names, by key.
    named: dict[str, int] = field(default_factory=dict)
    #: Real MD5 checksums by placeholder.
    checksums: dict[bytes, bytes] = field(default_factory=dict)
    #: By function: its static variables, if they are still there, and their nodes.
    statics: dict[str, list[tuple[str | None, str]]] = field(default_factory=dict)
    #: By function that is declared inside of another one, as Fortran's are: that one.
    hosts: dict[str, str] = field(default_factory=dict)
    #: By function: the node that tells its callers who is called.
    callees: dict[str, str] = field(default_factory=dict)
    #: By key of a function: its token, and that of the scope it is in.
    owners: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: By token of a variable: the type that it holds by value, and that type's size in bits.
    sizes: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: By token of a global variable's node: the compile unit that lists it.
    units: dict[str, str] = field(default_factory=dict)
    #: By compile unit: namespaces whose names it uses without saying so.
    imports: dict[str, list[str]] = field(default_factory=dict)
    #: The definitions of the module's types, None where it has no such debug information.
    types: Types | None = None


class Types:
    """The text of the unit of a module's types, made when it is first asked for."""

    def __init__(self, write: Callable[[], tuple[str, tuple[int, ...], tuple[int, ...]]]) -> None:
        """`write` gives the text, its lines by ordinal, and the lines that are part of names, likewise."""
        self._write = write

    @cached_property
    def _written(self) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
        return self._write()

    @property
    def text(self) -> str:
        """Metadata in LLVM's own form, with encoded lines."""
        return self._written[0]

    @property
    def lines(self) -> tuple[int, ...]:
        """What those lines are, by their ordinals."""
        return self._written[1]

    @property
    def named(self) -> tuple[int, ...]:
        """Lines that are part of names, likewise."""
        return self._written[2]
