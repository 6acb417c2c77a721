"""An entity as other units see it: a declaration, a definition for a unit alone, a copy to be inlined.

What holds inside of one module ends where it is cut into units: local symbols must be visible to the others,
and what a linker may drop must stay. All is done on the words of an entity's header, as text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from nativecache.aot.ir.module import Entity, Module
from nativecache.aot.ir.syntax import (
    COMDAT,
    FUNCTION,
    GLOBAL,
    NAME,
    closing_parenthesis,
    global_tail,
    references,
    split_global,
    type_end,
)
from nativecache.linker import lazy_re as re

_ARGUMENT_NAME: Final = re.compile(rf" %{NAME}(?=[,)])", re.ASCII)
_FUNCTION_TAIL: Final = re.compile(
    r' (?:(unnamed_addr|local_unnamed_addr|addrspace\([^)]*\)|#\d+|align \d+|gc "[^"]*")'
    r'|section "[^"]*"|partition "[^"]*"|comdat(?:\((?:\$"[^"]*"|[^()]*)\))?)',
    re.ASCII,
)


#: Symbols that only some linkers define, or only in some images: GNU ld 2.40, lld 22 and mold 1.10 compared.
_NAMES_UNLIKE: Final = frozenset(
    (
        *("__etext", "_PROCEDURE_LINKAGE_TABLE_"),
        *("__preinit_array_start", "__preinit_array_end", "__rela_iplt_start", "__rela_iplt_end"),
    )
)
#: How the names of such symbols begin: GNU ld's for the beginning and the size of a section.
_STARTS_UNLIKE: Final = (".startof.", ".sizeof.")
#: Sections that GNU ld alone treats as such: lists of constructors that it puts among the others, or in their
#: order, pieces of functions that it fills up with code that does nothing, the loader of a shared library.
_SECTIONS_UNLIKE: Final = re.compile(
    r"\.(?:[cd]tors\b|(?:init|fini)_array\.0\d{4}\b|(?:init|fini|interp)(?=[\"\s,;\\]))", re.ASCII
)
_INTERPOSABLE: Final = frozenset(("weak", "linkonce", "common", "extern_weak"))


def is_interposable(entity: Entity) -> bool:
    """Whether another definition may replace this one at link time, so that it must not be inlined."""
    return entity.linkage in _INTERPOSABLE


def needs_unlike(names: Iterable[str]) -> bool:
    """Whether some of the names of symbols are of those that only some linkers define."""
    return any(name in _NAMES_UNLIKE or name.startswith(_STARTS_UNLIKE) for name in names)


def is_linked_unlike(module: Module) -> bool:
    """Whether linkers treat something in a module unlike: only GNU ld does what clang's images have.

    mold 1.10 gives a function that is chosen at run time several addresses.
    """
    if _SECTIONS_UNLIKE.search("\n".join(module.asm)):
        return True
    entities = module.entities
    tokens_unlike = tuple("@" + start for start in _STARTS_UNLIKE)
    return any("@" + name in entities for name in _NAMES_UNLIKE) or any(
        entity.kind == "ifunc"
        or token.startswith(tokens_unlike)
        or (entity.has_asm and _SECTIONS_UNLIKE.search(entity.text))
        or _is_placed_unlike(entity, module)
        for token, entity in entities.items()
    )


def is_placed(entity: Entity, module: Module) -> bool:
    """Whether the source asks for a definition's section: by an attribute, or by `#pragma clang section`."""
    return ' section "' in entity.head or not module.placed.isdisjoint(entity.groups)


def _is_placed_unlike(entity: Entity, module: Module) -> bool:
    """Whether a definition is in a section that linkers treat unlike."""
    if any(_SECTIONS_UNLIKE.search(module.attributes[g]) for g in module.placed.intersection(entity.groups)):
        return True
    end = entity.plain_text.find("\n") if entity.kind == "function" else len(entity.plain_text)
    at = entity.plain_text.find(' section ".', 0, end)
    return at >= 0 and _SECTIONS_UNLIKE.search(entity.plain_text, at, end) is not None


def may_be_replaced(entity: Entity) -> bool:
    """Whether a definition is exported, so that the dynamic linker may prefer another image's to it."""
    return not (entity.local or entity.visibility)


def is_dso_local(entity: Entity) -> bool:
    """Whether a definition with external linkage is marked as one that its own image reaches directly."""
    if entity.kind == "function":
        return " dso_local " in entity.head.partition("(")[0]
    return entity.text.removeprefix(entity.token).startswith(" = dso_local ")


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
    (LLVM rejects some of them on a declaration and silently keeps others). The module keeps the text.
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
    head = entity.head
    match = FUNCTION.match(head)
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
    match = GLOBAL.match(line)
    assert match is not None
    _words, linkage, dso, visibility, dll, tls, unnamed, space, external, word = match.groups()
    end = type_end(line, match.end())
    tail, group = global_tail(line)
    tail = re.sub(r', (?:comdat(?:\((?:\$"[^"]*"|[^()]*)\))?|partition "[^"]*"|![\w.]+ !\d+)', "", tail)
    promoted = _promoted(linkage, dso, visibility, dll, entity.local)
    words = "".join(part for part in (tls, unnamed, space, external) if part)
    kept = "" if promoted.startswith("extern_weak") else "external "
    return f"{head} = {kept}{promoted}{words}{word} {line[match.end() : end]}{tail}{group}\n"


def aliasee(entity: Entity) -> str:
    """The token of what an alias or ifunc stands for. Raises ValueError if it names no symbol."""
    tokens = references(split_global(entity.text)[1])
    if not tokens:
        raise ValueError(f"{entity.token}: an alias to no symbol")
    return tokens[0]


def _declare_alias(entity: Entity, module: Module) -> str:
    head, line = split_global(entity.text)
    match = GLOBAL.match(line)
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
            found = FUNCTION.match(like)
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
        match, offset = FUNCTION.match(head), 2
    else:
        match, offset = GLOBAL.match(head, len(entity.token) + 3), 0
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
            end = len(head) - len("".join(global_tail(head)))
        spelled = COMDAT.sub(
            lambda m: f"{m[0].partition('comdat')[0]}comdat({entity.comdat})", head[end:], count=1
        )
        head = head[:end] + (spelled if keep_comdat else COMDAT.sub("", head[end:], count=1))
    return f"{head[:first]}{words}{head[second:]}{newline}{body}"


#: Calling conventions under which LLVM decorates a symbol's name.
_DECORATED: Final = re.compile(r"\bx86_(?:vector|fast|std|reg)callcc\b")


def is_decorated(entity: Entity) -> bool:
    """Whether the object's symbol is spelled unlike the function's name, and so cannot be renamed."""
    return entity.kind == "function" and _DECORATED.search(entity.head.partition("(")[0]) is not None


def is_always_inline(entity: Entity, module: Module) -> bool:
    """Whether a function must be inlined."""
    return not module.always_inline.isdisjoint(entity.groups)
