"""What is known of a module's debug information once it is normalised (see debug/normalise.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from types import MappingProxyType
from typing import Final

from nativecache.aot.packed import decode_names, encode_names
from nativecache.linker import lazy_re as re
from nativecache.linker.lines import MIDDLE, RANGE_SHIFT
from nativecache.linker.values import dataclass, field

#: Marks a line that counts from the first of its range, `3\1`, which the scope that follows tells, or else a
#: key does, `3\1\1key\1`. LLVM prints no such character.
RELATIVE: Final = "\1"
#: Stands around the key of the function in whose scope a type is.
LOCAL_TO: Final = "\2"
#: Stands for a line that is kept by the node's token.
ELSEWHERE: Final = "\3"
#: Stands around the key of a line that is part of a name.
IN_NAME: Final = "\4"
#: Characters of a node's token, or, of the token of a function's own node, those that all of them share.
HEAD: Final = 21
#: The key of a line that is part of a name, between two IN_NAME.
NAMED_LINE: Final = re.compile(rf"{IN_NAME}([^{IN_NAME}]*){IN_NAME}")


@dataclass(frozen=True, slots=True)
class LineMap:
    """What the lines in a unit's text stand for, by their encoding (linker/lines.py). False if none do.

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
        """The line map as one string: how many ranges and lines there are, then all labels and keys."""
        if not self:
            return ""
        flat = [part for place in (*self.ranges, *self.lines, *self.names) for part in place]
        return encode_names([str(len(self.ranges)), str(len(self.lines)), *flat])

    @classmethod
    def decode(cls, packed: str) -> LineMap:
        """The line map that `encode` made a string of. Raises ValueError for most other strings."""
        if not packed:
            return cls()
        ranges, lines, *flat = decode_names(packed)
        n, m = int(ranges), int(ranges) + int(lines)
        pairs = tuple(zip(flat[::2], flat[1::2], strict=True))
        return cls(pairs[:n], pairs[n:m], pairs[m:])

    @staticmethod
    def labels(packed: str) -> set[str]:
        """The labels in a string that `encode` made."""
        return {*decode_names(packed)[2::2]}

    def decode_line(self, line: int) -> tuple[int, str]:
        """How far an encoded line is from the first of its range, and the range's key."""
        return (line & ((1 << RANGE_SHIFT) - 1)) - MIDDLE, self.ranges[(line >> RANGE_SHIFT) - 1][1]


#: The line map of a unit without encoded lines.
NO_LINES: Final = LineMap()


class Nodes(Mapping[str, str]):
    """The bodies of metadata nodes by content token. Iteration and length leave out what was not spelled yet.

    A function's own nodes are kept as one text, and spelled when the first of them is asked for.
    """

    def __init__(self, bodies: Mapping[str, str] = MappingProxyType({}), below: Nodes | None = None) -> None:
        """Starts with the `bodies` of some nodes by token; all others are those that are `below`."""
        self._bodies = dict(bodies)
        self._below = below
        self._groups: dict[str, str] = {}  # by what their tokens begin with

    def add(self, token: str, body: str) -> None:
        """Adds the body of one node under its token."""
        self._bodies[token] = body

    def add_group(self, head: str, text: str) -> None:
        r"""Add a group of nodes whose bodies are the lines of `text`.

        The token of the nth is `head` and n in 4 digits; in the text it is spelled `!\0` and the digits.
        """
        self._groups[head] = text

    def parts(self) -> tuple[dict[str, str], dict[str, str]]:
        """Bodies of nodes by token, and texts of groups by head, as they were added."""
        own = {token: body for token, body in self._bodies.items() if token[:HEAD] not in self._groups}
        return own, dict(self._groups)

    def __getitem__(self, token: str) -> str:
        """The body of a node. Raises KeyError if there is none of that token."""
        found = self.body(token)
        if found is None:
            raise KeyError(token)
        return found

    def body(self, token: str) -> str | None:
        """The body of a node, None if there is none of that token."""
        found = self._bodies.get(token)
        if found is None and (text := self._groups.get(head := token[:HEAD])) is not None:
            bodies = text.replace("\0", head[1:]).split("\n")
            self._bodies.update((f"{head}{rank:04}", body) for rank, body in enumerate(bodies))
            found = self._bodies.get(token)
        if found is None and self._below is not None:
            found = self._below.body(token)
        return found

    def __contains__(self, token: object) -> bool:
        """Whether there is a node of that token, be it spelled or not."""
        here = token in self._bodies or (isinstance(token, str) and token[:HEAD] in self._groups)
        return here or (self._below is not None and token in self._below)

    def __iter__(self) -> Iterator[str]:
        """The tokens of all nodes that are spelled so far."""
        return chain(self._bodies, self._below or ())

    def __len__(self) -> int:
        """How many nodes are spelled so far."""
        return len(self._bodies) + len(self._below or ())


