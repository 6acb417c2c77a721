"""All that a symbol table says of each symbol, for tests to compare."""

from __future__ import annotations

from dataclasses import dataclass

from nativecache.linker.elf import ET_REL, SHN_COMMON, SHN_UNDEF, SHT_SYMTAB, read_headers, symbol_entries

_BINDINGS: dict[int, str] = {0: "local", 1: "global", 2: "weak"}
_KINDS = {0: "notype", 1: "object", 2: "func", 3: "section", 4: "file", 5: "common", 6: "tls", 10: "ifunc"}
_VISIBILITIES = ("default", "internal", "hidden", "protected")


@dataclass(frozen=True, slots=True)
class Symbol:
    """One entry of a symbol table.

    `binding` is 'local', 'global', 'weak' or another number; `kind` is 'func', 'object', 'tls', 'notype',
    'section', 'file', 'common', 'ifunc' or another number; `visibility` is 'default', 'internal',
    'hidden' or 'protected'. A common symbol counts as defined.
    """

    name: str
    binding: str | int
    kind: str | int
    visibility: str
    defined: bool
    common: bool


def symbols(obj: bytes) -> tuple[Symbol, ...]:
    """All symbols of a relocatable object in table order, without the null entry. Raises BadObject."""
    return tuple(
        Symbol(
            name,
            _BINDINGS.get(info >> 4, info >> 4),
            _KINDS.get(info & 15, info & 15),
            _VISIBILITIES[other & 3],
            section != SHN_UNDEF,
            section == SHN_COMMON,
        )
        for name, info, other, section in symbol_entries(obj, read_headers(obj, ET_REL), SHT_SYMTAB)
    )
