"""Writes a unit as standalone, canonical, name-free LLVM IR.

Problem: equal functions must give equal bitcode wherever they stand, under any name, in any module.
Method: a definition is split at its tokens (names, types, attribute groups, metadata numbers); each
different token is resolved once, in order of first use, to a canonical one: program symbols become
`@nc.0, @nc.1 …`, types `%t.0 …`, groups, metadata and copied constants likewise. What a token stands
for is queued and written the same way, until nothing new turns up; every token is queued at most
once, so it ends. Cost: one regex split and one join per definition, a Python step per different token.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from nativecache.aot.index import (
    INTERPOSABLE,
    NAME,
    TOKEN,
    Entity,
    Module,
    asm_words,
    declaration,
    definition,
    inline_asm,
    references,
    symbol_name,
)
from nativecache.aot.library_names import has_meaning
from nativecache.aot.partition import Unit, is_always_inline, structors
from nativecache.aot.program import Program, copyable

#: The one name a unit's file symbol has until it is renamed to the source file's.
FILE_PLACEHOLDER: Final = "nc.file"

_UNIT_LISTS: Final = re.compile(r", (?:enums|retainedTypes|globals|imports|macros): !\d+")
_NAMED_LOCAL: Final = re.compile(r"\n  %(?!\d)|\n(?=[^\d \n};!])|\A[^\n]* %[^\d\s,)][^\s,)]*[,)]", re.ASCII)
_ANY_NAMED: Final = re.compile(r'\n(?:  %\D|(?:[A-Za-z_.$-][-\w$.]*|"[^"\n]*"):|define [^\n]* %\D)', re.ASCII)
_DEFINED_LOCAL: Final = re.compile(r'%(?!\d)(?:"[^"]*"|[-\w$.]+)(?= = |[,)])', re.ASCII)
_DEFINED_LABEL: Final = re.compile(r'^((?!\d)(?:"[^"]*"|[-\w$.]+)):', re.MULTILINE | re.ASCII)
_LOCAL: Final = re.compile(
    rf"""(?P<string>(?<!%)"[^"\n]*"(?!:))      # contents of strings stay
      |^(?P<label>{NAME}):[^\n]*$              # a block; its comment goes
      |^[ ]{{2}}(?P<value>%{NAME})(?=[ ]=[ ])  # an instruction with a result
      |(?P<use>%{NAME})""",
    re.MULTILINE | re.ASCII | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class UnitText:
    """A unit ready to be parsed: its IR, and what its placeholders stand for."""

    text: str
    #: Symbol name in the unit's object -> symbol name in the program, where they differ.
    bindings: Mapping[str, str]
    #: Program symbols whose bodies were brought in to be inlined.
    imported: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Pieces:
    """A text split at its tokens: odd parts are the tokens."""

    parts: list[str]
    tokens: list[str]
    different: tuple[str, ...]


def _split(text: str) -> _Pieces:
    parts = TOKEN.split(text)
    tokens = parts[1::2]
    return _Pieces(parts, tokens, tuple(dict.fromkeys(tokens)))


#: Types, metadata and declarations are written into many units: their splits are kept (0.3 s of
#: sqlite's 1.0 s extraction). Bodies are longer and written once.
SHARED_TEXT: Final = 400
_split_shared = lru_cache(maxsize=1 << 17)(_split)


class _Clash(Exception):
    """Two symbols of the program want the same name in one unit."""


def extract(program: Program, unit: Unit, *, triple: str, datalayout: str, final: bool) -> UnitText:
    """The unit's IR. Pure: the same program and unit give the same text in any process."""
    return _Writer(program, unit, final=final).write(triple, datalayout)


