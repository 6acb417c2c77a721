"""Reads the printed form of an LLVM module into entities without a loop over its lines.

LLVM prints one top-level thing per line, except function bodies, which end in a line holding `}`.
So one `split` finds the functions and one `findall` per kind finds the rest; names inside strings
cannot confuse it because LLVM escapes quotes and line ends in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from nativecache.aot.ir.assembly import names_in
from nativecache.aot.ir.debug_info import DebugInfo
from nativecache.aot.ir.profile import Profile

NAME: Final = r'(?:[-a-zA-Z$._][-\w$.]*|"[^"]*"|\d+)'
#: Everything in a piece of IR whose spelling depends on the module around it. Numbered local values
#: (`%12`) are left out on purpose: they are most of the text and mean the same in every module.
TOKEN: Final = re.compile(r'([@%$](?:[-a-zA-Z$._][-\w$.]*|"[^"]*")|@\d+|[#!]\d+|"[^"]*")', re.ASCII)

_LINKAGE: Final = (
    r"((?:(private|internal|available_externally|linkonce_odr|linkonce|weak_odr|weak|common|appending"
    r"|extern_weak|external) )?(?:(dso_local|dso_preemptable) )?(?:(default|hidden|protected) )?"
    r"(?:(dllimport|dllexport) )?)"
)
_FUNCTION: Final = re.compile(
    rf'(define|declare) ((?:![\w.]+ !\d+ )*){_LINKAGE}((?:[^@"]|"[^"]*")*)(@{NAME})\(', re.ASCII
)
_GLOBAL: Final = re.compile(
    rf"{_LINKAGE}(thread_local(?:\(\w+\))? )?((?:local_)?unnamed_addr )?(addrspace\([^)]*\) )?"
    r"(externally_initialized )?(global|constant|alias|ifunc) ",
    re.ASCII,
)
_GLOBAL_TAIL: Final = re.compile(
    r'((?:, (?:section "[^"]*"|partition "[^"]*"|code_model "[^"]*"|no_sanitize_\w+|sanitize_\w+'
    r'|comdat(?:\((?:\$"[^"]*"|[^()]*)\))?|align \d+|![\w.]+ !\d+))*)((?: #\d+)?)$',
    re.ASCII,
)
_COMDAT: Final = re.compile(r'[ ,] ?comdat(?:\((\$(?:"[^"]*"|[^()]*))\))?')
_PARENTHESES: Final = re.compile(r'"[^"]*"|[()]')
_BRACKETS: Final = re.compile(r'"[^"]*"|[\[\]{}<>()]')
_ARGUMENT_NAME: Final = re.compile(rf" %{NAME}(?=[,)])", re.ASCII)
_FUNCTION_TAIL: Final = re.compile(
    r' (?:(unnamed_addr|local_unnamed_addr|addrspace\([^)]*\)|#\d+|align \d+|gc "[^"]*")'
    r'|section "[^"]*"|partition "[^"]*"|comdat(?:\((?:\$"[^"]*"|[^()]*)\))?)',
    re.ASCII,
)
_SIMPLE_TYPE: Final = re.compile(rf"ptr addrspace\([^)]*\)|%{NAME}|\w+", re.ASCII)
_ESCAPE: Final = re.compile(r"\\(?:([0-9A-Fa-f]{2})|\\)")
_ASM_STRING: Final = re.compile(r'\basm (?:[a-z]+ )*("[^"]*")')

_PLAIN_NAME: Final = re.compile(r"[-a-zA-Z$._][-\w$.]*", re.ASCII)

_GROUP: Final = re.compile(r"#\d+", re.ASCII)
_BLOCK_ADDRESS: Final = "blockaddress("
_BLOCKADDRESS: Final = re.compile(rf"blockaddress\((@{NAME})", re.ASCII)

_TYPES: Final = re.compile(rf"^(%{NAME}) = type (.*)$", re.MULTILINE | re.ASCII)
_COMDATS: Final = re.compile(rf"^(\${NAME}) = comdat (.*)$", re.MULTILINE | re.ASCII)
_ATTRIBUTES: Final = re.compile(r"^attributes (#\d+) = (\{.*\})$", re.MULTILINE)
METADATA: Final = re.compile(r"^(!\d+) = (.*)$", re.MULTILINE)
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
_REFERENCE: Final = re.compile(rf'"[^"]*"|(@{NAME})', re.ASCII)

LOCAL: Final = frozenset(("private", "internal"))
#: Linkages whose body another definition may replace at link time, so that it must not be inlined.
INTERPOSABLE: Final = frozenset(("weak", "linkonce", "common", "extern_weak"))


def unescape(text: str) -> str:
    """Decodes LLVM's `\\XX` escapes, one character per byte, and its doubled backslashes."""
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else "\\", text) if "\\" in text else text


