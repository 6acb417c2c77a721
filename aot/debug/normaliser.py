"""Makes a module's debug information small, and independent of where things stand.

Problem: as compilers write it, debug information ties every function to all types of its file and to its own
line numbers, so units are twenty times as big and one line added on top changes all that follow it.
Method, on the printed metadata, before anything is cut:

- *Slim types*: a named struct, union or class becomes a forward declaration. The definitions stay together in
  a unit of their own; debuggers find them by name. What cannot be found by name (anonymous and function-local
  types, and those whose name stands for something else in another file) and enumerations stay.
- *Relative lines*: a line counts from the first of its *range*, a function's lines in one file, and is marked
  by RELATIVE. Declarations outside of functions have no line in their text, it is kept by their token.
- *Content tokens*: a node's number is replaced by a digest of all that can be seen from the node, so equal
  tokens mean the same in any module. A function's own nodes (scopes and variables) share one digest.
  A location is no node any more: it is written wherever it is used.
- The folder that was compiled in and checksums of files become placeholders.

What was taken out is put back into the object when its symbols are renamed (linker/dwarf.py).
Where the same (file, first line) belongs to several functions they share a range: LLVM compares lines.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

from nativecache.aot.ir.debug_info import (
    ELSEWHERE,
    IN_NAME,
    LOCAL_TO,
    NAMED_LINE,
    RELATIVE,
    DebugInfo,
    LineMap,
    Nodes,
    Types,
)
from nativecache.linker.lines import (
    DIRECTORY_PLACEHOLDER,
    MAX_LINE,
    MAX_NAMED,
    MIDDLE,
    REACH,
    name_line,
    ordinal,
)

if TYPE_CHECKING:
    from nativecache.aot.ir.module import Module

_LOCATION: Final = re.compile(
    r"^(!\d+) = !DILocation\(line: (\d+)(, (?:column: \d+, )?scope: )(!\d+)(.*)\)$", re.MULTILINE
)
_BLOCK: Final = re.compile(
    r"^(!\d+) = distinct !DILexicalBlock\(scope: (!\d+), file: (!\d+), line: (\d+)(.*)\)$", re.MULTILINE
)
_LOCAL_VARIABLE: Final = re.compile(
    r'^(!\d+) = !DILocalVariable\(((?:name: "[^"]*", )?(?:arg: \d+, )?)scope: (!\d+), file: (!\d+)'
    r", line: (\d+), type: (!\d+)(.*)\)$",
    re.MULTILINE,
)
#: Names of a function's own nodes within what they share.
_RANKS: Final = tuple(f"!\0{rank:04}" for rank in range(10_000))
_NODE: Final = re.compile(r"!\d+", re.ASCII)
_REFERENCE: Final = re.compile(r'("[^"]*"|!\d+)', re.ASCII)
_SPLIT: Final = re.compile(r'("[^"]*"|!\d+|\b(?:scopeL|l)ine: \d+)', re.ASCII)
_SCOPE: Final = re.compile(r"\bscope: (!\d+)", re.ASCII)
_FILE: Final = re.compile(r"\bfile: (!\d+)", re.ASCII)
_LINE: Final = re.compile(r"\bline: (\d+)", re.ASCII)
_NAME: Final = re.compile(r'\bname: ("[^"]*")')
_LINKAGE_NAME: Final = re.compile(r'\blinkageName: ("[^"]*")')
_DECLARATION: Final = re.compile(r"\bdeclaration: (!\d+)", re.ASCII)
_RETAINED: Final = re.compile(r"\bretainedNodes: (!\d+)", re.ASCII)
_BASE_TYPE: Final = re.compile(r"\bbaseType: (!\d+)", re.ASCII)
_SIZE: Final = re.compile(r"\bsize: (\d+)", re.ASCII)
_ELEMENTS: Final = re.compile(r"\belements: (!\d+)", re.ASCII)
_VARIABLE: Final = re.compile(r"\bvar: (!\d+)", re.ASCII)
_VALUE: Final = re.compile(r"\bexpr: (!DIExpression\(.+\))\)$")
#: What a forward declaration keeps of a type's fields.
_KEPT: Final = re.compile(r'\b(?:name: "[^"]*"|scope: !\d+|runtimeLang: \w+|templateParams: !\d+)', re.ASCII)
_PASSED: Final = re.compile(r"DIFlagTypePassBy\w+")
_PLACE: Final = re.compile(r", (?:file: !\d+|(?:scopeL|l)ine: \d+)\b", re.ASCII)
_LINE_FIELD: Final = re.compile(r", line: (\d+)\b", re.ASCII)
_UNIT_LISTS: Final = re.compile(r", (enums|retainedTypes|globals|imports|macros): (!\d+)", re.ASCII)
_ATTACHED: Final = re.compile(r",? !dbg (!\d+)", re.ASCII)
_DIRECTORY: Final = re.compile(r'\bdirectory: "([^"]*)"')
_FILE_NAME: Final = re.compile(r'\bfilename: "([^"]*)"')
_MD5: Final = re.compile(r'\bchecksumkind: CSK_MD5, checksum: "([0-9a-f]{32})"')
_VERSION: Final = re.compile(r'!\{i32 \d+, !"Dwarf Version", i32 (\d+)\}')

_NAMED_TYPES: Final = ("DW_TAG_structure_type", "DW_TAG_union_type", "DW_TAG_class_type")
_TAG: Final = re.compile(r"\(tag: (DW_TAG_\w+)")
#: Nodes of a function's own, told by their scope.
_OWNED: Final = (
    "!DILexicalBlockFile(",
    "distinct !DILexicalBlock",
    "!DILocalVariable(",
    "!DILabel(",
    "!DIImportedEntity(",
    "!DICommonBlock(",
)
#: Nodes that a variable may stand in, and those that such a type is part of.
_SIZED: Final = ("!DISubrange(", "!DIGenericSubrange(", "!DIStringType(")
_MADE_OF: Final = ("!{", "!DIDerivedType(", "!DICompositeType(", "!DISubroutineType(")
#: Nodes of types and declarations, whose place in the source no unit but the types' needs.
_PLACELESS: Final = ("!DIDerivedType(", "!DISubprogram(", "!DIImportedEntity(", "!DICommonBlock(")
#: Kinds that are spelled with the names of all that they refer to.
_SIMPLE: Final = (*_PLACELESS, "!{", "!DISubroutineType(", "!DINamespace(", "!DIModule(")
#: So many nodes within one another are named by recursion, which costs least.
_DEEP: Final = 40
#: The longest path that a placeholder has room for.
_LONGEST_DIRECTORY: Final = len(DIRECTORY_PLACEHOLDER) - 1


class FarLines(Exception):
    """Lines that no object has room for where encoded ones were."""


class Unsupported(Exception):
    """Debug information of a form that is not understood here. It stays as it is: right, and large."""


def _digits(text: str) -> str:
    """A digest as a number of 20 digits."""
    return f"{int.from_bytes(hashlib.sha256(text.encode('latin-1')).digest()[:8], 'little'):020}"


class Normaliser:
    """One module's debug information. See the module's docstring."""

    def __init__(
        self,
        text: str,
        symbols: Mapping[str, str],
        *,
        relative: bool = True,
        directory: str = "",
        line_map: LineMap | None = None,
    ) -> None:
        """`text`: the numbered metadata as printed. `symbols`: what identifies functions, by their node.

        `directory`: what the placeholder stands for.
        `line_map`: the text was made from a unit, so that its lines are encoded and its placeholders stay.
        """
        self.info = DebugInfo(relative)
        self.nodes = Nodes()
        self._relative = relative
        #: Whether lines are to be made relative; in text that was made from a unit they are.
        self._encodes = relative and line_map is None
        self._directory = directory
        self._line_map = line_map
        plain = [line for line in text.split("\n") if " = !DILocation(" not in line]
        if relative and " at " in text:
            plain = self._find_names(plain)
        self._raw = dict(line.split(" = ", 1) for line in plain if line)
        self._locations = _LOCATION.findall(text)
        text = "\n".join(plain)
        self._blocks = _BLOCK.findall(text)
        self._variables = _LOCAL_VARIABLE.findall(text)
        self._symbols = symbols
        #: Spelled blocks, and variables but for their types; those by node.
        self._own_nodes: dict[str, str] = {}
        self._own_kinds = {n for n, *_ in self._blocks} | {n for n, *_ in self._variables}
        self._types_of: dict[str, tuple[str, str]] = {}
        self._held: dict[str, tuple[str, str] | None] = {}
        self._names: dict[str, str] = {}
        self._busy: set[str] = set()
        self._depth = 0
        self._unspelled: list[tuple[str, str]] = []  # types that members name
        self._claimed: Counter[str] = Counter()
        self._spelled: dict[str, str] = {}  # locations
        self._expanded = 0
        self._imports: list[tuple[str, list[str]]] = []
        self._globals: list[tuple[str, list[str]]] = []
        self._constants: list[str] = []  # nodes of global variables that are no more than a value
        #: Qualified names of types that are not only declared in functions' units, and, with "=" in front, of
        #: variables that are described there: other modules have others of those names.
        self.full: frozenset[str] = frozenset()
        version = next((m[1] for body in self._raw.values() if (m := _VERSION.fullmatch(body))), "4")
        self._placeholders = self._encodes and int(version) >= 5
        self._read_functions()

    def _find_names(self, nodes: list[str]) -> list[str]:
        """The nodes without lines in names: C++ names a lambda by its place.

        A key tells those of one file and column apart by their order, so that it stays when lines move.
        """
        text = "\n".join(nodes)
        found = {(m[1], m[3], m[2]) for m in _LINE_IN_NAME.finditer(text)}
        keys: dict[tuple[str, str, str], str] = {}
        seen: Counter[tuple[str, str]] = Counter()
        for file, column, line in sorted(
            found, key=lambda place: (place[0], place[1], len(place[2]), place[2])
        ):
            if line[0] == "@":  # ours
                assert self._line_map is not None
                keys[file, column, line] = self._line_map.names[int(line[1:])][1]
                continue
            if int(line) > MAX_NAMED:
                continue
            key = keys[file, column, line] = f"{file}:{column}:{seen[file, column]}"
            seen[file, column] += 1
            self.info.named[key] = int(line)

        def spell(match: re.Match[str]) -> str:
            key = keys.get((match[1], match[3], match[2]))
            return match[0] if key is None else f" at {match[1]}:{IN_NAME}{key}{IN_NAME}:{match[3]})"

        return _LINE_IN_NAME.sub(spell, text).split("\n") if keys else nodes

    # A function's own nodes

    def _read_functions(self) -> None:
        """Finds which nodes are a function's own, and from where its lines count."""
        raw = self._raw
        self._functions = dict.fromkeys(
            n for n, body in raw.items() if body.startswith("distinct !DISubprogram(")
        )
        self._owner: dict[str, str] = {n: n for n in self._functions}
        self._members: dict[str, list[str]] = {n: [n] for n in self._functions}
        above = {n: scope for n, scope, *_ in self._blocks}
        rare = {
            n: body
            for n, body in raw.items()
            if body.startswith(("!DILexicalBlock", "distinct !DILexicalBlock")) and n not in above
        }
        above.update((n, m[1]) for n, body in rare.items() if (m := _SCOPE.search(body)))
        for n, scope in above.items():
            path = {n: None}
            while scope not in self._owner and scope in above and scope not in path:
                path[scope] = None
                scope = above[scope]
            self._own(tuple(path), scope)
        for n, _, scope, *_ in self._variables:
            self._own((n,), scope)
        for n, body in raw.items():
            if body.startswith(_OWNED) and (found := _SCOPE.search(body)):
                self._own((n,), found[1])  # unless it is imported into a file or namespace
                if body.startswith("!DICommonBlock(") and (variable := _DECLARATION.search(body)):
                    self._own(
                        (variable[1],), found[1]
                    )  # the block as a whole, which is in the function as well
        for n in self._functions:
            if (found := _RETAINED.search(raw[n])) and raw.get(found[1], "!{}") != "!{}":
                self._own((found[1],), n)
        self._own_sizes()
        self._file = {n: m[1] if (m := _FILE.search(raw[n])) else "" for n in self._functions}
        self._file.update((n, file) for n, _, file, *_ in self._blocks)
        self._file.update((n, m[1]) for n, body in rare.items() if (m := _FILE.search(body)))
        self._keys = self._name_functions()
        if self._encodes:
            self._find_ranges()

    def _own(self, nodes: Sequence[str], scope: str) -> None:
        owner = self._owner.get(scope)
        if owner is not None:
            for n in nodes:
                if n not in self._owner:
                    self._owner[n] = owner
                    self._members[owner].append(n)

    def _own_sizes(self) -> None:
        """Types whose size is a variable of a function (arrays in C) are the function's own, too."""
        raw, new = self._raw, {}
        for n, body in raw.items():
            if body.startswith(_SIZED):
                owners = (self._owner.get(m) for m in _NODE.findall(body))
                if owner := next((owner for owner in owners if owner), None):
                    new[n] = owner
        rest = {n: body for n, body in raw.items() if new and body.startswith(_MADE_OF)}
        while new:
            for n, owner in new.items():
                self._own((n,), owner)
                rest.pop(n, None)
            below = new
            new = {}
            for n, body in rest.items():
                if n not in self._owner and (found := below.keys() & _NODE.findall(body)):
                    new[n] = below[min(found)]

    def _name_functions(self) -> dict[str, str]:
        """A key per function: the symbol that it describes, else its name, numbered if need be."""
        seen: Counter[str] = Counter()
        keys: dict[str, str] = {}
        for n in self._functions:
            name = self._symbols.get(n)
            if name is None:
                found = _LINKAGE_NAME.search(self._raw[n]) or _NAME.search(self._raw[n])
                base = f"{found[1][1:-1] if found else ''}#"
                seen[base] += 1
                name = f"{base}{seen[base]}"
            keys[n] = name
        return keys

    def _find_ranges(self) -> None:
        """Fills `_ranges`, by function and file, with key and first line."""
        self._ranges: dict[tuple[str, str], tuple[str, int]] = {}
        for n in self._functions:
            if (found := _LINE.search(self._raw[n])) and found[1] != "0":
                self._ranges[n, self._file[n]] = "", int(found[1])
        # Ranges that do not begin with their function begin with their least line.
        first: dict[tuple[str, str], int] = {}
        odd: dict[str, tuple[str, str]] = {}

        def take(place: tuple[str, str], line: str) -> None:
            if line != "0":
                first[place] = min(first.get(place, int(line)), int(line))

        ranges, owners = self._ranges, self._owner
        for n, _, file, line, _ in self._blocks:
            if n in owners and (place := (owners[n], file)) not in ranges:
                odd[n] = place
                take(place, line)
        for n, _, _, file, line, *_ in self._variables:
            if n in owners and (place := (owners[n], file)) not in ranges:
                take(place, line)
        for n in self._functions:
            if (place := (n, self._file[n])) not in ranges:
                odd[n] = place
        for n in owners:
            if n in self._own_kinds or not (found := _FILE.search(self._raw[n])):
                continue
            if (place := (owners[n], found[1])) not in ranges:
                odd[n] = place
                if line_found := _LINE.search(self._raw[n]):
                    take(place, line_found[1])
        if odd:
            for _, line, _, scope, _ in self._locations:
                if scope in odd:
                    take(odd[scope], line)
        shared: dict[tuple[str, int], str] = {}
        for (owner, file), line in [*((p, line) for p, (_, line) in ranges.items()), *first.items()]:
            if line > MAX_LINE - REACH:
                raise FarLines
            key = self._keys[owner]
            if file != self._file[owner]:
                key += f"/{self._path(file)}"
            while self.info.ranges.get(key, line) != line:  # another file of that name
                key += "'"
            key = shared.setdefault((file, line), key)
            ranges[owner, file] = key, line
            self.info.ranges[key] = line

    def _path(self, file: str) -> str:
        found = _FILE_NAME.search(self._raw.get(file, ""))
        return found[1] if found else ""

    def _spell_line(self, owner: str, file: str, number: str) -> str:
        """A line of a function's, explicit about its range."""
        if number == "0" or not self._relative:
            return number
        if self._line_map:
            offset, key = self._line_map.decode_line(int(number))
        else:
            key, first = self._ranges[owner, file]
            offset = int(number) - first
        return f"{offset}{RELATIVE}{RELATIVE}{key}{RELATIVE}"

    def _read_groups(self) -> None:
        """Names the functions' own nodes."""
        rank: dict[str, str] = {}
        for members in self._members.values():
            if len(members) > 10_000:
                raise Unsupported("too many scopes")
            rank.update(zip(members, _RANKS[: len(members)], strict=True))
        self._rank = rank
        spelled = self._own_nodes
        names, name, line_of = self._names, self.name, self._spell_line
        owners = self._owner
        for n, scope, file, line, tail in self._blocks:
            if n in owners:
                place = line_of(owners[n], file, line)
                where = names.get(file) or name(file)
                spelled[n] = (
                    f"distinct !DILexicalBlock(scope: {rank[scope]}, file: {where}, line: {place}{tail})"
                )
        for n, head, scope, file, line, kind, tail in self._variables:
            if n in owners:
                place = line_of(owners[n], file, line)
                where = names.get(file) or name(file)
                # Its type may depend on the function that it is in: see _group.
                spelled[n] = (
                    f"!DILocalVariable({head}scope: {rank[scope]}, file: {where}, line: {place}, type: "
                )
                self._types_of[n] = kind, tail
        for owner in self._members:
            if owner not in names:
                self._group(owner)

    def _group(self, owner: str) -> None:
        if owner in self._busy:
            raise Unsupported("a function's scopes depend on themselves")
        self._busy.add(owner)
        members, names, types = self._members[owner], self._names, self._types_of
        sizes: list[tuple[int, str, str]] = []
        texts = []
        for at, n in enumerate(members):
            text = self._own_nodes.get(n)
            if text is None:
                text = self._spell_own(owner, self._raw[n])
            elif held := types.get(n):
                kind, tail = held
                own = self._owner.get(kind) == owner
                text = f"{text}{self._rank[kind] if own else names.get(kind) or self.name(kind)}{tail})"
                if kind not in self._held:
                    self._held[kind] = self._find_held(kind)
                if size := self._held[kind]:
                    sizes.append((at, *size))
            texts.append(text)
        text = "\n".join(texts)
        key = self._keys[owner]
        places = self._places_of(owner, members)
        # Ranges may be called after other functions, and locations do not say how theirs is called.
        keys = dict.fromkeys(places)
        digits = self._claim("\n".join([text, key, repr(sizes), *keys]))
        head = f"!{digits}"
        self.nodes.add_group(head, text)
        tokens = [f"!{digits}{rank[2:]}" for rank in _RANKS[: len(members)]]
        names.update(zip(members, tokens, strict=True))
        self.info.sizes.update((tokens[at], (token, size)) for at, token, size in sizes)
        self.info.scopes.update((token, place) for token, place in zip(tokens, places, strict=True) if place)
        scope = _SCOPE.search(self._raw[owner])
        outer = self.name(scope[1]) if scope and scope[1] not in self._owner else "null"
        self.info.owners[key] = names[owner], outer

    def _places_of(self, owner: str, members: Sequence[str]) -> list[str]:
        """The keys of the ranges that locations in these scopes belong to, "" for what is none."""
        if not self._encodes:
            return [""] * len(members)
        files, ranges, own_file = self._file, self._ranges, self._file[owner]
        own = ranges.get((owner, own_file), ("", 0))[0]
        places = []
        for n in members:
            file = files.get(n)
            if file is None:
                places.append("")
            else:
                places.append(own if file == own_file else ranges.get((owner, file), ("", 0))[0])
        return places

    def _spell_own(self, owner: str, body: str) -> str:
        """One of a function's own nodes that is neither block nor variable."""
        found = _FILE.search(body)
        file = found[1] if found else self._file[owner]
        parts = _SPLIT.split(body)
        for at in range(1, len(parts), 2):
            part = parts[at]
            if part[0] == "!":
                own = self._owner.get(part) == owner
                parts[at] = self._rank[part] if own else self.name(part)
            elif part[0] != '"':
                word, _, number = part.partition(" ")
                parts[at] = f"{word} {self._spell_line(owner, file, number)}"
        return "".join(parts)

    def _callee(self, owner: str) -> str:
        """A node that declares a function: its member declaration, or what little a debugger needs."""
        body = self._raw[owner]
        if found := _DECLARATION.search(body):
            return self.name(found[1])
        names = [
            f"{word}: {m[1]}"
            for word, m in (("name", _NAME.search(body)), ("linkageName", _LINKAGE_NAME.search(body)))
            if m
        ]
        scope = _SCOPE.search(body)
        if scope and scope[1] not in self._owner:
            names.append(f"scope: {self.name(scope[1])}")
        return self._add(f"!DISubprogram({', '.join(names)}, spFlags: DISPFlagOptimized)")

    def _claim(self, text: str) -> str:
        """Digits for a node with an identity: another one with the same content gets others."""
        self._claimed[text] += 1
        count = self._claimed[text]
        return _digits(text if count == 1 else f"{text}\0{count}")

    # Everything else

    def name(self, n: str) -> str:
        """The content token of a node, or a location as it is written. Raises Unsupported."""
        found = self._names.get(n)
        if found is not None:
            return found
        if n in self._owner:
            self._group(self._owner[n])
            return self._names[n]
        body = self._raw.get(n)
        if body is None:
            if n in self._spelled:
                return self._spelled[n]
            raise Unsupported("a location where none can be")
        if n in self._busy:
            raise Unsupported("types that depend on themselves")
        self._depth += 1
        if self._depth > _DEEP:
            self._name_below(n)
        self._busy.add(n)
        token = self._name(n, body)
        self._busy.discard(n)
        self._depth -= 1
        self._names[n] = token
        return token

    def _name_below(self, n: str) -> None:
        """Names what a node needs, the innermost first: naming itself goes as deep as nodes are nested."""
        stack, opened = [n], set()
        while stack:
            top = stack[-1]
            if top in self._names or top in self._busy:
                stack.pop()
            elif top not in opened:
                opened.add(top)
                stack += [m for m in self._needed(top) if m not in self._names and m not in opened]
            else:
                stack.pop()
                if top != n:
                    self.name(top)

    def _needed(self, n: str) -> list[str]:
        """The nodes that a node is spelled with, if it is of the simple kinds that form long chains."""
        body = self._raw.get(n, "")
        kind = body[: body.find("(") + 1] or body[:2]
        if n in self._owner or kind not in _SIMPLE:
            return []
        text = self._localize(_PLACE.sub("", body) if kind in _PLACELESS else body)
        return [part for part in _REFERENCE.findall(text) if part[0] == "!"]

    def _name(self, n: str, body: str) -> str:
        if body.startswith("distinct !{"):
            return self._loop(n, body)
        kind = body[: body.find("(") + 1]
        match kind:
            case "distinct !DICompositeType(" | "!DICompositeType(":
                return self._composite(n, body)
            case "distinct !DICompileUnit(":
                return self._unit(body)
            case "distinct !DILocation(":
                return self._inlined_at(body)
            case "distinct !DIGlobalVariable(" | "!DIGlobalVariable(":
                return self._variable(body)
            case "!DIFile(":
                return self._add(self._file_body(body))
        if kind in _PLACELESS:
            body = _PLACE.sub("", body)
        spelled = self._respell(self._localize(body))
        if body.startswith("distinct "):
            token = f"!{self._claim(spelled)}"
            self.nodes.add(token, spelled)
            return token
        return self._add(spelled)

    def _add(self, body: str) -> str:
        token = f"!{_digits(body)}"
        self.nodes.add(token, body)
        return token

    def _respell(self, body: str) -> str:
        parts = _REFERENCE.split(body)
        for at in range(1, len(parts), 2):
            if parts[at][0] == "!":
                parts[at] = self.name(parts[at])
        return "".join(parts)

    def _localize(self, body: str) -> str:
        """A type in a function's scope names the function, for its node changes with every variable."""
        found = _SCOPE.search(body)
        owner = self._owner.get(found[1]) if found else None
        if found is None or owner is None:
            return body
        return f"{body[: found.start(1)]}{LOCAL_TO}{self._keys[owner]}{LOCAL_TO}{body[found.end(1) :]}"

    def _loop(self, n: str, body: str) -> str:
        """A node that names itself, as that of a loop does."""
        self._names[n] = "!\0"
        text = self._respell(body)
        token = f"!{self._claim(text)}"
        self.nodes.add(token, text.replace("!\0", token))
        return token

    def _unit(self, body: str) -> str:
        lists = dict(_UNIT_LISTS.findall(body))
        text = self._respell(_UNIT_LISTS.sub("", body))
        token = f"!{self._claim(text)}"
        self.nodes.add(token, text)
        if "imports" in lists:
            names = _NODE.findall(self._raw[lists["imports"]])
            self._imports.append(
                (token, [m for m in names if "(tag: DW_TAG_imported_module" in self._raw[m]])
            )
        if "globals" in lists:
            self._globals.append((token, _NODE.findall(self._raw[lists["globals"]])))
        return token

    def _variable(self, body: str) -> str:
        text = self._respell(self._hide_line(body))
        token = f"!{self._claim(text)}"
        self.nodes.add(token, text)
        self._keep_line(token, body)
        return token

    def _hide_line(self, body: str) -> str:
        found = _LINE_FIELD.search(body) if self._relative else None
        return f"{body[: found.start(1)]}{ELSEWHERE}{body[found.end(1) :]}" if found else body

    def _keep_line(self, token: str, body: str) -> None:
        """Notes what the line in a declaration's text is."""
        found = _LINE_FIELD.search(body)
        line = int(found[1]) if found else 0
        if self._line_map is None:
            self.info.lines[token] = line
        elif line:
            self.info.declared[token] = self._line_map.declared(line)

    def _file_body(self, body: str) -> str:
        if not self._placeholders:
            return body
        body = self._moved(body)
        found = _MD5.search(body)
        if found:
            placeholder = hashlib.md5(f"nc:{self._sums[found[1]]}".encode("latin-1")).digest()
            real = bytes.fromhex(found[1])
            if self.info.checksums.setdefault(placeholder, real) == real:
                body = f"{body[: found.start(1)]}{placeholder.hex()}{body[found.end(1) :]}"
        return body

    def _moved(self, body: str) -> str:
        """A file's node with the placeholder of the folder."""
        found = _DIRECTORY.search(body)
        if found and found[1] and found[1] == self._directory and len(found[1]) <= _LONGEST_DIRECTORY:
            return f"{body[: found.start(1)]}{DIRECTORY_PLACEHOLDER}{body[found.end(1) :]}"
        return body

    @cached_property
    def _sums(self) -> dict[str, str]:
        """A file of each checksum. LLVM takes two names of one file for one if their checksums are equal."""
        files: dict[str, str] = {}
        for body in self._raw.values():
            if body.startswith("!DIFile(") and (found := _MD5.search(body)):
                name = self._moved(body[: found.start()])
                files[found[1]] = min(name, files.get(found[1], name))
        return files

    # Types

    def _is_named_type(self, n: str) -> bool:
        """Whether a debugger finds the right type by its name, so that a declaration of it will do."""
        if self._line_map is not None and "DIFlagFwdDecl" not in self._raw.get(n, ""):
            return False  # it was not declared only, so it must not be
        return self._has_findable_name(n) and (not self.full or self._qualified(n) not in self.full)

    def _qualified(self, n: str) -> str:
        """A type's name with those of the scopes around it."""
        names = []
        for _ in range(100):
            body = self._raw.get(n, "")
            if body.startswith(("!DIFile(", "distinct !DICompileUnit(")):
                break
            found, scope = _NAME.search(body), _SCOPE.search(body)
            names.append(found[1][1:-1] if found else "")
            if scope is None:
                break
            n = scope[1]
        return "::".join(reversed(names))

    def _has_findable_name(self, n: str) -> bool:
        body = self._raw.get(n, "")
        while True:
            tag = _TAG.search(body)
            if tag is None or tag[1] not in _NAMED_TYPES or not _NAME.search(body):
                return False
            scope = _SCOPE.search(body)
            if scope is None:
                return True
            if scope[1] in self._owner:
                return False
            body = self._raw.get(scope[1], "")
            if "DICompositeType(" not in body[:26]:
                return True

    def _composite(self, n: str, body: str) -> str:
        tag = _TAG.search(body)
        if tag and tag[1] in _NAMED_TYPES:
            if self._is_named_type(n):
                return self._add(self._respell(self._declared(body, tag[1])))
            if _ELEMENTS.search(body):
                # Its members name it: what can be seen of it is spelled without their names.
                self._names[n] = f"!{_digits(self._expand(n, []))}"
        text = self._localize(self._place(body))
        if n in self._names:
            self._unspelled.append((self._names[n], text))  # what it names may wait for this
        else:
            self._names[n] = self._add(self._respell(text.removeprefix("distinct ")))
        if ELSEWHERE in text:
            self._keep_line(self._names[n], body)
        return self._names[n]

    def _place(self, body: str) -> str:
        """A type without its place. One that has a name keeps it: lldb takes those of one place for one."""
        tag = _TAG.search(body)
        if tag and tag[1] in _NAMED_TYPES and _NAME.search(body):
            return self._hide_line(body)
        return _PLACE.sub("", body)

    def _declared(self, body: str, tag: str) -> str:
        flags = ["DIFlagFwdDecl", *_PASSED.findall(body)]
        fields = [f"tag: {tag}", *_KEPT.findall(body), f"flags: {' | '.join(flags)}"]
        return f"!DICompositeType({', '.join(fields)})"

    def _expand(self, n: str, path: list[str]) -> str:
        """All that can be seen from a type, nodes on the path to it by their distance."""
        if n in path:
            return f"^{path.index(n)}"
        body = self._raw.get(n, "")
        if not body.startswith(_EXPANDED) or self._is_named_type(n):
            return self.name(n)
        self._expanded += 1
        if len(path) > 100 or self._expanded > 200_000:
            raise Unsupported("types nested too deeply")
        path.append(n)
        parts = _REFERENCE.split(self._localize(self._place(body)))
        for at in range(1, len(parts), 2):
            if parts[at][0] == "!":
                parts[at] = self._expand(parts[at], path)
        path.pop()
        return f"({''.join(parts)})"

    def _find_held(self, n: str) -> tuple[str, str] | None:
        """The declared type that a variable of this type holds, and its size: LLVM must know that."""
        for _ in range(20):
            body = self._raw.get(n, "")
            if body.startswith("!DIDerivedType("):
                tag, base = _TAG.search(body), _BASE_TYPE.search(body)
                if tag is None or base is None or tag[1] not in _QUALIFIERS:
                    return None
                n = base[1]
                continue
            size = _SIZE.search(body)
            if size and "DICompositeType(" in body[:26] and self._is_named_type(n):
                return self.name(n), size[1]
            return None
        return None

    # The whole module

    def _read_locations(self) -> None:
        self._read_groups()
        spelled = self._spelled
        scopes: dict[str, tuple[int, str]] = {}
        if self._encodes:
            ranges, names = self._ranges, self._names
            for n, file in self._file.items():
                if n in self._owner and (place := ranges.get((self._owner[n], file))):
                    scopes[n] = place[1], names[n]
        late = []
        for n, line, middle, scope, tail in self._locations:
            if tail and " inlinedAt: " in tail:
                late.append((n, line, middle, scope, tail))
            elif self._encodes and line != "0" and scope in scopes:
                first, token = scopes[scope]
                spelled[n] = f"!DILocation(line: {int(line) - first}{RELATIVE}{middle}{token}{tail})"
            else:
                spelled[n] = self._location(line, middle, scope, tail)
        waiting = {n: rest for n, *rest in late}
        for n in waiting:
            self._read_inlined(n, waiting)

    def _read_inlined(self, n: str, waiting: Mapping[str, Sequence[str]]) -> None:
        """A location within others, which may be of this kind, too."""
        path = [n]
        while (found := _NODE.search(waiting[path[-1]][3])) and found[0] in waiting:
            path.append(found[0])
        for step in reversed(path):
            if step not in self._spelled:
                line, middle, scope, tail = waiting[step]
                self._spelled[step] = self._location(line, middle, scope, self._respell(tail))

    def _location(self, line: str, middle: str, scope: str, tail: str) -> str:
        owner = self._owner.get(scope)
        if owner is None:
            raise Unsupported("a location outside of any function")
        number = self._spell_line(owner, self._file.get(scope, ""), line)
        return f"!DILocation(line: {number}{middle}{self.name(scope)}{tail})"

    def _inlined_at(self, body: str) -> str:
        found = _LOCATION.match("!0 = " + body.removeprefix("distinct "))
        if found is None:
            raise Unsupported("a location of an unknown form")
        _, line, middle, scope, tail = found.groups()
        spelled = f"distinct {self._location(line, middle, scope, self._respell(tail))}"
        token = f"!{self._claim(spelled)}"
        self.nodes.add(token, spelled)
        return token

    # Types of one name

    def shapes(self) -> dict[str, tuple[str, frozenset[str]]]:
        """By qualified name, what defined types look like, and the names of those that they name.

        A C++ type with linkage is told by where it is defined, for it is the same in all files by law.
        """
        found: dict[str, tuple[str, frozenset[str]]] = {}
        for n in self._raw:
            if not self._is_definition(n):
                continue
            name, body = self._qualified(n), self._raw[n]
            if " identifier: " in body:
                fields = (_FILE, _LINE, _SIZE)
                place = [m[1] if (m := pattern.search(body)) else "" for pattern in fields]
                found[name] = f"{self._path(place[0])} {place[1:]}", frozenset()
                continue
            names: set[str] = set()
            shape = self._shape(n, [], names)
            if found.setdefault(name, (shape, frozenset(names)))[0] != shape:
                found[name] = "", frozenset(names)  # two of that name in this module
        for body in self._raw.values():
            if body.startswith("!DIGlobalVariableExpression(") and (variable := _VARIABLE.search(body)):
                local = (
                    (_VALUE.findall(body) or id(self)) if "isLocal: true" in self._raw[variable[1]] else ""
                )
                found[f"={self._qualified(variable[1])}"] = f"variable {local}", frozenset()
        return found

    def _shape(self, n: str, path: list[str], names: set[str]) -> str:
        """All that can be seen from a type, others by their names."""
        if n in path:
            return f"^{path.index(n)}"
        body = self._raw.get(n, "")
        if n in self._owner or not body.startswith(_EXPANDED) or (path and self._has_findable_name(n)):
            name = self._qualified(n)
            names.add(name)
            # Whether a file defines it or only declares it is no difference of what names it.
            return f"{body.partition('(')[0].removeprefix('distinct ')} {name}"
        if len(path) > 100:
            raise Unsupported("types nested too deeply")
        path.append(n)
        parts = _REFERENCE.split(_PLACE.sub("", body))
        for at in range(1, len(parts), 2):
            if parts[at][0] == "!":
                parts[at] = self._shape(parts[at], path, names)
        path.pop()
        return f"({''.join(parts)})"

    # Types, once per module

    def _write_types(self, flags: Sequence[str]) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
        """The definitions of all named types, with enumerations and constants, and their lines.

        Nodes are numbered as they are come upon, lines likewise.
        """
        raw = self._raw
        numbers: dict[str, str] = {}
        waiting: list[str] = []
        written: list[str] = []
        lines: list[int] = []
        names: dict[str, int] = {}

        def number(n: str) -> str:
            n = self._owner.get(n, n)  # of what is in a function, no more than which it is
            if n not in numbers:
                numbers[n] = f"!{len(numbers)}"
                waiting.append(n)
            return numbers[n]

        def named(match: re.Match[str]) -> str:
            return name_line(names.setdefault(match[1], len(names)))

        def spell(body: str) -> str:
            parts = _SPLIT.split(body)
            for at in range(1, len(parts), 2):
                part = parts[at]
                if part[0] == "!":
                    parts[at] = number(part)
                elif part[0] == '"':
                    if IN_NAME in part:
                        parts[at] = NAMED_LINE.sub(named, part)
                elif part != "line: 0":
                    word, _, line = part.partition(" ")
                    if self._relative and len(lines) < MIDDLE:
                        lines.append(int(line))
                        line = str(ordinal(len(lines) - 1))
                    parts[at] = f"{word} {line}"
            return "".join(parts)

        defined = [n for n in raw if self._is_definition(n)]
        units = [n for n, body in raw.items() if body.startswith("distinct !DICompileUnit(")]
        constants = set(self._constants)
        for unit in units:
            number(unit)
        while waiting:
            batch, waiting = waiting, []
            for n in batch:
                body = raw.get(n, "!{}")
                if n in self._functions:
                    called = [m[0] for pattern in (_NAME, _LINKAGE_NAME) if (m := pattern.search(body))]
                    body = f"!DISubprogram({', '.join([*called, 'spFlags: 0'])})"
                elif body.startswith("!DIFile("):
                    body = self._file_body(body)
                elif body.startswith("distinct !DICompileUnit("):
                    lists = {name: _NODE.findall(raw[m]) for name, m in _UNIT_LISTS.findall(body)}
                    lists.pop("macros", None)
                    lists["globals"] = [m for m in lists.get("globals", ()) if m in constants]
                    for name in ("enums", "retainedTypes", "imports"):
                        lists[name] = [m for m in lists.get(name, ()) if not self._is_local(m)]
                    lists["retainedTypes"] = list(dict.fromkeys([*lists["retainedTypes"], *defined]))
                    defined = []
                    body = _UNIT_LISTS.sub("", body)[:-1]
                    body += "".join(
                        f", {name}: !{{{', '.join(nodes)}}}" for name, nodes in lists.items() if nodes
                    )
                    body += ")"
                written.append(f"{numbers[n]} = {spell(body)}\n")
        head = f"!llvm.dbg.cu = !{{{', '.join(numbers[n] for n in units)}}}\n"
        kept = [n for n in flags if '"CG Profile"' not in raw.get(n, "")]
        head += f"!llvm.module.flags = !{{{', '.join(map(number, kept))}}}\n"
        written += [f"{numbers[n]} = {spell(raw[n])}\n" for n in waiting]
        return head + "".join(written), tuple(lines), tuple(self.info.named[key] for key in names)

    def _is_local(self, n: str) -> bool:
        found = _SCOPE.search(self._raw.get(n, ""))
        return n in self._owner or (found is not None and found[1] in self._owner)

    def _is_definition(self, n: str) -> bool:
        body = self._raw[n]
        if "DICompositeType(" not in body[:26] or "DIFlagFwdDecl" in body:
            return False
        return self._has_findable_name(n)

    def apply(self, module: Module) -> None:
        """Rewrites a module that was indexed without its metadata. Raises Unsupported half-way."""
        flags = _NODE.findall(module.named_metadata.get("llvm.module.flags", ""))
        self._read_locations()
        tokens = _Tokens(self._spelled, self.name)
        functions = described(module)
        attached: dict[str, list[str]] = defaultdict(list)
        for token, entity in module.entities.items():
            text = entity.text
            if entity.kind == "variable" and " !dbg " in text:
                for node in _ATTACHED.findall(text):
                    attached[node].append(token)
                text = _ATTACHED.sub("", text)  # see _attach
            entity.text = tokens.spell(text)
        for name, text in module.named_metadata.items():
            module.named_metadata[name] = tokens.spell(text)
        module.metadata = self.nodes
        module.debug = self.info
        for unit, names in self._imports:
            self.info.imports[unit] = [self.name(n) for n in names]
        self._attach(module, functions, attached)
        if self._line_map is None and self._has_types():
            self.info.types = Types(lambda: self._write_types(flags))
        for owner, token in functions.items():
            scope = _SCOPE.search(self._raw[owner])
            if scope and (host := functions.get(self._owner.get(scope[1], ""))):
                self.info.hosts[token] = host
            if "DIFlagAllCallsDescribed" in self._raw[owner]:
                self.info.callees[token] = self._callee(owner)
        while self._unspelled:
            token, text = self._unspelled.pop()
            self.nodes.add(token, self._respell(text))

    def _has_types(self) -> bool:
        return any(
            body.startswith("distinct !DICompileUnit(") and "emissionKind: FullDebug" in body
            for body in self._raw.values()
        )

    def _attach(
        self, module: Module, functions: Mapping[str, str], attached: Mapping[str, list[str]]
    ) -> None:
        """Gives global variables' nodes back to them, and those of static locals to their functions.

        The nameless ones of string literals go: no debugger shows them, and each unit has its own copy.
        """
        listed = {node: unit for unit, nodes in self._globals for node in nodes}
        described: dict[str, list[tuple[str | None, str]]] = defaultdict(list)
        for node in {**listed, **attached}:
            found = _VARIABLE.search(self._raw.get(node, ""))
            body = self._raw.get(found[1], "") if found else ""
            if not _NAME.search(body):
                continue
            scope = _SCOPE.search(body)
            owner = self._owner.get(scope[1]) if scope else None
            variables = attached.get(node, [])
            users = self._users(found[1], variables) if found and owner is None else set()
            if not variables and owner is None:
                self._constants.append(node)
                if not users:
                    continue
            token = self.name(node)
            if node in listed:
                self.info.units[token] = listed[node]
            for user in users:
                described[user] += [(variable, token) for variable in variables] or [(None, token)]
            if owner is not None and owner in functions:
                statics = self.info.statics.setdefault(functions[owner], [])
                statics += [(variable, token) for variable in variables] or [(None, token)]
                continue
            for variable in variables:
                entity = module.entities[variable]
                entity.text = f"{entity.text[:-1]}, !dbg {token}\n"
        for function in functions.values() if described else ():
            used = {"", *_SYMBOL.findall(module.entities[function].text)}
            for user in sorted(described.keys() & used):
                self.info.statics.setdefault(function, []).extend(described[user])

    def _users(self, variable: str, symbols: Sequence[str]) -> set[str]:
        """Whose units describe a variable that is in no function: "" for all, else of those that mention it.

        They must where a debugger finds it nowhere else: where other modules have others of that name (one
        that a function does not use is then shown as optimized out, rather than as another module's), and,
        in gdb, in namespaces without a name. Which functions use constants of the latter cannot be told.
        """
        body, name = self._raw[variable], self._qualified(variable)
        if "isLocal: true" not in body:
            return set()
        if f"={name}" in self.full:
            file = _FILE.search(body)
            return {""} if not symbols or (file and self._path(file[1]) in self._main_files) else set(symbols)
        return set(symbols) if "" in name.split("::")[:-1] else set()

    @cached_property
    def _main_files(self) -> set[str]:
        units = [body for body in self._raw.values() if body.startswith("distinct !DICompileUnit(")]
        return {self._path(file[1]) for body in units if (file := _FILE.search(body))}