@dataclass(frozen=True)
class DebugInfo:
    """What normalised debug information leaves to be known besides its nodes.

    Tokens are content tokens of nodes. Functions and variables are globals, by their printed names (`@main`).
    """

    #: Whether lines are relative, and what else depends on where sources are is left out.
    relative: bool = True
    #: First line by range key.
    ranges: Mapping[str, int] = field(default_factory=dict)
    #: Range key by token of a scope.
    scopes: Mapping[str, str] = field(default_factory=dict)
    #: Line by token of a declaration.
    lines: Mapping[str, int] = field(default_factory=dict)
    #: Lines that are part of names, by key.
    named: Mapping[str, int] = field(default_factory=dict)
    #: Real MD5 sums by placeholder, 16 bytes each.
    checksums: dict[bytes, bytes] = field(default_factory=dict)
    #: By function: its static variables, None for one that is not there any more, and their nodes' tokens.
    statics: Mapping[str, Sequence[tuple[str | None, str]]] = field(default_factory=dict)
    #: By function that is declared inside of another one, as Fortran's are: that one.
    hosts: Mapping[str, str] = field(default_factory=dict)
    #: By function: the token of the node that tells its callers who is called.
    callees: Mapping[str, str] = field(default_factory=dict)
    #: By key of a function: its token, and that of the scope it is in.
    owners: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    #: By token of a variable: the token of the type that it holds by value, and that type's size in bits.
    sizes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    #: By token of a global variable's node: the token of the compile unit that lists it.
    units: Mapping[str, str] = field(default_factory=dict)
    #: By token of a compile unit: those of the namespaces whose names it uses without saying so.
    imports: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: Names that mean different things in the program's modules, and digests of what names mean in this one,
    #: as debug/shapes.py has them; none where no other module has debug information.
    ambiguous: frozenset[str] = frozenset()
    shapes: Mapping[str, str] = field(default_factory=dict)
    #: Of a module that was made again: the names that may be ambiguous though all modules agree on them.
    doubtful: frozenset[str] = frozenset()
    #: The definitions of the module's types, None where it has no such debug information.
    types: Types | None = None
    #: What became of which node; None where that depends on what functions do, or was not asked for.
    numbering: Numbering | None = None


@dataclass(frozen=True, slots=True)
class Numbering:
    """Which node of a printed module, by number (`!7`), got which token.

    `tokens`: of nodes that are no function's own. `members`: functions' own nodes, in their order, by what
    their tokens begin with. `repeated`: numbers of nodes that only their order tells apart. `functions`: what
    is described (`@main`), by number of its DISubprogram. `attached`: variables (`@x`) and what is attached
    to them.
    """

    tokens: Mapping[str, str]
    members: Mapping[str, Sequence[str]]
    repeated: Sequence[str]
    functions: Mapping[str, str]
    attached: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Named:
    """What a module's nodes are once they are named, by number, so that they need not be named again.

    `tokens`: by number, of all nodes but locations. `info`: all but checksums, shapes and types. The rest as
    in Numbering.
    """

    tokens: Mapping[str, str]
    nodes: Nodes
    info: DebugInfo
    repeated: frozenset[str]
    functions: Mapping[str, str]
    attached: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class TypeUnit:
    """The unit that defines a module's types: its metadata in LLVM's own form, with encoded lines.

    `lines` are the real ones by their ordinals, `named` likewise those that are part of names.
    """

    text: str
    lines: tuple[int, ...]
    named: tuple[int, ...]


class Types:
    """The unit of a module's types, written by `write` when it is first asked for. See TypeUnit."""

    def __init__(self, write: Callable[[], TypeUnit]) -> None:
        self._write = write

    @cached_property
    def _unit(self) -> TypeUnit:
        return self._write()

    @property
    def text(self) -> str:
        """The unit's metadata in LLVM's own form, with encoded lines."""
        return self._unit.text

    @property
    def lines(self) -> tuple[int, ...]:
        """The real lines of the unit, by their ordinals."""
        return self._unit.lines

    @property
    def named(self) -> tuple[int, ...]:
        """The real lines that are part of names in the unit, by their ordinals."""
        return self._unit.named
