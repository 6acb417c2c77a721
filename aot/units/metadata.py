"""Writes a unit's metadata and types: equal ones once, under numbers of the unit's own.

Uniqued tuples and types are resolved from the inside out, without recursion, for they nest deeply; nodes
with an identity (`distinct`, and LLVM's own kinds) get their number first and their text later, for they form
cycles. Two kinds need more: types as alias analysis knows them are renamed, and of what a compile unit lists,
the unit keeps what describes its own variables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Final

from nativecache.aot.ir.debug_info import ELSEWHERE, IN_NAME, LOCAL_TO, NAMED_LINE, RELATIVE, DebugInfo, Nodes
from nativecache.aot.ir.module import Entity
from nativecache.aot.ir.syntax import ATTACHED_NODE, HEADER_NODE, attach
from nativecache.aot.units.lines import Lines, write_line
from nativecache.aot.units.program import Definitions
from nativecache.aot.units.rewrite import Pieces, Rewriter, split_node
from nativecache.linker import lazy_re as re

#: A type as alias analysis knows it (TBAA): its name, then each member's type and offset, or its parent's.
_ALIAS_TYPE: Final = re.compile(r'!\{!("[^"]*")(?:, !\d+, i64 \d+)+\}', re.ASCII)
#: The names of such types that mean something: LLVM knows the first, clang gives all others the second as
#: an ancestor. What matters of any other name is which types share it (TypeBasedAliasAnalysis.cpp).
_KNOWN_ALIAS_TYPES: Final = frozenset(('"vtable pointer"', '"omnipotent char"'))
#: The lists of a compile unit, which name every type and global of the file.
_UNIT_LISTS: Final = re.compile(r", (?:enums|retainedTypes|globals|imports|macros): !\d+")
#: Most nodes are written into many units: their splits are kept (C++ parsers with -g: 5.9 s of extraction
#: became 3.9 s). Longer ones, in characters, are few and would take much memory.
SHARED_NODE: Final = 4096
#: What stands in a normalised node for something that depends on the unit.
_MARKS: Final = (ELSEWHERE, IN_NAME, LOCAL_TO)
_LOCAL_SCOPE: Final = re.compile(rf"{LOCAL_TO}([^{LOCAL_TO}]*){LOCAL_TO}")
#: What the clean-up is shown of debug information: of a variable its argument's number, its scope and its
#: type, of types their sizes, of a function nothing that is known by name, type or line.
_VARIABLE: Final = re.compile(
    r'!DILocalVariable\((?:name: "[^"]*", )?(arg: \d+, )?scope: (!\d+)(?:.*?, type: (!\d+))?', re.ASCII
)
_NOT_OF_FUNCTION: Final = re.compile(
    r'\b(?:(?:linkageN|targetFuncN|n)ame: "[^"]*"'
    rf"|(?:scopeL|l)ine: (?:{ELSEWHERE}|-?\d+(?:{RELATIVE}{RELATIVE}[^{RELATIVE}]*{RELATIVE})?)"
    r"|(?:scope|type|templateParams|declaration|retainedNodes|containingType|thrownTypes|annotations)"
    r": (?:null|!\d+))(?:, |$)",
    re.ASCII,
)
_QUOTED: Final = re.compile(r'"[^"]*"')
_BASIC_TYPES: Final = ("!DIBasicType(", "!DIFixedPointType(")
_SIZE: Final = re.compile(r"\bsize: (?:(\d+)|!)", re.ASCII)
_BASE: Final = re.compile(r"\bbaseType: (!\d+)", re.ASCII)
#: So many types may stand around one that has a size.
_MAX_DERIVED: Final = 100


@lru_cache(maxsize=1 << 17)
def _alias_type_name(body: str) -> str | None:
    """The name (as printed) in a node that describes a type to alias analysis, unless it has a meaning."""
    found = _ALIAS_TYPE.fullmatch(body)
    return found[1] if found and found[1] not in _KNOWN_ALIAS_TYPES else None


def _body(source: Definitions, token: str) -> str | None:
    """The text of a node, as `get` gives it, but that raises an exception for each that Nodes lack."""
    nodes = source.module.metadata
    return nodes.body(token) if isinstance(nodes, Nodes) else nodes.get(token)


@lru_cache(maxsize=1 << 15)
def _plain_node(body: str) -> Pieces | None:
    """The pieces of a normalised node that is the same in all units but for numbers; None of any other.

    Lines that have the key of their range are tokens, too.
    """
    if "!DICompileUnit(" in body or any(mark in body for mark in _MARKS):
        return None
    pieces = split_node(body)
    # What may be left is the line of a location in a loop's node: its range is that of its scope.
    return None if RELATIVE in body and any(RELATIVE in part for part in pieces.parts[::2]) else pieces


def _sized(size: str) -> str:
    return f"!DICompositeType(tag: DW_TAG_structure_type, size: {size})"


class AliasTypes:
    """Names for types as alias analysis (TBAA) knows them, which tell one from another and nothing else.

    One name in the sources is one name in the unit, whichever file it comes from, and two are two: so
    the unit's nodes are equal exactly where the sources' are, which is all that LLVM compares.
    """

    def __init__(self) -> None:
        """Names for the types of one unit, of which none has one yet."""
        self._names: dict[str, str] = {}  # in the sources -> in the unit

    def rename(self, name: str, text: str) -> str:
        """The text of a node that describes the type of a name, as printed, under the unit's name for it."""
        new = self._names.setdefault(name, f'"t.{len(self._names)}"')
        return text.replace(name, new, 1)


