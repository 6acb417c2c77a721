"""Reads the printed form of an LLVM module into entities without a loop over its lines.

LLVM prints one top-level thing per line, except function bodies, which end in a line holding `}`.
So one `split` finds the functions and one `findall` per kind finds the rest; names inside strings
cannot confuse it because LLVM escapes quotes and line ends in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final

from nativecache.aot.ir.debug_info import DebugInfo
from nativecache.aot.ir.profile import Profile
from nativecache.aot.ir.syntax import (
    BLOCK_ADDRESS,
    COMDAT,
    FUNCTION,
    GLOBAL,
    HEADER_NODE,
    METADATA,
    NAME,
    Cut,
    asm_strings,
    block_owners,
    cut_functions,
    global_group,
    global_tail,
    references,
    split_global,
    unescape,
)
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass, field, fields

_GROUP: Final = re.compile(r"#\d+", re.ASCII)

_TYPES: Final = re.compile(rf"^(%{NAME}) = type (.*)$", re.MULTILINE | re.ASCII)
_COMDATS: Final = re.compile(rf"^(\${NAME}) = comdat (.*)$", re.MULTILINE | re.ASCII)
_ATTRIBUTES: Final = re.compile(r"^attributes (#\d+) = (\{.*\})$", re.MULTILINE)
_NAMED_METADATA: Final = re.compile(r"^!([A-Za-z$._\\-][-\w$.\\]*) = !\{(.*)\}$", re.MULTILINE)
_GLOBALS: Final = re.compile(rf"^(@{NAME}) = (.*)$", re.MULTILINE | re.ASCII)
_DECLARES: Final = re.compile(r"^declare .*$", re.MULTILINE)
_MODULE_ASM: Final = re.compile(r'^module asm "(.*)"$', re.MULTILINE)
_TARGET: Final = re.compile(r'^target (datalayout|triple) = "(.*)"$', re.MULTILINE)
_SOURCE: Final = re.compile(r'^source_filename = "(.*)"$', re.MULTILINE)
_POINTER: Final = r"ptr(?: addrspace\([^)]*\))?"
_STRUCTOR: Final = re.compile(
    rf"\{{ i32, {_POINTER}, {_POINTER} \}} "
    rf"\{{ i32 (\d+), {_POINTER} (@{NAME}|null), {_POINTER} (@{NAME}|null) \}}",
    re.ASCII,
)
#: Where in its source file an asm statement stood. It is the last thing on a line, which no string is.
_ASM_PLACE: Final = re.compile(r", !srcloc !\d+(?=(?:, ![\w.]+ !\d+)*$)", re.MULTILINE | re.ASCII)

_IN_A_SECTION: Final = re.compile(r'"(?:(?:bss|data|relro|rodata)-section|implicit-section-name)"=')

LOCAL: Final = frozenset(("private", "internal"))


@dataclass(frozen=True, slots=True)
class Entity:
    """A function, variable, alias or ifunc of one module, with its printed text."""

    token: str
    kind: str  # function, variable, alias, ifunc
    defined: bool
    linkage: str  # "" for external
    visibility: str
    text: str
    comdat: str | None = None
    constant: bool = False
    unnamed_addr: bool = False
    thread_local: bool = False
    #: Attribute groups that a function's header names, or the line of a variable.
    groups: tuple[str, ...] = ()
    has_asm: bool = False  # inline asm
    has_block_address: bool = False  # of any function

    @property
    def local(self) -> bool:
        """Whether no other module can name it, as with globals that have no name."""
        return self.linkage in LOCAL or self.token[1].isdigit()

    @property
    def plain_text(self) -> str:
        """The text as it was read, whatever numbers its nodes have since been given."""
        return self.text

    @property
    def head(self) -> str:
        """The first line of the text, without its end."""
        return self.text.partition("\n")[0]


class SpelledEntity(Entity):
    """A function whose text is made from another one, line by line, when it is asked for first."""

    __slots__ = ("_made", "_plain", "_spell")
    _made: list[str]
    _plain: Entity
    _spell: Callable[[str], str]

    def __init__(self, entity: Entity, spell: Callable[[str], str]) -> None:
        """`spell` makes the text from that of `entity`."""
        for one in fields(entity):
            if one.name != "text":
                object.__setattr__(self, one.name, getattr(entity, one.name))
        object.__setattr__(self, "_made", [])
        object.__setattr__(self, "_plain", entity)
        object.__setattr__(self, "_spell", spell)

    @property
    def text(self) -> str:
        """The text. Raises what `spell` does."""
        if not self._made:
            self._made.append(self._spell(self._plain.text))
        return self._made[0]

    @property
    def plain_text(self) -> str:
        """The text that it is made from."""
        return self._plain.text

    @property
    def head(self) -> str:
        """The first line, which most are asked for alone. Raises what `spell` does."""
        return self._spell(self._plain.head)


@dataclass(frozen=True, slots=True)
class Structor:
    """One entry of `llvm.global_ctors` or `llvm.global_dtors`."""

    priority: int
    function: str
    associated: str | None


@dataclass(frozen=True, eq=False)
class Module:
    """One input, indexed. Tokens (`@f`, `%struct.S`, `#3`, `!7`, `$c`) are spelled as printed."""

    label: str
    source_file: str
    triple: str
    datalayout: str
    types: dict[str, str]
    comdats: dict[str, str]
    attributes: dict[str, str]
    metadata: Mapping[str, str]
    named_metadata: dict[str, str]
    asm: tuple[str, ...]
    entities: dict[str, Entity]
    structors: dict[str, tuple[Structor, ...]] = field(default_factory=dict)  # ctors, dtors
    used: dict[str, tuple[str, ...]] = field(default_factory=dict)  # llvm.used, llvm.compiler.used
    #: By token what other units see of an entity, made on demand (linkage.py).
    declarations: dict[str, str] = field(default_factory=dict, init=False)
    debug: DebugInfo | None = None  # normalised
    #: The numbered metadata as printed, where it holds debug information.
    debug_text: str = ""
    #: By function whose `nounwind` is left out: the numbers of its lines with calls of which it is, too
    #: (unwinding.py).
    disbelieved: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @cached_property
    def always_inline(self) -> frozenset[str]:
        """Attribute groups that hold `alwaysinline`."""
        return frozenset(g for g, text in self.attributes.items() if " alwaysinline " in text)

    @cached_property
    def inline_hint(self) -> frozenset[str]:
        """Attribute groups that ask for inlining."""
        return frozenset(g for g, text in self.attributes.items() if " inlinehint " in text)

    @cached_property
    def never_inline(self) -> frozenset[str]:
        """Attribute groups that forbid inlining or optimisation."""
        forbid = (" noinline ", " optnone ")
        return frozenset(g for g, text in self.attributes.items() if any(word in text for word in forbid))

    @cached_property
    def must_not_call(self) -> frozenset[str]:
        """Attribute groups of functions whose calls are to be warned of, or refused, if they remain."""
        return frozenset(g for g, text in self.attributes.items() if ' "dontcall-' in text)

    @cached_property
    def never_optimize(self) -> frozenset[str]:
        """Attribute groups that forbid optimisation."""
        return frozenset(g for g, text in self.attributes.items() if " optnone " in text)

    @cached_property
    def placed(self) -> frozenset[str]:
        """Attribute groups that name a section, as `#pragma clang section` has it."""
        return frozenset(g for g, text in self.attributes.items() if _IN_A_SECTION.search(text))

    @cached_property
    def va_start(self) -> frozenset[str]:
        """The intrinsics by which a function begins to read its own variable arguments."""
        return frozenset(token for token in self.entities if token.startswith("@llvm.va_start"))

    @cached_property
    def profile(self) -> Profile:
        """Which calls are hot and cold."""
        flags = self.named_metadata.get("llvm.module.flags", "")
        return Profile.read(self.attributes, self.metadata, flags)

    @cached_property
    def for_library(self) -> bool:
        """Whether the code may stand in a shared library: it is position-independent, and not a PIE's."""
        levels = [text for text in self.metadata.values() if '"PI' in text]
        return any('"PIC Level"' in t for t in levels) and not any('"PIE Level"' in t for t in levels)

    @cached_property
    def address_taken(self) -> frozenset[str]:
        """Functions some block of which has its address taken."""
        texts = (e.text for e in self.entities.values() if e.has_block_address)
        return frozenset(token for text in texts for token in block_owners(text))

    @cached_property
    def described(self) -> Mapping[str, str]:
        """The functions that the module defines, as printed (`@main`), by the node that describes each."""
        heads = ((HEADER_NODE.search(e.head), e.token) for e in self.functions())
        return {found[1]: token for found, token in heads if found}

    @cached_property
    def numbered_types(self) -> str:
        """Types without a name (`%0`). In a body they look like values, so they keep their numbers."""
        return "".join(f"{t} = type {body}\n" for t, body in self.types.items() if t[1].isdigit())

    @cached_property
    def asm_words(self) -> frozenset[str]:
        """The words of the module's own asm blocks, which may name any symbol."""
        if not self.asm:
            return frozenset()
        from nativecache.aot.ir.assembly import asm_words

        return asm_words(self.asm)

    def functions(self) -> Iterable[Entity]:
        """The functions that the module defines, in its order."""
        return (e for e in self.entities.values() if e.kind == "function" and e.defined)