def symbol_name(token: str) -> str:
    """The symbol-table name of an `@name` token; `\\01` (print without mangling) is dropped as on ELF.

    The text holds one character per byte; the result is decoded as UTF-8 with surrogate escapes,
    as `os.fsdecode` and the linker package do.
    """
    name = token[1:]
    if name[:1] == '"':
        name = unescape(name[1:-1]).encode("latin-1").decode("utf-8", "surrogateescape")
    return name.removeprefix("\x01")


def quote(name: str) -> str:
    """A symbol name as printed IR spells it behind the `@`."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    data = name.encode("utf-8", "surrogateescape")
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:02X}" for b in data) + '"'


def references(text: str) -> list[str]:
    """All `@name` tokens of a piece of IR, in order, strings left out."""
    return [token for token in _REFERENCE.findall(text) if token]


@dataclass(slots=True)
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
    #: Attribute groups that a function's header names.
    groups: tuple[str, ...] = ()
    has_asm: bool = False  # inline asm
    has_block_address: bool = False  # of any function

    @property
    def local(self) -> bool:
        # A global without a name has no symbol that another module could mean.
        return self.linkage in LOCAL or self.token[1].isdigit()


@dataclass(frozen=True, slots=True)
class Structor:
    """One entry of `llvm.global_ctors` or `llvm.global_dtors`."""

    priority: int
    function: str
    associated: str | None


@dataclass
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
    declarations: dict[str, str] = field(default_factory=dict)  # made on demand
    debug: DebugInfo | None = None  # normalised
    #: The numbered metadata as printed, where it holds debug information.
    debug_text: str = ""

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
    def numbered_types(self) -> str:
        """Types without a name (`%0`). In a body they look like values, so they keep their numbers."""
        return "".join(f"{t} = type {body}\n" for t, body in self.types.items() if t[1].isdigit())

    @cached_property
    def asm_words(self) -> frozenset[str]:
        """The words of the module's own asm blocks, which may name any symbol."""
        return asm_words(self.asm)

    def functions(self) -> Iterable[Entity]:
        return (e for e in self.entities.values() if e.kind == "function" and e.defined)


def asm_words(strings: Iterable[str]) -> frozenset[str]:
    """The identifiers in asm text given as printed (escaped) strings."""
    return frozenset().union(*(names_in(unescape(text)) for text in strings))


def block_owners(text: str) -> list[str]:
    """The functions whose blocks' addresses are taken in a piece of IR."""
    return _BLOCKADDRESS.findall(text)


def takes_block_address(entity: Entity, module: Module) -> bool:
    """Whether a function takes the address of a block, or anyone that of one of its own."""
    return entity.has_block_address or entity.token in module.address_taken


def inline_asm(entity: Entity) -> list[str]:
    """The inline asm strings of a function, as printed, without quotes."""
    return [s[1:-1] for s in _ASM_STRING.findall(entity.text)] if entity.has_asm else []


def index_module(text: str, label: str) -> Module:
    """Indexes a printed module. The text must be LLVM's own output (one character per byte)."""
    entities: dict[str, Entity] = {}
    outside = []
    bodies = []
    # Most modules have neither: one search then does for all their functions.
    plain = " asm " not in text and _BLOCK_ADDRESS not in text
    at = 0
    while (end := text.find("\n}\n", at)) >= 0:
        start = at if text.startswith("define ", at) else text.index("\ndefine ", at, end) + 1
        outside.append(text[at:start])
        at = end + 3
        body = text[start:at]
        # Only error messages use it, and every edit above the statement would change it.
        bodies.append(_ASM_PLACE.sub("", body) if not plain and " !srcloc " in body else body)
    rest, nodes, debug = text[at:], "", ""
    if "\n!llvm.dbg.cu = " in rest and (start := rest.find("\n!0 = ")) >= 0:
        rest, debug = rest[: start + 1], rest[start + 1 :]  # see normalise
    else:
        nodes = rest
    outside.append(rest)
    top = "".join(outside)

    specials: dict[str, str] = {}
    for token, line in _GLOBALS.findall(top):
        if token.startswith("@llvm.") and line.startswith("appending "):
            specials[token] = line
        else:
            entities[token] = index_global(f"{token} = {line}\n")
    for body in bodies:
        entity = index_function(body, plain=plain)
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
    match = _FUNCTION.match(head)
    if match is None:
        raise ValueError(f"not a function header: {head[:200]}")
    word, _attachments, _words, linkage, _dso, visibility, _dll, _type, token = match.groups()
    comdat = _COMDAT.search(head, match.end()) if " comdat" in head else None
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
        has_block_address=not plain and _BLOCK_ADDRESS in text,
    )


