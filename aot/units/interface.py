"""What of a module the rest of its program is arranged by: while that stays, other modules' units may stand.

Which definitions prevail, what is called what, what the linker and LLVM must be told: all of that rests on
the symbols that modules show each other, and on what their asm does. What functions do, and what a
declaration of them says, is not in it; units see that of one symbol at a time (fingerprint.py).
"""

from __future__ import annotations

from typing import Final

from nativecache.aot.ir.assembly import Assembly
from nativecache.aot.ir.module import Entity, Module
from nativecache.aot.ir.unwinding import handles_exceptions
from nativecache.aot.key import value_digest
from nativecache.aot.units.bonds import Bonds
from nativecache.linker import lazy_re as re
from nativecache.linker.values import fields

_NODE: Final = re.compile(r"!\d+", re.ASCII)


def interface(module: Module, bonds: Bonds) -> str:
    """The digest, in hexadecimal, of what the rest of a program is arranged by.

    `bonds`: those of the module's asm.
    """
    flags = module.named_metadata.get("llvm.module.flags", "")
    identity = module.named_metadata.get("llvm.ident", "")
    nodes = [module.metadata.get(node, node) for node in _NODE.findall(flags + identity)]
    shown = (_shown(entity) for entity in module.entities.values() if _is_shown(entity))
    values = (
        (module.triple, module.datalayout, module.source_file, module.asm, nodes),
        sorted(module.named_metadata.items()),
        sorted(module.comdats.items()),
        sorted(shown, key=repr),
        _plain(bonds),
        (module.profile.marks_hot, handles_exceptions(module), "@__gxx_personality_v0" in module.entities),
    )
    return value_digest(values).hex()


def _is_shown(entity: Entity) -> bool:
    """Whether other modules can have to do with a global: it is defined for them, or in a comdat."""
    return entity.defined and (
        not entity.local or entity.comdat is not None or entity.kind in ("alias", "ifunc")
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
