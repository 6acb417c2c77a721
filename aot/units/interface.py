"""What of a module the rest of its program is arranged by: while that stays, other modules' units may stand.

Which definitions prevail, what is called what, what the linker and LLVM must be told: all of that rests on
the symbols that modules show each other, and on what their asm does. What functions do, and what a
declaration of them says, is not in it; units see that of one symbol at a time (fingerprint.py). Nor is
which *plain* symbols a module exports, those that one file of a program defines and that bear on nothing but
what names them: who sees such a symbol is looked at when it comes or goes. Nor is of which of C++'s inline
functions, of what templates were instantiated to, and of their tables a module has a copy (`free_copies`):
the files that name one have it, and the first file's prevails (standing/owners.py). Nor is of what
instances of a library's templates it has a copy to inline.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from nativecache.aot.ir.asm_effects import Assembly
from nativecache.aot.ir.library_names import MAIN, has_meaning, is_implicit
from nativecache.aot.ir.linkage import aliasee, is_dso_local, is_linked_unlike, is_placed, may_be_replaced
from nativecache.aot.ir.module import Entity, Module
from nativecache.aot.ir.syntax import quote, symbol_name
from nativecache.aot.ir.unwinding import handles_exceptions
from nativecache.aot.key import value_digest
from nativecache.aot.units.bonds import NO_BONDS, Bonds
from nativecache.aot.units.inline_copies import is_instantiated
from nativecache.linker import lazy_re as re
from nativecache.linker.values import fields

#: What clang has each file call that ends the program behind an exception, by that alone.
_TERMINATE: Final = "__clang_call_terminate"
_NODE: Final = re.compile(r"!\d+", re.ASCII)


def interface(module: Module, bonds: Bonds, free: frozenset[str]) -> str:
    """The digest, in hexadecimal, of what the rest of a program is arranged by.

    `bonds`: those of the module's asm; `free`: its `free_copies`.
    """
    used = {token for tokens in module.used.values() for token in tokens}
    shown = (
        _shown(entity)
        for token, entity in module.entities.items()
        if token not in free
        and _is_shown(entity, module)
        and (token in used or not _is_elsewhere(entity, bonds))
    )
    comdats = ((token, kind) for token, kind in module.comdats.items() if "@" + token[1:] not in free)
    values = (
        (module.triple, module.datalayout, module.asm),
        (_described(module), sorted(module.named_metadata.items())),
        sorted(comdats),
        sorted(shown, key=repr),
        _plain(bonds),
        module.profile.marks_hot,
        is_linked_unlike(module),
        _used(module),
    )
    return value_digest(values).hex()


def free_copies(module: Module, bonds: Bonds) -> frozenset[str]:
    """The tokens of definitions of which any module may have a copy, and that bear on what names them only.

    Each is the whole of a comdat that is called after it, as C++'s inline functions, what templates were
    instantiated to, tables of virtual functions and variables within inline functions are.
    """
    copies = [
        entity
        for entity in module.entities.values()
        if entity.linkage == "linkonce_odr" and entity.comdat is not None and _is_alone(entity, module)
    ]
    if not copies:
        return frozenset()
    members = Counter(entity.comdat for entity in module.entities.values() if entity.comdat is not None)
    held = {token for tokens in module.used.values() for token in tokens} | bonds.changed
    held.update(aliasee(e) for e in module.entities.values() if e.kind in ("alias", "ifunc"))
    held.update(slot.associated for slots in module.structors.values() for slot in slots if slot.associated)
    return frozenset(
        entity.token
        for entity in copies
        if members[str(entity.comdat)] == 1
        and entity.token not in held
        and symbol_name(entity.token) not in bonds.names
    )


def odd_comdats(module: Module) -> set[str]:
    """The names of a module's comdats in which nothing is that other files see under that name.

    They prevail by their names alone: what goes when a copy of such a name comes is called otherwise.
    """
    defined = [e for e in module.entities.values() if e.defined and e.linkage != "available_externally"]
    own = {"$" + entity.token[1:] for entity in defined if not entity.local}
    return {symbol_name("@" + e.comdat[1:]) for e in defined if e.comdat and e.comdat not in own}


def _is_elsewhere(entity: Entity, bonds: Bonds) -> bool:
    """Whether a copy is one of what a template was instantiated to in a library, to be inlined in its file.

    Nothing is decided by those beyond their files (units/inline_copies.py).
    """
    name = symbol_name(entity.token)
    return (
        entity.kind == "function"
        and entity.linkage == "available_externally"
        and entity.visibility == ""
        and "@" + quote(name) == entity.token
        and is_instantiated(name)
        and not (has_meaning(name) or is_implicit(name))
        and entity.token not in bonds.changed
        and name not in bonds.names
    )


def _is_alone(entity: Entity, module: Module) -> bool:
    """Whether a copy is one that all linkers choose from by its name, and treat as any other."""
    name = symbol_name(entity.token)
    return (
        entity.kind in ("function", "variable")
        and entity.defined
        and not entity.thread_local
        and entity.comdat == "$" + entity.token[1:]
        and module.comdats.get(entity.comdat, "any") == "any"
        and entity.visibility in ("", "default", "hidden")
        and "@" + quote(name) == entity.token
        and (name == _TERMINATE or not (has_meaning(name) or is_implicit(name)))
        and not is_placed(entity, module)
    )


def manner(module: Module) -> str:
    """The digest, in hexadecimal, of what a module says of how it was compiled."""
    # The triple as it was written; the layout of a module that is planned is the target's.
    return value_digest((module.triple, _described(module), sorted(module.named_metadata))).hex()


def stands_apart(module: Module, bonds: Bonds) -> bool:
    """Whether a module may come to a program, or go, without more than what its plain exports bring about."""
    return (
        bonds == NO_BONDS
        and not module.comdats
        and not (module.debug_text or module.debug)
        and not (module.profile.marks_hot or exceptions_in(module))
        and not is_linked_unlike(module)
        and module.named_metadata.keys() <= _USUAL
        and not any(_is_shown(entity, module) for entity in module.entities.values())
        and not any(slot.associated for slots in module.structors.values() for slot in slots)
    )


#: Named metadata that say nothing to linkers.
_USUAL: Final = frozenset(("llvm.module.flags", "llvm.ident", "llvm.errno.tbaa"))


def _described(module: Module) -> list[str]:
    """What flags and compiler a module names."""
    flags = module.named_metadata.get("llvm.module.flags", "")
    identity = module.named_metadata.get("llvm.ident", "")
    return [module.metadata.get(node, node) for node in _NODE.findall(flags + identity)]


def exceptions_in(module: Module) -> int:
    """What of C++'s exceptions is in a module: 2 if it handles some, and 1 if it names their routine."""
    return 2 * handles_exceptions(module) + ("@__gxx_personality_v0" in module.entities)