class MetadataWriter:
    """The metadata and the types of one unit, written as a rewriter comes upon them."""

    def __init__(
        self,
        rewriter: Rewriter,
        lines: Lines,
        *,
        keep_types: bool,
        keep_lists: bool,
        check_lines: bool,
        sketches: bool,
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        """`later` is given steps to be taken once the text at hand is written.

        `keep_types`: alias analysis is to know its types by the sources' names. `keep_lists`: compile units
        that are not normalised keep the lists of all that is in their file. `check_lines`: whether modules
        with relative lines are in the program. `sketches`: of what describes variables and functions, no more
        is written than the clean-up looks at.
        """
        self._rewriter = rewriter
        self._lines = lines
        self._alias_types = None if keep_types else AliasTypes()
        self._keep_lists = keep_lists
        self._check_lines = check_lines
        self._sketches = sketches
        self._later = later
        self._types: dict[str, str] = {}  # body -> name
        self._nodes: dict[str, str] = {}  # text of a uniqued node -> number
        self._written: list[str] = []
        self._count = 0
        self._pending: set[str] = set()  # tokens that are being resolved
        self._debug_nodes: dict[tuple[str, str], str] = {}  # by module and token
        self._compile_units: list[str] = []
        #: What is written into nodes once all is known: lists of compile units, sizes of types.
        self._globals: dict[str, list[str]] = {}
        self._imports: dict[str, list[str]] = {}
        self._sizes: dict[str, str] = {}
        #: Nodes of functions' static variables, by module and token: of what is in one common block, several.
        self._statics: dict[tuple[int, str], list[str]] = defaultdict(list)
        #: Scopes that types may be in as they are: the unit's own.
        self._own_scopes: set[str] = set()

    # Types and nodes

    def resolve(self, source: Definitions, token: str) -> str:
        """What a type or a node is called. What it is made of is resolved first, however deeply nested."""
        if token[0] == "!":
            body = _body(source, token)
            if body is None:
                return token
            if not body.startswith("!{") or token in self._pending:
                return self._node(source, token, body)
        else:
            body = source.module.types.get(token)
            if body is None:
                return token  # a local value
        known, pieces_of = self._rewriter.known(source), self._rewriter.pieces
        stack: list[tuple[str, str, Pieces, Iterator[str]]] = []
        while True:
            if body is not None:
                self._pending.add(token)
                pieces = pieces_of(source, body)
                stack.append((token, body, pieces, iter(pieces.different)))
            outer, text, pieces, rest = stack[-1]
            for token in rest:  # noqa: PLR1704 - what is found here is gone on with
                if token in known:
                    continue
                if (body := self._content(source, token)) is not None:
                    break
                known[token] = self._rewriter.resolve(source, token, 0, None)
            else:
                stack.pop()
                self._pending.discard(outer)
                new = self._unique(outer, text, pieces.join(known))
                if not stack:
                    return new
                known[outer], body = new, None

    def _content(self, source: Definitions, token: str) -> str | None:
        """The body of a type or uniqued tuple, unless it is within itself; None for what else there is."""
        if token[0] == "%":
            return source.module.types.get(token)
        body = _body(source, token) if token[0] == "!" else None
        return body if body and body.startswith("!{") and token not in self._pending else None

    def _unique(self, token: str, body: str, text: str) -> str:
        """What a type or uniqued tuple is called. Equal ones are one.

        So bodies from several files agree on types, and a type's name does not matter. Types hold no
        reference to themselves since pointers are opaque.
        """
        if token[0] == "%":
            return self._types.get(text) or self._types.setdefault(text, f"%t.{len(self._types)}")
        if self._alias_types is not None and (name := _alias_type_name(body)):
            text = self._alias_types.rename(name, text)
        new = self._nodes.get(text)
        if new is None:
            new = self._nodes[text] = self._number()
            self._written.append(f"{new} = {text}\n")
        return new

    def _number(self) -> str:
        self._count += 1
        return f"!{self._count - 1}"

    def _node(self, source: Definitions, token: str, body: str) -> str:
        """A node that is no uniqued tuple, or is within itself."""
        debug = source.module.debug
        if debug is None and self._check_lines:
            self._lines.check(body)
        # Texts that were made from one module share its nodes.
        if debug is not None and (known := self._debug_nodes.get((source.label, token))):
            return known
        new = self._number()
        if debug is not None:
            self._debug_nodes[source.label, token] = new
            if self._sketches and (sketch := self._sketch(source, debug, token, new, body)):
                self._later(sketch)
                return new
            pieces = _plain_node(body) if len(body) < SHARED_NODE and token not in debug.sizes else None
            if pieces is not None:
                self._later(partial(self._write_plain, source, new, pieces))
                return new
            body = self._place(source, debug, token, body)
        if "!DICompileUnit(" in body:
            self._compile_units.append(new)
            if debug is not None:
                self._rewriter.known(source)[token] = new
                imports = debug.imports.get(token, ())
                self._imports[new] = [self._rewriter.token(source, node) for node in imports]
            elif not self._keep_lists:
                body = _UNIT_LISTS.sub("", body)
        self._later(lambda: self._written.append(f"{new} = {self._rewriter.rewrite(source, body)}\n"))
        return new

    def _sketch(
        self, source: Definitions, debug: DebugInfo, token: str, new: str, body: str
    ) -> Callable[[], None] | None:
        """What writes all that the clean-up looks at in a node; None for one that is written as it is.

        Each node stays another than all others: its number is its name. LLVM looks at variables' sizes, and
        at the signs of basic types (DIVariable in DebugInfoMetadata.h), and at no other property of types.
        """
        resolved = partial(self._rewriter.token, source)
        if found := _VARIABLE.match(body):
            argument, scope, kind = found.groups()
            seen = self._sketch_type(source, debug, token, kind) if kind else ""
            if seen is None:
                return None

            def write_variable() -> None:
                shown = f", type: {seen if seen[1] == 'D' else resolved(seen)}" if seen else ""
                fields = f'name: "{new[1:]}", {argument or ""}scope: {resolved(scope)}{shown}'
                self._written.append(f"{new} = !DILocalVariable({fields})\n")

            return write_variable
        if (head := body[: body.find("(") + 1]).endswith("!DISubprogram("):
            kept = _NOT_OF_FUNCTION.sub("", body[len(head) : -1]).removesuffix(", ")
            text = f'{head}name: "{new[1:]}"{kept and ", "}{kept})'
            return lambda: self._written.append(f"{new} = {self._rewriter.rewrite(source, text)}\n")
        return None

    def _sketch_type(self, source: Definitions, debug: DebugInfo, variable: str, kind: str) -> str | None:
        """A variable's type as the clean-up looks at it: a basic type's token, or one that has but a size.

        Empty for a type without a size, None for one whose size is not told by its text.
        """
        for depth in range(_MAX_DERIVED):
            body = _body(source, kind) or ""
            if body.startswith(_BASIC_TYPES) and not depth:
                return kind
            body = _QUOTED.sub("", body)
            size = _SIZE.search(body)
            if size is None and variable in debug.sizes and debug.sizes[variable][0] == kind:
                return _sized(debug.sizes[variable][1])
            if size is not None:
                return _sized(size[1]) if size[1] else None
            base = _BASE.search(body)
            if base is None or "!DIDerivedType(" not in body:
                return ""
            kind = base[1]
        return None

    def _write_plain(self, source: Definitions, number: str, pieces: Pieces) -> None:
        """Writes a node as `Rewriter.rewrite` would, without looking for what it cannot have."""
        known = self._rewriter.known(source)
        for token in pieces.different:
            if token not in known:
                if token[0] == "!":
                    known[token] = self.resolve(source, token)
                elif token[-1] == RELATIVE:
                    known[token] = write_line(token, source.label, self._lines)
                else:
                    known[token] = self._rewriter.resolve(source, token, 0, None)
        self._written.append(f"{number} = {pieces.join(known)}\n")

    def _place(self, source: Definitions, debug: DebugInfo, token: str, body: str) -> str:
        """A node's text with what depends on the unit it is in."""
        if held := debug.sizes.get(token):
            known = self._rewriter.known(source)
            declared, size = held
            if declared not in known:
                known[declared] = self.resolve(source, declared)
            self._sizes[known[declared]] = size
        if ELSEWHERE in body:
            body = body.replace(ELSEWHERE, str(self._lines.declared(source.label, token)))
        if IN_NAME in body:
            body = NAMED_LINE.sub(lambda m: self._lines.named(source.label, m[1]), body)
        if LOCAL_TO in body:

            def scope(match: re.Match[str]) -> str:
                own, outer = debug.owners[match[1]]
                return own if own in self._own_scopes else outer

            body = _LOCAL_SCOPE.sub(scope, body)
        return body

    # What describes variables

    def open_scope(self, header: str) -> None:
        """Lets types stay in the scope of a function that the unit defines, given by its first line."""
        self._own_scopes.update(HEADER_NODE.findall(header))

    def describe(self, source: Definitions, entity: Entity) -> None:
        """Has compile units list what describes a variable, or the static variables of a function."""
        debug = source.module.debug
        if debug is None:
            return
        known = self._rewriter.known(source)
        if entity.kind == "variable":
            for node in ATTACHED_NODE.findall(entity.text):
                self._list(source, debug, node)
        for variable, node in debug.statics.get(entity.token, ()):
            self._list(source, debug, node)
            if variable in known:  # else nothing in the unit uses it, and it may be gone
                number = self._rewriter.token(source, node)
                self._statics[id(source.module), variable].append(number)

    def _list(self, source: Definitions, debug: DebugInfo, node: str) -> None:
        if unit := debug.units.get(node):
            listed = self._globals.setdefault(self._rewriter.token(source, unit), [])
            number = self._rewriter.token(source, node)
            if number not in listed:
                listed.append(number)

    def described(self, source: Definitions, token: str, text: str) -> str:
        """A variable's text with the nodes that describe it as a function's static one."""
        nodes = dict.fromkeys(self._statics.get((id(source.module), token), ()))
        return attach(text, "".join(f", !dbg {node}" for node in nodes)) if nodes else text

    # The unit's text

    def tokens(self, source: Definitions) -> list[str]:
        """The token of each node in the module that it is from, by number; "" of what is from another."""
        found = [""] * self._count
        for token, new in self._rewriter.known(source).items():
            if token[0] == "!" and new[1:].isdigit() and not found[int(new[1:])]:
                found[int(new[1:])] = token
        return found

    @property
    def types(self) -> list[str]:
        """A line for each type."""
        return [f"{name} = type {body}\n" for body, name in self._types.items()]

    @property
    def compile_units(self) -> list[str]:
        """The numbers of all compile units (`!llvm.dbg.cu` is to list them)."""
        return self._compile_units

    def finish(self) -> list[str]:
        """A line for each node, with the lists of compile units and the sizes of types of variables."""
        lists = (("globals", self._globals), ("imports", self._imports))
        added = {
            unit: "".join(
                f", {name}: !{{{', '.join(nodes)}}}" for name, found in lists if (nodes := found.get(unit))
            )
            for unit in self._compile_units
        }
        added.update((node, f", size: {size}") for node, size in self._sizes.items())
        if added:
            for at, line in enumerate(self._written):
                if more := added.get(line[: line.index(" ")]):
                    self._written[at] = f"{line[:-2]}{more})\n"
        return self._written