class _Writer:
    def __init__(self, program: Program, unit: Unit, *, final: bool) -> None:
        self.program = program
        self.unit = unit
        self.final = final
        self.members = frozenset(unit.tokens)
        module = program.modules[unit.module]
        strings = [s for t in unit.tokens for s in inline_asm(module.entities[t].text)]
        #: Symbols that asm in this unit names: they keep their names.
        self.kept = asm_words(strings) | (module.asm_words if unit.has_asm else frozenset())
        self.maps: dict[int, dict[str, str]] = {}
        self.symbols: dict[str, str] = {}  # final name -> token in the unit
        self.claimed: dict[str, str] = {}  # token in the unit -> final name
        self.bindings: dict[str, str] = {}
        self.imported: list[str] = []
        self.queue: deque[Callable[[], None]] = deque()
        self.counts = dict.fromkeys(("symbol", "copy", "type", "comdat", "attribute", "metadata"), 0)
        self.types: list[str] = []
        self.comdats: list[str] = []
        self.variables: list[str] = []
        self.functions: list[str] = []
        self.attributes: list[str] = []
        self.metadata: list[str] = []
        self.compile_units: list[str] = []

    def write(self, triple: str, datalayout: str) -> UnitText:
        i, unit = self.unit.module, self.unit
        module = self.program.modules[i]
        for token in unit.tokens:
            entity = module.entities[token]
            pinned = token in self.program.pinned[i]
            text = definition(self._normalized(i, entity), keep_comdat=not self.final, pinned=pinned)
            self._emit(entity, self._rewrite(i, text))
        if unit.kind == "structors":
            self._write_structors(i)
        self._drain()
        self._write_used(i, module)
        flags = self._write_flags(i, module)
        named = [f"!llvm.dbg.cu = !{{{', '.join(self.compile_units)}}}\n"] if self.compile_units else []
        if flags:
            named.append(f"!llvm.module.flags = !{{{', '.join(flags)}}}\n")
        asm = [f'module asm "{line}"\n' for line in module.asm] if unit.has_asm else []
        text = "".join(
            [
                f'source_filename = "{FILE_PLACEHOLDER}"\n',
                f'target datalayout = "{datalayout}"\n' if datalayout else "",
                f'target triple = "{triple}"\n',
                *asm,
                module.numbered_types,
                *self.types,
                *self.comdats,
                *self.variables,
                *self.functions,
                *self.attributes,
                *named,
                *self.metadata,
            ]
        )
        return UnitText(text, self.bindings, tuple(self.imported))

    def _normalized(self, i: int, entity: Entity) -> Entity:
        if entity.kind != "function" or not has_named_locals(entity.text):
            return entity
        return number_locals(entity, self.program.modules[i].types)

    def _emit(self, entity: Entity, text: str) -> None:
        (self.functions if entity.kind == "function" else self.variables).append(text)

    def _drain(self) -> None:
        while self.queue:
            self.queue.popleft()()

    def _rewrite(self, i: int, text: str) -> str:
        known = self.maps.setdefault(i, {})
        pieces = _split_shared(text) if len(text) < SHARED_TEXT else _split(text)
        for token in pieces.different:
            if token not in known:
                known[token] = self._resolve(i, token)
        parts = pieces.parts.copy()
        parts[1::2] = map(known.__getitem__, pieces.tokens)
        return "".join(parts)

    def _resolve(self, i: int, token: str) -> str:
        match token[0]:
            case "@":
                return self._symbol(i, token)
            case "%":
                return self._type(i, token)
            case "#":
                return self._attribute(i, token)
            case "!":
                return self._node(i, token)
            case "$":
                return self._comdat(i, token)
        return token  # a string

    def _number(self, kind: str) -> int:
        number = self.counts[kind]
        self.counts[kind] = number + 1
        return number

    # Symbols

    def _symbol(self, i: int, token: str) -> str:
        module = self.program.modules[i]
        entity = module.entities.get(token)
        if entity is None:  # a special variable such as llvm.used; nothing in a unit refers to those
            return token
        pinned = token in self.program.pinned[i]
        if copyable(entity) and entity.defined and not pinned:
            return self._copy(i, entity)
        final = self.program.names[i][token]
        if final in self.symbols:
            return self.symbols[final]
        name = symbol_name(token)
        keep = pinned or final not in self.program.definitions or has_meaning(name) or final in self.kept
        new = token if keep else f"@nc.{self._number('symbol')}"
        if self.claimed.setdefault(new, final) != final:
            raise _Clash(final)
        self.symbols[final] = new
        if keep and name != final:
            self.bindings[name] = final
        elif not keep:
            self.bindings[new[1:]] = final
        if not (i == self.unit.module and token in self.members):
            self.queue.append(lambda: self._refer(i, entity))
        return new

    def _copy(self, i: int, entity: Entity) -> str:
        new = f"@c.{self._number('copy')}"

        def emit() -> None:
            text = entity.text.replace(" = internal ", " = private ", 1)
            self.variables.append(self._rewrite(i, text))

        self.queue.append(emit)
        return new

    def _refer(self, i: int, entity: Entity) -> None:
        """Writes what this unit needs to know of a symbol that it does not define."""
        module = self.program.modules[i]
        if must_import(self.program, i, entity):
            self.imported.append(self.program.names[i][entity.token])
            text = definition(self._normalized(i, entity), keep_comdat=False, available_externally=True)
        else:
            text = declaration(entity, module)
        self._emit(entity, self._rewrite(i, text))

    # Types, attribute groups, metadata, comdats

    def _type(self, i: int, token: str) -> str:
        body = self.program.modules[i].types.get(token)
        if body is None:  # a local value
            return token
        new = f"%t.{self._number('type')}"
        self.queue.append(lambda: self.types.append(f"{new} = type {self._rewrite(i, body)}\n"))
        return new

    def _attribute(self, i: int, token: str) -> str:
        body = self.program.modules[i].attributes.get(token)
        if body is None:
            return token
        new = f"#{self._number('attribute')}"
        self.attributes.append(f"attributes {new} = {body}\n")
        return new

    def _node(self, i: int, token: str) -> str:
        body = self.program.modules[i].metadata.get(token)
        if body is None:
            return token
        new = f"!{self._number('metadata')}"
        if "!DICompileUnit(" in body:
            self.compile_units.append(new)
            if self.unit.kind != "data":
                # The lists name every type and global of the file.
                body = _UNIT_LISTS.sub("", body)
        self.queue.append(lambda: self.metadata.append(f"{new} = {self._rewrite(i, body)}\n"))
        return new

    def _comdat(self, i: int, token: str) -> str:
        body = self.program.modules[i].comdats.get(token)
        if body is None:
            return token
        new = "$" + self._symbol_named(i, token)
        self.comdats.append(f"{new} = comdat {body}\n")
        return new

    def _symbol_named(self, i: int, comdat: str) -> str:
        """A comdat is spelled as the symbol that gives it its name, if the program has that symbol."""
        if "@" + comdat[1:] in self.program.modules[i].entities:
            new = self._symbol(i, "@" + comdat[1:])
            self.maps[i].setdefault("@" + comdat[1:], new)
            return new[1:]
        return comdat[1:]

    # The module's own lists

    def _write_structors(self, i: int) -> None:
        slots = []
        for n, (section, priority, token) in enumerate(structors(self.program, i)):
            # emit_object writes .ctors, which lld and mold link and never run, so the arrays that
            # clang would have written are written as plain pointers. 65535 is the default priority.
            suffix = "" if priority == 65535 else f".{priority:05}"
            target = self._rewrite(i, f"ptr {token}")
            slots.append(f"@s.{n} = private global {target}, section \"{section}{suffix}\"\n")
        self.variables += slots
        self._keep("llvm.compiler.used", [f"@s.{n}" for n in range(len(slots))])

    def _write_used(self, i: int, module: Module) -> None:
        for name, tokens in module.used.items():
            mine = [self.maps[i][token] for token in tokens if token in self.members]
            self._keep(name, mine)

    def _keep(self, name: str, tokens: list[str]) -> None:
        if tokens:
            items = ", ".join(f"ptr {token}" for token in tokens)
            self.variables.append(
                f'@{name} = appending global [{len(tokens)} x ptr] [{items}], section "llvm.metadata"\n'
            )

    def _write_flags(self, i: int, module: Module) -> list[str]:
        flags = []
        for token in re.findall(r"!\d+", module.named_metadata.get("llvm.module.flags", "")):
            # The call-graph profile names every function of the module.
            if '"CG Profile"' not in module.metadata[token]:
                flags.append(self.maps.setdefault(i, {}).get(token) or self._node(i, token))
                self.maps[i][token] = flags[-1]
        self._drain()
        return flags