class _Tokens(dict[str, str]):
    """What stands for each node in a module's text."""

    def __init__(self, known: Mapping[str, str], name: Callable[[str], str]) -> None:
        super().__init__(known)
        self._name = name

    def __missing__(self, n: str) -> str:
        found = self[n] = self._name(n)
        return found

    def spell(self, text: str) -> str:
        if '"' not in text:
            parts = _PLAIN.split(text)
            parts[1::2] = map(self.__getitem__, parts[1::2])
            return "".join(parts)
        parts = _REFERENCE.split(text)
        for at in range(1, len(parts), 2):
            if parts[at][0] == "!":
                parts[at] = self[parts[at]]
        return "".join(parts)


_PLAIN: Final = re.compile(r"(!\d+)", re.ASCII)
_SYMBOL: Final = re.compile(r'@(?:"[^"]*"|[-\w.$]+)', re.ASCII)
#: Kinds of nodes that types without a name are told apart by.
_EXPANDED: Final = (
    "!{",
    "!DIDerivedType(",
    "!DISubroutineType(",
    "!DISubprogram(",
    "distinct !DICompositeType(",
    "!DICompositeType(",
)
_LINE_IN_NAME: Final = re.compile(r' at ([^"()]*?):(@?\d+):(\d+)\)', re.ASCII)
_QUALIFIERS: Final = ("DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_atomic_type")