def takes_block_address(entity: Entity, module: Module) -> bool:
    """Whether a function takes the address of a block, or anyone that of one of its own."""
    return entity.has_block_address or entity.token in module.address_taken


def inline_asm(entity: Entity) -> list[str]:
    """The inline asm strings of a function, as printed, without quotes."""
    return asm_strings(entity.text) if entity.has_asm else []


def index_module(text: str, label: str, cuts: Iterable[Cut] | None = None) -> Module:
    """Indexes a printed module. The text must be LLVM's own output (one character per byte).

    `cuts`: where its functions are, if that is known.
    """
    entities: dict[str, Entity] = {}
    outside = []
    bodies = []
    plain: list[bool] = []
    at = 0
    for before, start, at, is_tied in cut_functions(text) if cuts is None else cuts:
        outside.append(text[before:start])
        body = text[start:at]
        plain.append(not is_tied)
        # Only error messages use it, and every edit above the statement would change it.
        bodies.append(_ASM_PLACE.sub("", body) if is_tied and " !srcloc " in body else body)
    nodes, debug = "", ""
    if text.find("\n!llvm.dbg.cu = ", at) >= 0 and (start := text.find("\n!0 = ", at)) >= 0:
        rest, debug = text[at : start + 1], text[start + 1 :]  # see normalise
    else:
        rest = nodes = text[at:]
    outside.append(rest)
    top = "".join(outside)

    specials: dict[str, str] = {}
    for token, line in _GLOBALS.findall(top):
        if token.startswith("@llvm.") and line.startswith("appending "):
            specials[token] = line
        else:
            entities[token] = index_global(f"{token} = {line}\n")
    for body, is_plain in zip(bodies, plain, strict=True):
        entity = index_function(body, plain=is_plain)
        entities[entity.token] = entity
    for line in _DECLARES.findall(top):
        entity = index_function(line)
        entities[entity.token] = entity

    target = dict(_TARGET.findall(top))
    source = _SOURCE.search(top)
    return Module(
        label=label,
        source_file=unescape(source[1]) if source else "<string>",  # as LLVM prints it
        triple=target.get("triple", ""),
        datalayout=target.get("datalayout", ""),
        types=dict(_TYPES.findall(top)),
        comdats=dict(_COMDATS.findall(top)),
        attributes=dict(_ATTRIBUTES.findall(top)),
        metadata=dict(METADATA.findall(nodes)),
        named_metadata=dict(_NAMED_METADATA.findall(rest)),
        asm=tuple(_MODULE_ASM.findall(top)),
        entities=entities,
        structors={
            kind: tuple(
                Structor(int(priority), function, None if data == "null" else data)
                for priority, function, data in _STRUCTOR.findall(specials.get(f"@llvm.global_{kind}", ""))
                if function != "null"
            )
            for kind in ("ctors", "dtors")
        },
        used={
            name: tuple(dict.fromkeys(references(specials.get(f"@{name}", "").partition(", section")[0])))
            for name in ("llvm.used", "llvm.compiler.used")
        },
        debug_text=debug,
    )