def must_import(program: Program, i: int, entity: Entity) -> bool:
    """Whether callers need this body for the program to mean what clang's build of it means.

    `alwaysinline` is a promise to the program; an `available_externally` body may have no other home.
    """
    if entity.kind != "function" or not entity.defined or entity.linkage in INTERPOSABLE:
        return False
    if entity.linkage != "available_externally" and not is_always_inline(entity.text, program.modules[i]):
        return False
    return "blockaddress(" not in entity.text and not mentions_pinned(program, i, entity)


def mentions_pinned(program: Program, i: int, entity: Entity) -> bool:
    """Whether a body refers to a local that only its own unit can see."""
    pinned = program.pinned[i]
    if not pinned:
        return False
    words = asm_words(inline_asm(entity.text))
    return any(t in pinned for t in references(entity.text)) or any(program.names[i][t] in words for t in pinned)


def has_named_locals(text: str) -> bool:
    """Whether a function, given by its text, names any value or block."""
    return _NAMED_LOCAL.search(text) is not None


def local_names(text: str) -> set[str]:
    """Names (`%x`) among which are those of all values and blocks in a printed module."""
    if not _ANY_NAMED.search(text):
        return set()
    return set(_DEFINED_LOCAL.findall(text)) | {f"%{label}" for label in _DEFINED_LABEL.findall(text)}


