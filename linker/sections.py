"""Gives a relocatable object's sections names of their own, as `-ffunction-sections -fdata-sections` do.

Linkers then keep them apart when they merge objects, and can drop one without the others.
"""

from __future__ import annotations

from struct import Struct

from nativecache.linker import lazy_re as re
from nativecache.linker.elf import ET_REL, read_headers, string_at, string_table

_WORD = Struct("<I")
_EXTENT = Struct("<QQ")  # sh_offset, sh_size: at 24 in a section header
_HEADER_SIZE = 64
_SHF_GROUP = 1 << 9

#: Sections that compilers put code or data into for want of a name; mergeable ones stay together.
_PLAIN = re.compile(
    r"(?:\.rela?)?\.(?:l?text(?:\.(?:hot|unlikely|startup|exit|split))?\.?|gcc_except_table"
    r"|data\.rel(?:\.ro)?(?:\.local)?|l?(?:data|rodata|bss)|t(?:data|bss))"
)


def name_sections(obj: bytes, name: str) -> bytes:
    """The object with `.text` as `.text.NAME`, `.rodata` as `.rodata.NAME` and so on. Raises BadObject.

    Empty sections, those that are named already, and members of groups stay as they are.
    """
    file = read_headers(obj, ET_REL)
    strings = string_table(obj, file, file.names_index)
    out = bytearray(obj)
    table = bytearray(strings)
    for number, section in enumerate(file.sections):
        old = string_at(strings, section.name)
        if section.size and not section.flags & _SHF_GROUP and _PLAIN.fullmatch(old):
            _WORD.pack_into(out, file.headers_at + _HEADER_SIZE * number, len(table))
            table += f"{old.rstrip('.')}.{name}\0".encode("utf-8", "surrogateescape")
    if len(table) == len(strings):
        return obj
    _EXTENT.pack_into(out, file.headers_at + _HEADER_SIZE * file.names_index + 24, len(out), len(table))
    return bytes(out + table)