def described(module: Module) -> dict[str, str]:
    """The functions of a module, as printed, by the nodes that describe them."""
    found = {}
    for token, entity in module.entities.items():
        if entity.kind == "function" and entity.defined:
            match = _ATTACHED.search(entity.text, 0, entity.text.index("\n"))
            if match:
                found[match[1]] = token
    return found


def find_ambiguous(normalisers: Sequence[Normaliser]) -> frozenset[str]:
    """Names of types that are others in other modules, or hold such: a debugger would find any of them."""
    if len(normalisers) < 2:
        return frozenset()
    modules = [normaliser.shapes() for normaliser in normalisers]
    seen: dict[str, str] = {}
    ambiguous = set()
    several = set()
    below: dict[str, set[str]] = defaultdict(set)
    for shapes in modules:
        for name, (shape, names) in shapes.items():
            if name in seen:
                several.add(name)
            if not shape or seen.setdefault(name, shape) != shape:
                ambiguous.add(name)
            below[name] |= names
    while ambiguous:
        more = {n for n in several - ambiguous if not ambiguous.isdisjoint(below[n])}
        if not more:
            break
        ambiguous |= more
    return frozenset(ambiguous)


def compilation_directory(text: str) -> str:
    """The folder that the first compile unit in some printed metadata was compiled in."""
    unit = re.search(r"= distinct !DICompileUnit\(.*?\bfile: (!\d+)", text)
    file = re.search(rf"^{unit[1]} = !DIFile\(.*$", text, re.MULTILINE) if unit else None
    found = _DIRECTORY.search(file[0]) if file else None
    return found[1] if found else ""