def split_global(text: str) -> tuple[str, str]:
    """The token and the rest of a `@name = …` line; the name may hold anything if it is quoted."""
    end = text.index('"', 2) + 1 if text[1] == '"' else text.index(" ")
    return text[:end], text[end + 3 :].rstrip("\n")


def index_global(text: str) -> Entity:
    """A variable, alias or ifunc. Raises ValueError where the text is none."""
    token, line = split_global(text)
    match = _GLOBAL.match(line)
    if match is None:
        raise ValueError(f"not a global: {token} = {line[:200]}")
    _words, linkage, _dso, visibility, _dll, tls, unnamed, _space, _init, word = match.groups()
    comdat = _COMDAT.search(_tail(line)[0]) if ", comdat" in line else None
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
        has_block_address=_BLOCK_ADDRESS in line,
    )


def _tail(line: str) -> tuple[str, str]:
    match = _GLOBAL_TAIL.search(line.rstrip("\n"))
    return (match[1], match[2]) if match else ("", "")


def type_end(text: str, start: int = 0) -> int:
    """Where the type that begins at `start` of a piece of IR ends."""
    if text[start] in "[{<" or text.startswith("target(", start):
        depth = 0
        for match in _BRACKETS.finditer(text, start):
            if match[0] in "[{<(":
                depth += 1
            elif match[0] in "]}>)":
                depth -= 1
                if depth == 0:
                    return match.end()
        raise ValueError(f"unbalanced type: {text[start : start + 80]}")
    simple = _SIMPLE_TYPE.match(text, start)
    if simple is None:
        raise ValueError(f"not a type: {text[start : start + 80]}")
    return simple.end()


def closing_parenthesis(text: str, start: int) -> int:
    """The index behind the `)` that closes the `(` at `start`."""
    depth = 0
    for match in _PARENTHESES.finditer(text, start):
        if match[0] == "(":
            depth += 1
        elif match[0] == ")":
            depth -= 1
            if depth == 0:
                return match.end()
    raise ValueError(f"unbalanced parentheses: {text[start : start + 80]}")


def _promoted(
    linkage: str | None, dso: str | None, visibility: str | None, dll: str | None, local: bool
) -> str:
    """The words before the type once a definition is seen from another unit."""
    if local:
        return "hidden "
    kept = "extern_weak " if linkage == "extern_weak" else ""
    return kept + "".join(f"{word} " for word in (dso, visibility, dll) if word)


def declaration(entity: Entity, module: Module) -> str:
    """The entity as another unit sees it: a declaration, local linkage promoted to hidden.

    Prefix and prologue data, personality, comdat and section of functions stay with the definition
    (LLVM rejects some of them on a declaration and silently keeps others).
    """
    text = module.declarations.get(entity.token)
    if text is None:
        if entity.kind == "function":
            text = _declare_function(entity, module)
        elif entity.kind == "variable":
            text = _declare_variable(entity)
        else:
            text = _declare_alias(entity, module)
        module.declarations[entity.token] = text
    return text


def _declare_function(entity: Entity, module: Module) -> str:
    head = entity.text.partition("\n")[0]
    match = _FUNCTION.match(head)
    assert match is not None
    word, attachments, _words, linkage, dso, visibility, dll, rest, token = match.groups()
    end = closing_parenthesis(head, match.end() - 1)
    arguments = head[match.end() - 1 : end]
    if entity.defined:
        # Every argument has a name; what is spelled like one elsewhere is a type.
        arguments = _ARGUMENT_NAME.sub(lambda m: m[0] if m[0][1:] in module.types else "", arguments)
    tail, position = "", end
    while kept := _FUNCTION_TAIL.match(head, position):
        if kept[1]:
            tail += f" {kept[1]}"
        position = kept.end()
    promoted = _promoted(linkage, dso, visibility, dll, entity.local)
    # Only a declaration's own attachments stand in front of the linkage.
    if word == "define":
        callee = module.debug.callees.get(entity.token) if module.debug else None
        attachments = f"!dbg {callee} " if callee else ""
    return f"declare {attachments}{promoted}{rest}{token}{arguments}{tail}\n"