def _used(module: Module) -> list[str]:
    """What the module says is `used` of what others may define, too (Program.kept_copies)."""
    tokens = {token for tokens in module.used.values() for token in tokens}
    return sorted(t for t in tokens if t in module.entities and _is_shown(module.entities[t], module))


def _is_shown(entity: Entity, module: Module) -> bool:
    """Whether more than those that name a global have to do with it: it is defined for other modules, or in a
    comdat, and no plain export."""
    return (
        entity.defined
        and (not entity.local or entity.comdat is not None or entity.kind in ("alias", "ifunc"))
        and not _is_plain_export(entity, module)
    )


def _is_plain_export(entity: Entity, module: Module) -> bool:
    """Whether a definition is one that no other takes the place of, and that bears on what names it only."""
    if entity.kind not in ("function", "variable") or entity.linkage not in ("", "external"):
        return False
    if entity.comdat is not None or entity.visibility not in ("", "default", "hidden"):
        return False
    name = symbol_name(entity.token)
    return (
        not entity.local
        and "@" + quote(name) == entity.token
        and (name == MAIN or not (has_meaning(name) or is_implicit(name)))
        # Such a one is reached under a second name in its own object (Program.keeps_to_itself).
        and not (module.for_library and may_be_replaced(entity) and is_dso_local(entity))
    )


def _shown(entity: Entity) -> tuple[object, ...]:
    second = entity.text if entity.kind in ("alias", "ifunc") else ""
    flags = entity.constant, entity.unnamed_addr, entity.thread_local
    return entity.token, entity.kind, entity.linkage, entity.visibility, entity.comdat, flags, second


def _plain(value: object) -> object:
    """A value whose `repr` is the same in every process: sets have no order."""
    if isinstance(value, (Bonds, Assembly)):
        return [(field.name, _plain(getattr(value, field.name))) for field in fields(value)]
    if isinstance(value, dict) or hasattr(value, "items"):
        return sorted(((key, _plain(item)) for key, item in value.items()), key=repr)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    return value
