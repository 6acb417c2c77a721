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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from nativecache.aot.names import pack, unpack
from nativecache.linker.dwarf import DIRECTORY_PLACEHOLDER, MIDDLE, RANGE_SHIFT, ordinal

if TYPE_CHECKING:
    from nativecache.aot.index import Module

#: Marks a line that counts from the first of its range, `3\1`, which the scope that follows tells, or else a
#: key does, `3\1\1key\1`. LLVM prints no such character.
RELATIVE: Final = "\1"
#: Stands around the key of the function in whose scope a type is.
LOCAL_TO: Final = "\2"
#: Stands for a line that is an attribute of the node's token.
ELSEWHERE: Final = "\3"

_LOCATION: Final = re.compile(
    r"^(!\d+) = !DILocation\(line: (\d+)(, (?:column: \d+, )?scope: )(!\d+)(.*)\)$", re.MULTILINE
)
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
_PLACE: Final = re.compile(r", (?:file: !\d+|line: \d+)\b", re.ASCII)
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
    "distinct !DILexicalBlock",
    "!DILexicalBlock",
    "!DILocalVariable(",
    "!DILabel(",
    "!DIImportedEntity(",
)
#: Nodes of types and declarations, whose place in the source no unit but the types' needs.
_PLACELESS: Final = ("!DIDerivedType(", "!DISubprogram(", "!DIImportedEntity(", "!DICommonBlock(")
#: The longest path that a placeholder has room for.
_LONGEST_DIRECTORY: Final = len(DIRECTORY_PLACEHOLDER) - 1


class Unsupported(Exception):
    """Debug information of a form that is not understood here. It stays as it is: right, and large."""


def _digits(text: str) -> str:
    """A digest as a number of 20 digits."""
    return f"{int.from_bytes(hashlib.sha256(text.encode('latin-1')).digest()[:8], 'little'):020}"


@dataclass(frozen=True, slots=True)
class Places:
    """What the lines in a unit's text stand for, by their encoding (linker/dwarf.py).

    `ranges`: label of the module and key of each range; `lines`: label and token of each declaration.
    """

    ranges: tuple[tuple[str, str], ...] = ()
    lines: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.ranges or self.lines)

    def pack(self) -> str:
        """As names.py packs names: all labels and keys, ranges first, and how many of those there are."""
        if not self:
            return ""
        flat = [part for place in (*self.ranges, *self.lines) for part in place]
        return pack([str(len(self.ranges)), *flat])

    @classmethod
    def unpack(cls, packed: str) -> Places:
        if not packed:
            return cls()
        count, *flat = unpack(packed)
        pairs = tuple(zip(flat[::2], flat[1::2], strict=True))
        return cls(pairs[: int(count)], pairs[int(count) :])

    def decode(self, line: int) -> tuple[int, str]:
        """How far a line is from the first of its range, and the range's key."""
        return (line & ((1 << RANGE_SHIFT) - 1)) - MIDDLE, self.ranges[(line >> RANGE_SHIFT) - 1][1]

    def declared(self, line: int) -> tuple[str, str]:
        """The declaration whose line this is."""
        return self.lines[line - MIDDLE]


NO_PLACES: Final = Places()


class Nodes(Mapping[str, str]):
    """Nodes by content token. A function's own are spelled when the first of them is asked for."""

    def __init__(self) -> None:
        self._bodies: dict[str, str] = {}
        self._groups: dict[str, str] = {}  # by the 21 characters that their tokens begin with

    def add(self, token: str, body: str) -> None:
        self._bodies[token] = body

    def add_group(self, head: str, text: str) -> None:
        self._groups[head] = text

    def __getitem__(self, token: str) -> str:
        found = self._bodies.get(token)
        if found is None:
            head = token[:21]
            bodies = self._groups[head].replace("\0", head[1:]).split("\n")
            self._bodies.update((f"{head}{rank:04}", body) for rank, body in enumerate(bodies))
            found = self._bodies[token]
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._bodies)

    def __len__(self) -> int:
        return len(self._bodies)