def number_locals(entity: Entity, types: Container[str]) -> Entity:
    """The function with LLVM's own numbers in place of its value and block names.

    Names change the bitcode and nothing else. Arguments, then blocks and results in order of
    appearance share one sequence. `types`: the module's type names, spelled like values; the loader
    makes sure that no value shares one of them.
    """
    text = entity.text
    numbers: dict[str, str] = {}
    head, _, body = text.partition("\n")
    start = head.index(entity.token) + len(entity.token)
    for name in re.findall(rf" (%{NAME})(?=[,)])", head[start:], re.ASCII):
        if name not in types:
            numbers[name] = f"%{len(numbers)}"
    first = body.partition("\n")[0]
    if not re.match(rf"{NAME}:", first, re.ASCII):
        numbers[""] = f"%{len(numbers)}"  # the entry block without a label
    for match in _LOCAL.finditer(body):
        if label := match["label"]:
            numbers[f"%{label}"] = f"%{len(numbers)}"
        elif value := match["value"]:
            numbers[value] = f"%{len(numbers)}"

    def spell(match: re.Match[str]) -> str:
        if label := match["label"]:
            return f"{numbers[f'%{label}'][1:]}:"
        if value := match["value"]:
            return f"  {numbers[value]}"
        if use := match["use"]:
            return numbers.get(use, use)
        return match[0]

    numbered = head[:start] + _LOCAL.sub(spell, head[start:]) + "\n" + _LOCAL.sub(spell, body)
    return Entity(
        token=entity.token,
        kind=entity.kind,
        defined=True,
        linkage=entity.linkage,
        visibility=entity.visibility,
        text=numbered,
        comdat=entity.comdat,
        unnamed_addr=entity.unnamed_addr,
    )