def index_function(text: str, *, plain: bool = False) -> Entity:
    """A function or its declaration. Raises ValueError where the text is neither.

    `plain`: it is known to have no inline asm and to take no block's address.
    """
    head = text.partition("\n")[0]
    match = FUNCTION.match(head)
    if match is None:
        raise ValueError(f"not a function header: {head[:200]}")
    word, _attachments, _words, linkage, _dso, visibility, _dll, _type, token = match.groups()
    comdat = COMDAT.search(head, match.end()) if " comdat" in head else None
    return Entity(
        token=token,
        kind="function",
        defined=word == "define",
        linkage=linkage or "",
        visibility=visibility or "",
        text=text,
        comdat=(comdat[1] or "$" + token[1:]) if comdat else None,
        unnamed_addr=" unnamed_addr" in head[match.end() :],
        groups=tuple(_GROUP.findall(head)),
        has_asm=not plain and " asm " in text,
        has_block_address=not plain and BLOCK_ADDRESS in text,
    )


def index_global(text: str) -> Entity:
    """A variable, alias or ifunc. Raises ValueError where the text is none."""
    token, line = split_global(text)
    match = GLOBAL.match(line)
    if match is None:
        raise ValueError(f"not a global: {token} = {line[:200]}")
    _words, linkage, _dso, visibility, _dll, tls, unnamed, _space, _init, word = match.groups()
    comdat = COMDAT.search(global_tail(line)[0]) if ", comdat" in line else None
    return Entity(
        token=token,
        kind=word if word in ("alias", "ifunc") else "variable",
        defined=linkage not in ("external", "extern_weak"),
        linkage="" if linkage is None or linkage == "external" else linkage,
        visibility=visibility or "",
        text=f"{token} = {line}\n",
        comdat=(comdat[1] or "$" + token[1:]) if comdat else None,
        constant=word == "constant",
        unnamed_addr=unnamed == "unnamed_addr ",
        thread_local=tls is not None,
        groups=(group,) if (group := global_group(line)) else (),
        has_block_address=BLOCK_ADDRESS in line,
    )