@dataclass
class DebugInfo:
    """What normalised debug information leaves to be known besides its nodes.

    Tokens are content tokens, `function` and `variable` are those of globals.
    """

    #: First line by range key.
    ranges: dict[str, int] = field(default_factory=dict)
    #: Range key by token of a scope.
    scopes: dict[str, str] = field(default_factory=dict)
    #: Line by token of a declaration; in generated text, which module's declaration it was made from.
    lines: dict[str, int] = field(default_factory=dict)
    declared: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: Real MD5 checksums by placeholder.
    checksums: dict[bytes, bytes] = field(default_factory=dict)
    #: By function: its static variables, if they are still there, and their nodes.
    statics: dict[str, list[tuple[str | None, str]]] = field(default_factory=dict)
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

    def __init__(self, write: Callable[[], tuple[str, tuple[int, ...]]]) -> None:
        self._write = write

    @cached_property
    def _written(self) -> tuple[str, tuple[int, ...]]:
        return self._write()

    @property
    def text(self) -> str:
        """Metadata in LLVM's own form, with encoded lines."""
        return self._written[0]

    @property
    def lines(self) -> tuple[int, ...]:
        """What those lines are, by their ordinals."""
        return self._written[1]


class Normaliser:
    """One module's debug information. See the module's docstring."""

    def __init__(
        self,
        text: str,
        *,
        relative: bool = True,
        directory: str = "",
        places: Places | None = None,
    ) -> None:
        """`text`: the numbered metadata as printed. `directory`: what the placeholder stands for.

        `places`: the text was made from a unit, so that its lines are encoded and its placeholders stay.
        """
        self.info = DebugInfo()
        self.nodes = Nodes()
        self._relative = relative
        self._directory = directory
        self._places = places
        plain = [line for line in text.split("\n") if " = !DILocation(" not in line]
        self._raw = dict(line.split(" = ", 1) for line in plain if line)
        self._locations = _LOCATION.findall(text)
        self._names: dict[str, str] = {}
        self._busy: set[str] = set()
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
        self._placeholders = relative and places is None and int(version) >= 5
        self._read_functions()

    # A function's own nodes

    def _read_functions(self) -> None:
        raw = self._raw
        self._functions = dict.fromkeys(
            n for n, body in raw.items() if body.startswith("distinct !DISubprogram(")
        )
        above = {}
        for n, body in raw.items():
            if body.startswith(_OWNED) and (found := _SCOPE.search(body)):
                above[n] = found[1]
        self._owner: dict[str, str] = {n: n for n in self._functions}
        self._members: dict[str, list[str]] = {n: [n] for n in raw if n in self._functions}
        for n, scope in above.items():
            path = [n]
            while scope not in self._owner and scope in above and len(path) < 1000:
                path.append(scope)
                scope = above[scope]
            owner = self._owner.get(scope)
            if owner is None:
                continue  # what is imported into a file or namespace
            for step in path:
                if step not in self._owner:
                    self._owner[step] = owner
                    self._members[owner].append(step)
        for n in self._functions:
            if (found := _RETAINED.search(raw[n])) and raw.get(found[1], "!{}") != "!{}":
                self._owner[found[1]] = n
                self._members[n].append(found[1])
        self._keys = self._name_functions()
        self._file = {n: m[1] if (m := _FILE.search(raw[n])) else "" for n in self._owner}
        if self._relative and self._places is None:
            self._find_ranges()

    def _name_functions(self) -> dict[str, str]:
        """A key per function: its name, numbered where there are several of it."""
        seen: Counter[str] = Counter()
        keys = {}
        for n in self._members:
            found = _LINKAGE_NAME.search(self._raw[n]) or _NAME.search(self._raw[n])
            name = found[1][1:-1] if found else ""
            seen[name] += 1
            keys[n] = name if seen[name] == 1 else f"{name}#{seen[name]}"
        return keys

    def _find_ranges(self) -> None:
        """Fills `_ranges`, by function and file, with key and first line."""
        raw = self._raw
        self._ranges: dict[tuple[str, str], tuple[str, int]] = {}
        first: dict[tuple[str, str], int] = {}  # of ranges that do not begin with their function
        for n, owner in self._owner.items():
            file = self._file[n]
            if n == owner:
                line = int(m[1]) if (m := _LINE.search(raw[n])) else 0
                if line:
                    self._ranges[n, file] = "", line
                continue
            if (owner, file) not in self._ranges and (found := _LINE.search(raw[n])) and int(found[1]):
                place = owner, file
                first[place] = min(first.get(place, int(found[1])), int(found[1]))
        odd = {n: (owner, self._file[n]) for n, owner in self._owner.items()}
        odd = {n: place for n, place in odd.items() if place not in self._ranges}
        if odd:
            for _, line, _, scope, _ in self._locations:
                if scope in odd and line != "0":
                    place = odd[scope]
                    first[place] = min(first.get(place, int(line)), int(line))
        shared: dict[tuple[str, int], str] = {}
        for (owner, file), (_, line) in [*self._ranges.items(), *((p, ("", n)) for p, n in first.items())]:
            own = (
                self._keys[owner] if file == self._file[owner] else f"{self._keys[owner]}/{self._path(file)}"
            )
            key = shared.setdefault((file, line), own)
            self._ranges[owner, file] = key, line
            self.info.ranges[key] = line

    def _path(self, file: str) -> str:
        found = _FILE_NAME.search(self._raw.get(file, ""))
        return found[1] if found else ""

    def _spell_line(self, owner: str, file: str, number: str) -> str:
        """A line of a function's, explicit about its range."""
        if number == "0" or not self._relative:
            return number
        if self._places:
            offset, key = self._places.decode(int(number))
        else:
            key, first = self._ranges[owner, file]
            offset = int(number) - first
        return f"{offset}{RELATIVE}{RELATIVE}{key}{RELATIVE}"

    def _group(self, owner: str) -> None:
        """Names a function's own nodes."""
        if owner in self._busy:
            raise Unsupported("a function's scopes depend on themselves")
        self._busy.add(owner)
        members = self._members[owner]
        if len(members) > 10_000:
            raise Unsupported("too many scopes")
        local = {n: f"!\0{rank:04}" for rank, n in enumerate(members)}
        text = "\n".join([self._raw[n] for n in members])
        parts = _SPLIT.split(text)
        file, own_file = "", self._file[owner]
        rank = 0
        sizes: list[tuple[int, str, str]] = []
        for at in range(1, len(parts), 2):
            before, part = parts[at - 1], parts[at]
            if "\n" in before:
                rank += before.count("\n")
                file = ""
            if part[0] == "!":
                parts[at] = local.get(part) or self.name(part)
                if before.endswith("file: "):
                    file = part
                elif before.endswith(", type: ") and (held := self._held(part)):
                    sizes.append((rank, *held))
            elif part[0] != '"':
                word, _, number = part.partition(" ")
                parts[at] = (
                    f"{word} {self._spell_line(owner, file or self._file[members[rank]] or own_file, number)}"
                )
        text = "".join(parts)
        key = self._keys[owner]
        digits = self._claim("\n".join([text, key, repr(sizes)]))
        head = f"!{digits}"
        self.nodes.add_group(head, text)
        for rank, n in enumerate(members):
            self._names[n] = f"{head}{rank:04}"
        for rank, token, size in sizes:
            self.info.sizes[f"{head}{rank:04}"] = token, size
        if self._relative and self._places is None:
            for n in members:
                if place := self._ranges.get((owner, self._file[n])):
                    self.info.scopes[self._names[n]] = place[0]
        scope = _SCOPE.search(self._raw[owner])
        outer = self.name(scope[1]) if scope and scope[1] not in self._owner else "null"
        self.info.owners[key] = self._names[owner], outer

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
        self._busy.add(n)
        token = self._name(n, body)
        self._busy.discard(n)
        self._names[n] = token
        return token

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
        if self._places is None:
            self.info.lines[token] = line
        elif line:
            self.info.declared[token] = self._places.declared(line)

    def _file_body(self, body: str) -> str:
        if not self._placeholders:
            return body
        found = _DIRECTORY.search(body)
        if found and found[1] == self._directory and len(found[1]) <= _LONGEST_DIRECTORY:
            body = f"{body[: found.start(1)]}{DIRECTORY_PLACEHOLDER}{body[found.end(1) :]}"
        found = _MD5.search(body)
        if found:  # LLVM writes them where all files of a unit have one
            name = _FILE_NAME.search(body)
            placeholder = hashlib.md5(b"nc:" + (name[1] if name else "").encode("latin-1")).digest()
            real = bytes.fromhex(found[1])
            if self.info.checksums.setdefault(placeholder, real) == real:
                body = f"{body[: found.start(1)]}{placeholder.hex()}{body[found.end(1) :]}"
        return body

    # Types

    def _is_named_type(self, n: str) -> bool:
        """Whether a debugger finds the right type by its name, so that a declaration of it will do."""
        if self._places is not None and "DIFlagFwdDecl" not in self._raw.get(n, ""):
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

    def _held(self, n: str) -> tuple[str, str] | None:
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
        for owner in self._members:
            if owner not in self._names:
                self._group(owner)
        spelled = self._spelled
        relative = self._relative and self._places is None
        if relative:
            scopes = {}
            for n, owner in self._owner.items():
                place = self._ranges.get((owner, self._file[n]))
                scopes[n] = (place[1] if place else 0, self._names[n])
        late = []
        for n, line, middle, scope, tail in self._locations:
            if " inlinedAt: " in tail:
                late.append((n, line, middle, scope, tail))
            elif relative:
                first, token = scopes[scope]
                if line == "0":
                    spelled[n] = f"!DILocation(line: 0{middle}{token}{tail})"
                else:
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
        number = self._spell_line(owner, self._file[scope], line)
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
            return f"{body.partition('(')[0]} {name}"
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

    def _write_types(self, flags: Sequence[str]) -> tuple[str, tuple[int, ...]]:
        """The definitions of all named types, with enumerations and constants, and their lines.

        Nodes are numbered as they are come upon, lines likewise.
        """
        raw = self._raw
        numbers: dict[str, str] = {}
        waiting: list[str] = []
        written: list[str] = []
        lines: list[int] = []

        def number(n: str) -> str:
            n = self._owner.get(n, n)  # of what is in a function, no more than which it is
            if n not in numbers:
                numbers[n] = f"!{len(numbers)}"
                waiting.append(n)
            return numbers[n]

        def spell(body: str) -> str:
            parts = _SPLIT.split(body)
            for at in range(1, len(parts), 2):
                part = parts[at]
                if part[0] == "!":
                    parts[at] = number(part)
                elif part[0] != '"' and part != "line: 0":
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
                    names = [m[0] for pattern in (_NAME, _LINKAGE_NAME) if (m := pattern.search(body))]
                    body = f"!DISubprogram({', '.join(names)}, spFlags: 0)"  # else it would define
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
        named = f"!llvm.dbg.cu = !{{{', '.join(numbers[n] for n in units)}}}\n"
        kept = [n for n in flags if '"CG Profile"' not in raw.get(n, "")]
        named += f"!llvm.module.flags = !{{{', '.join(map(number, kept))}}}\n"
        for n in waiting:
            written.append(f"{numbers[n]} = {spell(raw[n])}\n")
        return named + "".join(written), tuple(lines)

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
        functions: dict[str, str] = {}
        attached: dict[str, list[str]] = defaultdict(list)
        for token, entity in module.entities.items():
            text = entity.text
            if entity.kind == "variable" and " !dbg " in text:
                for node in _ATTACHED.findall(text):
                    attached[node].append(token)
                text = _ATTACHED.sub("", text)  # see _attach
            if entity.kind == "function" and " !dbg " in text:
                found = _ATTACHED.search(text, 0, text.index("\n") if entity.defined else len(text))
                if found and found[1] in self._functions:
                    functions[found[1]] = token
            entity.text = tokens.spell(text)
        for name, text in module.named_metadata.items():
            module.named_metadata[name] = tokens.spell(text)
        module.metadata = self.nodes
        module.debug = self.info
        for unit, names in self._imports:
            self.info.imports[unit] = [self.name(n) for n in names]
        self._attach(module, functions, attached)
        if self._places is None and self._has_types():
            self.info.types = Types(lambda: self._write_types(flags))
        for owner, token in functions.items():
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
_QUALIFIERS: Final = ("DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_atomic_type")


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