def _declare_variable(entity: Entity) -> str:
    if not entity.defined:
        return entity.text
    head, line = split_global(entity.text)
    match = _GLOBAL.match(line)
    assert match is not None
    _words, linkage, dso, visibility, dll, tls, unnamed, space, external, word = match.groups()
    end = type_end(line, match.end())
    tail, group = _tail(line)
    tail = re.sub(r', (?:comdat(?:\((?:\$"[^"]*"|[^()]*)\))?|partition "[^"]*"|![\w.]+ !\d+)', "", tail)
    promoted = _promoted(linkage, dso, visibility, dll, entity.local)
    words = "".join(part for part in (tls, unnamed, space, external) if part)
    kept = "" if promoted.startswith("extern_weak") else "external "
    return f"{head} = {kept}{promoted}{words}{word} {line[match.end() : end]}{tail}{group}\n"


def aliasee(entity: Entity) -> str:
    """The token of the function or variable at the base of an alias or ifunc."""
    tokens = references(split_global(entity.text)[1])
    if not tokens:
        raise ValueError(f"{entity.token}: an alias to no symbol")
    return tokens[0]


def _declare_alias(entity: Entity, module: Module) -> str:
    head, line = split_global(entity.text)
    match = _GLOBAL.match(line)
    assert match is not None
    _words, linkage, dso, visibility, dll, tls, unnamed, _space, _init, _word = match.groups()
    promoted = _promoted(linkage, dso, visibility, dll, entity.local)
    base = module.entities[aliasee(entity)]
    while base.kind in ("alias", "ifunc") and entity.kind == "alias":
        base = module.entities[aliasee(base)]
    end = type_end(line, match.end())
    if line[end : end + 2] == " (":  # a function type
        result, arguments = line[match.end() : end], line[end + 1 : closing_parenthesis(line, end + 1)]
        if entity.kind == "alias" and base.kind == "function":
            # The same function under another name: calling convention and attributes must match.
            like = _declare_function(base, module)
            found = _FUNCTION.match(like)
            assert found is not None
            if re.sub(r"\s", "", found[8]).endswith(re.sub(r"\s", "", result)):
                rest = like[closing_parenthesis(like, found.end() - 1) :]
                signature = like[found.end() - 1 : closing_parenthesis(like, found.end() - 1)]
                return f"declare {promoted}{found[8]}{head}{signature}{rest}"
        return f"declare {promoted}{result} {head}{arguments}\n"
    space = re.search(r"ptr (addrspace\([^)]*\))", line)
    where = f"{space[1]} " if space else ""
    return f"{head} = external {promoted}{tls or ''}{unnamed or ''}{where}global {line[match.end() : end]}\n"


def definition(entity: Entity, *, keep_comdat: bool, pinned: bool = False, linkage: str | None = None) -> str:
    """The entity's definition as its own unit compiles it.

    Local linkage becomes hidden unless pinned; linkonce becomes weak, for a unit alone would drop it;
    the comdat goes unless the output is linked again (else prevailing resolution makes it moot).
    A copy for another unit is given its `linkage`: internal or available_externally.
    """
    if pinned:
        return entity.text
    head, newline, body = entity.text.partition("\n")
    if entity.kind == "function":
        match, offset = _FUNCTION.match(head), 2
    else:
        match, offset = _GLOBAL.match(head, len(entity.token) + 3), 0
    assert match is not None
    own, dso, visibility, dll = match.groups()[1 + offset : 5 + offset]
    first, second = match.span(1 + offset)
    if linkage is None and not entity.local:
        linkage = {"linkonce": "weak", "linkonce_odr": "weak_odr"}.get(own, own)
    if linkage == "internal":
        dso = visibility = dll = None
    elif entity.local:
        dso, visibility, dll = None, "hidden", None
    words = "".join(f"{word} " for word in (linkage, dso, visibility, dll) if word)
    if entity.comdat:
        if entity.kind == "function":
            end = closing_parenthesis(head, match.end() - 1)
        else:
            end = len(head) - len("".join(_tail(head)))
        spelled = _COMDAT.sub(
            lambda m: f"{m[0].partition('comdat')[0]}comdat({entity.comdat})", head[end:], count=1
        )
        head = head[:end] + (spelled if keep_comdat else _COMDAT.sub("", head[end:], count=1))
    return f"{head[:first]}{words}{head[second:]}{newline}{body}"
